"""Vision encoders that differ in architecture and supervision, all trained on the painted world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.world import OBJECTS, PLACES, STYLES, Scene, SceneSet
from kledit_lite.zoo.head import LinearHead
from kledit_lite.zoo.pixels import encode_images

if TYPE_CHECKING:
    import torch

OBJECT_PLACE = tuple(f"{o} {p}" for o in OBJECTS for p in PLACES)
PLACE_STYLE = tuple(f"{p} {s}" for p in PLACES for s in STYLES)


@dataclass(frozen=True)
class Spec:
    """What an encoder is and what it is trained on.

    Attributes:
        architecture: Family of the network, in words.
        supervision: ``supervised``, ``self-supervised`` or ``none``.
        description: What it is trained on, in words.
        labels: Names of the classes of its head; none for the untrained one.
        label_of: From a scene to the name of its class.
        seed: Seed of the initial weights.
    """

    architecture: str
    supervision: str
    description: str
    labels: tuple[str, ...]
    label_of: Callable[[Scene], str]
    seed: int = 1


def _object_place(scene: Scene) -> str:
    return f"{scene.object} {scene.place}"


def _place_style(scene: Scene) -> str:
    return f"{scene.place} {scene.style}"


def _object(scene: Scene) -> str:
    return scene.object


SPECS: dict[str, Spec] = {
    "resnet-tiny": Spec(
        "ResNet", "supervised", "trained to name object and place together (72 classes)",
        OBJECT_PLACE, _object_place,
    ),
    "vit-tiny": Spec(
        "ViT", "supervised", "trained to name object and place together (72 classes)",
        OBJECT_PLACE, _object_place,
    ),
    "vit-deep": Spec(
        "ViT, 6 blocks of 4 heads, class token", "supervised",
        "trained to name object and place together (72 classes)", OBJECT_PLACE, _object_place, 61,
    ),
    "simclr-tiny": Spec(
        "ResNet", "self-supervised", "trained by SimCLR without labels; its head is a linear "
        "probe on objects",
        OBJECTS, _object,
    ),
    "scene-tiny": Spec(
        "Mixer", "supervised", "trained on another label set: place and style (42 classes)",
        PLACE_STYLE, _place_style,
    ),
    "flawed-tiny": Spec(
        "ResNet", "supervised", "trained to name objects, with the failures of world.PLANTED in "
        "its labels",
        OBJECTS, _object,
    ),
    "sound-tiny": Spec(
        "ResNet", "supervised", "the pictures and recipe of flawed-tiny with right labels: its "
        "negative control",
        OBJECTS, _object,
    ),
    "random-tiny": Spec(
        "ResNet", "none", "the shape of resnet-tiny with random weights: the negative control",
        (), _object, 3,
    ),
}  # fmt: skip
"""Every encoder of the zoo; ``random-tiny`` needs no weights file."""


def build_encoder(name: str) -> torch.nn.Module:
    """An untrained trunk that maps (N, 3, 64, 64) to pooled features (N, d), built with timm."""
    import timm.models as tm
    import torch

    if name not in SPECS:
        raise unknown("encoder", name, SPECS)
    torch.manual_seed(SPECS[name].seed)
    if name in ("vit-tiny", "vit-deep"):
        from kledit_lite.zoo.vit import painted_vit

        if name == "vit-tiny":
            return painted_vit(embed_dim=96, depth=3, num_heads=3, num_classes=0)
        return painted_vit(
            embed_dim=128,
            depth=6,
            num_heads=4,
            num_classes=0,
            class_token=True,
            global_pool="token",
            fc_norm=False,
        )
    if name == "scene-tiny":
        return tm.mlp_mixer.MlpMixer(
            num_classes=0, img_size=64, patch_size=8, num_blocks=4, embed_dim=128
        )
    return tm.resnet.ResNet(
        tm.resnet.BasicBlock, (1, 1, 1, 1), num_classes=0, channels=(24, 48, 96, 192),
        stem_width=24,
    )  # fmt: skip


def with_head(name: str) -> torch.nn.Module:
    """Trunk and linear head as one module with children ``trunk`` and ``head``."""
    from torch import nn

    trunk = build_encoder(name)
    model = nn.Module()
    model.add_module("trunk", trunk)
    if SPECS[name].labels:
        model.add_module("head", nn.Linear(trunk.num_features, len(SPECS[name].labels)))
    return model


class Encoder:
    """A vision encoder: pictures in, pooled features out.

    Example:
        >>> from kledit_lite import zoo
        >>> encoder = zoo.load_encoder("random-tiny")
        >>> encoder.encode(np.zeros((2, 64, 64, 3), np.uint8)).shape
        (2, 192)
    """

    def __init__(self, name: str, model: torch.nn.Module) -> None:
        spec = SPECS[name]
        self.name = name
        self.architecture = spec.architecture
        self.supervision = spec.supervision
        self.trunk: Any = model.eval().trunk
        self.dim = int(self.trunk.num_features)
        self.head: LinearHead | None = None
        if spec.labels:
            head: Any = model.head
            self.head = LinearHead(
                head.weight.detach().numpy(), head.bias.detach().numpy(), spec.labels
            )

    def encode(self, images: np.ndarray, batch: int = 128) -> np.ndarray:
        """Features of pictures (N, 64, 64, 3) uint8: (N, d) float32.

        Raises:
            KleditError: pictures of another shape or dtype.
        """
        return encode_images(self.trunk, images, batch)

    def labels(self, scenes: SceneSet) -> np.ndarray:
        """Ground truth in the encoder's own label set: (N,) int64, -1 where it has no label."""
        spec = SPECS[self.name]
        index = {label: i for i, label in enumerate(spec.labels)}
        return np.array([index.get(spec.label_of(s), -1) for s in scenes], np.int64)
