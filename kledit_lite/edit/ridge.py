r"""One ridge solver for every closed-form edit.

An edit asks a linear map W to send given keys to new values while it stays near what it was:

.. math::
    \min_W \sum_i w_i \|W x_i - y_i\|^2 + \mu \sum_j \|W c_j - W_0 c_j\|^2
    + \lambda \|W - W_0\|_F^2

This is equation 5.8 of the thesis (DiffQuickFix) and the objective of section 4.5.1 of the
prospectus (LocoEdit) with row weights w and texts c to preserve (UCE, Gandikota et al. 2024).
With :math:`W = W_0 + \Delta` all that matters is the residual :math:`R = Y - X W_0^T`:

.. math::
    \Delta = R^T P, \qquad P = D X A^{-1}, \qquad A = X^T D X + \mu C^T C + \lambda I

where D is the diagonal of the w. The gain P (N, d) depends on the keys alone, so the layers that
read the same text share it. Written with :math:`Z = [\sqrt{D} X; \sqrt{\mu} C]` of M rows,
:math:`A^{-1} Z^T = Z^T (Z Z^T + \lambda I)^{-1}`: with fewer rows than dimensions the small
M x M system is the one to solve.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError, unknown

Form = Literal["auto", "primal", "dual"]
FORMS = ("auto", "primal", "dual")


def precision(device: torch.device | str = "cpu") -> torch.dtype:
    """The dtype to solve in: float64, or float32 on a device that has no float64 (Apple's).

    Example:
        >>> precision()
        torch.float64
    """
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def gain(
    keys: Float[torch.Tensor, "N d"],
    strength: float,
    *,
    weights: Float[torch.Tensor, " N"] | None = None,
    keep: Float[torch.Tensor, "K d"] | None = None,
    keep_weight: float = 1.0,
    form: Form = "auto",
    dtype: torch.dtype | None = None,
) -> Float[torch.Tensor, "N d"]:
    r"""The matrix P with :math:`\Delta = R^T P` (see the module).

    Args:
        keys: (N, d) inputs of the map, one row each.
        strength: :math:`\lambda \ge 0`; how much the map clings to what it was.
        weights: (N,) importance :math:`w \ge 0` of each row; None for ones.
        keep: (K, d) further inputs whose outputs must not move.
        keep_weight: :math:`\mu \ge 0`, importance of those.
        form: ``"primal"`` solves d x d, ``"dual"`` (N + K) x (N + K), ``"auto"`` the smaller.
        dtype: float64 or float32; None chooses, see `precision`.

    Returns:
        (N, d) in `dtype`, on the device of the keys.

    Raises:
        KleditError: wrong shapes, NaN, a negative strength, or a strength lost in rounding.

    Cost O(min(M, d)^3 / 3 + M d min(M, d)) with M = N + K.

    Example:
        >>> x = torch.eye(2)[:1]
        >>> gain(x, 3.0).tolist()
        [[0.25, 0.0]]
    """
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    dtype = precision(keys.device) if dtype is None else dtype
    if dtype not in (torch.float64, torch.float32):
        raise KleditError(f"The ridge is solved in float64 or float32, not in {dtype}.")
    check_strength("strength", strength)
    check_strength("keep_weight", keep_weight)
    x = _rows("keys", keys, None).to(dtype)
    n, d = x.shape
    root = None
    if weights is not None:
        if weights.shape != (n,) or not bool((weights >= 0).all()):
            raise KleditError(
                f"weights has shape {tuple(weights.shape)}; expected one number of at least 0 for "
                f"each of {n} keys."
            )
        root = weights.to(x).sqrt()[:, None]
    z = x if root is None else root * x
    if keep is not None and len(keep) and keep_weight > 0:
        z = torch.cat([z, keep_weight**0.5 * _rows("keep", keep, d).to(x)])
    dual = form == "dual" or (form == "auto" and len(z) < d)
    system = z @ z.T if dual else z.T @ z
    system.diagonal().add_(strength)
    factor = _cholesky(system, strength, len(z))
    if dual:
        p = torch.cholesky_solve(z, factor)[:n]  # (Z Z^T + lambda)^-1 Z
    else:
        p = torch.cholesky_solve(z[:n].T, factor).T  # Z (Z^T Z + lambda)^-1
    return p if root is None else root * p


def ridge(
    weight: Float[torch.Tensor, "out d"],
    keys: Float[torch.Tensor, "N d"],
    values: Float[torch.Tensor, "N out"],
    strength: float,
    *,
    weights: Float[torch.Tensor, " N"] | None = None,
    keep: Float[torch.Tensor, "K d"] | None = None,
    keep_weight: float = 1.0,
    form: Form = "auto",
    dtype: torch.dtype | None = None,
) -> Float[torch.Tensor, "out d"]:
    r"""The map nearest to `weight` that sends keys to values.

    Equation: :math:`W = (\lambda W_0 + \sum_i v_i k_i^T)(\lambda I + \sum_i k_i k_i^T)^{-1}`
    (thesis, equation 5.9), with row weights and preserved inputs as in the module.

    Args:
        weight: (out, d), the map as it is, in the layout of `torch.nn.Linear`.
        keys: (N, d) inputs.
        values: (N, out) wanted outputs, **without** the layer's bias, which is added again later.
        strength: As in `gain`.
        weights: As there.
        keep: As there.
        keep_weight: As there.
        form: As there.
        dtype: As there.

    Returns:
        (out, d) in the dtype solved in.

    Raises:
        KleditError: as `gain`; or values of another shape.

    Example:
        >>> ridge(torch.zeros(1, 2), torch.eye(2), torch.ones(2, 1), 3.0).tolist()
        [[0.25, 0.25]]
    """
    p = gain(
        keys, strength, weights=weights, keep=keep, keep_weight=keep_weight, form=form, dtype=dtype
    )
    if weight.ndim != 2 or weight.shape[1] != keys.shape[1]:
        raise KleditError(
            f"weight has shape {tuple(weight.shape)}, expected (out, {keys.shape[1]}) to fit keys "
            f"{tuple(keys.shape)}."
        )
    if values.shape != (len(keys), len(weight)):
        raise KleditError(
            f"values has shape {tuple(values.shape)}, expected {(len(keys), len(weight))}: one "
            "output for each key."
        )
    before = weight.to(p)
    return before + (values.to(p) - keys.to(p) @ before.T).T @ p


def compress(
    p: Float[torch.Tensor, "N d"],
) -> tuple[Float[torch.Tensor, "r N"], Float[torch.Tensor, "r d"]]:
    """Split the gain into orthonormal directions and what mixes them, for storing an edit.

    With ``P = mix^T basis``, a change ``R^T P`` is ``(mix R)^T basis``, where rounding `basis`
    costs nothing however alike the keys are.

    Args:
        p: (N, d), from `gain`.

    Returns:
        mix (r, N) and basis (r, d) with orthonormal rows, r = min(N, d). O(N d r).

    Example:
        >>> mix, basis = compress(torch.eye(2)[:1])
        >>> (mix.T @ basis).tolist()
        [[1.0, 0.0]]
    """
    q, r = torch.linalg.qr(p.T)  # (d, r), (r, N)
    return r, q.T


def check_strength(name: str, value: float) -> None:
    """Raise unless the number is finite and at least 0."""
    if not (isinstance(value, int | float) and 0 <= value < float("inf")):
        raise KleditError(f"{name} is {value!r}, expected a finite number of at least 0.")


def _rows(name: str, x: torch.Tensor, d: int | None) -> torch.Tensor:
    if x.ndim != 2 or not len(x) or (d is not None and x.shape[1] != d):
        raise KleditError(
            f"{name} has shape {tuple(x.shape)}, expected (rows, {d or 'd'}) with at least one row."
        )
    if not bool(torch.isfinite(x).all()):
        raise KleditError(
            f"{name} {tuple(x.shape)} has NaN or infinite values; run the text encoder in float32 "
            "or bfloat16, or undo the last edit."
        )
    return x


def _cholesky(system: torch.Tensor, strength: float, rows: int) -> torch.Tensor:
    factor, info = torch.linalg.cholesky_ex(system)
    pivots = factor.diagonal()
    tiny = 10 * len(system) * torch.finfo(system.dtype).eps
    if int(info) or not bool(pivots.min() ** 2 > tiny * pivots.max() ** 2):
        raise KleditError(
            f"With strength {strength} the {len(system)} x {len(system)} system of {rows} rows has "
            "no unique solution within rounding; use a larger strength, or distinct prompts."
        )
    return factor
