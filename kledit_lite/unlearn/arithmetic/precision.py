"""Raw bytes of stored values to single precision and back, rounded to nearest even.

NumPy has no bfloat16: it is the upper half of a float32, so widening is a shift and narrowing a
rounded one. Both are exact, the same as torch's on every value, and need no torch.
"""

from __future__ import annotations

import numpy as np

STORED = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""How a stored type is read from raw bytes, by safetensors' name of it."""
INFINITE = {"F64": 0x7FF << 52, "F32": 0x7F800000, "F16": 0x477FF000, "BF16": 0x7F7F8000}
"""Bits of the smallest float64 or float32 value that is infinite once stored in each type."""


def widen(raw: np.ndarray, dtype: str, out: np.ndarray) -> np.ndarray:
    """Stored values as float32 (or float64), exact.

    Args:
        raw: (n,) of ``STORED[dtype]``.
        dtype: safetensors' name of the stored type.
        out: float32 or float64 buffer of at least n values.

    Returns:
        The first n values of `out`.

    Example:
        >>> widen(np.array([0x3F80], np.uint16), "BF16", np.empty(1, np.float32)).tolist()
        [1.0]
    """
    out = out[: len(raw)]
    if dtype != "BF16":
        with np.errstate(invalid="ignore"):
            np.copyto(out, raw, casting="same_kind")
        return out
    if out.dtype != np.float32:
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            np.copyto(out, widen(raw, dtype, np.empty(len(raw), np.float32)))
        return out
    bits = out.view(np.uint32)
    np.copyto(bits, raw)
    np.left_shift(bits, 16, out=bits)
    return out


def narrow(values: np.ndarray, dtype: str, raw: np.ndarray, scratch: np.ndarray) -> None:
    """Round float32 (or float64) values to a stored type, to nearest, ties to even.

    Args:
        values: (n,); finite. **Overwritten** where the stored type is bfloat16.
        dtype: safetensors' name of the stored type.
        raw: (n,) of ``STORED[dtype]``, filled; values beyond the type's range become infinite.
        scratch: uint32 buffer of at least n values.

    Example:
        >>> raw = np.empty(1, np.uint16)
        >>> narrow(np.array([1.0], np.float32), "BF16", raw, np.empty(1, np.uint32))
        >>> hex(raw[0])
        '0x3f80'
    """
    if dtype != "BF16":
        with np.errstate(over="ignore"):
            np.copyto(raw, values, casting="same_kind")
        return
    bits, odd = values.view(np.uint32), scratch[: len(values)]
    np.right_shift(bits, 16, out=odd)
    np.bitwise_and(odd, 1, out=odd)
    np.add(bits, odd, out=bits)
    np.add(bits, 0x7FFF, out=bits)
    np.right_shift(bits, 16, out=bits)
    np.copyto(raw, bits, casting="unsafe")  # the upper half is zero


def fits(values: np.ndarray, dtype: str) -> bool:
    """Whether all values stay finite when they are rounded to the stored type.

    Floating-point numbers of one sign are ordered as their bits are, infinity and NaN last, so
    two maxima over whole numbers decide it.

    Args:
        values: (n,) float32, or float64 for ``"F64"``; n >= 1.
        dtype: safetensors' name of the stored type.

    Example:
        >>> fits(np.array([65504.0], np.float32), "F16"), fits(np.full(1, 1e5, np.float32), "F16")
        (True, False)
    """
    width = 64 if dtype == "F64" else 32
    positive = values.view(np.int64 if width == 64 else np.int32)
    negative = values.view(np.uint64 if width == 64 else np.uint32)
    limit = INFINITE[dtype]
    return bool(positive.max() < limit and negative.max() < limit | 1 << (width - 1))
