"""Slow, independent versions of the methods, from their definitions: what the library must equal.

Nothing here imports the code that it judges.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np


def msa_by_bytes(
    target: Path, base: Path, forget: Path, retain: Path | None, alpha: float, beta: float
) -> dict[str, np.ndarray]:
    """Model state arithmetic in double precision on the bytes of safetensors files.

    Returns:
        name -> values rounded once to the target's type, as float64.
    """
    files = [_safetensors(p) for p in (target, base, forget, retain) if p is not None]
    out = {}
    for name, (kind, zero) in files[0].items():
        others = [f[name][1].astype(np.float64) for f in files[1:]]
        value = zero.astype(np.float64) - alpha * (others[1] - others[0])
        if retain is not None:
            value = value + beta * (others[2] - others[0])
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
