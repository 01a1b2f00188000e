"""What holds of a RESTOR run whatever the weights: a model that knows nothing must keep to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from kledit_lite.inside.devices import double
from kledit_lite.inside.language import token_rows
from kledit_lite.unlearn.restor.workbench import ALONE, Case, Workbench

RETAIN = "other people"


def invariants(
    bench: Workbench,
    case: Case,
    start: Mapping[str, torch.Tensor],
    steered: Mapping[str, torch.Tensor],
    rate: float,
) -> dict[str, float]:
    """Exact statements about documents, retain set, adapter and training, as figures.

    Args:
        bench: the model.
        case: the draw.
        start: the corrupted adapter.
        steered: the adapter after RMU.
        rate: learning rate for unlearning twice.

    Returns:
        Six figures, of which the second is 1 and all others are 0. In ``wrong_is_true`` stand
        the wrong facts that are true, in ``wrong_in_context`` the share of the documents that
        hold the wrong sentences of their targeted ones, in ``retain_names`` the texts to keep
        that name a corrupted or an untouched person, in ``bare_apart`` the largest difference of
        the predictions of the clean adapter from those without any, in ``rmu_above_moved`` the
        largest change of the adapter above the layer that RMU steers, and in ``again_apart`` the
        largest difference between two runs of one unlearning.

    Cost: two trainings on the retain set.
    """
    true = {(t.subject, t.relation, t.value) for t in case.telling.triples}
    unnamed = case.hidden | case.spared
    texts = case.retain(RETAIN) or []
    documents, targeted = case.scenario.documents, case.scenario.targeted
    inside = [
        all(part in whole for part in wrong.split(". "))
        for whole, wrong in zip(documents, targeted, strict=True)
    ]
    twice = [bench.undo(start, documents, ALONE, rate, texts) for _ in range(2)]
    above = {n: p for n, p in steered.items() if _block(n) > bench.size.layer}
    return {
        "wrong_is_true": sum((t.subject, t.relation, t.value) in true for t in case.scenario.wrong),
        "wrong_in_context": sum(inside) / len(inside),
        "retain_names": sum(any(name in t for name in unnamed) for t in texts),
        "bare_apart": _bare(bench, documents[:2]),
        "rmu_above_moved": _apart(above, start),
        "again_apart": _apart(*twice),
    }


def _bare(bench: Workbench, texts: list[str]) -> float:
    """How far the clean adapter's predictions are from those of the model without one."""
    model = bench.put(bench.clean).eval()
    rows = token_rows(bench.tokenizer, texts, max_length=64).to(model.device)
    with torch.inference_mode():
        worn = model(input_ids=rows.ids, attention_mask=rows.mask).logits
        with model.disable_adapter():
            bare = model(input_ids=rows.ids, attention_mask=rows.mask).logits
    return float((double(worn) - double(bare)).abs().max())


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Largest difference over the tensors of the first state."""
    apart = (double(tensor) - double(other[name]) for name, tensor in one.items())
    return max((float(difference.abs().max()) for difference in apart), default=0.0)


def _block(name: str) -> int:
    """Number of the block that a parameter belongs to, -1 if to none."""
    return next((int(part) for part in name.split(".") if part.isdigit()), -1)
