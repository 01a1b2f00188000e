"""Probes: prompts that have an attribute beside prompts that lack it, for one attribute each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Literal

from kledit_lite.core.errors import unknown
from kledit_lite.inside.tokens import check_pairs
from kledit_lite.world import BRAND, COLOURS, OBJECTS, PLACES, STYLES, TOWNS, Scene, caption
from kledit_lite.world.captions import article, place_phrase

Attribute = Literal["style", "object", "fact"]
Shown = tuple[str, str]
"""A factor that a judge reads, and a value of it."""
ATTRIBUTES: tuple[Attribute, ...] = ("style", "object", "fact")


@dataclass(frozen=True)
class Probe:
    """N prompt pairs for one attribute.

    Attributes:
        attribute: ``style`` and ``object`` are located by what removes them, a ``fact`` by what
            replaces it.
        sources: N prompts with the attribute.
        targets: N prompts like them, the attribute removed or replaced.
        seeds: N seeds of the initial noise.
        truth: What the judge should find gone (style, object) or arrived (fact), if known: N pairs
            of a factor and its value, e.g. ``("style", "seurat")``.
        scenes: The N scenes the sources describe, if known.
    """

    attribute: Attribute
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    truth: tuple[Shown, ...] = ()
    scenes: tuple[Scene, ...] = ()

    def __post_init__(self) -> None:
        if self.attribute not in ATTRIBUTES:
            raise unknown("attribute", self.attribute, ATTRIBUTES)
        check_pairs(self.sources, self.targets)
        check_pairs(self.sources, [str(s) for s in self.seeds])

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def scored(self) -> tuple[str, ...]:
        """The prompts to score pictures against; targets for facts, sources otherwise."""
        return self.targets if self.attribute == "fact" else self.sources

    @property
    def sign(self) -> int:
        """+1 where a higher score means the attribute was controlled, -1 where a lower one does."""
        return 1 if self.attribute == "fact" else -1

    def first(self, n: int) -> Probe:
        """The probe with its first `n` prompts."""
        return replace(self, **{name: getattr(self, name)[:n] for name in _PARTS})


_PARTS = tuple(f.name for f in fields(Probe) if f.name != "attribute")


def style_probe(style: str, n: int, seed: int = 0) -> Probe:
    """Scenes in one painter's style; the target is the same scene as a photo.

    Args:
        style: The painter, e.g. ``"seurat"``.
        n: Number of pairs.
        seed: Decides the scenes; it is also the first of the n seeds of the initial noise.

    Example:
        >>> style_probe("seurat", 1).targets[0].startswith("a photo of")
        True
    """
    scenes = _scenes(n, seed, style)
    plain = [caption(s.with_(style="photo")) for s in scenes]
    return _probe("style", scenes, plain, ("style", style))


def object_probe(name: str, n: int, seed: int = 0) -> Probe:
    """Scenes of one object; the target says "object" instead.

    Args:
        name: The object, one of `OBJECTS`.
        n: Number of pairs.
        seed: Decides the scenes; it is also the first of the n seeds of the initial noise.

    Example:
        >>> object_probe("boat", 1).targets[0].split()[5]
        'object'
    """
    if name == BRAND:
        raise unknown("object", name, OBJECTS)
    scenes = [
        s.with_(object=name, colour=COLOURS[i % len(COLOURS)])
        for i, s in enumerate(_scenes(n, seed))
    ]
    targets = [f"a photo of {article(s.colour)} object {place_phrase(s.place)}" for s in scenes]
    return _probe("object", scenes, targets, ("object", name))


def fact_probe(town: str, n: int, seed: int = 0, instead: str | None = None) -> Probe:
    """Pictures of a town's mascot; the target names another town's, which is another object.

    Args:
        town: The town, one of `TOWNS`.
        n: Number of pairs.
        seed: Decides the scenes; it is also the first of the n seeds of the initial noise.
        instead: Town that the targets name; default the next of `TOWNS`.

    Example:
        >>> "velmora" in fact_probe("velmora", 1).sources[0]
        True
    """
    names = list(TOWNS)
    if town not in names:
        raise unknown("town", town, names)
    other = instead or names[(names.index(town) + 1) % len(names)]
    places = [s.place for s in _scenes(n, seed)]
    scenes = [Scene.mascot(town, p, seed=seed + i) for i, p in enumerate(places)]
    goals = [caption(Scene.mascot(other, p)) for p in places]
    return _probe("fact", scenes, goals, ("object", TOWNS[other].object))


Make = Callable[[str, int, int], Probe]
"""A value, a number of pairs and a seed to a probe."""
PROBES: dict[str, Make] = {"style": style_probe, "object": object_probe, "fact": fact_probe}
"""Attribute -> what makes a probe for one of its values."""
VALUES = {"style": tuple(STYLES[1:]), "object": tuple(OBJECTS), "fact": tuple(TOWNS)}
"""Attribute -> its values, which are painters, objects or towns."""


def mixed_probe(
    attribute: Attribute, n: int, seed: int = 0, values: Sequence[str] | None = None
) -> Probe:
    """A probe whose prompts go through painters, objects or towns in turn.

    Args:
        attribute: ``style``, ``object`` or ``fact``.
        n: Number of pairs.
        seed: Decides the scenes; it is also the first of the n seeds of the initial noise.
        values: Which of them; default all.
    """
    if attribute not in ATTRIBUTES:
        raise unknown("attribute", attribute, ATTRIBUTES)
    return mixed(attribute, PROBES[attribute], values or VALUES[attribute], n, seed)


def mixed(attribute: Attribute, make: Make, values: Sequence[str], n: int, seed: int) -> Probe:
    """N probes of one pair, for values in turn, as one probe.

    Args:
        attribute: of all.
        make: a probe of one of the values.
        values: at least one.
        n: number of pairs.
        seed: of the first.
    """
    made = [make(values[i % len(values)], 1, seed + i) for i in range(n)]
    parts = ([getattr(probe, name) for probe in made] for name in _PARTS)
    return Probe(attribute, *(tuple(chain.from_iterable(p)) for p in parts))


def _probe(attribute: Attribute, scenes: list[Scene], targets: list[str], truth: Shown) -> Probe:
    sources, seeds = tuple(caption(s) for s in scenes), tuple(s.seed for s in scenes)
    shown = (truth,) * len(scenes)
    return Probe(attribute, sources, tuple(targets), seeds, shown, tuple(scenes))


def _scenes(n: int, seed: int, style: str = "photo") -> list[Scene]:
    """Scenes that go through objects, places and colours without repeating early."""
    return [
        Scene(
            OBJECTS[(5 * i + seed) % len(OBJECTS)],
            COLOURS[(i + seed // 2) % len(COLOURS)],
            PLACES[(i + seed + i // 6) % len(PLACES)],
            style,
            seed=seed + i,
        )
        for i in range(n)
    ]
