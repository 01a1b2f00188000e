"""A scene of everything that there is to see."""

from __future__ import annotations

from collections.abc import Sequence

from kledit_lite.world.datasets import is_held_out
from kledit_lite.world.scene import COLOURS, OBJECTS, PLACES, STYLES, Scene


def one_of_each(styles: Sequence[str] = STYLES) -> list[Scene]:
    """A held-out scene of every object in each style, style by style, in varied surroundings.

    Args:
        styles: of `STYLES`.

    Example:
        >>> len(one_of_each(["photo"])), is_held_out(one_of_each()[0])
        (12, True)
    """
    found = []
    for j, style in enumerate(styles):
        for i, thing in enumerate(OBJECTS):
            tries = (
                Scene(thing, COLOURS[(i + j + k) % 6], PLACES[(i + k // 6) % 6], style, seed=k)
                for k in range(36)
            )
            found.append(next(s for s in tries if is_held_out(s)))
    return found
