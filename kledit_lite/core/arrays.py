"""One way to check arrays on entry: each fault is one sentence that names the array and shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kledit_lite.core.errors import KleditError

_BLOCK = 8192  # rows looked at in one go, so that checking never copies a large array


def plain_array(array: object) -> object:
    """A torch tensor as a numpy array: detached, on the CPU, bfloat16 as float32; all else as is.

    Example:
        >>> import torch
        >>> plain_array(torch.ones(2, dtype=torch.bfloat16, requires_grad=True)).dtype
        dtype('float32')
    """
    if not (hasattr(array, "detach") and hasattr(array, "numpy")):
        return array
    tensor = array.detach().cpu()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Rows (..., d) at unit length; a row of zeros stays zero. Cost O(Nd).

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(length == 0, 1, length)


def count_bad_rows(x: np.ndarray, block: int = _BLOCK) -> int:
    """Rows of ``x`` (N, d) that hold a NaN or an infinity. Cost O(Nd), memory O(block d).

    Example:
        >>> count_bad_rows(np.array([[0.0, 1.0], [np.nan, 1.0]]))
        1
    """
    bad = 0
    for start in range(0, len(x), block):
        rows = x[start : start + block]
        with np.errstate(over="ignore", invalid="ignore"):
            total = rows.sum()  # one cheap number: any NaN or infinity makes it non-finite
        if not np.isfinite(total):
            bad += int((~np.isfinite(rows).all(axis=1)).sum())
    return bad


def check_finite(name: str, x: np.ndarray) -> None:
    """Raise `KleditError` with the number of bad rows if ``x`` (N, d) is not finite.

    Example:
        >>> check_finite("source", np.zeros((2, 3)))
    """
    if bad := count_bad_rows(x):
        raise KleditError(
            f"{name} {x.shape} has NaN or infinite values in {bad} of its {len(x)} rows; "
            "remove those rows from every paired array or find out which images caused them."
        )


def as_features(
    name: str, array: object, *, dim: int | None = None, min_rows: int = 1, finite: bool = True
) -> np.ndarray:
    """``array`` as a float matrix (N, d), checked; float32 and float64 are not copied.

    Args:
        name: what the array is called in the error.
        array: anything ``np.asarray`` takes, or a tensor (see `plain_array`); integers and
            float16 become float32 or float64.
        dim: the number of columns it must have, if that is known.
        min_rows: the fewest rows that make sense.
        finite: look for NaN and infinity too (one pass over the data).

    Raises:
        KleditError: not two-dimensional, empty, wrong width, too few rows, or not finite.

    Example:
        >>> as_features("source", [[1, 2], [3, 4]]).dtype
        dtype('float64')
    """
    x = np.asarray(plain_array(array))
    if x.ndim != 2:
        raise KleditError(
            f"{name} has shape {x.shape}, expected two dimensions (rows, features): "
            "flatten or pool each image's features into one row."
        )
    if x.dtype.kind not in "fiub":
        raise KleditError(f"{name} {x.shape} holds {x.dtype} values, expected real numbers.")
    if x.shape[1] == 0 or len(x) < min_rows:
        raise KleditError(
            f"{name} has shape {x.shape}, expected at least {min_rows} row"
            f"{'' if min_rows == 1 else 's'} and one feature: pass a larger batch."
        )
    if dim is not None and x.shape[1] != dim:
        raise KleditError(
            f"{name} has shape {x.shape}, expected {dim} features a row: "
            "were these features made by another encoder?"
        )
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(np.float32 if x.dtype == np.float16 else np.float64)
    if finite:
        check_finite(name, x)
    return x


def check_same_rows(**arrays: np.ndarray) -> None:
    """Raise `KleditError` unless all named arrays have the same number of rows.

    Example:
        >>> check_same_rows(source=np.zeros((3, 2)), target=np.zeros((3, 5)))
    """
    if len({len(x) for x in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise KleditError(
            f"These need one row per image, in the same order, but their row counts differ: "
            f"{shapes}."
        )


def as_vector(name: str, array: object, *, length: int | None = None) -> np.ndarray:
    """``array`` as a finite one-dimensional float64 vector, checked.

    Args:
        name: what the array is called in the error.
        array: anything ``np.asarray`` takes, or a tensor.
        length: of the vector, if that is known.

    Raises:
        KleditError: not one-dimensional, empty, of the wrong length, or not finite.

    Example:
        >>> as_vector("p", [0.1, 0.2]).shape
        (2,)
    """
    x = np.asarray(plain_array(array))
    if x.ndim != 1 or len(x) == 0 or (length is not None and len(x) != length):
        expected = "at least one value" if length is None else f"{length} values"
        raise KleditError(f"{name} has shape {x.shape}, expected a vector of {expected}.")
    if x.dtype.kind not in "fiub":
        raise KleditError(f"{name} {x.shape} holds {x.dtype} values, expected real numbers.")
    x = x.astype(np.float64)
    if bad := int((~np.isfinite(x)).sum()):
        raise KleditError(f"{name} {x.shape} has NaN or infinite values in {bad} places.")
    return x


def as_labels(name: str, array: object, rows: int, classes: int | None = None) -> np.ndarray:
    """``array`` as int64 labels (rows,), each in ``range(classes)`` if that is given.

    Args:
        name: what the array is called in the error.
        array: anything ``np.asarray`` takes, or a tensor.
        rows: labels there must be.
        classes: how many classes there are, if that is known.

    Raises:
        KleditError: wrong shape, not integers, or a label outside the range.

    Example:
        >>> as_labels("labels", [0, 1], rows=2, classes=2)
        array([0, 1])
    """
    x = np.asarray(plain_array(array))
    if x.shape != (rows,):
        raise KleditError(f"{name} has shape {x.shape}, expected ({rows},): one label a row.")
    if x.dtype.kind not in "iub":
        raise KleditError(f"{name} holds {x.dtype} values, expected integer class indices.")
    if classes is not None and rows and (x.min() < 0 or x.max() >= classes):
        raise KleditError(
            f"{name} runs from {x.min()} to {x.max()}, expected 0 to {classes - 1}: "
            "one index for each of the head's classes."
        )
    return x.astype(np.int64)


def as_names(name: str, values: Sequence[str], length: int | None = None) -> tuple[str, ...]:
    """``values`` as a tuple of distinct strings, checked.

    Args:
        name: what the names are called in the error.
        values: anything with a ``str``.
        length: how many there must be, if that is known.

    Raises:
        KleditError: the count is wrong, or a name appears twice.

    Example:
        >>> as_names("concepts", ["red", "blue"], 2)
        ('red', 'blue')
    """
    names = tuple(str(v) for v in values)
    if length is not None and len(names) != length:
        raise KleditError(f"{name}: got {len(names)} names for {length} columns.")
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise KleditError(
            f"{name} must differ from each other; given twice: {', '.join(repeated)}."
        )
    return names
