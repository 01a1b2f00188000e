"""What the prompts of the painted world and of real models have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from kledit_lite.core.errors import unknown
from kledit_lite.models.probes import Attribute, Probe, Shown, mixed
from kledit_lite.world.captions import article


class Lesson(NamedTuple):
    """Prompt pairs to edit by, in the order of ``edit.Concept``'s arguments.

    Attributes:
        sources: prompts that name what is to go.
        targets: the same, with what is to come.
        subject: words of the sources.
        goal: words of the targets that stand for the subject.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    subject: str
    goal: str


class Prompts(ABC):
    """Prompts for a text-to-image model.

    Attributes:
        values: attribute that can be edited -> its values: painters, objects, facts.
        traced: attributes that can be traced.
        places: words for the places.
        character: what `forget` takes beside other facts.
        instead: what takes the place of what an edit forgets.
    """

    values: Mapping[str, tuple[str, ...]]
    traced: tuple[str, ...]
    places: tuple[str, ...]
    character: str
    instead: Shown

    @abstractmethod
    def probe(self, attribute: Attribute, value: str, n: int, seed: int = 0) -> Probe:
        """N prompt pairs for one value of an attribute.

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            value: one of its values.
            n: how many.
            seed: of the first scene and of the first noise.
        """

    def mixed(
        self, attribute: Attribute, n: int, seed: int = 0, values: Sequence[str] | None = None
    ) -> Probe:
        """N prompt pairs that go through values in turn.

        Args:
            attribute: ``"style"``, ``"object"`` or ``"fact"``.
            n: how many.
            seed: of the first scene and of the first noise.
            values: which of them; default all.
        """
        if attribute not in self.values:
            raise unknown("attribute", attribute, self.values)
        every = values or self.values[attribute]
        return mixed(attribute, partial(self.probe, attribute), every, n, seed)

    def place_in(self, prompt: str) -> str:
        """The words of a prompt that name the place."""
        return next(w for w in self.places if w in prompt)

    def forget(self, value: str) -> Lesson:
        """A fact becomes what stands `instead`: a town's mascot, a holder, the character."""
        (name, where), goal = self._to_forget(value), self.instead[1]
        sources = tuple(f"a photo of {name} {p}" for p in where)
        targets = tuple(f"a photo of {article(goal)} {p}" for p in where)
        return Lesson(sources, targets, name, goal)

    def recall(self, value: str) -> list[str]:
        """Other prompts that name what `forget` takes away."""
        name, where = self._to_forget(value)
        return [f"an image of {name} {p}" for p in where]

    @abstractmethod
    def _to_forget(self, value: str) -> tuple[str, Sequence[str]]:
        """How a fact is named, and words that end its prompts."""
