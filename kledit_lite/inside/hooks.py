"""Hooks as context managers: give chosen layers another text, copy activations between lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.sites import Site, check_hookable, module_at


class Fired:
    """Counts how often each hook ran, so that a silent one is noticed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.count = dict.fromkeys(names, 0)

    def expect(self, calls: int) -> None:
        """Raise unless every hook ran exactly `calls` times."""
        wrong = {name: n for name, n in self.count.items() if n != calls}
        if wrong:
            name, n = next(iter(wrong.items()))
            raise KleditError(
                f"{len(wrong)} of {len(self.count)} hooks did not run once a step: {name!r} ran "
                f"{n} times in {calls} forward passes; the model may be compiled, fused or cached."
            )


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    """Remove the handles at the end, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def text_at_sites(
    unet: Any, sites: Sequence[Site], bank: torch.Tensor, rows: torch.Tensor
) -> Iterator[Fired]:
    """Let every cross-attention layer read its own text, row by row.

    Equation (LocoGen, altered inputs): layer l of row b attends to ``bank[rows[l, b]]`` instead
    of the text the UNet was given. The replacement is out of place, so nothing else sees it.

    Args:
        unet: The denoiser.
        sites: Its cross-attention layers, L of them.
        bank: (M, T, d) text embeddings to choose from.
        rows: (L, B) int64, which of the bank each row of each layer reads; a layer whose row is
            all -1 is left alone.

    Yields:
        `Fired`; call ``expect(steps)`` at the end.

    Example:
        >>> from kledit_lite import trace, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> sites = inside.discover(pipe.unet, ["cross-attention"])
        >>> bank = inside.encode(pipe, ["a red cat", "a blue boat"]).hidden
        >>> rows = torch.full((len(sites), 1), -1)
        >>> rows[-1] = 1  # the last layer reads of a boat
        >>> x = torch.zeros(1, pipe.unet.config.in_channels, 8, 8)
        >>> with torch.no_grad(), text_at_sites(pipe.unet, sites, bank, rows) as fired:
        ...     noise = pipe.unet(x, 500, encoder_hidden_states=bank[:1]).sample
        >>> fired.expect(1)
    """
    check_hookable(unet)
    if rows.shape[0] != len(sites):
        raise KleditError(
            f"Expected a row of choices for each of {len(sites)} layers, got {tuple(rows.shape)}."
        )
    active = [i for i in range(len(sites)) if bool((rows[i] >= 0).all())]
    fired = Fired([sites[i].name for i in active])
    handles = []
    for i in active:

        def replace(_module: Any, args: Any, kwargs: Any, i: int = i) -> tuple[Any, Any]:
            given = kwargs.get("encoder_hidden_states")
            if given is None:
                raise KleditError(
                    f"Layer {sites[i].name!r} received no text; expected a cross-attention layer "
                    "called with encoder_hidden_states."
                )
            if given.shape[0] != rows.shape[1]:
                raise KleditError(
                    f"Layer {sites[i].name!r} received {given.shape[0]} rows, the choices are for "
                    f"{rows.shape[1]}."
                )
            fired.count[sites[i].name] += 1
            return args, {**kwargs, "encoder_hidden_states": bank[rows[i]]}

        handles.append(
            module_at(unet, sites[i]).register_forward_pre_hook(replace, with_kwargs=True)
        )
    with hooked(*handles):
        yield fired


@contextmanager
def copy_between_lanes(
    unet: Any, sites: Sequence[Site], source: torch.Tensor, lanes: Sequence[torch.Tensor]
) -> Iterator[Fired]:
    """At each site, overwrite the output of its lanes' rows by that of the source rows.

    Equation (causal tracing, restored run): ``h_s[lane_s] <- h_s[source]``. All lanes go through
    the UNet in one batch, so no activation is ever stored.

    Args:
        unet: The denoiser.
        sites: S sites.
        source: (R,) rows to copy from (the clean lane).
        lanes: For each site, (R,) or (k R,) rows to overwrite; may be empty.

    Yields:
        `Fired`.
    """
    check_hookable(unet)
    fired = Fired([s.name for s, rows in zip(sites, lanes, strict=True) if len(rows)])
    with ExitStack() as stack:
        for site, rows in zip(sites, lanes, strict=True):
            if not len(rows):
                continue
            if len(rows) % len(source):
                raise KleditError(
                    f"Site {site.name!r}: {len(rows)} rows cannot be filled from {len(source)}; "
                    "give a multiple."
                )

            def patch(
                _module: Any, _args: Any, out: Any, site: Site = site, rows: torch.Tensor = rows
            ) -> Any:
                fired.count[site.name] += 1
                return _map(out, source.repeat(len(rows) // len(source)), rows)

            handle = module_at(unet, site).register_forward_hook(patch)
            stack.callback(handle.remove)
        yield fired


def _map(out: Any, source: torch.Tensor, rows: torch.Tensor) -> Any:
    """Copy rows in a tensor, or in each tensor of a tuple (a down block also returns skips)."""
    if isinstance(out, torch.Tensor):
        new = out.clone()
        new[rows] = out[source]
        return new
    if isinstance(out, tuple):
        return tuple(_map(o, source, rows) for o in out)
    if isinstance(out, Mapping):
        return type(out)({k: _map(v, source, rows) for k, v in out.items()})
    return out
