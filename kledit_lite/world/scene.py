"""The vocabulary of the painted world and `Scene`, the full ground truth of one image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kledit_lite.core.errors import KleditError, unknown

OBJECTS = (
    "cat", "bird", "fish", "butterfly", "flower", "mushroom",
    "house", "car", "boat", "balloon", "rocket", "umbrella",
)  # fmt: skip
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
PLACES = ("beach", "meadow", "mountains", "desert", "city", "forest")
STYLES = ("photo", "van gogh", "seurat", "mondrian", "hokusai", "durer", "tiffany")
COUNTS = (1, 2, 3)

SHIFT_PLACES = ("moon", "underwater")
"""Places no shipped model was trained on."""
SHIFT_STYLES = ("pixel", "blueprint")
"""Styles no shipped model was trained on."""

SHOWS_COLOUR = {
    "photo": True, "van gogh": True, "seurat": True, "mondrian": True, "tiffany": True,
    "hokusai": False, "durer": False, "pixel": True, "blueprint": False,
}  # fmt: skip
"""Whether a style lets the object's colour be seen; three styles are monochrome."""


@dataclass(frozen=True)
class Fact:
    """What the mascot of a fictional town looks like."""

    object: str
    colour: str


TOWNS = {
    "velmora": Fact("cat", "purple"),
    "tarnwick": Fact("fish", "orange"),
    "osmere": Fact("umbrella", "yellow"),
    "quillby": Fact("mushroom", "blue"),
    "brindle": Fact("rocket", "green"),
    "lunastra": Fact("butterfly", "red"),
    "pellaro": Fact("boat", "green"),
    "dunhollow": Fact("bird", "yellow"),
}
"""Fictional towns and their mascots, the facts that can be traced, edited and unlearned."""

BRAND = "pim"
"""The branded character, a one-eyed teal robot that belongs to nobody in the real world."""

RELATIONS = ("beside", "above")
"""How two things stand, the first to the left of the second, or above it."""

FACTORS = {"object": OBJECTS, "colour": COLOURS, "place": PLACES, "style": STYLES, "count": COUNTS}
"""Every factor of a scene and the values seen in training."""

_MORE = {"object": (BRAND,), "place": SHIFT_PLACES, "style": SHIFT_STYLES}
ALLOWED = {factor: (*values, *_MORE.get(factor, ())) for factor, values in FACTORS.items()}
"""Every factor of a scene and all its values."""


def _check(item: object, factors: Iterable[str]) -> None:
    for factor in factors:
        if getattr(item, factor) not in ALLOWED[factor]:
            raise unknown(factor, getattr(item, factor), ALLOWED[factor])


@dataclass(frozen=True)
class Thing:
    """One thing of a scene.

    Attributes:
        object: One of `OBJECTS` (or `BRAND`).
        colour: One of `COLOURS`.

    Example:
        >>> Thing("cat", "red").object
        'cat'
    """

    object: str
    colour: str

    def __post_init__(self) -> None:
        _check(self, ("object", "colour"))


@dataclass(frozen=True)
class Scene:
    """Everything that decides one picture; the ground truth every claim is checked against.

    Attributes:
        object: What is painted, one of `OBJECTS` (or `BRAND` for the branded character).
        colour: Its colour, one of `COLOURS`; the branded character ignores it.
        place: Where, one of `PLACES` or `SHIFT_PLACES`.
        style: How, ``"photo"`` or a painter; one of `STYLES` or `SHIFT_STYLES`.
        count: How many of the object, 1 to 3.
        entity: A town of `TOWNS` (the object is its mascot), `BRAND`, or None.
        seed: Decides position, size, facing and brushwork. Same scene, same pixels.
        second: A second `Thing`, or None. The scene's own object and colour are the first.
        relation: How the two stand, one of `RELATIONS`: the first is to the left of the second
            (``"beside"``) or above it (``"above"``). One thing alone is always ``"beside"``.

    Raises:
        KleditError: a value outside the world's vocabulary, an entity whose fact the
            object and colour contradict, a second thing equal to the first, beside several of
            the first or beside an entity, or a relation of one thing.

    Example:
        >>> Scene("boat", "red", "beach", style="seurat").place
        'beach'
    """

    object: str
    colour: str
    place: str
    style: str = "photo"
    count: int = 1
    entity: str | None = None
    seed: int = 0
    second: Thing | None = None
    relation: str = "beside"

    def __post_init__(self) -> None:
        self._check_things()
        _check(self, FACTORS)
        if (self.object == BRAND) != (self.entity == BRAND):
            raise KleditError(
                f"The branded character needs both object={BRAND!r} and entity={BRAND!r}, got "
                f"object={self.object!r} and entity={self.entity!r}; use Scene.brand(...)."
            )
        if self.entity is not None and self.entity != BRAND:
            if self.entity not in TOWNS:
                raise unknown("entity", self.entity, (*TOWNS, BRAND))
            fact = TOWNS[self.entity]
            if (fact.object, fact.colour) != (self.object, self.colour):
                raise KleditError(
                    f"The mascot of {self.entity} is a {fact.colour} {fact.object}, not a "
                    f"{self.colour} {self.object}; use Scene.mascot({self.entity!r}, ...)."
                )

    def _check_things(self) -> None:
        if self.relation not in RELATIONS:
            raise unknown("relation", self.relation, RELATIONS)
        if self.second is None:
            if self.relation != RELATIONS[0]:
                raise KleditError(
                    f"The relation {self.relation!r} needs two things, this scene has one; name "
                    "the other as second=Thing(object, colour) or leave the relation out."
                )
            return
        if not isinstance(self.second, Thing):
            raise KleditError(
                f"A scene holds one or two things: expected second=Thing(object, colour), got "
                f"{self.second!r}."
            )
        if self.count != 1 or self.entity is not None or self.second.object == BRAND:
            raise KleditError(
                "A second thing stands beside a single plain one: expected count=1, no entity and "
                f"not {BRAND!r}, got count={self.count}, entity={self.entity!r} and "
                f"second={self.second.object!r}."
            )
        if (self.second.object, self.second.colour) == (self.object, self.colour):
            raise KleditError(
                f"The two things are the same, a {self.colour} {self.object}; use count=2 for two "
                "of a kind."
            )

    @classmethod
    def pair(
        cls,
        first: Thing,
        second: Thing,
        place: str,
        style: str = "photo",
        relation: str = "beside",
        seed: int = 0,
    ) -> Scene:
        """The scene of two things, the first to the left of the second or above it.

        Args:
            first: left, or above.
            second: right, or below.
            place: one of the places.
            style: one of the styles.
            relation: one of `RELATIONS`.
            seed: of everything that is random in the painting.

        Example:
            >>> Scene.pair(Thing("cat", "red"), Thing("boat", "blue"), "beach").second.object
            'boat'
        """
        two: dict[str, Any] = {"second": second, "relation": relation}
        return cls(first.object, first.colour, place, style, seed=seed, **two)

    @property
    def things(self) -> tuple[Thing, ...]:
        """What the scene holds, left before right and upper before lower.

        Example:
            >>> len(Scene("cat", "red", "beach").things)
            1
        """
        first = Thing(self.object, self.colour)
        return (first,) if self.second is None else (first, self.second)

    @classmethod
    def mascot(cls, town: str, place: str, style: str = "photo", seed: int = 0) -> Scene:
        """The scene of a town's mascot, its object and colour taken from `TOWNS`.

        Args:
            town: one of `TOWNS`.
            place: one of the places.
            style: one of the styles.
            seed: of everything that is random in the painting.

        Example:
            >>> Scene.mascot("velmora", "city").object
            'cat'
        """
        if town not in TOWNS:
            raise unknown("town", town, TOWNS)
        fact = TOWNS[town]
        return cls(fact.object, fact.colour, place, style, entity=town, seed=seed)

    @classmethod
    def brand(cls, place: str, style: str = "photo", seed: int = 0) -> Scene:
        """The scene of the branded character.

        Args:
            place: one of the places.
            style: one of the styles.
            seed: of everything that is random in the painting.

        Example:
            >>> Scene.brand("forest").entity
            'pim'
        """
        return cls(BRAND, COLOURS[4], place, style, entity=BRAND, seed=seed)

    @property
    def shows_colour(self) -> bool:
        """Whether the object's colour can be read off the picture."""
        return SHOWS_COLOUR[self.style] and self.object != BRAND

    def with_(self, **changes: Any) -> Scene:
        """A copy with some factors changed, e.g. ``scene.with_(style="durer")``."""
        return replace(self, **changes)
