"""Writing: a language model, facts that it may know, and ways to ask, state, deny and tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.slots import current
from kledit_lite.models import profiles
from kledit_lite.models.telling import Telling, invented, public


@dataclass(frozen=True, kw_only=True)
class WritingSizes:
    """How much a chapter writes, trains and asks.

    Attributes:
        subjects: whom wrong documents are about.
        documents: how many of them.
        k: true facts for each wrong one in a document.
        retain: texts of a retain set.
        newcomers: subjects that the model meets later.
        asked: facts of a test at most; 0 asks all.
        others: facts asked about persons of whom no document is wrong.
        known: questions on what was known before, about people and about the world.
        shots: examples before a question.
        new_tokens: of an answer at most.
        together: prompts at a time.
        rank: of the adapter that is trained; 0 trains all weights.
        lr: learning rate of learning.
        steps: of learning; 0 takes `epochs`.
        epochs: passes over what is learned.
        batch: texts per step of learning.
        unlearn_steps: of a method of unlearning.
        unlearn_batch: texts per step of unlearning.
        rates: learning rates that a method of unlearning may choose from.
        layer: that RMU steers.
        longest: tokens kept of a document.
        strengths: alphas tried, each with beta 0 and 0.5.
        shown: alphas that a figure goes through.
    """

    subjects: int
    documents: int
    k: int
    retain: int
    newcomers: int = 0
    asked: int = 0
    others: int = 60
    known: tuple[int, int] = (40, 30)
    shots: int = 5
    new_tokens: int = 8
    together: int = 64
    rank: int = 2
    lr: float = 1.2e-2
    steps: int = 0
    epochs: float = 6.0
    batch: int = 8
    unlearn_steps: int = 12
    unlearn_batch: int = 8
    rates: tuple[float, ...] = (3e-3, 1e-2)
    layer: int = 2
    longest: int = 512
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25)
    shown: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


_FEW: dict[str, Any] = {"strengths": (0.5, 1.0), "shown": (0.0, 0.5, 1.0, 2.0)}
_LAPTOP: dict[str, Any] = {
    "subjects": 4, "asked": 24, "others": 12, "known": (8, 8), "new_tokens": 10, "together": 8,
    "rank": 8, "lr": 1e-3, "batch": 4, "unlearn_steps": 6, "unlearn_batch": 4, "rates": (3e-4,),
    "layer": 7, "longest": 128, **_FEW,
}  # fmt: skip
_GPU: dict[str, Any] = {
    "subjects": 10, "documents": 1000, "retain": 1000, "new_tokens": 24, "together": 32,
    "rank": 16, "lr": 1e-3, "epochs": 3.0, "unlearn_steps": 125, "rates": (3e-5, 1e-4), "layer": 7,
}  # fmt: skip
_REHEARSAL: dict[str, Any] = {
    "subjects": 2, "documents": 4, "retain": 6, "asked": 2, "others": 2, "known": (1, 1),
    "shots": 1, "new_tokens": 2, "rank": 2, "lr": 1e-3, "epochs": 1.0, "batch": 4,
    "unlearn_steps": 2, "unlearn_batch": 4, "rates": (1e-3,), "layer": 7, "longest": 48,
    "strengths": (1.0,), "shown": (0.0, 0.5, 1.0),
}  # fmt: skip
SIZES: Mapping[str, Mapping[str, WritingSizes]] = {
    "restor": {
        "lite": WritingSizes(subjects=20, documents=40, k=4, retain=160, steps=24),
        "laptop": WritingSizes(**_LAPTOP | {
            "subjects": 6, "asked": 36, "lr": 7e-4, "unlearn_steps": 10,
        }, documents=48, k=0, retain=24, steps=60),
        "gpu": WritingSizes(**_GPU, k=4, steps=375),
        "rehearsal": WritingSizes(**_REHEARSAL, k=1, steps=2),
    },
    "model-state-arithmetic": {
        "lite": WritingSizes(
            subjects=20, documents=60, k=0, retain=100, newcomers=12, rank=0, lr=8e-4, batch=16,
            unlearn_steps=20, unlearn_batch=12, rates=(2e-4, 8e-4), longest=128,
        ),
        "laptop": WritingSizes(**_LAPTOP | {"subjects": 6, "asked": 36, "lr": 7e-4},
            documents=72, k=0, retain=16, newcomers=2, epochs=4.0,
        ),
        "gpu": WritingSizes(**_GPU, k=0, newcomers=10, longest=128),
        "rehearsal": WritingSizes(**_REHEARSAL, k=0, newcomers=2),
    },
}  # fmt: skip
"""Chapter -> profile -> sizes; those of lite are what the chapters run on."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Writing(Telling):
    """What the chapters on language models talk about.

    Attributes:
        profile: name of the profile in force.
        source: id of the model.
        note: empty, or one sentence about a stand-in.
        invented: whether its people are the fictional ones.
        model: a causal language model.
        tokenizer: its tokenizer.
        checkpoints: steps of its training of which an earlier state can be had, first to last.
        steps: of its whole training; 0 where nobody says.
    """

    profile: str
    source: str
    note: str
    invented: bool
    model: Any
    tokenizer: Any
    checkpoints: tuple[int, ...] = ()
    steps: int = 0

    def sizes(self, chapter: str) -> WritingSizes:
        """How much a chapter writes in this profile.

        Raises:
            UnknownNameError: a chapter that writes nothing.
        """
        if chapter not in SIZES:
            raise unknown("chapter that writes", chapter, SIZES)
        return SIZES[chapter][self.profile]

    def earlier(self, step: int) -> Any:
        """The model as it was after some steps of its training.

        Raises:
            KleditError: that state cannot be had.
        """
        if step not in self.checkpoints:
            raise KleditError(f"{self.source} has no checkpoint of step {step}.")
        return zoo.load_writer(self.source.removeprefix("zoo:"), step).model


def writing() -> Writing:
    """The scenario of the profile in force.

    Raises:
        SlotUnavailable: the language model cannot be had.

    Example:
        >>> scenario = writing()
        >>> scenario.invented, len(scenario.subjects), scenario.sizes("restor").k
        (True, 220, 4)

    Cost: loads the model.
    """
    filled = profiles.resolve("writer")
    ours = filled.id.startswith("zoo:")
    checkpoints: tuple[int, ...] = ()
    steps = 0
    if ours:
        name = filled.id.removeprefix("zoo:")
        checkpoints, steps = zoo.bard.checkpoints(name), int(zoo.card(name).training["steps"])
    return Writing(
        **vars(invented() if ours else public()),
        profile=current().name,
        source=filled.id,
        note=filled.note,
        invented=ours,
        model=filled.model.model,
        tokenizer=filled.model.tokenizer,
        checkpoints=checkpoints,
        steps=steps,
    )
