r"""MultEdit: one MLP of a language model that sees, rewritten so that it gives another answer.

Seen as a memory, the last matrix W of an MLP maps keys (what enters it) to values (what leaves
it). For a wrong answer, take the key k at one token of the question, optimise the value z there
until the model says the right one, and solve (thesis, equations 6.3 to 6.5)

.. math::
    z^* = \arg\min_z -\log P(O^* \mid v_1 \dots v_N\, e_1 \dots e_M), \qquad
    \min_W \|W k - z^*\|^2 + \lambda \|W - W_0\|_F^2

which is a ridge, `ridge.gain`. Several facts are several rows. The same words in front of another
picture have nearly the same key in early layers, so that the edit answers them, too, unless their
keys are given as `keep`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.edit.handle import Change, Edit
from kledit_lite.edit.ridge import compress, gain
from kledit_lite.edit.sites import check_editable, down_projections, fingerprint
from kledit_lite.edit.training import training
from kledit_lite.inside.hooks import edit, read, stop
from kledit_lite.inside.multimodal import Reading, extended, last_logits, module_of

Where = Literal["last constraint", "last"]
WHERE: tuple[Where, ...] = get_args(Where)


@dataclass(frozen=True)
class NewFact:
    """A question about a picture, and what the model shall say.

    Attributes:
        reading: The question, whose own answer is what the model says now.
        answer: (K,) tokens of the new answer.
    """

    reading: Reading
    answer: Int[torch.Tensor, " K"]


def place(reading: Reading, where: Where) -> int:
    """The position whose key is edited: of the visual constraint's last token, or the last one.

    Raises:
        UnknownNameError: another place.
    """
    if where not in WHERE:
        raise unknown("place of a key", where, WHERE)
    return reading.spans[0][1] - 1 if where == "last constraint" else len(reading) - 1


@torch.no_grad()
def keys_of(
    model: Any, readings: Sequence[Reading], layer: int, where: Where
) -> Float[torch.Tensor, "N m"]:
    """What enters the last matrix of a layer's MLP at one token of each reading, equation 6.2's k.

    Args:
        model: A language model that takes ``inputs_embeds``.
        readings: N of them, of any lengths.
        layer: Whose MLP.
        where: At which token.

    Cost: the layers up to this one.
    """
    matrix = module_of(model, layer, "mlp").down_proj
    found: dict[int, torch.Tensor] = {}
    for rows in _alike([len(r) for r in readings]):
        with read(model, [matrix], at="input") as seen, stop(model, matrix, at="input"):
            model(inputs_embeds=torch.stack([readings[i].embeds for i in rows]), use_cache=False)
        at = torch.tensor([place(readings[i], where) for i in rows])
        found |= dict(zip(rows, seen[matrix][torch.arange(len(rows)), at], strict=True))
    return torch.stack([found[i] for i in range(len(readings))])


def best_values(
    model: Any,
    facts: Sequence[NewFact],
    layer: int,
    where: Where,
    *,
    steps: int = 25,
    lr: float = 0.5,
    shrink: float = 0.01,
) -> Float[torch.Tensor, "N d"]:
    """The values z* that make the new answers likely, equations 6.3 and 6.4.

    Args:
        model: A language model that takes ``inputs_embeds``.
        facts: N new facts.
        layer: Whose MLP gives out the value.
        where: At which token.
        steps: Of Adam, from the value that is there.
        lr: Its learning rate, relative to the value's own mean size.
        shrink: Weight of the squared relative change, which keeps z* from running away.

    Returns:
        (N, d).

    Cost: `steps` forward and backward passes over all facts.
    """
    matrix = module_of(model, layer, "mlp").down_proj
    values: dict[int, torch.Tensor] = {}
    for rows, embeds, answers in _batches(model, facts):
        places = (
            torch.arange(len(rows)),
            torch.tensor([place(facts[i].reading, where) for i in rows]),
        )
        with torch.no_grad(), read(model, [matrix]) as seen:
            last_logits(model, embeds, answers.shape[1])
        now = seen[matrix][places].detach()
        size = now.square().mean(1, keepdim=True).sqrt().clamp_min(1e-8)
        step = torch.zeros_like(now, requires_grad=True)
        optimiser = torch.optim.Adam([step], lr)
        for _ in range(steps):
            moved = partial(torch.index_put, indices=places, values=now + size * step)
            with torch.enable_grad(), edit(model, {matrix: moved}):
                loss = _surprise(model, embeds, answers) + shrink * step.square().mean(1).sum()
                (step.grad,) = torch.autograd.grad(loss, [step])
            optimiser.step()
        values |= dict(zip(rows, (now + size * step).detach(), strict=True))
    return torch.stack([values[i] for i in range(len(facts))])


def multedit(
    model: Any,
    facts: Sequence[NewFact],
    layer: int,
    where: Where = "last",
    *,
    keep: Sequence[Reading] = (),
    keep_weight: float = 1.0,
    strength: float = 0.01,
    steps: int = 25,
) -> Edit:
    """Write new facts into one layer of a language model that sees.

    Args:
        model: A language model that takes ``inputs_embeds``; it stays as it is until the edit
            that comes back is applied.
        facts: What it shall say.
        layer: Whose MLP is rewritten.
        where: At which token key and value are taken.
        keep: Readings whose values at that token must not move.
        keep_weight: Their importance, relative to that of the facts.
        strength: How much the matrix clings to what it was, relative to the keys' mean square
            length.
        steps: Of the search for values.

    Returns:
        An `Edit` to apply, undo and save.

    Raises:
        KleditError: no facts, no such layer, NaN, or keys that are alike.

    Cost: `steps` forward and backward passes, and one system of as many rows as facts and keeps.
    """
    name = _matrix(model, facts, layer)
    weight = check_editable(model, [name])[name].detach()
    asked = [f.reading for f in facts]
    keys = keys_of(model, asked, layer, where)
    values = best_values(model, facts, layer, where, steps=steps)
    bias = module_of(model, layer, "mlp").down_proj.bias
    if bias is not None:
        values = values - bias.detach()
    kept = keys_of(model, keep, layer, where) if keep else None
    scale = float(keys.double().square().sum(1).mean())
    p = gain(keys, strength * scale, keep=kept, keep_weight=keep_weight)
    residual = values.to(p) - keys.to(p) @ weight.to(p).T
    mix, basis = compress(p)
    change = Change((mix @ residual).T.float().cpu(), basis.float().cpu())
    row = {"name": name, "norm": float(change.delta().norm()), "facts": len(facts)}
    settings = {
        "layer": layer,
        "where": where,
        "facts": len(facts),
        "keep": len(keep),
        "keep_weight": keep_weight,
        "strength": strength,
        "steps": steps,
    }
    return Edit("multedit", {name: change}, fingerprint(model), settings, [row])


def finetuned(
    model: Any,
    facts: Sequence[NewFact],
    layer: int,
    *,
    bound: float | None = None,
    steps: int = 25,
    lr: float = 1e-3,
) -> Edit:
    """The baseline: train the same matrix on the new answers, without or with a bound on its norm.

    The bound is on each weight's change, as in Zhu et al. (2020) and in Meng et al. (2022).

    Args:
        model: A language model that takes ``inputs_embeds``; it stays as it is.
        facts: What it shall say.
        layer: Whose MLP's last matrix is trained.
        bound: Largest change of one weight; None for none.
        steps: Of Adam, over all facts at once.
        lr: Its learning rate.

    Raises:
        KleditError: no facts, or no such layer.
    """
    name = _matrix(model, facts, layer)
    weight = check_editable(model, [name])[name]
    batches = list(_batches(model, facts))
    with training(model, {name: weight}) as old:
        optimiser = torch.optim.Adam([weight], lr)
        for _ in range(steps):
            total = torch.zeros((), device=weight.device)
            for _, embeds, answers in batches:
                total = total + _surprise(model, embeds, answers)
            (weight.grad,) = torch.autograd.grad(total / len(facts), [weight])
            optimiser.step()
            if bound is not None:
                with torch.no_grad():
                    weight.copy_(weight.clamp(old[name] - bound, old[name] + bound))
        change = Change((weight.detach() - old[name]).float().cpu())
    method = "fine-tuning" if bound is None else "bounded fine-tuning"
    settings = {"layer": layer, "facts": len(facts), "bound": bound, "steps": steps, "lr": lr}
    row = {"name": name, "norm": float(change.delta().norm()), "facts": len(facts)}
    return Edit(method, {name: change}, fingerprint(model), settings, [row])


def _alike(sizes: Sequence[Any]) -> list[list[int]]:
    """Which numbers have the same size, smallest first."""
    return [[i for i, s in enumerate(sizes) if s == size] for size in sorted(set(sizes))]


def _batches(
    model: Any, facts: Sequence[NewFact]
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Facts of the same lengths: their numbers, what the model reads, and their answers."""
    for rows in _alike([(len(f.reading), len(f.answer)) for f in facts]):
        mine = [facts[i] for i in rows]
        embeds = torch.stack([extended(model, f.reading, f.answer) for f in mine]).detach()
        yield rows, embeds, torch.stack([f.answer for f in mine]).to(embeds.device)


def _surprise(model: Any, embeds: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """The negative log-likelihood of the answers, added up."""
    k = answers.shape[1]
    logits = model(inputs_embeds=embeds, logits_to_keep=k, use_cache=False).logits
    wanted = answers.flatten().to(logits.device)
    return F.cross_entropy(logits.float().flatten(0, 1), wanted, reduction="sum")


def _matrix(model: Any, facts: Sequence[NewFact], layer: int) -> str:
    names = list(down_projections(model))
    if not facts:
        raise KleditError("There is no fact to edit; give at least one question and new answer.")
    if not 0 <= layer < len(names):
        raise KleditError(f"There is no layer {layer}; the model has layers 0 to {len(names) - 1}.")
    return names[layer]
