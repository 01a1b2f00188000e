"""Slow, independent versions of the methods, from their definitions: what the library must equal.

Nothing here imports the code that it judges.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.failures.bits import ClassBits
from kledit_lite.failures.settings import Thresholds


def msa_by_bytes(
    target: Path,
    base: Path,
    forget: Path,
    retain: Path | None,
    alpha: float,
    beta: float,
    precise: type = np.float64,
) -> dict[str, np.ndarray]:
    """Model state arithmetic on the bytes of safetensors files, in double or single precision.

    Returns:
        name -> values rounded once to the target's type, as float64.
    """
    files = [_safetensors(p) for p in (target, base, forget, retain) if p is not None]
    out = {}
    for name, (kind, zero) in files[0].items():
        others = [f[name][1].astype(precise) for f in files[1:]]
        value = zero.astype(precise) - precise(alpha) * (others[1] - others[0])
        if retain is not None:
            value = value + precise(beta) * (others[2] - others[0])
        out[name] = _bfloat16(value) if kind == "BF16" else value.astype(zero.dtype)
        out[name] = out[name].astype(np.float64)
    return out


def _safetensors(file: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Every tensor of a file: its type, and its values (bfloat16 widened to float32)."""
    raw = file.read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name == "__metadata__":
            continue
        first, last = (start + n for n in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            halves = np.frombuffer(raw[first:last], "<u2").astype(np.uint32)
            values = (halves << 16).view(np.float32)
        else:
            kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}[entry["dtype"]]
            values = np.frombuffer(raw[first:last], kind)
        out[name] = entry["dtype"], values.reshape(entry["shape"])
    return out


def _bfloat16(values: np.ndarray) -> np.ndarray:
    """The nearest number with eight significant bits; ties to the even one."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


Picture = tuple[str, bool, frozenset[str]]
"""Class, whether the model was right, and tags."""


def prime_by_fractions(
    pictures: Sequence[Picture],
    most: int,
    support: float,
    drop: float,
    steps: Mapping[int, float],
    kind: str = "failure",
) -> dict[tuple[str, frozenset[str]], tuple[int, int, dict[str, Fraction]]]:
    """PRIME's modes from the definition: every set of tags, exact fractions, nothing pruned.

    Returns:
        (class, tags) -> pictures, errors, and the accuracy once each tag is left out.
    """
    sign = 1 if kind == "failure" else -1
    words = sorted({t for _, _, tags in pictures for t in tags})
    found = {}
    for name in sorted({label for label, _, _ in pictures}):
        own = [(right, tags) for label, right, tags in pictures if label == name]
        least = int(support) if support >= 1 else max(1, ceil(Fraction(str(support)) * len(own)))

        def among(chosen: frozenset[str], own: list = own) -> list[bool]:
            return [right for right, tags in own if chosen <= tags]

        def accuracy(chosen: frozenset[str], among=among) -> Fraction:
            right = among(chosen)
            return Fraction(sum(right), len(right))

        whole = accuracy(frozenset())
        for size in range(1, most + 1):
            for chosen in map(frozenset, combinations(words, size)):
                right = among(chosen)
                if len(right) < least:
                    continue
                lower = sign * (whole - accuracy(chosen)) >= Fraction(str(drop))
                without = {t: accuracy(chosen - {t}) for t in chosen}
                step = Fraction(str(steps.get(size, 0)))
                counts = all(sign * (v - accuracy(chosen)) >= step for v in without.values())
                if lower and counts:
                    found[name, chosen] = len(right), len(right) - sum(right), without
    return found


def prime_by_numpy(
    bits: ClassBits,
    limits: Thresholds,
    roots: np.ndarray,
    budget: int,
    sets: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int, int, bool]:
    """PRIME's inner loop in plain NumPy, with the arguments and results of the compiled one.

    All extensions of one set are tested in one vectorised step.
    """
    wrong, right, class_n, class_errors = bits
    support, errors, num, den, ups, downs = limits
    n_tags, most = len(wrong), len(ups) - 1

    def ones(words: np.ndarray) -> np.ndarray:
        bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1)
        return bits.sum(axis=-1, dtype=np.int64)

    found, tests, survived = 0, 0, 0

    def needed(chosen: list[int], n: int, ok: int, parent_n: int, parent_ok: int) -> bool:
        up, down = int(ups[len(chosen)]), int(downs[len(chosen)])
        if parent_ok * n * down < (ok * down + up * n) * parent_n:
            return False
        for k in range(len(chosen) - 1):
            rest = chosen[:k] + chosen[k + 1 :]
            ok_k = int(ones(np.bitwise_and.reduce(right[rest], axis=0)))
            n_k = ok_k + int(ones(np.bitwise_and.reduce(wrong[rest], axis=0)))
            if ok_k * n * down < (ok * down + up * n) * n_k:
                return False
        return True

    def report(chosen: list[int], n: int, ok: int, parent_n: int, parent_ok: int) -> None:
        nonlocal found
        if ok * den <= n * num and needed(chosen, n, ok, parent_n, parent_ok):
            if found < len(sets):
                sets[found, : len(chosen)] = chosen
                counts[found] = n, n - ok
            found += 1

    def extend(
        chosen: list[int],
        wrong_set: np.ndarray,
        right_set: np.ndarray,
        n: int,
        ok: int,
        candidates: np.ndarray,
    ) -> bool:
        nonlocal tests, survived
        tests += len(candidates)
        e = ones(wrong_set & wrong[candidates])
        candidates, e = candidates[e >= errors], e[e >= errors]
        good = ones(right_set & right[candidates])
        keep = e + good >= support
        candidates, e, good = candidates[keep], e[keep], good[keep]
        survived += len(candidates)
        for i in np.flatnonzero(good * den <= (e + good) * num):
            tags = [*chosen, int(candidates[i])]
            report(tags, int(e[i] + good[i]), int(good[i]), n, ok)
        if tests > budget:
            return False
        if len(chosen) + 1 < most:
            for i, j in enumerate(candidates):
                if not extend(
                    [*chosen, int(j)],
                    wrong_set & wrong[j],
                    right_set & right[j],
                    int(e[i] + good[i]),
                    int(good[i]),
                    candidates[i + 1 :],
                ):
                    return False
        return True

    for root in map(int, roots):
        e, ok = int(ones(wrong[root])), int(ones(right[root]))
        tests += 1
        survived += 1
        report([root], e + ok, ok, class_n, class_n - class_errors)
        if most > 1 and not extend(
            [root], wrong[root], right[root], e + ok, ok, np.arange(root + 1, n_tags)
        ):
            return found, tests, survived, False
    return found, tests, survived, True


def modes_by_themselves(
    pictures: Sequence[Picture],
    modes: Sequence[tuple[str, frozenset[str]]],
    support: int,
    drop: float,
) -> list[bool]:
    """For each failure mode, worst first: does it stand without the pictures of those kept?"""
    gone: set[int] = set()
    stands = []
    for name, chosen in modes:
        own = [right for label, right, _ in pictures if label == name]
        inside = [
            i for i, (label, _, tags) in enumerate(pictures) if label == name and chosen <= tags
        ]
        left = [pictures[i][1] for i in inside if i not in gone]
        deep = bool(left) and Fraction(sum(own), len(own)) - Fraction(
            sum(left), len(left)
        ) >= Fraction(str(drop))
        stands.append(deep and len(left) >= support)
        gone |= set(inside) if stands[-1] else set()
    return stands


def ridge_by_inverse(
    weight: np.ndarray,
    keys: np.ndarray,
    inputs: np.ndarray,
    strength: float,
    keep: np.ndarray | None = None,
    keep_weight: float = 1.0,
) -> np.ndarray:
    """A closed-form edit as published: sums of outer products, one inverse, one product.

    ``W = (lam W0 + sum_i (W0 x'_i) x_i^T + mu sum_j (W0 h_j) h_j^T)
    (lam I + sum_i x_i x_i^T + mu sum_j h_j h_j^T)^-1`` for keys x (N, d), the target's inputs x'
    (N, d) and inputs to keep h (K, d).

    Returns:
        (out, d) in double precision.
    """
    w = weight.astype(np.float64)
    left, system = strength * w, strength * np.eye(w.shape[1])
    for x, other in zip(keys.astype(np.float64), inputs.astype(np.float64), strict=True):
        left = left + np.outer(w @ other, x)
        system = system + np.outer(x, x)
    for h in () if keep is None else keep.astype(np.float64):
        left = left + keep_weight * np.outer(w @ h, h)
        system = system + keep_weight * np.outer(h, h)
    return left @ np.linalg.inv(system)


def attention_in_order(unet: Any) -> list[torch.nn.Module]:
    """Cross-attention as it runs: down blocks, middle, up blocks, as the architecture is drawn."""
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    stacks = [a for b in blocks for a in getattr(b, "attentions", None) or []]
    return [t.attn2 for a in stacks for t in a.transformer_blocks]


def paint(
    pipe: Any,
    hidden: torch.Tensor,
    noise: torch.Tensor,
    steps: int,
    guidance: float,
    pooled: torch.Tensor | None = None,
) -> torch.Tensor:
    """One picture's latents by the pipeline's own ``__call__``, from a prompt's embeddings."""
    more = {} if pooled is None else {"pooled_prompt_embeds": pooled}
    return pipe(
        prompt_embeds=hidden,
        latents=noise.clone(),
        num_inference_steps=steps,
        guidance_scale=guidance,
        output_type="latent",
        **more,
    ).images


@torch.no_grad()
def locogen_by_pipeline(
    pipe: Any,
    source: str,
    target: str,
    layers: Sequence[int],
    noise: torch.Tensor,
    steps: int,
    guidance: float,
) -> torch.Tensor:
    """LocoGen, a picture at a time: hooks give the named layers the target's text, none other."""
    first, second = (
        pipe.encode_prompt(
            [p], device=noise.device, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        for p in (source, target)
    )

    def swap(_module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        text = kwargs["encoder_hidden_states"].clone()
        text[-1] = second[0][0]  # the conditional row comes last
        return args, {**kwargs, "encoder_hidden_states": text}

    every = attention_in_order(pipe.unet)
    handles = [every[i].register_forward_pre_hook(swap, with_kwargs=True) for i in layers]
    try:
        return paint(pipe, first[0], noise, steps, guidance, first[2] if len(first) == 4 else None)
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def trace_by_pipeline(
    pipe: Any,
    clean: Any,
    corrupted: Any,
    name: str,
    noise: torch.Tensor,
    steps: int,
    guidance: float,
) -> list[torch.Tensor]:
    """Causal tracing of one module: a clean run that stores what it returns, and a corrupted run
    in which it returns that.
    """
    module = pipe.unet.get_submodule(name)
    stored: list[Any] = []
    handle = module.register_forward_hook(lambda _m, _a, out: stored.append(out))
    first = paint(pipe, clean.hidden, noise, steps, guidance, clean.pooled)
    handle.remove()
    spoilt = paint(pipe, corrupted.hidden, noise, steps, guidance, corrupted.pooled)
    handle = module.register_forward_hook(lambda _m, _a, _out: stored.pop(0))
    restored = paint(pipe, corrupted.hidden, noise, steps, guidance, corrupted.pooled)
    handle.remove()
    assert not stored
    return [first, spoilt, restored]
