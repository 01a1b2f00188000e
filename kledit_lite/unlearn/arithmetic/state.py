r"""The arithmetic of model states on tensors in memory, and the search for its strengths.

.. math:: \theta_{unlearn} = \theta_D - \alpha\,(\theta_1 - \theta_0) + \beta\,(\theta_2 - \theta_0)
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError


def combine(
    target: Float[torch.Tensor, "*shape"],
    base: Float[torch.Tensor, "*shape"],
    forget: Float[torch.Tensor, "*shape"],
    retain: Float[torch.Tensor, "*shape"] | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    room: Iterable[Float[torch.Tensor, "*shape"]] | None = None,
) -> Float[torch.Tensor, "*shape"]:
    r"""The formula on tensors, before rounding: :math:`\theta_D-\alpha(\theta_1-\theta_0)+...`.

    Each product and each sum is rounded by itself (no fused operations), so the result does not
    depend on how the tensors are cut into pieces.

    Args:
        target, base, forget, retain: tensors of one shape on any devices; `retain` may be None.
        alpha, beta: strength of the forget and of the retain vector.
        room: three tensors like the result to compute in, instead of new ones.

    Returns:
        The same shape in float32 (float64 if the target is), on the target's device; the first
        tensor of `room`.

    Example:
        >>> import torch
        >>> combine(torch.ones(2), torch.zeros(2), torch.full((2,), 0.25), alpha=2.0).tolist()
        [0.5, 0.5]
    """
    kind = torch.float64 if target.dtype == torch.float64 else torch.float32
    if room is None:
        room = [torch.empty_like(target, dtype=kind) for _ in range(3)]
    out, zero, vector = room
    out.copy_(target)
    zero.copy_(base)
    for other, strength in ((forget, -alpha), (retain, beta)):
        if other is not None:
            out += vector.copy_(other).sub_(zero).mul_(strength)
    return out


def msa_state(
    target: Mapping[str, torch.Tensor],
    base: Mapping[str, torch.Tensor],
    forget: Mapping[str, torch.Tensor],
    retain: Mapping[str, torch.Tensor] | None = None,
    alpha: float = 1.0,
    beta: float | None = None,
) -> dict[str, torch.Tensor]:
    r"""Model state arithmetic on state dicts in memory; the same values as `msa` bit for bit.

    With :math:`\alpha=1` and :math:`\theta_D=\theta_1` this is :math:`\theta_0` up to rounding: the
    difference of two floating-point numbers is exact where one is at most twice the other
    (Sterbenz), and is rounded elsewhere.

    Args:
        target, base, forget, retain: state dicts with equal names and shapes, on any devices.
        alpha: strength of the forget vector.
        beta: strength of the retain vector, 1 if None; needs `retain`.

    Returns:
        A state dict in the target's types, on its devices; tensors of whole numbers are the
        target's.

    Raises:
        KleditError: names or shapes differ, `beta` without `retain`, or the result is not finite.

    Cost O(values).

    Example:
        >>> import torch
        >>> one, zero = {"w": torch.ones(1)}, {"w": torch.zeros(1)}
        >>> msa_state(one, base=zero, forget=one)["w"].item()
        0.0
    """
    for role, state in (("base", base), ("forget", forget), ("retain", retain)):
        if state is None:
            continue
        if state.keys() != target.keys():
            name = sorted(state.keys() ^ target.keys())[0]
            raise KleditError(f"The {role} state and the target do not both have {name!r}.")
        for name, tensor in target.items():
            if state[name].shape != tensor.shape:
                raise KleditError(
                    f"{name!r} is {list(state[name].shape)} in the {role} state and "
                    f"{list(tensor.shape)} in the target."
                )
    beta = check_strengths(alpha, beta, retain)
    out = {}
    for name, tensor in target.items():
        if not tensor.is_floating_point():
            out[name] = tensor.clone()
            continue
        kept = None if retain is None else retain[name]
        value = combine(tensor, base[name], forget[name], kept, alpha, beta).to(tensor.dtype)
        if not value.isfinite().all():
            raise not_finite(name, alpha, beta)
        out[name] = value
    return out


def identities(
    target: Mapping[str, torch.Tensor],
    base: Mapping[str, torch.Tensor],
    forget: Mapping[str, torch.Tensor],
) -> dict[str, float]:
    r"""What the arithmetic must return whatever the weights, in shares and in roundings.

    With :math:`\alpha=1` the forget checkpoint itself goes back to the base, and with
    :math:`\alpha=\beta=1` and one checkpoint for both vectors the target comes back, each up to
    two roundings; with :math:`\alpha=0` the target is untouched.

    Args:
        target: the model to edit.
        base: the checkpoint.
        forget: the checkpoint after the forget set.

    Returns:
        Four figures. ``rollback_differ`` is the share of the weights that do not come back to
        the bit, ``rollback_roundings`` the largest error in units of what two roundings may do,
        at most 1, ``cancelled_roundings`` the same of the second case, and ``alpha_zero_differ``
        the share of the weights that the third case moves, 0.

    Cost: three results in memory.

    Example:
        >>> import torch
        >>> zero, one = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
        >>> identities(one, zero, one)["rollback_roundings"]
        0.0
    """
    rolled = msa_state(forget, base, forget)
    once = msa_state(target, base, forget)
    cancelled = msa_state(target, base, forget, forget)
    still = msa_state(target, base, forget, alpha=0.0)
    sizes = {n: t.numel() for n, t in target.items() if t.is_floating_point()}
    total = sum(sizes.values())
    back = roundings(rolled, base, ((forget, base), (base,)))
    return {
        "rollback_differ": sum(int((rolled[n] != base[n]).sum()) for n in sizes) / total,
        "rollback_roundings": back,
        "cancelled_roundings": roundings(cancelled, target, ((once,), (target,))),
        "alpha_zero_differ": sum(int((still[n] != target[n]).sum()) for n in sizes) / total,
    }


def roundings(
    found: Mapping[str, torch.Tensor],
    exact: Mapping[str, torch.Tensor],
    rounded: Iterable[tuple[Mapping[str, torch.Tensor], ...]],
) -> float:
    """The largest error of a state, in units of what some roundings may do to it.

    Args:
        found: what was computed.
        exact: what it should be.
        rounded: for each rounding the number that is rounded: a state, or two whose difference it
            is.
    """
    worst, rounded = 0.0, list(rounded)
    for name, tensor in found.items():
        if not tensor.is_floating_point():
            continue
        parts = [s[0][name] - s[1][name] if len(s) == 2 else s[0][name] for s in rounded]
        bound = torch.stack([p.abs() for p in parts]).sum(0) * (torch.finfo(tensor.dtype).eps / 2)
        error = (tensor - exact[name]).abs()
        worst = max(worst, float((error / bound.clamp(min=1e-38)).max()))
    return worst


def check_strengths(alpha: float, beta: float | None, retain: object) -> float:
    """The strength of the retain vector: 1 unless given, 0 without one.

    Args:
        alpha: strength of the forget vector.
        beta: strength of the retain vector, if it was given.
        retain: whatever holds the retain vector; None if there is none.

    Raises:
        KleditError: `beta` was given without `retain`, or one of the two is no finite number.

    Example:
        >>> check_strengths(1.0, None, "retain"), check_strengths(1.0, None, None)
        (1.0, 0.0)
    """
    if retain is None and beta:
        raise KleditError(
            f"beta is {beta:g}, but there is no retain checkpoint for it to weigh; give --retain, "
            "or leave --beta out."
        )
    beta = 0.0 if retain is None else 1.0 if beta is None else beta
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not math.isfinite(value):
            raise KleditError(f"{name} is {value}, expected a finite number such as 1.0.")
    return beta


def not_finite(name: str, alpha: float, beta: float) -> KleditError:
    """The error for a result with NaN or infinity.

    Args:
        name: the tensor that has them.
        alpha: strength of the forget vector.
        beta: strength of the retain vector.
    """
    return KleditError(
        f"The result has NaN or infinite values in {name!r} with alpha={alpha:g} and "
        f"beta={beta:g}; use smaller values, or look for NaN in the checkpoints."
    )


@dataclass(frozen=True)
class Trial:
    """One pair of strengths and its score.

    Attributes:
        alpha: strength of the forget vector.
        beta: strength of the retain vector.
        score: higher is better; NaN where there is none.
    """

    alpha: float
    beta: float
    score: float


def search(
    score: Callable[[float, float], float],
    alphas: Iterable[float] = (0.5, 0.75, 1.0, 1.25, 1.5),
    betas: Iterable[float] = (0.0,),
) -> tuple[Trial, list[Trial]]:
    """The strengths with the highest score on a **validation** split, and all trials.

    Args:
        score: from alpha and beta to a number, higher is better; NaN counts as the worst. A
            `KleditError` from it (a result that is not finite) does too.
        alphas, betas: tried in all pairs.

    Raises:
        KleditError: nothing to try, or no pair gave a number.

    Cost: len(alphas) len(betas) calls. Ties go to the pair tried first.

    Example:
        >>> search(lambda a, b: -abs(a - 1), alphas=(0.5, 1.0))[0].alpha
        1.0
    """
    trials = []
    for alpha, beta in product(alphas, betas):
        try:
            value = float(score(alpha, beta))
        except KleditError as error:
            print(f"alpha={alpha:g}, beta={beta:g}: {error}", file=sys.stderr)
            value = math.nan
        trials.append(Trial(alpha, beta, value))
    finite = [t for t in trials if not math.isnan(t.score)]
    if not finite:
        raise KleditError("No pair of alpha and beta gave a score; try smaller strengths.")
    return max(finite, key=lambda t: t.score), trials
