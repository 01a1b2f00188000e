r"""Planted storage: facts that one layer's MLP holds, because nothing else was trained on them.

Whether a trace finds where a fact is stored can be judged only where that is known. So retrain one
layer's MLP on changed facts, all else frozen. The **oracle** then compares weights instead of
guessing: run the planted model, copy what its MLP of layer l computes into the model from before,
and see how probable the changed answer becomes there. It must peak at the planted layer, whose
weights are the only ones that differ; a trace of the planted model alone may find the layer or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import edit, read, stop
from kledit_lite.inside.multimodal import Reading, decoder, from_layer, last_logits, module_of

Weights = Mapping[str, torch.Tensor]
"""Name of each parameter of one layer's MLP, to its value."""


def plant(
    model: Any,
    readings: Sequence[Reading],
    answers: Sequence[int],
    layer: int,
    *,
    steps: int = 60,
    lr: float = 5e-3,
    batch: int = 12,
    seed: int = 0,
) -> Weights:
    """Train one layer's MLP until the model gives other answers; the model itself stays as it is.

    Args:
        model: A language model that takes ``inputs_embeds``.
        readings: N questions of one length.
        answers: The token that each should be answered with.
        layer: Whose MLP.
        steps: Of Adam.
        lr: Its learning rate, which falls to nothing along a half cosine.
        batch: Readings per step.
        seed: Of the order.

    Returns:
        The MLP's new weights, for `planted`.

    Raises:
        KleditError: no readings, counts or lengths that differ, or no such layer.

    Cost: `steps` forward and backward passes.
    """
    if not readings or len(readings) != len(answers) or len({len(r) for r in readings}) > 1:
        raise KleditError(
            f"Got {len(readings)} questions of lengths {sorted({len(r) for r in readings})} and "
            f"{len(answers)} answers; expected questions of one length, with an answer each."
        )
    if not 0 <= layer < len(decoder(model).layers):
        raise KleditError(f"There is no layer {layer}; there are {len(decoder(model).layers)}.")
    embeds = torch.stack([r.embeds for r in readings])
    wanted = torch.as_tensor(answers, device=embeds.device)
    own = module_of(model, layer, "layer")
    with torch.no_grad(), read(model, [own], at="input") as seen, stop(model, own, at="input"):
        model(inputs_embeds=embeds)
    hidden = seen[own]  # (N, T, d), what enters the layer; nothing below it changes
    mlp = module_of(model, layer, "mlp")
    order = torch.Generator().manual_seed(seed)
    with _only(model, mlp) as trained, from_layer(model, layer):
        optimiser = torch.optim.Adam(trained, lr)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            rows = torch.randperm(len(hidden), generator=order)[:batch]
            logits = model(inputs_embeds=hidden[rows], logits_to_keep=1, use_cache=False).logits
            optimiser.zero_grad()
            F.cross_entropy(logits[:, -1].float(), wanted[rows]).backward()
            optimiser.step()
            falling.step()
        return {n: p.detach().clone() for n, p in mlp.named_parameters()}


@contextmanager
def _only(model: Any, module: torch.nn.Module) -> Iterator[list[torch.nn.Parameter]]:
    """Train one module; afterwards it is as it was, bit for bit."""
    asking = [p for p in model.parameters() if p.requires_grad]
    before = deepcopy(module.state_dict())
    try:
        model.requires_grad_(False)
        yield list(module.requires_grad_(True).parameters())
    finally:
        module.load_state_dict(before)
        module.zero_grad()
        module.requires_grad_(False)
        for p in asking:
            p.requires_grad_(True)


@contextmanager
def planted(model: Any, layer: int, weights: Weights) -> Iterator[Any]:
    """The model with other weights in one layer's MLP; the old ones are put back bit for bit.

    Args:
        model: The model, which is also what is yielded.
        layer: Of the MLP.
        weights: From `plant`.
    """
    mlp = module_of(model, layer, "mlp")
    before = deepcopy(mlp.state_dict())
    try:
        mlp.load_state_dict(weights)
        yield model
    finally:
        mlp.load_state_dict(before)


@torch.no_grad()
def weight_oracle(
    model: Any,
    readings: Sequence[Reading],
    answers: Int[torch.Tensor, " N"],
    layer: int,
    weights: Weights,
) -> Float[torch.Tensor, "L N"]:
    """P of the changed answers in the old model, with the planted model's MLP outputs in one layer.

    Args:
        model: The model from before.
        readings: N questions of one length.
        answers: The changed answers' tokens.
        layer: The planted layer.
        weights: Its planted weights.

    Returns:
        (L, N), a row for each layer whose outputs are copied, at all tokens.

    Cost: L + 1 forward passes.
    """
    embeds = torch.stack([r.embeds for r in readings])
    depth = len(decoder(model).layers)
    every = [module_of(model, i, "mlp") for i in range(depth)]
    with planted(model, layer, weights), read(model, every) as kept:
        last_logits(model, embeds, 1)
    found = []
    for mlp in every:
        with edit(model, {mlp: _always(kept[mlp])}) as fired:
            logits = last_logits(model, embeds, 1)[:, -1]
        fired.expect()
        found.append(logits.softmax(-1).gather(1, answers.cpu()[:, None])[:, 0])
    return torch.stack(found)


def _always(value: torch.Tensor) -> Callable[[Any], torch.Tensor]:
    return lambda _out: value
