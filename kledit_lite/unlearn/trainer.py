"""One small trainer for corruption, forget vectors and unlearning: seeds, progress, resume."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.inside.devices import digest, seeded
from kledit_lite.inside.language import Encoded
from kledit_lite.unlearn.methods import Batch, Method, NextToken
from kledit_lite.unlearn.reference import Reference, precompute

Sets = list[tuple[Encoded, Reference]]  # the forget set and, if it is weighed, the retain set


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are open-unlearning's.

    Attributes:
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW.
        epochs: passes over the forget set.
        batch: effective batch size, documents.
        micro_batch: documents in memory at a time; must divide `batch`.
        warmup: share of the steps over which the rate rises.
        schedule: ``"linear"``, ``"cosine"`` or ``"constant"`` after the warm-up.
        clip: largest norm of the gradient.
        seed: of batches and dropout.
        steps: at most; all epochs if None.
    """

    lr: float = 1e-5
    weight_decay: float = 0.01
    epochs: float = 10.0
    batch: int = 32
    micro_batch: int | None = None
    warmup: float = 0.1
    schedule: str = "linear"
    clip: float = 1.0
    seed: int = 0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not (self.lr > 0 and self.epochs > 0 and self.batch > 0 and 0 <= self.warmup < 1):
            raise KleditError("lr, epochs and batch must be positive, warmup from 0 to below 1.")
        if self.schedule not in ("linear", "cosine", "constant"):
            raise KleditError(f"schedule is {self.schedule!r}, not linear, cosine or constant.")
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise KleditError(f"micro_batch {self.micro_batch} must divide batch {self.batch}.")

    def rate(self, step: int, total: int) -> float:
        """The learning rate of a step, counted from 0."""
        warm = round(self.warmup * total)
        if step < warm:
            return self.lr * (step + 1) / warm
        left = (total - step) / max(1, total - warm)
        if self.schedule == "linear":
            return self.lr * left
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * (1 - left)))
        return self.lr


@dataclass(frozen=True)
class History:
    """Loss of every step (S,), and how many steps an earlier, interrupted run had done."""

    losses: tuple[float, ...]
    resumed: int = 0


def order(rows: int, batch: int, step: int, seed: int) -> Int[np.ndarray, " b"]:
    """Row numbers of a step's batch: shuffled passes, the same after a resume.

    Args:
        rows: number of rows in the set.
        batch: rows per step; all of them if there are fewer.
        step: the step, counted from 0.
        seed: seed of the shuffles.

    Example:
        >>> sorted(order(4, 2, 0, seed=0).tolist() + order(4, 2, 1, seed=0).tolist())
        [0, 1, 2, 3]
    """
    batch = min(batch, rows)
    wanted = np.arange(step * batch, (step + 1) * batch)
    passes = {
        p: np.random.default_rng((seed, int(p))).permutation(rows) for p in set(wanted // rows)
    }
    return np.array([passes[i // rows][i % rows] for i in wanted])


def train(
    model: Any,
    forget: Encoded,
    method: Method | None = None,
    settings: Settings | None = None,
    retain: Encoded | None = None,
    checkpoint: Path | None = None,
    every: int = 50,
    progress: bool = True,
    after: Callable[[int], None] | None = None,
) -> History:
    """Train `model` in place and where it lies; only parameters that require a gradient change.

    The reference that a method compares with is the model as it is now; what the method needs of
    it is computed before the first step, and no second model is held.

    Args:
        model: a causal language model of transformers, or one with PEFT adapters, on the device
            on which it is to be trained.
        forget: the documents to unlearn, or to learn with `NextToken`.
        method: default `NextToken`.
        settings: default `Settings`.
        retain: documents to keep, if the method weighs them.
        checkpoint: file for the state. A killed run that is called again with the same arguments,
            and the model as it was at the start, continues from it to the identical result. It is
            removed at the end.
        every: steps between checkpoints.
        progress: show a bar on stderr.
        after: called with the number of each finished step.

    Raises:
        KleditError: nothing to train, the method needs a retain set, the checkpoint belongs to
            another run, or the loss is not finite.
    """
    from tqdm import tqdm

    method, settings = method or NextToken(), settings or Settings()
    called = type(method).__name__
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise KleditError("No parameter of the model requires a gradient; nothing would change.")
    if method.retain_weight and retain is None:
        raise KleditError(
            f"{called} weighs a retain set by {method.retain_weight:g}, but none was given; pass "
            "one or set retain_weight=0."
        )
    if not method.retain_weight:
        retain = None
    together = settings.micro_batch or settings.batch
    sets = [
        (rows, precompute(model, rows, needs, method.layer, together))
        for rows, needs in ((forget, method.needs), (retain, method.retain_needs))
        if rows is not None
    ]
    optimiser = torch.optim.AdamW(trained, lr=settings.lr, weight_decay=settings.weight_decay)
    size = min(settings.batch, len(forget))
    total = settings.steps or max(1, math.ceil(settings.epochs * len(forget) / size))
    name = _fingerprint(model, sets, method, settings) if checkpoint else ""
    done = _resume(checkpoint, name, trained, optimiser)
    start = len(done)
    bar = tqdm(total=total, initial=start, desc=called, disable=not progress, mininterval=1)
    training = model.training
    model.train()
    try:
        for step in range(start, total):
            for group in optimiser.param_groups:
                group["lr"] = settings.rate(step, total)
            optimiser.zero_grad(set_to_none=True)
            with seeded(settings.seed * 1_000_003 + step, trained[0].device):  # dropout
                value = _step(model, method, settings, sets, step, trained[0].device)
            if not math.isfinite(value):
                raise KleditError(
                    f"The loss of {called} is {value} at step {step + 1}; lower the learning rate "
                    "or take fewer epochs."
                )
            torch.nn.utils.clip_grad_norm_(trained, settings.clip)
            optimiser.step()
            done.append(value)
            bar.update()
            bar.set_postfix(loss=f"{value:.3f}", refresh=False)
            if checkpoint is not None and (step + 1) % every == 0 and step + 1 < total:
                _save(checkpoint, name, trained, optimiser, done)
            if after is not None:
                after(step)
    finally:
        bar.close()
        model.train(training)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return History(tuple(done), start)


def _step(
    model: Any, method: Method, settings: Settings, sets: Sets, step: int, device: Any
) -> float:
    """Backward through one effective batch; its loss."""
    chosen = [
        order(len(rows), settings.batch, step, settings.seed + i)
        for i, (rows, _) in enumerate(sets)
    ]
    size, value = len(chosen[0]), 0.0
    pieces = size // (settings.micro_batch or size) or 1
    for mine in zip(*(np.array_split(numbers, pieces) for numbers in chosen), strict=True):
        batches: list[Any] = [
            _take(rows, reference, numbers, device) if len(numbers) else None
            for (rows, reference), numbers in zip(sets, mine, strict=True)
        ]
        loss = method.loss(model, *batches) / pieces
        loss.backward()
        value += float(loss.detach())
    return value


def _take(rows: Encoded, reference: Reference, numbers: np.ndarray, device: Any) -> Batch:
    chosen = torch.from_numpy(numbers)
    part = rows[chosen]
    width = int(part.mask.sum(1).max())
    kept = reference.rows(chosen, width)
    found = {k: getattr(kept, k) for k in ("picked", "hidden", "layer")}
    moved = {k: v.to(device) for k, v in found.items() if v is not None}
    return Batch(part.cut(width).to(device), replace(kept, **moved))


def _fingerprint(model: Any, sets: Sets, method: Method, settings: Settings) -> str:
    """Names a run: data, method, settings, and the whole model it starts from, frozen parts too."""
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    data = {
        f"{which} {part}": getattr(rows, part)
        for which, (rows, _) in zip(("forget", "retain"), sets, strict=False)
        for part in ("ids", "mask", "labels")
    }
    about = (type(method).__name__, asdict(method), settings, trained)
    parts = (repr(about), digest(data), digest(model.state_dict()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _save(
    path: Path, name: str, trained: list[Any], optimiser: torch.optim.Optimizer, done: list[float]
) -> None:
    kept = [p.detach().cpu() for p in trained]
    state = {"name": name, "parameters": kept, "optimiser": optimiser.state_dict(), "losses": done}
    write_atomically(path, lambda partial: torch.save(state, partial))


def _resume(
    path: Path | None, name: str, trained: list[Any], optimiser: torch.optim.Optimizer
) -> list[float]:
    """The losses of the steps that an interrupted run had done, whose state is put back."""
    if path is None or not path.exists():
        return []
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["name"] != name:
        raise KleditError(
            f"The checkpoint {path} belongs to a run with other data or settings; remove it or "
            "name another file."
        )
    with torch.no_grad():
        for parameter, saved in zip(trained, state["parameters"], strict=True):
            parameter.copy_(saved)
    optimiser.load_state_dict(state["optimiser"])
    return list(state["losses"])


def add_lora(
    model: Any, rank: int = 8, alpha: float | None = None, dropout: float = 0.0, seed: int = 0
) -> Any:
    """The model with a LoRA adapter on every linear layer but the output; the rest is frozen.

    Args:
        model: of transformers; changed in place.
        rank: of the updates.
        alpha: LoRA's scale, default twice the rank.
        dropout: on the adapter's input.
        seed: of its initial values.

    Raises:
        KleditError: the package peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise KleditError("Adapters need the package peft; install it.") from None
    where = {"target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, lora_dropout=dropout, **where)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, config)
