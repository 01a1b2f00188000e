"""Signatures name the shapes of arrays, and the functions keep to them.

The library itself checks no annotation. Here a function is wrapped so that jaxtyping and beartype
look at what goes in and comes out. ``Any`` in an annotation stands for whatever `as_features`
takes; of a list there is no shape to check.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import kledit_lite
from kledit_lite.align import (
    AffineMap,
    Aligner,
    attributes,
    bottleneck,
    concepts,
    contrast,
    drift,
    evaluate,
    linear,
    logic,
    principal,
    sgd,
    solve,
    study,
)
from kledit_lite.edit import esd, neurons
from kledit_lite.edit.handle import Change
from kledit_lite.edit.ridge import compress, gain, ridge
from kledit_lite.inside import devices, language, vision
from kledit_lite.inside.vision_tokens import TokenMaps
from kledit_lite.unlearn import losses, methods, trainer
from kledit_lite.unlearn.arithmetic import distance, pieces, state
from kledit_lite.unlearn.restor import recorded, retain_sweep, workbench
from kledit_lite.unlearn.tofu import metrics
from kledit_lite.zoo.head import LinearHead

jaxtyping = pytest.importorskip("jaxtyping")
beartype = pytest.importorskip("beartype", reason="beartype comes with the extra `test`")
# A whole number may stand where a float is asked for, as for mypy.
CHECKER = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))

LIBRARY = Path(kledit_lite.__file__).parent
FOLDERS = ("align", "edit", "inside", "unlearn")
SHAPE = re.compile(r"\b[A-Z]\w*\[(np\.ndarray|torch\.Tensor|Any), '[^']*'\]")
BARE = re.compile(r"\b(np\.ndarray|torch\.Tensor)\b")
# Functions' own signatures, and the states of models, whose tensors have any shape.
LOOSE = re.compile(r"Callable\[\[.*?\], [\w.]+\]|(Mapping|dict)\[str, torch\.Tensor\]")


@functools.lru_cache
def names(module: ModuleType) -> dict[str, Any]:
    """A module's names, those that only type checkers import included."""
    found = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module.__name__, "exec"), found)
    return found


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, raising `jaxtyping.TypeCheckError` for a wrong shape or element type."""

    @functools.wraps(function)
    def through(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    hints = typing.get_type_hints(
        inspect.unwrap(function), names(sys.modules[function.__module__]), include_extras=True
    )
    signature = inspect.signature(function)
    given = [p.replace(annotation=hints.get(n, p.empty)) for n, p in signature.parameters.items()]
    if is_context(function):
        hints.pop("return")  # what it gives out yields what the annotation says
    through.__signature__ = signature.replace(
        parameters=given, return_annotation=hints.get("return", signature.empty)
    )
    through.__annotations__ = hints
    return jaxtyping.jaxtyped(through, typechecker=CHECKER)


def is_context(function: Callable[..., Any]) -> bool:
    """Whether `contextlib.contextmanager` made it."""
    return inspect.isgeneratorfunction(inspect.unwrap(function))


def rows(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def ones(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).neg()


def yes(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool)


EYE = AffineMap(np.eye(3), np.zeros(3))
HEAD = LinearHead(np.eye(3), np.zeros(3))
BANK = concepts.ConceptBank(("a", "b"), np.eye(2, 3))
LOG = metrics.Log(rows(5) ** 2, rows(5) ** 2, rows(5, 2) ** 2, None)
BOOL = np.array([True, False, True, True])
FIT = np.eye(3)
FITTED = bottleneck.ConceptBottleneck().fit(rows(9, 2), np.arange(9) % 3)
# Function, arguments that fit, and arguments of which one has another shape. May only grow.
CASES: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]] = [
    (linear.fit_aligner, (rows(9, 3), rows(9, 2)), (rows(9, 3), rows(8, 2))),
    (AffineMap.__call__, (EYE, rows(4, 3)), (EYE, rows(3))),
    (solve.solve_moments, (FIT, FIT, 0.0, False, 9, np.zeros(3, bool)),
     (FIT, FIT[:2], 0.0, False, 9, np.zeros(3, bool))),
    (evaluate.head_predict, (HEAD, rows(4, 3)), (HEAD, rows(4))),
    (evaluate.accuracy, (HEAD, rows(4, 3), np.arange(3)[[0, 1, 2, 0]]),
     (HEAD, rows(4, 3), np.arange(3))),
    (evaluate.r2, (EYE, rows(4, 3), rows(4, 3)), (EYE, rows(4, 3), rows(5, 3))),
    (drift.concept_drift, (rows(9, 2), rows(7, 2), ["a", "b"]),
     (rows(9, 2), rows(7, 3), ["a", "b"])),
    (drift.split_half_threshold, (BOOL[:, None].astype(float),), (BOOL.astype(float),)),
    (concepts.zero_shot, (rows(4, 3), BANK), (rows(3), BANK)),
    (concepts.ConceptBank.similarity, (BANK, rows(4, 3)), (BANK, rows(4, 3, 1))),
    (concepts.top_images, (rows(5), 2), (rows(5, 1), 2)),
    (concepts.rank_classes, (rows(5), np.array([0, 0, 1, 1, 2])), (rows(5), np.arange(4))),
    (attributes.attribute_auroc, (rows(4, 1), BOOL[:, None], ["a"]), (rows(4, 1), BOOL, ["a"])),
    (attributes.bootstrap_auroc, ({"s": rows(4, 1)}, BOOL[:, None]),
     ({"s": rows(4)}, BOOL[:, None])),
    (bottleneck.concept_levels, (rows(4, 1), BOOL[:, None]), (rows(4, 1), BOOL)),
    (bottleneck.correct_concepts, (rows(4, 1), BOOL[:, None], rows(2, 1), [0]),
     (rows(4, 1), BOOL[:, None], rows(3, 1), [0])),
    (contrast.class_patterns, (rows(2, 3), rows(9, 3), EYE), (rows(2, 3), rows(9, 2), EYE)),
    (drift.presence, (rows(4, 2), ["a", "b"], {"a": "x", "b": "x"}),
     (rows(4), ["a", "b"], {"a": "x", "b": "x"})),
    (logic.retrieve, (rows(9, 2), ["a", "b"], "a"), (rows(9), ["a", "b"], "a")),
    (logic.precision_at, (np.arange(4), BOOL), (np.arange(4), BOOL[:, None])),
    (principal.principal_alignment, (rows(9, 3), rows(9, 3), 2), (rows(9, 3), rows(8, 3), 2)),
    (study.probe, (rows(4, 3), np.array([0, 1, 0, 1]), ["a", "b"]),
     (rows(4, 3), np.array([[0, 1, 0, 1]]), ["a", "b"])),
    (sgd.variance_scale, (rows(5, 2),), (rows(5),)),
    (sgd.unscale, (FIT, np.zeros(3), 1.0, 1.0), (FIT, np.zeros(2), 1.0, 1.0)),
    (gain, (ones(2, 3), 1.0), (ones(3), 1.0)),
    (ridge, (ones(4, 3), ones(2, 3), ones(2, 4), 1.0),
     (ones(4, 3), ones(2, 3), ones(3, 4), 1.0)),
    (compress, (ones(2, 3),), (ones(3),)),
    (neurons.z_scores, (ones(4, 3), ones(5, 3)), (ones(4, 3), ones(5, 2))),
    (esd.negative_target, (ones(2, 4), ones(2, 4), ones(2, 4), 1.0),
     (ones(2, 4), ones(2, 4), ones(1, 4), 1.0)),
    (losses.document_mean, (ones(2, 5), yes(2, 5)), (ones(2, 5), yes(2, 4))),
    (losses.next_token, (ones(2, 5), yes(2, 5)), (ones(2, 5), yes(5))),
    (losses.gradient_ascent, (ones(2, 5), yes(2, 5)), (ones(2, 5), ones(2, 5))),
    (losses.kl, (ones(2, 5, 7), ones(2, 5, 7), yes(2, 5)),
     (ones(2, 5, 7), ones(2, 5, 6), yes(2, 5))),
    (losses.divergence, (ones(2, 7), ones(2, 7)), (ones(2, 7), ones(7))),
    (losses.benchmark_kl, (ones(2, 5, 7), ones(2, 5, 7)), (ones(5, 7), ones(5, 7))),
    (losses.npo, (ones(2, 5), ones(2, 5), yes(2, 5), 0.1),
     (ones(2, 5), ones(2, 1), yes(2, 5), 0.1)),
    (losses.steer, (ones(2, 5, 3), ones(3), yes(2, 5)), (ones(2, 5, 3), ones(1), yes(2, 5))),
    (state.combine, (ones(3), ones(3), ones(3)), (ones(3), ones(3), ones(1))),
    (pieces.rounding, (ones(3), ones(3), ones(3)), (ones(3), ones(3), ones(1))),
    (retain_sweep.pack, (BOOL,), (BOOL[None],)),
    (distance.kl_difference, ([rows(2, 5) ** 2], [rows(2, 5) ** 2]),
     ([rows(2, 5) ** 2], [rows(3, 5) ** 2])),
    (workbench.recovered, (BOOL, ~BOOL, BOOL), (BOOL, ~BOOL, BOOL[:3])),
    (recorded.difference, (BOOL, ~BOOL, "abcd"), (BOOL, BOOL[:3], "abcd")),
    (language.token_log_probs, (ones(2, 5, 7), torch.ones(2, 5, dtype=torch.int64)),
     (ones(2, 5, 7), torch.ones(2, 4, dtype=torch.int64))),
]  # fmt: skip
# What returns an array and is given none.
RETURNS = [
    (metrics.probability, (LOG,)),
    (metrics.normalised_probability, (LOG,)),
    (metrics.truth_ratio, (LOG,)),
    (retain_sweep.unpack, (retain_sweep.pack(BOOL), 4)),
    (bottleneck.ConceptBottleneck.logits, (FITTED, rows(4, 2))),
    (bottleneck.ConceptBottleneck.decision_function, (FITTED, rows(4, 2))),
    (bottleneck.ConceptBottleneck.predict_proba, (FITTED, rows(4, 2))),
    (bottleneck.ConceptBottleneck.predict, (FITTED, rows(4, 2))),
    (bottleneck.ConceptBottleneck.contributions, (FITTED, rows(4, 2))),
    (bottleneck.ConceptBottleneck.contributions, (FITTED, rows(2))),
    (Aligner.predict, (Aligner().fit(rows(9, 2), rows(9, 3)), rows(4, 2))),
    (Aligner.predict, (Aligner().fit(rows(9, 2), rows(9)), rows(4, 2))),
    (Change.delta, (Change(ones(4, 1), ones(1, 3)),)),
    (Change.delta, (Change(ones(4)),)),
    (methods.RMU.control, (methods.RMU(layer=0), 3)),
    (vision.Parts.total.fget, (vision.Parts(ones(2, 3, 4), ("a", "b"), 0.0),)),
    (TokenMaps.grid, (TokenMaps(ones(2, 3, 5), ("a", "b"), 1),)),
    (language.Scores.mean.fget, (language.Scores(rows(4), np.arange(1, 5)),)),
    (trainer.order, (5, 2, 1, 0)),
    (devices.double, (ones(2, 3),)),
]


def name(value: object) -> str | None:
    return value.__qualname__ if callable(value) else None


@pytest.mark.parametrize(("function", "right", "wrong"), CASES, ids=name)
def test_shapes_are_as_the_signature_says(function, right, wrong):
    sure = checked(function)
    sure(*right)
    with pytest.raises(jaxtyping.TypeCheckError, match="The problem arose"):
        sure(*wrong)


@pytest.mark.parametrize(("function", "given"), RETURNS, ids=name)
def test_what_comes_out_is_as_the_signature_says(function, given):
    checked(function)(*given)


def turned(x: jaxtyping.Float[np.ndarray, "n d"]) -> jaxtyping.Float[np.ndarray, "n d"]:
    return x.T


def test_a_planted_wrong_return_is_seen():
    checked(turned)(rows(3, 3))
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        checked(turned)(rows(3, 2))


def signatures(tree: ast.Module | ast.ClassDef, scope: str = "") -> Iterator[tuple[str, str]]:
    """(name, annotation) of each parameter, return and field of what is public."""
    for node in tree.body:
        called = getattr(node, "name", "_")
        if called.startswith("_") and called != "__call__":
            continue
        if isinstance(node, ast.FunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            for annotation in [a.annotation for a in given] + [node.returns]:
                if annotation is not None:
                    yield scope + called, ast.unparse(annotation)
        if isinstance(node, ast.ClassDef):
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    yield scope + called, ast.unparse(field.annotation)
            yield from signatures(node, f"{scope}{called}.")


def bare(annotation: str) -> bool:
    """Whether an array stands in an annotation without its shape."""
    return bool(BARE.search(SHAPE.sub("", LOOSE.sub("", annotation))))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_array_has_a_shape(folder):
    found = {
        f"{path.relative_to(LIBRARY)}: {where}: {annotation}"
        for path in sorted((LIBRARY / folder).rglob("*.py"))
        for where, annotation in signatures(ast.parse(path.read_text(encoding="utf-8")))
        if bare(annotation)
    }
    assert found == set(), "\n".join(sorted(found))


def test_an_array_without_a_shape_is_seen():
    source = "def f(a: np.ndarray | None, b: Float[np.ndarray, 'n d']) -> list[torch.Tensor]: ..."
    assert [bare(a) for _, a in signatures(ast.parse(source))] == [True, False, True]


def test_every_annotation_can_be_read():
    """Each shape of the four packages is one that jaxtyping understands."""
    seen = 0
    for folder in FOLDERS:
        for path in sorted((LIBRARY / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "from jaxtyping import" not in text:
                continue
            parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
            module = importlib.import_module(".".join(parts))
            for node in vars(module).values():
                if inspect.isfunction(node) and node.__module__ == module.__name__:
                    typing.get_type_hints(inspect.unwrap(node), names(module))
                    seen += 1
    assert seen > 100
