"""The inner loop of model state arithmetic on bfloat16, compiled by numba.

One pass over values that stay in the processor's nearest cache, where numpy makes about twenty.
Every operation rounds by itself, as numpy's do, so the bits are the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kledit_lite.unlearn.arithmetic.precision import INFINITE

STEP = 2048
"""Values widened at a time."""
TO_THE_TOP = np.uint32((1 << 31) - INFINITE["BF16"])
"""From the bits of the smallest float32 that bfloat16 rounds to infinity to the sign's bit."""


@njit(nogil=True, cache=True)
def _widen(raw: np.ndarray, out: np.ndarray) -> None:
    for i in range(raw.shape[0]):
        out[i] = np.uint32(raw[i]) << np.uint32(16)


@njit(nogil=True, cache=True)
def _step(out: np.ndarray, base: np.ndarray, other: np.ndarray, by: np.float32, n: int) -> None:
    for i in range(n):
        out[i] += (other[i] - base[i]) * by


@njit(nogil=True, cache=True)
def _narrow(bits: np.ndarray, raw: np.ndarray) -> np.uint32:
    above = np.uint32(0)  # its highest bit: was any value too large?
    for i in range(raw.shape[0]):
        word = bits[i]
        above |= np.uint32((word & np.uint32(0x7FFFFFFF)) + TO_THE_TOP)
        odd = np.uint32((word >> np.uint32(16)) & np.uint32(1))
        raw[i] = np.uint16(np.uint32(word + odd + np.uint32(0x7FFF)) >> np.uint32(16))
    return above


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
        scratch: (3, STEP) uint32.

    Returns:
        Whether all results are finite as stored.
    """
    wide = scratch.view(np.float32)
    above = np.uint32(0)
    for low in range(0, target.shape[0], STEP):
        n = min(STEP, target.shape[0] - low)
        part = target[low : low + n]
        _widen(part, scratch[0])
        _widen(base[low : low + n], scratch[1])
        _widen(forget[low : low + n], scratch[2])
        _step(wide[0], wide[1], wide[2], -alpha, n)
        if retained:
            _widen(retain[low : low + n], scratch[2])
            _step(wide[0], wide[1], wide[2], beta, n)
        above |= _narrow(scratch[0], part)
    return above < np.uint32(1 << 31)
