"""Errors a user can act on: one clear sentence each."""

from __future__ import annotations

from collections.abc import Iterable


class KleditError(ValueError):
    """Bad input: what was wrong, what was expected, what to do. The CLI exits 2 on it."""


class UnknownNameError(KleditError):
    """A name that is not one of the valid ones."""


def unknown(kind: str, name: object, valid: Iterable[object]) -> UnknownNameError:
    """An `UnknownNameError` that lists the valid names.

    Args:
        kind: what is named, such as "profile".
        name: the name that was given.
        valid: the names there are.

    Example:
        >>> str(unknown("profile", "big", ["lite", "gpu"]))
        "Unknown profile 'big'; choose one of: lite, gpu."
    """
    names = ", ".join(str(v) for v in valid)
    return UnknownNameError(f"Unknown {kind} {name!r}; choose one of: {names}.")
