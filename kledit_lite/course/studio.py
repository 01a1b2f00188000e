"""The painter that checkers try answers on: the painted world's, whatever the profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.course.checks import Wrong

if TYPE_CHECKING:
    from kledit_lite.inside.sampler import Sampling
    from kledit_lite.models.scenarios import Painting

Readings = dict[str, np.ndarray]
"""What a judge reads, as a map from factor to (N,) labels."""


@lru_cache(maxsize=1)
def studio() -> Painting:
    """The scenario that the chapters on painters have in profile lite, loaded once.

    Example:
        >>> studio().source
        'zoo:paint-tiny'
    """
    from kledit_lite import zoo
    from kledit_lite.models.scenarios.painting import in_the_painted_world

    return in_the_painted_world(zoo.load_pipeline("paint-tiny"), zoo.load_clip(), "zoo:paint-tiny")


def sampling() -> Sampling:
    """How checkers paint: four steps, at which the judge reads clean pictures right."""
    from kledit_lite.inside.sampler import Sampling

    return Sampling(steps=4, guidance=3.0, batch=24)


def first(readings: Readings, n: int) -> Readings:
    """The readings of the first n pictures.

    Args:
        readings: of N pictures.
        n: how many of them.

    Example:
        >>> first({"a": np.array([1, 2])}, 1)
        {'a': array([1])}
    """
    return {factor: labels[:n] for factor, labels in readings.items()}


def exam(
    painters: Sequence[str], own: int, each: int, rng: np.random.Generator
) -> tuple[list[str], list[int]]:
    """New prompts in the styles of painters, and their seeds.

    Args:
        painters: by name.
        own: how many prompts in the style of the first.
        each: how many in the style of each other.
        rng: draws which.
    """
    prompts: list[str] = []
    seeds: list[int] = []
    for painter in painters:
        n = each if prompts else own
        asks = studio().ask.probe("style", painter, n, seed=int(rng.integers(1 << 20)))
        prompts += asks.sources
        seeds += asks.seeds
    return prompts, seeds


@contextmanager
def put_back(*modules: Any) -> Iterator[Callable[[], list[str]]]:
    """Give the modules their weights back at the end, whatever happens inside.

    Args:
        modules: torch modules, such as a pipeline's UNet and text encoder.

    Yields:
        A function that names the weights which are not what they were, bit for bit.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(1, 1)
        >>> with put_back(net) as changed:
        ...     _ = net.weight.data.add_(1)
        ...     print(changed())
        ['weight']
        >>> changed()
        []
    """
    import torch

    weights = [(name, w) for m in modules for name, w in m.named_parameters()]
    before = [w.detach().clone() for _, w in weights]

    def changed() -> list[str]:
        pairs = zip(weights, before, strict=True)
        return [name for (name, w), old in pairs if not torch.equal(w, old)]

    try:
        yield changed
    finally:
        with torch.no_grad():
            for (_, w), old in zip(weights, before, strict=True):
                w.copy_(old)


@contextmanager
def within(unet: Any, most: int) -> Iterator[list[int]]:
    """Count the rows that go through a UNet, and stop whoever spends more than there are.

    Args:
        unet: the denoiser.
        most: rows that may be spent.

    Yields:
        A list of one number, the rows spent so far.

    Raises:
        Wrong: more rows than that.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(1, 1)
        >>> with within(net, 5) as spent:
        ...     _ = net(torch.ones(3, 1))
        >>> spent
        [3]
    """
    from kledit_lite.inside.hooks import edit

    spent = [0]

    def count(x: Any) -> Any:
        spent[0] += len(x)
        if spent[0] > most:
            raise Wrong(
                f"your search has spent its {most} rows of the UNet; a set of layers on one prompt "
                "costs two rows per step, so try fewer sets, prompts or steps"
            )
        return x

    with edit(unet, {unet: count}, at="input"):
        yield spent
