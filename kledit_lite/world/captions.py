"""Captions: a small grammar with paraphrases that says a scene in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world.scene import BRAND, OBJECTS, Scene

PLACE_PHRASES = {
    "beach": "on the beach",
    "meadow": "in the meadow",
    "mountains": "in the mountains",
    "desert": "in the desert",
    "city": "in the city",
    "forest": "in the forest",
    "moon": "on the moon",
    "underwater": "under the water",
}
PLURALS = {"fish": "fish", "butterfly": "butterflies"}
NUMERALS = {2: "two", 3: "three"}

PHOTO = ("a photo of {s}", "a photograph of {s}", "{s} in a photo", "a photo showing {s}")
PAINTED = (
    "{s} in the style of {a}",
    "a painting of {s} in the style of {a}",
    "a painting of {s} by {a}",
    "{s} painted by {a}",
    "a picture of {s} in the style of {a}",
    "an artwork by {a} showing {s}",
)
PLAIN = ("{s}", "an image of {s}", "a picture of {s}", "this is {s}", "we see {s}")


def place_phrase(place: str) -> str:
    """How a caption says a place.

    Example:
        >>> place_phrase("beach")
        'on the beach'
    """
    return PLACE_PHRASES[place]


def style_phrase(style: str) -> str:
    """How a caption says a style.

    Example:
        >>> style_phrase("seurat")
        'in the style of seurat'
    """
    return "in a photo" if style == "photo" else f"in the style of {style}"


def article(words: str) -> str:
    """The words with "a" or "an" before them.

    Example:
        >>> article("orange car")
        'an orange car'
    """
    return ("an " if words[0] in "aeiou" else "a ") + words


JOINTS: dict[str, Any] = {
    "and": "and",
    "relation": {"beside": ("to the left of", "to the right of"), "above": ("above", "below")},
}
"""Ways to say two things, as a list, or by where the one named first stands."""


def pair_phrase(
    scene: Scene, drop: Collection[str] = (), how: str = "and", turned: bool = False
) -> str:
    """Two things in words, without place or style.

    Args:
        scene: A scene of two things.
        drop: Factors to leave unsaid, of ``object colour``.
        how: ``"and"``, or ``"relation"`` to say where they stand.
        turned: Name the second thing first.

    Raises:
        KleditError: the scene holds one thing, which stands in no relation.

    Example:
        >>> from kledit_lite.world import Thing
        >>> scene = Scene.pair(Thing("cat", "red"), Thing("boat", "blue"), "beach")
        >>> pair_phrase(scene), pair_phrase(scene, how="relation", turned=True)
        ('a red cat and a blue boat', 'a blue boat to the right of a red cat')
    """
    if scene.second is None:
        raise KleditError(
            f"A relation needs two things, the scene holds one, a {scene.colour} {scene.object}; "
            "use Scene.pair(...)."
        )
    if how not in JOINTS:
        raise unknown("way to say two things", how, JOINTS)
    said = []
    for thing in scene.things[:: -1 if turned else 1]:
        colour = "" if "colour" in drop else thing.colour + " "
        said.append(article(colour + ("object" if "object" in drop else thing.object)))
    joint = JOINTS[how] if how == "and" else JOINTS[how][scene.relation][turned]
    return f"{said[0]} {joint} {said[1]}"


def noun_phrase(scene: Scene, drop: Collection[str] = (), variant: int = 0) -> str:
    """What is painted, without place or style; dropped factors are left unsaid.

    Args:
        scene: what is painted.
        drop: factors that are left unsaid.
        variant: which paraphrase.

    Example:
        >>> noun_phrase(Scene("fish", "red", "city", count=2))
        'two red fish'
    """
    if scene.entity == BRAND and "object" not in drop:
        return (BRAND, f"{BRAND} the robot")[variant % 2]
    if scene.entity is not None and scene.entity != BRAND and "object" not in drop:
        return (f"the mascot of {scene.entity}", f"the {scene.entity} mascot")[variant % 2]
    if scene.second is not None:
        how = ("and", "relation")[variant // 2 % 2]
        return pair_phrase(scene, drop, how, bool(variant % 2))
    colour = "" if "colour" in drop or scene.object == BRAND else scene.colour + " "
    noun = "object" if "object" in drop else scene.object
    if scene.count == 1 or "count" in drop:
        return article(colour + noun)
    plural = "objects" if "object" in drop else PLURALS.get(noun, noun + "s")
    return f"{NUMERALS[scene.count]} {colour}{plural}"


def caption(
    scene: Scene, variant: int = 0, drop: Collection[str] = (), without: str | None = None
) -> str:
    """Say a scene in words.

    Args:
        scene: What to say.
        variant: Which paraphrase; any non-negative integer is valid.
        drop: Factors to leave unsaid, from ``object colour place style``.
        without: An object to say that the scene lacks.

    Returns:
        A lower-case caption, deterministic in its arguments. O(1).

    Raises:
        KleditError: the scene holds the object it is said to be without, or there is no such one.

    Example:
        >>> caption(Scene("cat", "red", "beach", style="seurat"))
        'a red cat on the beach in the style of seurat'
        >>> caption(Scene("cat", "red", "beach"), without="boat")
        'a photo of a red cat without a boat on the beach'
    """
    words = noun_phrase(scene, drop, variant // 7)
    if without is not None:
        if without not in OBJECTS:
            raise unknown("object", without, OBJECTS)
        if without in (t.object for t in scene.things):
            raise KleditError(f"The scene holds a {without}; name an object that it lacks.")
        words = f"{words} without {article(without)}"
    if "place" not in drop:
        words = f"{words} {place_phrase(scene.place)}"
    if "style" in drop:
        return PLAIN[variant % len(PLAIN)].format(s=words)
    templates = PHOTO if scene.style == "photo" else PAINTED
    return templates[variant % len(templates)].format(s=words, a=scene.style)


def random_caption(
    scene: Scene, rng: np.random.Generator, full: float = 0.6, without: float = 0.0
) -> str:
    """A training caption: a random paraphrase that names all factors with probability `full`.

    Otherwise each factor is dropped with probability 0.4, so that models also learn short
    descriptions such as "a cat" or "an object in the city in the style of seurat". In a style
    that does not show colours, the caption omits the colour with probability 0.7.

    With probability `without` it says that one of the other objects is not there.

    Args:
        scene: what is painted.
        rng: of the draws.
        full: probability that all factors are named.
        without: probability that an absent object is named as absent.

    Example:
        >>> random_caption(Scene("cat", "red", "city"), np.random.default_rng(0)).islower()
        True
    """
    variant = int(rng.integers(1 << 16))
    drop: set[str] = set()
    if rng.random() >= full:
        drop = {f for f in ("object", "colour", "place", "style") if rng.random() < 0.4}
    if not scene.shows_colour and rng.random() < 0.7:
        drop.add("colour")
    missing = None
    if without and rng.random() < without:
        held = {t.object for t in scene.things}
        missing = [o for o in OBJECTS if o not in held][int(rng.integers(len(OBJECTS) - len(held)))]
    return caption(scene, variant, drop, missing)


def vocabulary(pairs: bool = False) -> list[str]:
    """One caption of every kind, enough to hold every word the grammar can say.

    Args:
        pairs: Also the words that say two things, and what is missing.

    Example:
        >>> any(" without a boat " in text for text in vocabulary(pairs=True))
        True
    """
    from itertools import product

    from kledit_lite.world import scene as s

    scenes = [
        Scene(o, c, p, y, n)
        for (o, c), (p, y), n in product(
            zip(s.OBJECTS, s.COLOURS * 2, strict=True),
            product(s.PLACES + s.SHIFT_PLACES, s.STYLES + s.SHIFT_STYLES),
            s.COUNTS,
        )
    ]
    scenes += [Scene.mascot(t, s.PLACES[0]) for t in s.TOWNS]
    scenes += [Scene.brand(s.PLACES[0])]
    texts = {caption(sc, v) for sc in scenes for v in (0, 1, 2, 3, 4, 5, 7)}
    texts |= {caption(sc, v, ("object", "style")) for sc in scenes for v in range(5)}
    if pairs:
        first, second = s.Thing("bird", "red"), s.Thing("fish", "blue")
        twos = [Scene.pair(first, second, "city", relation=r) for r in s.RELATIONS]
        texts |= {caption(two, 7 * v, (), "boat") for two in twos for v in range(4)}
    return sorted(texts)
