"""Errors a user can act on: one clear sentence each."""

from __future__ import annotations

from collections.abc import Collection, Iterable


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


def check_known(kind: str, names: Iterable[object], valid: Collection[object]) -> None:
    """Raise unless all names are among the valid ones.

    Args:
        kind: what is named.
        names: to look up.
        valid: the names there are.

    Raises:
        UnknownNameError: one of them is not.

    Example:
        >>> check_known("concept", ["red"], ("red", "blue"))
    """
    for name in names:
        if name not in valid:
            raise unknown(kind, name, valid)


def in_short(error: Exception) -> str:
    """What a library's error says, in a line that can stand in a sentence.

    Args:
        error: that was caught.

    Example:
        >>> in_short(OSError("No such file.\\nTry another."))
        'No such file'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(".")
