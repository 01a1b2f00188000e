"""Schedulers that draw noise of their own, found by trying them."""

from __future__ import annotations

import copy
from typing import Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import content_hash


def check_deterministic(scheduler: Any, steps: int = 20) -> None:
    """Refuse a scheduler that draws noise at some step: lanes would differ by chance.

    The check is a trial, not a list of names: the same steps on the same few numbers under two
    states of torch's generator must end alike. Ancestral, SDE, DDPM and consistency
    samplers and SASolver fail.

    Args:
        scheduler: A pipeline's scheduler; a copy is used.
        steps: As many as will be sampled: some draw noise in the middle only.

    Raises:
        KleditError: two runs differ.

    Cost: a tenth of a second, once per scheduler.
    """
    tried = content_hash(scheduler, steps)
    if tried not in _DRAWS:
        with torch.random.fork_rng(devices=[]):
            first, second = (_trial(scheduler, steps, seed) for seed in (0, 1))
        _DRAWS[tried] = not torch.equal(first, second)
    if _DRAWS[tried]:
        raise KleditError(
            f"The scheduler {type(scheduler).__name__} draws noise at some steps, so that two runs "
            "differ by chance; set pipe.scheduler = DDIMScheduler.from_config("
            "pipe.scheduler.config), or give --scheduler ddim on the command line."
        )


_DRAWS: dict[str, bool] = {}
"""Schedulers tried in this process, by content."""


def _trial(scheduler: Any, steps: int, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    trial = copy.deepcopy(scheduler)
    try:
        trial.set_timesteps(steps)
    except ValueError as error:
        raise KleditError(
            f"The scheduler {type(scheduler).__name__} cannot take {steps} steps ({error}); give "
            "more steps, or another scheduler."
        ) from error
    z = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4) * float(trial.init_noise_sigma)
    for t in trial.timesteps:
        e = (trial.scale_model_input(z, t) / 2).tanh()
        z = trial.step(e, t, z).prev_sample
    return z
