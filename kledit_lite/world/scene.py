"""The vocabulary of the painted world and `Scene`, the full ground truth of one image."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kledit_lite.errors import KleditError, unknown

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
"""Fictional towns and their mascots: the facts that can be traced, edited and unlearned."""

BRAND = "pim"
"""The branded character: a one-eyed teal robot that belongs to nobody in the real world."""

FACTORS = {
    "object": OBJECTS,
    "colour": COLOURS,
    "place": PLACES,
    "style": STYLES,
    "count": COUNTS,
}
"""Every factor of a scene and the values seen in training."""

_ALLOWED = {
    "object": (*OBJECTS, BRAND),
    "colour": COLOURS,
    "place": PLACES + SHIFT_PLACES,
    "style": STYLES + SHIFT_STYLES,
    "count": COUNTS,
}


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

    Raises:
        KleditError: a value outside the world's vocabulary, or an entity whose fact the
            object and colour contradict.

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

    def __post_init__(self) -> None:
        for factor, allowed in _ALLOWED.items():
            if getattr(self, factor) not in allowed:
                raise unknown(factor, getattr(self, factor), allowed)
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

    @classmethod
    def mascot(cls, town: str, place: str, style: str = "photo", seed: int = 0) -> Scene:
        """The scene of a town's mascot, its object and colour taken from `TOWNS`.

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

        Example:
            >>> Scene.brand("forest").entity
            'pim'
        """
        return cls(BRAND, COLOURS[4], place, style, entity=BRAND, seed=seed)

    @property
    def shows_colour(self) -> bool:
        """Whether the object's colour can be read off the picture."""
        return SHOWS_COLOUR[self.style] and self.object != BRAND

    def with_(self, **changes: object) -> Scene:
        """A copy with some factors changed, e.g. ``scene.with_(style="durer")``."""
        return replace(self, **changes)  # type: ignore[arg-type]
