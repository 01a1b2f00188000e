"""Numbers of a chapter for its prose: ``{glue:text}`` shows what `say` was given."""

from __future__ import annotations


def say(**values: object) -> None:
    """Give the page what its sentences show; where there is no page, do nothing.

    Args:
        values: name in the text -> what stands there, such as ``share="81%"``.

    Example:
        >>> say(n="1,000")
    """
    try:
        from myst_nb import glue
    except ImportError:  # the page needs it, a notebook does not
        return
    for name, value in values.items():
        glue(name, value, display=False)
