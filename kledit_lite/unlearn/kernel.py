"""The inner loop of model state arithmetic on bfloat16, compiled by numba.

One pass over values that stay in the processor's nearest cache, where numpy makes about twenty.
Every operation rounds by itself, as numpy's do, so the bits are the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STEP = 2048
"""Values widened at a time."""
INFINITE = np.uint32(0x7F7F8000)
"""Bits of the smallest float32 that bfloat16 rounds to infinity."""


@njit(nogil=True, cache=True)
def bfloat16(
    target: np.ndarray, base: np.ndarray, forget: np.ndarray, retain: np.ndarray, retained: bool,
    alpha: np.float32, beta: np.float32, scratch: np.ndarray,
) -> bool:  # fmt: skip
    """Overwrite `target` by ``target - alpha (forget - base) + beta (retain - base)``.

    Args:
        target: (n,) uint16, the upper halves of float32 values; overwritten.
        base: (n,) uint16.
        forget: (n,) uint16.
        retain: (n,) uint16; not read unless `retained`.
        retained: Whether there is a retain vector.
        alpha: Strength of the forget vector.
        beta: Strength of the retain vector.
        scratch: (4, STEP) uint32.

    Returns:
        Whether all results are finite as stored.
    """
    wide = scratch.view(np.float32)
    largest = np.uint32(0)
    for low in range(0, target.shape[0], STEP):
        n = min(STEP, target.shape[0] - low)
        for i in range(n):
            scratch[0, i] = np.uint32(target[low + i]) << np.uint32(16)
            scratch[1, i] = np.uint32(base[low + i]) << np.uint32(16)
            scratch[2, i] = np.uint32(forget[low + i]) << np.uint32(16)
        for i in range(n):
            wide[0, i] -= (wide[2, i] - wide[1, i]) * alpha
        if retained:
            for i in range(n):
                scratch[3, i] = np.uint32(retain[low + i]) << np.uint32(16)
            for i in range(n):
                wide[0, i] += (wide[3, i] - wide[1, i]) * beta
        for i in range(n):
            bits = scratch[0, i]
            largest = max(largest, bits & np.uint32(0x7FFFFFFF))
            odd = (bits >> np.uint32(16)) & np.uint32(1)
            target[low + i] = np.uint16((bits + odd + np.uint32(0x7FFF)) >> np.uint32(16))
    return largest < INFINITE
