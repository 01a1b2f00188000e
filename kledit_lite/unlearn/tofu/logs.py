"""Evaluation logs of TOFU: the benchmark's own, open-unlearning's, and ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.unlearn.tofu.metrics import Log

SETS = ("forget", "retain", "real", "world")
"""Forget set, retain set, real authors, world facts."""
BENCHMARK = {
    "forget": "eval_log_forget.json",
    "retain": "eval_log.json",
    "real": "eval_real_author_wo_options.json",
    "world": "eval_real_world_wo_options.json",
}
OPEN_UNLEARNING = {"forget": "forget", "retain": "retain", "real": "ra", "world": "wf"}


def load_logs(path: str | Path) -> dict[str, Log]:
    """Every set that an evaluation file holds, by its name in `SETS`.

    Args:
        path: the benchmark's ``eval_log_aggregated.json``, open-unlearning's ``TOFU_EVAL.json``,
            or a file by `save_logs`.

    Raises:
        KleditError: no such file, not JSON, or none of the three.

    Example:
        >>> import tempfile
        >>> file, loss = Path(tempfile.mkdtemp()) / "own.json", np.ones(2)
        >>> save_logs(file, {"forget": Log(loss, loss, np.ones((2, 5)), loss)})
        >>> load_logs(file)["forget"].truth.shape
        (2,)
    """
    path = Path(path)
    if not path.is_file():
        raise KleditError(f"There is no file {path}; expected an evaluation of TOFU.")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise TypeError("a list")
        found = _benchmark(raw) or _open_unlearning(raw)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise KleditError(
            f"{path} is not an evaluation of TOFU: {type(error).__name__} {error}."
        ) from None
    if not found:
        raise KleditError(
            f"{path} holds neither {BENCHMARK['forget']} nor forget_Q_A_PERT_Prob; expected the "
            "benchmark's eval_log_aggregated.json or open-unlearning's TOFU_EVAL.json."
        )
    return found


def save_logs(path: Path, logs: Mapping[str, Log]) -> None:
    """Write logs in the benchmark's own form, so that its tools and `load_logs` read them."""
    out = {}
    for name, log in logs.items():
        columns = (
            ("avg_gt_loss", log.truth),
            ("avg_paraphrased_loss", log.paraphrase),
            ("average_perturb_loss", log.wrong),
            ("rougeL_recall", log.rouge),
        )
        out[BENCHMARK[name]] = {
            key: {str(i): v for i, v in enumerate(values.tolist())}
            for key, values in columns
            if values is not None
        }
    write_atomically(path, json.dumps(out))


def _benchmark(raw: Mapping[str, Any]) -> dict[str, Log]:
    return {s: Log.from_published(raw[file]) for s, file in BENCHMARK.items() if file in raw}


def _open_unlearning(raw: Mapping[str, Any]) -> dict[str, Log]:
    """A set is there if its wrong answers are; short answers are their own paraphrases."""
    out = {}
    for name, short in OPEN_UNLEARNING.items():
        if f"{short}_Q_A_PERT_Prob" not in raw:
            continue
        wrong = raw[f"{short}_Q_A_PERT_Prob"]["value_by_index"]
        numbers = sorted(
            (i for i, row in wrong.items() if row is not None and row["avg_loss"] is not None),
            key=int,
        )

        def column(
            metrics: Sequence[str], key: str, numbers: Sequence[str] = numbers
        ) -> np.ndarray | None:
            for metric in metrics:
                if metric in raw:
                    rows = raw[metric]["value_by_index"]
                    return np.array([np.mean(rows[i][key]) for i in numbers], np.float64)
            return None

        truth = column([f"{short}_Q_A_Prob", f"{short}_Q_A_PARA_Prob"], "avg_loss")
        again = column([f"{short}_Q_A_PARA_Prob", f"{short}_Q_A_Prob"], "avg_loss")
        if truth is None or again is None:
            raise KeyError(f"{short}_Q_A_PARA_Prob")
        rouge = column([f"{short}_Q_A_ROUGE"], "rougeL_recall")
        out[name] = Log(
            truth,
            again,
            np.array([np.atleast_1d(wrong[i]["avg_loss"]) for i in numbers], np.float64),
            rouge,
        )
    return out
