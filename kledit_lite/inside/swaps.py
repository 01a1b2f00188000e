"""Swaps in a UNet's batch: another text for chosen layers, another row's activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.fired import Fired
from kledit_lite.inside.hooks import edit
from kledit_lite.inside.sites import Site, check_unet


@contextmanager
def text_at_sites(
    unet: Any,
    sites: Sequence[Site],
    bank: Float[torch.Tensor, "M T d"],
    rows: Int[torch.Tensor, "L B"],
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
        `Fired`; call ``expect()`` at the end.

    Raises:
        KleditError: not a row of choices for each layer; another number of rows in the batch; a
            UNet that hides hooks.

    Example:
        >>> from kledit_lite import inside, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> sites = inside.discover(pipe.unet, ["cross-attention"])
        >>> bank = inside.encode_prompts(pipe, ["a red cat", "a blue boat"]).hidden
        >>> rows = torch.full((len(sites), 1), -1)
        >>> rows[-1] = 1  # the last layer reads of a boat
        >>> x = torch.zeros(1, pipe.unet.config.in_channels, 8, 8)
        >>> with torch.no_grad(), text_at_sites(pipe.unet, sites, bank, rows) as fired:
        ...     noise = pipe.unet(x, 500, encoder_hidden_states=bank[:1]).sample
        >>> fired.expect()
    """
    check_unet(unet)
    if rows.shape[0] != len(sites):
        raise KleditError(
            f"Expected a row of choices for each of {len(sites)} layers, got {tuple(rows.shape)}."
        )
    active = [i for i in range(len(sites)) if bool((rows[i] >= 0).all())]

    def chosen(i: int) -> Callable[[Any], torch.Tensor]:
        def replace(given: Any) -> torch.Tensor:
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
            return bank[rows[i]]

        return replace

    changes = {sites[i]: chosen(i) for i in active}
    with edit(unet, changes, at="encoder_hidden_states") as fired:
        yield fired


@contextmanager
def copy_between_lanes(
    unet: Any,
    sites: Sequence[Site],
    source: Int[torch.Tensor, " R"],
    lanes: Sequence[Int[torch.Tensor, " _"]],
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

    Raises:
        KleditError: rows that are not a multiple of the source's; a UNet that hides hooks.
    """
    check_unet(unet)

    def patch(rows: torch.Tensor) -> Callable[[Any], Any]:
        return lambda out: _copied(out, source.repeat(len(rows) // len(source)), rows)

    changes = {}
    for site, rows in zip(sites, lanes, strict=True):
        if len(rows) % len(source):
            raise KleditError(
                f"Site {site.name!r}: {len(rows)} rows cannot be filled from {len(source)}; "
                "give a multiple."
            )
        if len(rows):
            changes[site] = patch(rows)
    with edit(unet, changes) as fired:
        yield fired


def _copied(out: Any, source: torch.Tensor, rows: torch.Tensor) -> Any:
    """Copy rows in a tensor, or in each tensor of a tuple (a down block also returns skips)."""
    if isinstance(out, torch.Tensor):
        new = out.clone()
        new[rows] = out[source]
        return new
    if isinstance(out, tuple):
        return tuple(_copied(o, source, rows) for o in out)
    if isinstance(out, Mapping):
        kind: Any = type(out)
        return kind({k: _copied(v, source, rows) for k, v in out.items()})
    return out
