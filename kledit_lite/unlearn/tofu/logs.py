"""Evaluation logs of TOFU: the benchmark's own, open-unlearning's, and ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.unlearn.tofu.metrics import PUBLISHED, Log

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
        columns = zip(PUBLISHED, vars(log).values(), strict=True)
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
        keys = {kind: f"{short}_Q_A_{kind}" for kind in ("PERT_Prob", "Prob", "PARA_Prob", "ROUGE")}
        found = {kind: raw[key]["value_by_index"] for kind, key in keys.items() if key in raw}
        wrong, rouge = found["PERT_Prob"], found.get("ROUGE")
        right = [found[kind] for kind in ("Prob", "PARA_Prob") if kind in found]
        if not right:
            raise KeyError(keys["PARA_Prob"])
        asked = [i for i, row in wrong.items() if row is not None and row["avg_loss"] is not None]
        numbers = sorted(asked, key=int)
        truth, paraphrase = (_means(rows, "avg_loss", numbers) for rows in (right[0], right[-1]))
        losses = np.array([np.atleast_1d(wrong[i]["avg_loss"]) for i in numbers], np.float64)
        said = None if rouge is None else _means(rouge, "rougeL_recall", numbers)
        out[name] = Log(truth, paraphrase, losses, said)
    return out


def _means(rows: Mapping[str, Any], key: str, numbers: Sequence[str]) -> np.ndarray:
    return np.array([np.mean(rows[i][key]) for i in numbers], np.float64)
