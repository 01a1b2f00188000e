"""A shipped architecture that has learnt nothing: the negative control of its models."""

from __future__ import annotations

from kledit_lite.zoo.clip import ClipModel, build_clip
from kledit_lite.zoo.store import WEIGHTS
from kledit_lite.zoo.tokenizer import load_tokenizer


def untrained_clip(seed: int, name: str = "random weights") -> ClipModel:
    """clip-tiny's architecture and tokenizer with random weights.

    Args:
        seed: of the weights; torch's global state is left alone.
        name: what to call it.

    Example:
        >>> untrained_clip(0).encode_text(["a red cat"]).shape
        (1, 128)
    """
    import torch

    folder = WEIGHTS / "clip-tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_clip(len(load_tokenizer(folder)))
    return ClipModel(model, folder, name)
