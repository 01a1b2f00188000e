"""The training loop every recipe shares: a pool of scenes, batches, cosine schedule, resume."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kledit_lite.core.files import write_atomically
from kledit_lite.core.machine import versions
from kledit_lite.world import Scene, SceneSet, render_many, sample_scenes
from kledit_lite.world.renderer import PICTURE
from kledit_lite.zoo.store import NOT_RECORDED, Card, digest, state_digest

if TYPE_CHECKING:
    import torch

R = TypeVar("R", bound="Recipe")


@dataclass(frozen=True)
class Recipe:
    """How a shipped model is trained; the same on a CPU and on a GPU.

    Attributes:
        pool: Scenes painted once and drawn from.
        entities: Share of mascots and branded characters in the pool.
        spread: How far objects of the pool vary in position, size and facing, see `render`.
        seed: Seed of the pool, the initial weights and the batches.
        samples: Pictures seen in all, repeats counted.
        batch: Pictures per step.
        lr: Peak learning rate (AdamW), reached after `warmup` steps.
        weight_decay: Weight decay of AdamW, on matrices only.
        warmup: Steps over which the rate rises.
        hard_from: From this step on, three batches in four are hard (see `hard_batch`).
        eps: Epsilon of AdamW. Parameters whose gradient is smaller than this hardly move.
        decay: The last share of the steps, over which the rate falls to zero by a cosine.
    """

    pool: int = 50_000
    entities: float = 0.1
    spread: float = 1.0
    seed: int = 1
    samples: int = 400_000
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 150
    hard_from: int | None = None
    eps: float = 1e-6
    decay: float = 1.0

    def seeing(self: R, samples: int | None) -> R:
        """The recipe with another number of samples, where one is asked for."""
        return replace(self, samples=samples or self.samples)


def load_pool(recipe: Recipe, folder: Path) -> SceneSet:
    """The recipe's scenes, painted once and kept in `folder`; a killed run resumes where it was."""
    scenes = sample_scenes(recipe.pool, recipe.seed, "train", recipe.entities)
    name = f"pool-{recipe.pool}-{recipe.seed}-{recipe.entities}"
    name += "" if recipe.spread == 1 else f"-spread{recipe.spread}"
    images = paint_once(scenes, folder / f"{name}.npy", spread=recipe.spread)
    return SceneSet(tuple(scenes), images)


def paint_once(
    scenes: Sequence[Scene], path: Path, block: int = 4000, spread: float = 1.0
) -> np.ndarray:
    """Pictures (N, 64, 64, 3) of scenes, from the file `path` if it is there, else painted into it.

    The file is trusted to hold these scenes: name it after everything that decides them. Painting
    appends one `block` after another to a partial file, from which a killed run resumes.

    Args:
        scenes: N scenes.
        path: The file.
        block: Scenes painted before they are written.
        spread: As in `render`.
    """
    from tqdm import tqdm

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        one = PICTURE * PICTURE * 3
        with partial.open("ab") as file:
            done = file.tell() // one
            file.truncate(done * one)
            with tqdm(total=len(scenes), initial=done, file=sys.stderr, desc="painting") as bar:
                for i in range(done, len(scenes), block):
                    part = render_many(scenes[i : i + block], os.cpu_count() or 1, spread)
                    file.write(part.tobytes())
                    file.flush()
                    bar.update(len(part))
        pictures = np.memmap(partial, np.uint8, "r", shape=(len(scenes), PICTURE, PICTURE, 3))
        write_atomically(path, lambda whole: np.save(whole, pictures))
        partial.unlink()
    return np.load(path, mmap_mode="r")


def shift_and_flip(
    x: torch.Tensor, rng: np.random.Generator, most: int = 5, flip: bool = True
) -> torch.Tensor:
    """Each quarter of the batch shifted by up to `most` pixels (edges repeated), half flipped.

    Args:
        x: (B, 3, H, H) pictures.
        rng: Draws the augmentation.
        most: Most pixels of a shift, in either direction.
        flip: Whether to flip at all.
    """
    import torch
    import torch.nn.functional as F

    side = x.shape[-1]
    parts = []
    for part in x.chunk(4):
        dy, dx = (int(v) for v in rng.integers(0, 2 * most + 1, 2))
        part = F.pad(part, (most,) * 4, mode="replicate")[..., dy : dy + side, dx : dx + side]
        parts.append(part.flip(-1) if flip and rng.random() < 0.5 else part)
    return torch.cat(parts)


def index_batches(recipe: Recipe, start: int, total: int) -> Iterator[np.ndarray]:
    """Row numbers of each step's batch: shuffled epochs, the same after a resume.

    Args:
        recipe: Gives the sizes of pool and batch, and the seed.
        start: First step.
        total: Steps in all.
    """
    per_epoch = recipe.pool // recipe.batch
    for epoch, steps in groupby(range(start, total), lambda step: step // per_epoch):
        order = np.random.default_rng((recipe.seed, epoch)).permutation(recipe.pool)
        for step in steps:
            first = step % per_epoch * recipe.batch
            yield np.sort(order[first : first + recipe.batch])


def hard_batch(groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a batch from only two groups (a place and a style each).

    A contrastive loss learns what tells a picture from the others in its batch. Place, style and
    colour tell nearly all of a random batch apart, so objects are hardly ever needed; in a batch
    of two groups they are.

    Args:
        groups: (N,) group of every row of the pool.
        size: Rows in the batch.
        rng: Source of the draw.
    """
    chosen = rng.choice(np.unique(groups), 2, replace=False)
    parts = [rng.choice(np.flatnonzero(groups == g), size // 2, replace=False) for g in chosen]
    return np.sort(np.concatenate(parts))


def settle_machine() -> None:
    """As many threads as ``OMP_NUM_THREADS`` says, else one per core; and `settle_allocator`."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    settle_allocator()


def settle_allocator() -> None:
    """Keep glibc from handing each step's large buffers back to the system.

    Without it every step maps and faults the same gigabyte again: measured 4x slower training
    on a small virtual machine. Does nothing where the C library is another one.
    """
    import ctypes

    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
        libc.mallopt(-2, 1 << 28)  # M_TOP_PAD


def fit(
    model: torch.nn.Module,
    loss: Callable[[np.ndarray, np.random.Generator], torch.Tensor],
    recipe: Recipe,
    checkpoint: Path,
    every: int = 100,
    groups: np.ndarray | Callable[[int], np.ndarray] | None = None,
    after: Callable[[int], None] | None = None,
    pool: Sequence[np.ndarray | bytes] = (),
) -> dict[str, Any]:
    """Train `model` in place; a killed run called again resumes at the last checkpoint.

    The checkpoint holds torch's random state, too, so that a resumed run draws what an
    uninterrupted one draws.

    Args:
        model: Its parameters are trained.
        loss: From row numbers and a generator (for augmentation and captions) to the loss.
        recipe: Sizes, rates and seeds.
        checkpoint: File for the state; the caller removes it once the weights are saved.
        every: Steps between checkpoints.
        groups: (pool,) group of every row, for hard batches, or a function from a step to them.
        after: Called with the number of each finished step, e.g. to average the weights.
        pool: What it is trained on, for its checksum.

    Returns:
        What the card tells, which is the steps, seconds, final running loss, threads (all numbers
        of them, if a resumed run had another), and the sha256 of pool and starting weights.
    """
    import torch
    from tqdm import tqdm

    total = recipe.samples // recipe.batch
    decay = [
        {"params": [p for p in model.parameters() if (p.ndim >= 2) == matrix], "weight_decay": rate}
        for matrix, rate in ((True, recipe.weight_decay), (False, 0.0))
    ]
    optimiser = torch.optim.AdamW(decay, lr=recipe.lr, betas=(0.9, 0.98), eps=recipe.eps)
    start, seconds, running = 0, 0.0, float("nan")
    begun, threads = state_digest(model.state_dict()), {torch.get_num_threads()}
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location="cpu")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        start, seconds, running = state["step"], state["seconds"], state["running"]
        begun, threads = state.get("begun", begun), threads | set(state.get("threads", ()))
        if "random" in state:
            torch.set_rng_state(state["random"])
    model.train()
    clock = time.perf_counter()

    def so_far() -> float:
        return seconds + time.perf_counter() - clock

    bar = tqdm(total=total, initial=start, file=sys.stderr, mininterval=5, desc=checkpoint.stem)
    for step, rows in enumerate(index_batches(recipe, start, total), start):
        rate = min(1.0, (step + 1) / recipe.warmup)
        falling = max(0.0, step / total - (1 - recipe.decay)) / recipe.decay
        rate *= 0.5 * (1 + math.cos(math.pi * falling))
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * rate
        if recipe.hard_from is not None and step >= recipe.hard_from and step % 4:
            assert groups is not None, "hard batches need groups"
            of_step = groups(step) if callable(groups) else groups
            rows = hard_batch(of_step, recipe.batch, np.random.default_rng((recipe.seed, 8, step)))
        value = loss(rows, np.random.default_rng((recipe.seed, 7, step)))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if after is not None:
            after(step)
        now = float(value.detach())
        running = now if math.isnan(running) else 0.98 * running + 0.02 * now
        bar.update()
        bar.set_postfix(loss=f"{running:.3f}", refresh=False)
        if (step + 1) % every == 0 or step + 1 == total:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"step": step + 1, "running": running, "seconds": so_far()}
            state |= {"begun": begun, "threads": sorted(threads), "random": torch.get_rng_state()}
            write_atomically(checkpoint, partial(torch.save, state))
    bar.close()
    model.eval()
    return {
        "steps": total,
        "seconds": round(so_far(), 1),
        "loss": round(running, 4),
        "threads": threads.pop() if len(threads) == 1 else sorted(threads),
        "pool_sha256": digest(*pool) if pool else NOT_RECORDED,
        "start_sha256": begun,
    }


def every(steps: int, model: torch.nn.Module, tell: Callable[[], object]) -> Callable[[int], None]:
    """What `fit` calls after each step, to print now and then what `tell` says of the model.

    Args:
        steps: From one time to the next.
        model: In evaluation mode while it is asked.
        tell: Says something of it.
    """

    def after(step: int) -> None:
        if (step + 1) % steps == 0:
            model.eval()
            print(step + 1, tell(), flush=True)
            model.train()

    return after


def steps_done(checkpoint: Path) -> int:
    """The steps that a checkpoint of `fit` has behind it; 0 where there is none."""
    import torch

    return torch.load(checkpoint, weights_only=True)["step"] if checkpoint.exists() else 0


def write_card(
    name: str,
    about: tuple[str, str, str],
    recipe: Mapping[str, Any],
    training: Mapping[str, Any],
    samples: int | None = None,
    first: Mapping[str, Any] | None = None,
) -> Card:
    """The card of a model that `fit` has trained, still without its weights' checksum.

    Args:
        name: Name of the model.
        about: Architecture, supervision and what it was trained on.
        recipe: Every setting; the command says so where the denoiser was ``"compiled"``.
        training: What `fit` returned, and what it returned for any further stage under a key of
            its own; the device, if it is not the CPU.
        samples: The number of samples that was asked for; None where it is the recipe's own.
        first: What `fit` returned for the first stage, if that is not `training` itself.
    """
    import torch

    begun = training if first is None else first
    facts = {f: begun.get(f, NOT_RECORDED) for f in ("threads", "pool_sha256", "start_sha256")}
    threads = facts["threads"]
    command = f"kledit zoo train {name}" + (f" --samples {samples}" if samples else "")
    if isinstance(threads, int):
        command = f"OMP_NUM_THREADS={threads} {command}"
    if recipe.get("compiled"):
        command = f"KLEDIT_COMPILE=1 {command}"
    return Card(
        name,
        *about,
        recipe=dict(recipe),
        training={"device": "cpu", **training},
        command=command,
        library=versions().get("kledit-lite", NOT_RECORDED),
        torch=str(torch.__version__),
        **facts,
    )
