r"""Causal tracing of a language model that sees: which layer brings a picture's fact to the answer?

Two readings differ in one thing (thesis, section 6.2.2). **Replacement**: the words that point at
the picture ("this town") become a name ("town Telber"). **Image swap**: the same words stand after
another picture. In a corrupted run, copy back what one module computed in the clean run, at some
tokens, and see how probable the clean answer O becomes:

.. math::
    \mathrm{IE} = P_{\text{restored}}(O) - P_{\text{corrupted}}(O)

Clean, corrupted and all restored runs are rows of one batch, lanes, and hooks copy between them.
A language model looks back only: what stands before the first token that differs is the same in
all lanes, and is read once. For the same reason its effect is exactly zero: a trace by replacement
cannot see visual tokens, which stand before the words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import hidden_of, on_hidden
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.multimodal import answered, decoder, extended, joint, last_logits, module_of
from kledit_lite.trace.lanes import from_first
from kledit_lite.trace.seeing import SEEING_ROLES, Pair, SeeingSite, positions, seeing_sites

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SeeingTrace:
    """What tracing found.

    Attributes:
        pairs: A row per traced pair: its number, ``clean`` and ``corrupted`` (P of the answer),
            ``clean_logit`` and ``corrupted_logit`` (difference of the answer's first logit and
            that of what the corrupted model says instead).
        sites: A row per pair and site: pair, kind, layer, role, ``p``, ``effect``, ``logit``.
        excluded: Pairs whose clean answer the model does not give; they are not traced.
    """

    pairs: pd.DataFrame
    sites: pd.DataFrame
    excluded: int

    def table(self, kind: str, value: str = "effect") -> pd.DataFrame:
        """Means over pairs: a row per role, a column per layer.

        Args:
            kind: Of module.
            value: A column of `sites`.
        """
        rows = self.sites[self.sites.kind == kind]
        order = [r for r in (*SEEING_ROLES, "all") if r in set(rows.role)]
        return rows.pivot_table(index="role", columns="layer", values=value).loc[order]


def trace_seeing(
    model: Any,
    pairs: Sequence[Pair],
    sites: Sequence[SeeingSite] | None = None,
    *,
    noising: bool = False,
    first_token: bool = False,
    share: bool = True,
    batch: int = 128,
    progress: Callable[[int], None] | None = None,
) -> SeeingTrace:
    """Trace questions about pictures.

    Args:
        model: A language model that takes ``inputs_embeds``, such as ``docent.language_model``.
        pairs: Clean and corrupted readings.
        sites: What each lane restores; default attention and MLP of every layer at every role.
        noising: The other way round: copy from the corrupted run into the clean one; effects are
            then what the clean answer loses.
        first_token: Score the answer's first token alone, not the product over its tokens.
        share: Read the tokens that do not differ once, not in every lane.
        batch: Lanes per forward pass, at least 2.
        progress: Called after each pair with the number of pairs done.

    Returns:
        A `SeeingTrace`.

    Cost: ``S + 2`` rows per pair for S sites, each of the tokens from the first difference on.

    Raises:
        KleditError: no pairs, a batch below 2, or hooks that did not run.
    """
    import pandas as pd

    if not pairs:
        raise KleditError("There are no questions to trace.")
    if batch < 2:
        raise KleditError(f"Tracing needs a batch of at least 2, got {batch}.")
    chosen = seeing_sites(model) if sites is None else list(sites)
    right = answered(model, [p.clean for p in pairs]).right.tolist()
    one = partial(lanes, noising=noising, first_token=first_token, share=share, batch=batch)
    tops, rows = [], []
    for i, pair in enumerate(pairs):
        if right[i]:
            p, logit = one(model, pair, chosen)
            clean, corrupted = (1, 0) if noising else (0, 1)
            tops.append((i, p[clean], p[corrupted], logit[clean], logit[corrupted]))
            rows += [
                (i, s.kind, s.layer, s.role, p[2 + j], p[2 + j] - p[1], logit[2 + j])
                for j, s in enumerate(chosen)
                if positions(pair, s.role)
            ]
        if progress is not None:
            progress(i + 1)
    names = ["pair", "clean", "corrupted", "clean_logit", "corrupted_logit"]
    return SeeingTrace(
        pd.DataFrame(tops, columns=names),
        pd.DataFrame(rows, columns=["pair", "kind", "layer", "role", "p", "effect", "logit"]),
        len(pairs) - len(tops),
    )


@torch.no_grad()
def lanes(
    model: Any,
    pair: Pair,
    sites: Sequence[SeeingSite],
    *,
    noising: bool = False,
    first_token: bool = False,
    share: bool = True,
    batch: int = 128,
) -> tuple[list[float], list[float]]:
    """P and logit difference of one pair's lanes: source, base, then each site.

    The source is what is copied from, the base what is copied into: clean and corrupted, or with
    `noising` corrupted and clean.

    Args:
        model: As in `trace_seeing`.
        pair: One pair.
        sites: What each lane restores.
        noising: As there.
        first_token: As there.
        share: As there.
        batch: As there.
    """
    answer = pair.clean.answer
    both = [extended(model, r, answer) for r in (pair.clean, pair.corrupted)]
    source, base = both[::-1] if noising else both
    start = pair.first if share else 0
    prefix = None
    if start:
        prefix = model(inputs_embeds=source[None, :start], use_cache=True).past_key_values
    depth = len(decoder(model).layers)
    logits: dict[int, torch.Tensor] = {}  # of source, base, and of site j under 2 + j
    places = [[t - start for t in positions(pair, s.role) if t >= start] for s in sites]
    live = [j for j in range(len(sites)) if places[j]]  # the others change nothing
    for begin in range(0, max(1, len(live)), batch - 1):
        mine = live[begin : begin + batch - 1]
        first = [0] if begin else [0, 1]
        numbers = [*first, *(2 + j for j in mine)]
        rows = torch.cat(
            [source[None, start:], base[None, start:].expand(len(numbers) - 1, -1, -1)]
        )
        copies: dict[torch.nn.Module, tuple[list[int], list[int]]] = {}
        for lane, j in enumerate(mine, len(first)):
            for layer in sites[j].layers(depth):
                to, at = copies.setdefault(module_of(model, layer, sites[j].kind), ([], []))
                to += [lane] * len(places[j])
                at += places[j]
        more = {} if prefix is None else {"past_key_values": _repeated(prefix, len(rows))}
        with edit(model, {m: from_first(*where) for m, where in copies.items()}) as fired:
            found = last_logits(model, rows, len(answer), use_cache=bool(more), **more)
        fired.expect()
        logits = dict(zip(numbers, found, strict=True)) | logits
    every = torch.stack([logits.get(i, logits[1]) for i in range(2 + len(sites))])
    p = joint(every, answer.expand(len(every), -1), first_token).tolist()
    corrupted = every[0 if noising else 1, 0].clone()
    corrupted[answer[0]] = -torch.inf
    other = int(corrupted.argmax())
    return p, (every[:, 0, answer[0]] - every[:, 0, other]).tolist()


def _repeated(prefix: Any, rows: int) -> Any:
    """A cache of one row as one of many, leaving the original as it is."""
    many = deepcopy(prefix)
    many.batch_repeat_interleave(rows)
    return many


@torch.no_grad()
def restored_alone(model: Any, pair: Pair, sites: Sequence[SeeingSite]) -> list[float]:
    """P of the answer with one forward pass per site: the plain statement of the method.

    The clean run's activations are kept, and put back into a corrupted run of its own for each
    site; no lanes, no shared tokens. `trace_seeing` is measured against it.

    Args:
        model: As in `trace_seeing`.
        pair: One pair.
        sites: What to restore, one after the other.
    """
    answer = pair.clean.answer
    clean, base = (extended(model, r, answer)[None] for r in (pair.clean, pair.corrupted))
    depth = len(decoder(model).layers)
    every = {module_of(model, i, s.kind) for s in sites for i in s.layers(depth)}
    with read(model, every, take=hidden_of) as kept:
        last_logits(model, clean, len(answer))
    found = []
    for site in sites:
        at = positions(pair, site.role)
        chosen = [module_of(model, i, site.kind) for i in site.layers(depth)]
        changes = {m: on_hidden(partial(_put, stored=kept[m], at=at)) for m in chosen}
        with edit(model, changes) as fired:
            logits = last_logits(model, base, len(answer))
        fired.expect()
        found.append(float(joint(logits, answer[None])))
    return found


def _put(hidden: torch.Tensor, stored: torch.Tensor, at: list[int]) -> torch.Tensor:
    new = hidden.clone()
    new[:, at] = stored[:, at]
    return new
