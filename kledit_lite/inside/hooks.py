"""The one way into a model: read what its modules compute, edit it, or stop after one of them.

>>> import torch
>>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
>>> with torch.no_grad(), read(net, ["0", "1"]) as seen:
...     y = net(torch.ones(1, 2))
>>> torch.equal(seen["1"], seen["0"].relu())
True

All three are torch's own forward hooks, which come off at the end whatever happens. They work on
UNets, text encoders, vision models and language models alike. A place is a module of the model,
its dotted name, or a `Site`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.fired import Fired, Place, Seen
from kledit_lite.inside.hookable import check_hookable

if TYPE_CHECKING:
    import torch


@contextmanager
def read(
    model: Any,
    places: Iterable[Place],
    *,
    at: str = "output",
    take: Callable[[Any], Any] | None = None,
    keep: int | None = 1,
) -> Iterator[Seen]:
    """Collect what some modules of a model give out, or what they are given.

    Nothing is copied or detached: gradients flow through what is read. Inside an `edit` that was
    begun before it, `read` sees the edited values.

    Args:
        model: A torch module.
        places: Modules of it, their names, or sites.
        at: ``"output"``; ``"input"``, which is the first argument; or another argument's name.
        take: What to keep of each value, e.g. ``lambda h: h[:, -1]``; default all of it.
        keep: How many values of each place, the latest ones; None for all of them.

    Yields:
        `Seen`, which fills as the model runs.

    Raises:
        KleditError: no such module or argument; see `check_hookable`.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
        >>> with read(net, net, at="input", take=len, keep=None) as seen:
        ...     for rows in (1, 4):
        ...         y = net(torch.ones(rows, 2))
        >>> seen.every(net[0]), seen.order, seen.calls
        ([1, 4], ['0', '1', '0', '1'], 2)
    """
    modules = _find(model, places)
    seen = Seen(modules, keep)

    def look(name: str) -> Callable[[Any], Any]:
        def see(value: Any) -> Any:
            seen.add(name, value if take is None else take(value))
            return _SAME

        return see

    with _hooked(model, modules, {name: look(name) for name in modules}, at, seen):
        yield seen


@contextmanager
def edit(
    model: Any,
    changes: Mapping[Any, Callable[[Any], Any]],
    *,
    at: str = "output",
    first: bool = False,
) -> Iterator[Fired]:
    """Replace what some modules of a model give out, or what they are given.

    The functions must not write into the value they get: what they return takes its place, for
    this module and for all that follow it, and nothing else sees it.

    Args:
        model: A torch module.
        changes: Place -> function from the value to its replacement.
        at: As in `read`.
        first: Run before hooks that are there already, such as those with which transformers
            collects hidden states.

    Yields:
        `Fired`; call ``expect()`` at the end.

    Raises:
        KleditError: as `read`.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
        >>> with edit(net, {"0": torch.ones_like}) as fired:
        ...     y = net(torch.zeros(1, 2))
        >>> fired.expect()
        >>> y.tolist()
        [[1.0, 1.0, 1.0]]
    """
    every = list(changes)
    modules = _find(model, every)
    fired = Fired(modules)

    def swap(name: str, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def replace(value: Any) -> Any:
            fired.note(name)
            return change(value)

        return replace

    functions = {n: swap(n, changes[place]) for n, place in zip(modules, every, strict=True)}
    with _hooked(model, modules, functions, at, fired, first):
        yield fired


class _Stop(Exception):
    """Ends a forward pass; caught by the `stop` that raised it."""


@contextmanager
def stop(model: Any, place: Place, *, at: str = "output") -> Iterator[None]:
    """End the forward pass once a module has run; nothing above it is computed.

    What stands in the block behind the model's call is skipped. Give `read` before `stop` in one
    ``with``, so that the value is kept before the pass ends.

    Args:
        model: A torch module.
        place: A module of it, its name, or a site.
        at: ``"output"``, or ``"input"`` to end before the module runs.

    Raises:
        KleditError: the model never reached the place; otherwise as `read`.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(9, 9))
        >>> with read(net, ["0"]) as seen, stop(net, "0"):
        ...     y = net(torch.ones(1, 2))  # the second layer could not take this
        >>> seen["0"].shape
        torch.Size([1, 3])
    """
    modules = _find(model, [place])
    fired = Fired(modules)
    (name,) = modules
    mine = object()

    def end(_value: Any) -> Any:
        fired.note(name)
        raise _Stop(mine)

    with _hooked(model, modules, {name: end}, at, fired):
        try:
            yield
        except _Stop as raised:
            if raised.args[0] is not mine:
                raise
    if not fired.order:
        raise KleditError(
            f"The forward pass never reached {name!r}; the model may be compiled, or took another "
            "path."
        )


_SAME = object()
"""Returned by a function that only looks."""


def _find(model: Any, places: Iterable[Place]) -> dict[str, torch.nn.Module]:
    """The places' modules by name, in the order given."""
    import torch

    check_hookable(model)
    names: dict[int, str] = {}
    found: dict[str, torch.nn.Module] = {}
    for place in places:
        if isinstance(place, torch.nn.Module):
            names = names or {id(m): n for n, m in model.named_modules()}
            if id(place) not in names:
                raise KleditError(f"{type(place).__name__} is not part of {type(model).__name__}.")
            name, module = names[id(place)], place
        else:
            name = place if isinstance(place, str) else place.name
            try:
                module = model.get_submodule(name)
            except AttributeError:
                raise KleditError(
                    f"{type(model).__name__} has no module {name!r}; its modules are those of "
                    "model.named_modules()."
                ) from None
        name = name or type(model).__name__
        if name in found:
            raise KleditError(f"Each place may be named once, got {name!r} twice.")
        found[name] = module
    return found


@contextmanager
def _hooked(
    model: Any,
    modules: Mapping[str, torch.nn.Module],
    functions: Mapping[str, Callable[[Any], Any]],
    at: str,
    fired: Fired,
    first: bool = False,
) -> Iterator[None]:
    """Put the functions at the modules, count the model's calls, and take all of it off again."""

    def count(*_: Any) -> None:
        fired.calls += 1

    def leaving(function: Callable[[Any], Any]) -> Callable[..., Any]:
        def hook(_module: Any, _args: Any, out: Any) -> Any:
            new = function(out)
            return None if new is _SAME else new

        return hook

    def entering(function: Callable[[Any], Any]) -> Callable[..., Any]:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            where = _argument(module, at, args, kwargs)
            if isinstance(where, str):
                new = function(kwargs[where])
                return None if new is _SAME else (args, {**kwargs, where: new})
            new = function(args[where])
            return None if new is _SAME else ((*args[:where], new, *args[where + 1 :]), kwargs)

        return hook

    handles = []
    try:
        handles.append(model.register_forward_pre_hook(count))
        for name, module in modules.items():
            if at == "output":
                put, hook, more = module.register_forward_hook, leaving(functions[name]), {}
            else:
                put, hook = module.register_forward_pre_hook, entering(functions[name])
                more = {"with_kwargs": True}
            handles.append(put(hook, prepend=first, **more))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _argument(module: Any, at: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | str:
    """Where an argument stands in a call: its place among `args`, or its name among `kwargs`."""
    if at == "input" and args:
        return 0
    if at in kwargs:
        return at
    names = list(inspect.signature(module.forward).parameters)
    name = names[0] if at == "input" and names else at
    if name in kwargs:
        return name
    if name in names and names.index(name) < len(args):
        return names.index(name)
    raise KleditError(
        f"A {type(module).__name__} was called without {at!r}, which was to be read or replaced."
    )
