"""Captions: a small grammar with paraphrases that says a scene in words."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from kledit_lite.world.scene import BRAND, Scene

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


def noun_phrase(scene: Scene, drop: Collection[str] = (), variant: int = 0) -> str:
    """What is painted, without place or style; dropped factors are left unsaid.

    Example:
        >>> noun_phrase(Scene("fish", "red", "city", count=2))
        'two red fish'
    """
    if scene.entity == BRAND and "object" not in drop:
        return (BRAND, f"{BRAND} the robot")[variant % 2]
    if scene.entity is not None and scene.entity != BRAND and "object" not in drop:
        return (f"the mascot of {scene.entity}", f"the {scene.entity} mascot")[variant % 2]
    colour = "" if "colour" in drop or scene.object == BRAND else scene.colour + " "
    noun = "object" if "object" in drop else scene.object
    if scene.count == 1 or "count" in drop:
        return article(colour + noun)
    plural = "objects" if "object" in drop else PLURALS.get(noun, noun + "s")
    return f"{NUMERALS[scene.count]} {colour}{plural}"


def caption(scene: Scene, variant: int = 0, drop: Collection[str] = ()) -> str:
    """Say a scene in words.

    Args:
        scene: What to say.
        variant: Which paraphrase; any non-negative integer is valid.
        drop: Factors to leave unsaid, from ``object colour place style``.

    Returns:
        A lower-case caption, deterministic in its arguments. O(1).

    Example:
        >>> caption(Scene("cat", "red", "beach", style="seurat"))
        'a red cat on the beach in the style of seurat'
    """
    words = noun_phrase(scene, drop, variant // 7)
    if "place" not in drop:
        words = f"{words} {place_phrase(scene.place)}"
    if "style" in drop:
        return PLAIN[variant % len(PLAIN)].format(s=words)
    templates = PHOTO if scene.style == "photo" else PAINTED
    return templates[variant % len(templates)].format(s=words, a=scene.style)


def random_caption(scene: Scene, rng: np.random.Generator, full: float = 0.6) -> str:
    """A training caption: a random paraphrase that names all factors with probability `full`.

    Otherwise each factor is dropped with probability 0.4, so that models also learn short
    descriptions such as "a cat" or "an object in the city in the style of seurat". A colour
    the style does not show is left unsaid seven times in ten.

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
    return caption(scene, variant, drop)


def vocabulary() -> list[str]:
    """One caption of every kind, enough to hold every word the grammar can say."""
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
    return sorted(texts)
