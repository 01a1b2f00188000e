"""What hooks saw while a model ran, and how often each of them ran."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch


class _Named(Protocol):
    """Anything with the dotted name of a module, such as a `Site`."""

    @property
    def name(self) -> str:
        """The dotted name."""
        ...


Place: TypeAlias = "torch.nn.Module | str | _Named"
"""A module of a model, its dotted name, or a `Site`."""


class Fired:
    """How often each hook ran, so that a silent one is noticed.

    Args:
        names: Names of the places that have hooks.

    Attributes:
        count: Name of each place to the number of times that its hook ran.
        order: The names in the order in which the hooks ran.
        calls: Forward passes of the whole model meanwhile.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.count = dict.fromkeys(names, 0)
        self.order: list[str] = []
        self.calls = 0

    def note(self, name: str) -> None:
        """A hook ran."""
        self.count[name] += 1
        self.order.append(name)

    def expect(self, calls: int | None = None) -> None:
        """Raise unless every hook ran exactly `calls` times.

        Args:
            calls: Default once in each forward pass of the model.
        """
        if calls is None and self.count and not self.calls:
            raise KleditError("The model that was hooked did not run; call it inside the block.")
        calls = self.calls if calls is None else calls
        wrong = {name: n for name, n in self.count.items() if n != calls}
        if wrong:
            name, n = next(iter(wrong.items()))
            raise KleditError(
                f"{len(wrong)} of {len(self.count)} hooks did not run once a step: {name!r} ran "
                f"{n} times in {calls} forward passes; the model may be compiled, fused or cached."
            )


class Seen(Fired):
    """What `read` saw: ``seen[place]`` is the latest there, ``seen.every(place)`` all of it."""

    def __init__(self, modules: Mapping[str, torch.nn.Module], keep: int | None) -> None:
        super().__init__(modules)
        self._names = {id(module): name for name, module in modules.items()}
        self._kept: dict[str, deque[Any]] = {name: deque(maxlen=keep) for name in modules}

    def add(self, name: str, value: Any) -> None:
        """A place was seen."""
        self.note(name)
        self._kept[name].append(value)

    def every(self, place: Place) -> list[Any]:
        """What was kept of a place, oldest first.

        Raises:
            KleditError: the place was not asked for.
        """
        name = place if isinstance(place, str) else getattr(place, "name", None)
        name = self._names.get(id(place), name)
        if name not in self._kept:
            raise KleditError(f"{place!r} is not among what is read: {', '.join(self._kept)}.")
        return list(self._kept[name])

    def __getitem__(self, place: Place) -> Any:
        found = self.every(place)
        if not found:
            raise KleditError(
                f"{place!r} has not run; the model may be compiled, or took another path."
            )
        return found[-1]
