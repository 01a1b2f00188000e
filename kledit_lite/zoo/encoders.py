"""Vision encoders that differ in architecture and supervision, all trained on the painted world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.world import FACTORS, Scene, SceneSet
from kledit_lite.zoo.head import LinearHead
from kledit_lite.zoo.pixels import encode_images

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Spec:
    """What an encoder is and what it is trained on.

    Attributes:
        architecture: Family of the network, in words.
        supervision: ``supervised``, ``self-supervised`` or ``none``.
        description: What it is trained on, in words.
        factors: What the classes of its head name together; none for the untrained one.
        seed: Seed of the initial weights.
    """

    architecture: str
    supervision: str
    description: str
    factors: tuple[str, ...] = ()
    seed: int = 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        values = product(*(map(str, FACTORS[factor]) for factor in self.factors))
        return tuple(map(" ".join, values)) if self.factors else ()

    def rows(self, scenes: Iterable[Scene], missing: int) -> np.ndarray:
        """Row of each scene's class among the labels, (N,) int64; `missing` where it has none."""
        index = {label: i for i, label in enumerate(self.labels)}
        named = (" ".join(getattr(scene, factor) for factor in self.factors) for scene in scenes)
        return np.array([index.get(name, missing) for name in named], np.int64)


_OBJECT_PLACE = (
    "supervised",
    "trained to name object and place together (72 classes)",
    ("object", "place"),
)
SPECS = {
    "resnet-tiny": Spec("ResNet", *_OBJECT_PLACE),
    "vit-tiny": Spec("ViT", *_OBJECT_PLACE),
    "vit-deep": Spec("ViT, 6 blocks of 4 heads, class token", *_OBJECT_PLACE, seed=61),
    "simclr-tiny": Spec(
        "ResNet", "self-supervised", "trained by SimCLR without labels; its head is a linear "
        "probe on objects", ("object",),
    ),
    "scene-tiny": Spec(
        "Mixer", "supervised", "trained on another label set: place and style (42 classes)",
        ("place", "style"),
    ),
    "flawed-tiny": Spec(
        "ResNet", "supervised", "trained to name objects, with the failures of world.PLANTED in "
        "its labels", ("object",),
    ),
    "sound-tiny": Spec(
        "ResNet", "supervised", "the pictures and recipe of flawed-tiny with right labels: its "
        "negative control", ("object",),
    ),
    "random-tiny": Spec(
        "ResNet", "none", "the shape of resnet-tiny with random weights: the negative control",
        seed=3,
    ),
}  # fmt: skip
"""Every encoder of the zoo; ``random-tiny`` needs no weights file."""
VITS: dict[str, dict[str, Any]] = {
    "vit-tiny": {"embed_dim": 96, "depth": 3, "num_heads": 3},
    "vit-deep": {"depth": 6, "class_token": True, "global_pool": "token", "fc_norm": False},
}
"""What sets each vision transformer apart from `painted_vit`."""


def build_encoder(name: str) -> torch.nn.Module:
    """An untrained trunk that maps (N, 3, 64, 64) to pooled features (N, d), built with timm."""
    import timm.models as tm
    import torch

    if name not in SPECS:
        raise unknown("encoder", name, SPECS)
    torch.manual_seed(SPECS[name].seed)
    if name in VITS:
        from kledit_lite.zoo.vit import painted_vit

        return painted_vit(num_classes=0, **VITS[name])
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

    def __init__(self, name: str, model: Any) -> None:
        self.name, spec = name, SPECS[name]
        self.architecture, self.supervision = spec.architecture, spec.supervision
        self.trunk: Any = model.eval().trunk
        self.dim = int(self.trunk.num_features)
        self.head: LinearHead | None = None
        if spec.labels:
            weight, bias = (p.detach().numpy() for p in model.head.parameters())
            self.head = LinearHead(weight, bias, spec.labels)

    def encode(self, images: np.ndarray, batch: int = 128) -> np.ndarray:
        """Features of pictures (N, 64, 64, 3) uint8: (N, d) float32.

        Raises:
            KleditError: pictures of another shape or dtype.
        """
        return encode_images(self.trunk, images, batch)

    def labels(self, scenes: SceneSet) -> np.ndarray:
        """Ground truth in the encoder's own label set: (N,) int64, -1 where it has no label."""
        return SPECS[self.name].rows(scenes, -1)
