"""What a model thought before unlearning, computed once, so that no second model is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import layer_output
from kledit_lite.inside.devices import evaluating
from kledit_lite.inside.hooks import read
from kledit_lite.inside.language import Encoded, token_log_probs


@dataclass(frozen=True)
class Reference:
    """Of the model before unlearning, on N rows of T tokens; what a method does not need is None.

    Attributes:
        picked: (N, T - 1) float32 log probability of every target.
        hidden: (N, T, d) what enters the output embedding; with `head` it gives every logit
            exactly, and takes V / d times less memory than the logits.
        head: the output embedding: from (..., d) to logits (..., V).
        layer: (N, T, d) output of one layer.
    """

    picked: Float[torch.Tensor, "N T-1"] | None = None
    hidden: Float[torch.Tensor, "N T d"] | None = None
    head: Callable[[torch.Tensor], torch.Tensor] | None = None
    layer: Float[torch.Tensor, "N T d"] | None = None

    def rows(self, chosen: Int[torch.Tensor, " n"], width: int) -> Reference:
        """The chosen rows, cut to `width` tokens."""

        def cut(x: torch.Tensor | None, columns: int) -> torch.Tensor | None:
            return None if x is None else x[chosen, :columns]

        return Reference(
            cut(self.picked, width - 1), cut(self.hidden, width), self.head, cut(self.layer, width)
        )

    def logits(self) -> Float[torch.Tensor, "N T V"]:
        """(N, T, V) logits of the reference."""
        assert self.hidden is not None and self.head is not None, "hidden states were not kept"
        return self.head(self.hidden)


def precompute(
    model: Any, rows: Encoded, needs: frozenset[str], layer: int | None = None, batch: int = 16
) -> Reference:
    """Run the model once over `rows` and keep what a method needs.

    Args:
        model: of transformers, as it is before unlearning.
        rows: encoded documents.
        needs: of ``"picked"``, ``"logits"``, ``"layer"``.
        layer: which block's output, for ``"layer"``.
        batch: rows at a time.

    Raises:
        KleditError: the logits are not the output embedding of the last hidden state alone
            (a model that scales or caps them), so they cannot be kept this way.

    Cost: one forward pass; memory N T for log probabilities, N T d for the others.
    """
    if not needs:
        return Reference()
    kept: dict[str, list[torch.Tensor]] = {"picked": [], "hidden": [], "layer": []}
    head = None
    with evaluating(model), torch.no_grad():
        for start in range(0, len(rows), batch):
            part = rows[slice(start, start + batch)].to(model.device)
            if "layer" in needs:
                assert layer is not None, "needs a layer"
                kept["layer"].append(layer_output(model, part, layer).float().cpu())
            if not needs & {"picked", "logits"}:
                continue
            embedding = model.get_output_embeddings()
            with read(model, [embedding], at="input") as seen:
                out = model(input_ids=part.ids, attention_mask=part.mask, use_cache=False).logits
            if "picked" in needs:
                kept["picked"].append(token_log_probs(out, part.labels)[0].cpu())
            if "logits" in needs:
                head, hidden = head or _frozen(embedding), seen[embedding]
                same = torch.allclose(head(hidden).float(), out.float(), rtol=1e-4, atol=1e-4)
                if start == 0 and not same:
                    raise KleditError(
                        f"{type(model).__name__} changes its logits after the output embedding; "
                        "methods that need the reference's whole distribution do not support it."
                    )
                kept["hidden"].append(hidden.cpu())
    whole = {k: torch.cat(v) if v else None for k, v in kept.items()}
    return Reference(whole["picked"], whole["hidden"], head, whole["layer"])


def _frozen(embedding: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The output embedding as it is now; copied only if training could change it."""
    weight, bias = embedding.weight, getattr(embedding, "bias", None)
    if weight.requires_grad:
        weight = weight.detach().clone()
        bias = None if bias is None else bias.detach().clone()
    return lambda hidden: F.linear(hidden.to(weight.device), weight, bias)
