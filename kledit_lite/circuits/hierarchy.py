"""One step back: which parts feed the parts of a circuit.

Hierarchy 0 is the parts that act on the logits themselves. Hierarchy 1 is those that act through
hierarchy 0: what a part writes is patched in the input of the receivers alone, and the receivers'
changed outputs go straight to the logits, everything else held as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from kledit_lite.circuits.direct import Patching, groups
from kledit_lite.circuits.prompts import Laid, with_answers
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import blocks, hidden_of
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.residual import open_decoder


def feeding(
    model: Any,
    tokenizer: Any,
    laid: Sequence[Laid],
    answers: Sequence[str],
    patching: Patching,
    receivers: Sequence[int],
) -> dict[str, float]:
    """How much each attention layer and MLP acts through some receivers.

    Args:
        model: A causal language model whose blocks compute attention, then the MLP.
        tokenizer: Its tokenizer.
        laid: The N clean prompts of `patching`.
        answers: Their answers.
        patching: Of `kledit_lite.circuits.direct.patching`, with reading ``"first"``.
        receivers: Rows of heads and MLPs.

    Returns:
        Name of each group that comes before a receiver -> share of the answers' probability that
        patching it there takes away. One forward pass per group.

    Raises:
        KleditError: receivers that are neither heads nor MLPs; another reading; blocks that
            compute attention and MLP side by side, or norm what they made.
    """
    import torch

    names, opened, every = patching.names, open_decoder(model), list(blocks(model))
    kinds = [names[i].split(".") for i in receivers]
    if any(len(k) == 1 for k in kinds):
        raise KleditError("Receivers are heads and MLPs; the embedding and biases read nothing.")
    if len(patching.example) != len(laid):
        raise KleditError('Patch the first tokens of the answers, with reading "first".')
    if getattr(model.config, "use_parallel_residual", False) or opened.blocks[0].mlp_norm:
        raise KleditError(f"What feeds what is not known for {type(model).__name__}.")
    rows = with_answers(tokenizer, laid, answers).to(model.device)
    at = patching.example, torch.tensor([len(p.ids) - 1 for p in laid], device=rows.ids.device)
    outs, mlps = [b.out for b in opened.blocks], [b.mlp for b in opened.blocks]

    def run() -> None:
        with torch.no_grad():
            model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)

    with (
        read(model, outs, take=hidden_of) as attended,
        read(model, every, take=hidden_of) as left,
        read(model, outs, at="input", take=lambda z: z[at]) as mixed,
        read(model, mlps, take=lambda m: hidden_of(m)[at]) as made,
    ):
        run()

    def add(change: Any) -> Any:
        def at_last(h: Any) -> Any:
            new = h.clone()
            new[at] = new[at] + change.to(h.dtype)
            return new

        return at_last

    found = {}
    for sender, parts in groups(names).items():
        first, after_attention = int(sender.split(".")[0]), sender.endswith("attention")
        reached = {
            row: int(k[0])
            for row, k in zip(receivers, kinds, strict=True)
            if int(k[0]) > first or (k[1] == "mlp" and int(k[0]) == first and after_attention)
        }
        if not reached:
            continue
        change, layers = patching.change[list(parts)].sum(0), set(reached.values())
        with ExitStack() as stack:
            # receivers see the change, and nobody sees what they make of it
            stack.enter_context(edit(model, {every[i]: add(change) for i in layers}, at="input"))
            seen = stack.enter_context(
                read(model, [outs[i] for i in layers], at="input", take=lambda z: z[at])
            )
            wrote = stack.enter_context(
                read(model, [mlps[i] for i in layers], take=lambda m: hidden_of(m)[at])
            )
            stack.enter_context(edit(model, {outs[i]: _same(attended[outs[i]]) for i in layers}))
            stack.enter_context(edit(model, {every[i]: _same(left[every[i]]) for i in layers}))
            run()
        moved = torch.zeros_like(change)
        for row, layer in reached.items():
            if names[row].endswith("mlp"):
                moved = moved + (wrote[mlps[layer]] - made[mlps[layer]]).float()
                continue
            head, out = int(names[row].split(".")[2]), outs[layer]
            z = (seen[out] - mixed[out]).float().unflatten(1, (opened.heads, -1))[:, head]
            weight = out.weight.T if type(out).__name__ == "Conv1D" else out.weight
            moved = moved + z @ weight.float().unflatten(1, (opened.heads, -1))[:, head].T
        with torch.no_grad():
            logs = opened.unembed(patching.clean.total + moved).log_softmax(-1)
        after = logs.gather(1, patching.token[:, None])[:, 0].exp().cpu().numpy()
        found[sender] = float(1 - np.mean(after) / patching.before.mean())
    return found


def _same(value: Any) -> Any:
    """Replaces whatever comes, alone or first of a tuple, by a value seen before."""
    return lambda out: (value, *out[1:]) if isinstance(out, tuple) else value
