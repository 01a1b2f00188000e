r"""An affine map between two representation spaces, as a value: apply it, write it, read it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from kledit_lite.core.arrays import as_features, as_vector
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically


@dataclass(frozen=True, eq=False)
class AffineMap:
    r"""The affine map :math:`h(z) = W^T z + b` from a source space to a target space.

    Attributes:
        weight: (d_s, d_t) float.
        bias: (d_t,) float.
        meta: what is known of its making (rows, ridge, rank, names, ...); JSON values only.

    Example:
        >>> h = AffineMap(np.eye(2), np.ones(2))
        >>> h(np.zeros((1, 2))).tolist()
        [[1.0, 1.0]]
    """

    weight: Float[np.ndarray, "d_s d_t"]
    bias: Float[np.ndarray, " d_t"]
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weight = as_features("weight", self.weight)
        bias = as_vector("bias", self.bias, length=weight.shape[1]).astype(weight.dtype)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "meta", dict(self.meta))

    @property
    def d_source(self) -> int:
        """Width of the source space."""
        return self.weight.shape[0]

    @property
    def d_target(self) -> int:
        """Width of the target space."""
        return self.weight.shape[1]

    def __call__(self, features: Num[Any, "N d_s"]) -> Float[np.ndarray, "N d_t"]:
        """Map source features (N, d_s) to the target space, (N, d_t) in the features' dtype.

        Raises:
            KleditError: another width than d_s, no rows, NaN or infinity.

        Cost O(N d_s d_t).
        """
        x = as_features("features", features, dim=self.d_source)
        out = x @ self.weight.astype(x.dtype, copy=False)
        out += self.bias.astype(x.dtype, copy=False)
        return out

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to ``path`` as safetensors (written aside first, then renamed). Returns the path.

        Example:
            >>> import tempfile
            >>> folder = Path(tempfile.mkdtemp())
            >>> AffineMap(np.eye(2), np.zeros(2)).save(folder / "aligner.safetensors").name
            'aligner.safetensors'
        """
        from safetensors.numpy import save

        blob = save(
            {"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)},
            metadata={"meta": json.dumps(self.meta)},
        )
        return write_atomically(Path(path), blob)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AffineMap:
        """Read an aligner that `save` wrote.

        Raises:
            KleditError: no such file, or not an aligner.

        Example:
            >>> import tempfile
            >>> path = Path(tempfile.mkdtemp()) / "aligner.safetensors"
            >>> AffineMap.load(AffineMap(np.eye(2), np.zeros(2)).save(path)).d_source
            2
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), framework="numpy") as file:
                meta = json.loads((file.metadata() or {}).get("meta", "{}"))
                return cls(file.get_tensor("weight"), file.get_tensor("bias"), meta)
        except FileNotFoundError:
            why = f"There is no aligner at {path}; make one with AffineMap.save."
            raise KleditError(why) from None
        except (SafetensorError, json.JSONDecodeError) as error:
            why = f"{path} is not an aligner written by AffineMap.save: {error}."
            raise KleditError(why) from None
