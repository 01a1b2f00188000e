"""``kledit influence`` and ``kledit hard-tasks``: a user's own features, labels and groups."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kledit_lite.core.commands import Command, File, Folder, Positive
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_writable, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Influence:
    """Which groups of a training set most help or harm test points.

    Attributes:
        features: .npz (features), .npy or CSV of numbers, a row per example
        labels: .npz (labels), .npy, or CSV with a header, a label per example
        groups: CSV with a header: columns of 0 and 1, or of names; or .npz (groups, names)
        test_features: of the test points (default: some of the examples are held out)
        test_labels: of the test points
        held_out: share of the examples to test on, where no test points are given
        l2: decay lambda of the softmax head
        order: of the prediction
        fixed: what training without a group keeps: lambda, or scikit-learn's C
        check: groups to train without, the most harmful and the most helpful ones; 0 for none
        raw: leave the features as they are, instead of mean 0 and variance 1 in each
        allow_duplicates: go on where examples are equal to each other
        seed: of the examples held out
        out: folder for groups.csv and groups.png
    """

    features: File
    labels: File
    groups: File
    test_features: File | None = None
    test_labels: File | None = None
    held_out: float = 0.2
    l2: float = 1e-3
    order: Literal["first", "second", "literal", "third", "newton"] = "second"
    fixed: Literal["lambda", "C"] = "lambda"
    check: int = 4
    raw: bool = False
    allow_duplicates: bool = False
    seed: int = 0
    out: Folder | None = None


@dataclass(frozen=True, kw_only=True)
class HardTasks:
    """Few-shot tasks on which an encoder's prototypes fail.

    Attributes:
        features: .npz (features), .npy or CSV of numbers, a row per image
        labels: .npz (labels), .npy, or CSV with a header, a label per image
        way: classes of a task
        shot: images of each class's support
        queries: of each class, to select with
        fresh: of each class, to judge with
        tasks: to draw
        method: of selecting
        metric: of the logits
        allow_duplicates: go on where images are equal to each other
        seed: of every draw
        out: folder for tasks.json and tasks.png
    """

    features: File
    labels: File
    way: Positive = 5
    shot: Positive = 5
    queries: Positive = 10
    fresh: Positive = 10
    tasks: Positive = 20
    method: Literal["one-step", "greedy", "projected", "best-of-random"] = "one-step"
    metric: Literal["euclidean", "cosine"] = "euclidean"
    allow_duplicates: bool = False
    seed: int = 0
    out: Folder | None = None


def influence(options: Influence) -> Results:
    """Train a softmax head, predict what removing each group does, and check some by retraining.

    Raises:
        KleditError: files that cannot be read or do not fit, or as `softmax_head`, `group_change`.
    """
    import numpy as np

    from kledit_lite.influence.groups import curvature, group_change, loss_change, spectral_radius
    from kledit_lite.influence.heads import softmax_head
    from kledit_lite.influence.retrain import relative_error, retraining_change

    start = time.perf_counter()
    if options.out is not None:
        check_writable(options.out)
    x, y, test_x, test_y, names, flags = _data(options)
    classes = int(y.max()) + 1
    x, test_x = _scaled(x, test_x, classes, options)
    head = softmax_head(x, y, options.l2, classes=classes)
    at = curvature(head)
    radius = {
        int(g): float(spectral_radius(at, flags[[g]], fixed=options.fixed)[0])
        for g in np.flatnonzero(flags.mean(axis=1) >= 0.5)  # no smaller group can reach 1
    }
    worst = max(radius, key=lambda g: radius[g], default=0)
    if options.order not in ("first", "newton") and radius.get(worst, 0.0) >= 1:
        raise KleditError(
            f"Group {names[worst]} is {flags[worst].mean():.0%} of the training set and the "
            f"spectral radius of its series is {radius[worst]:.2f}, where it diverges; take "
            "--order newton, or leave the group out."
        )
    change = group_change(at, flags, options.order, fixed=options.fixed, allow_divergent=True)
    predicted = loss_change(at, change, test_x, test_y, linear=False).mean(axis=1)
    order = np.argsort(predicted, kind="stable")
    half = options.check // 2
    ends = (*order[: options.check - half], *order[::-1][:half])
    chosen = list(dict.fromkeys(int(g) for g in ends if flags[g].any()))
    figures = {
        "groups": len(names),
        "examples": len(x),
        "test_points": len(test_x),
        "features": x.shape[1],
        "parameters": head.problem.size,
        "test_loss": float(head.losses(test_x, test_y).mean()),
        "test_accuracy": float((head.predict(test_x) == test_y).mean()),
        "most_harmful": float(predicted.min()),
        "most_helpful": float(predicted.max()),
    }
    true: dict[str, float] = {}
    if chosen:
        again = retraining_change(at, flags[chosen], fixed=options.fixed)
        moved = loss_change(at, again, test_x, test_y, linear=False).mean(axis=1)
        true = {names[g]: float(v) for g, v in zip(chosen, moved, strict=True)}
        figures["relative_error"] = float(np.median(relative_error(change[chosen], again)))
    if radius:
        figures["spectral_radius"] = radius[worst]
    rows = [
        {
            "group": names[g],
            "examples": int(flags[g].sum()),
            "share": float(flags[g].mean()),
            "change": float(predicted[g]),
            "retrained": true.get(names[g]),
            "spectral_radius": radius.get(int(g)),
        }
        for g in order
    ]
    if options.out is not None:
        _write_groups(options, names, predicted, true, rows)
    where = context(seed=options.seed, seconds=time.perf_counter() - start)
    return Results("influence", figures, {}, where, {"table": rows})


def hard_tasks(options: HardTasks) -> Results:
    """Draw tasks, select a hard support for each, and judge it on fresh queries too.

    Raises:
        KleditError: files that cannot be read or do not fit, or as `draw_task`.
    """
    import numpy as np

    from kledit_lite.influence import select
    from kledit_lite.influence.read import read_features, read_labels
    from kledit_lite.influence.tasks import check_distinct, draw_task
    from kledit_lite.metrics.stats import bootstrap_ci

    start = time.perf_counter()
    if options.out is not None:
        check_writable(options.out)
    features = read_features(options.features)
    labels, names = _codes(read_labels(options.labels, len(features)))
    if not options.allow_duplicates:
        check_distinct("features", features)
    rng, picks = np.random.default_rng(options.seed), np.random.default_rng(options.seed + 1)
    accuracies: dict[str, list[float]] = {}
    kept, clock = [], 0.0
    for _ in range(options.tasks):
        task = draw_task(
            features,
            labels,
            rng,
            way=options.way,
            shot=options.shot,
            queries=options.queries,
            fresh=options.fresh,
        )
        base = select.random_support(task, picks)
        began = time.perf_counter()
        if options.method == "one-step":
            hard = select.one_step(task, options.metric)
        elif options.method == "greedy":
            hard = select.greedy(task, options.metric, start=base)
        elif options.method == "projected":
            hard = select.projected_steps(task, options.metric)
        else:
            hard = select.best_of_random(task, picks, metric=options.metric)
        clock += time.perf_counter() - began
        for name, support in (("random", base), ("hard", hard)):
            for suffix, fresh in (("", False), ("_fresh", True)):
                found = select.score(task, support, options.metric, fresh=fresh).accuracy
                accuracies.setdefault(f"{name}{suffix}", []).append(found)
        kept.append(
            {
                "classes": [names[c] for c in task.classes],
                "support": task.rows[0][hard],
                "queries": task.rows[1],
                "fresh": task.rows[2],
                "accuracy": accuracies["hard"][-1],
                "accuracy_fresh": accuracies["hard_fresh"][-1],
            }
        )
    figures = {f"accuracy_{k}": float(np.mean(v)) for k, v in accuracies.items()}
    for suffix in ("", "_fresh"):
        drop = np.subtract(accuracies[f"random{suffix}"], accuracies[f"hard{suffix}"])
        figures[f"drop{suffix}"] = float(drop.mean())
        if len(drop) > 1:
            low, high = bootstrap_ci(drop, seed=options.seed)
            figures |= {f"drop{suffix}_low": low, f"drop{suffix}_high": high}
    figures |= {"tasks": options.tasks, "seconds_per_task": clock / options.tasks}
    if options.out is not None:
        _write_tasks(options, accuracies, kept)
    where = context(seed=options.seed, seconds=time.perf_counter() - start)
    return Results("hard-tasks", figures, {}, where)


def show_influence(results: Results) -> None:
    """Print the figures, and a line per group."""
    print(results.to_text())
    rows = results.extra["table"]
    width = max(len(r["group"]) for r in rows)
    print(f"\n  {'group':<{width}}  examples  share    change  trained again")
    for r in rows:
        again = "" if r["retrained"] is None else f"{r['retrained']:>+13.4f}"
        line = f"  {r['group']:<{width}}  {r['examples']:>8}  {r['share']:>5.1%}  "
        print(f"{line}{r['change']:>+8.4f}  {again}".rstrip())


def _data(options: Influence) -> tuple[Any, Any, Any, Any, tuple[str, ...], Any]:
    """Training and test points, and groups of the training points."""
    import numpy as np

    from kledit_lite.influence.read import read_features, read_groups, read_labels
    from kledit_lite.influence.tasks import check_distinct

    x = read_features(options.features)
    words = read_labels(options.labels, len(x))
    y, names = _codes(words)
    groups, flags = read_groups(options.groups, len(x))
    if not options.allow_duplicates:
        check_distinct("features", np.concatenate([x, y[:, None]], axis=1))
    given = (options.test_features is not None) + (options.test_labels is not None)
    if given == 1:
        raise KleditError("Give --test-features and --test-labels, or neither.")
    if options.test_features is not None and options.test_labels is not None:
        test_x = read_features(options.test_features)
        test_words = read_labels(options.test_labels, len(test_x))
        new = sorted(set(test_words) - set(names))
        if new:
            raise KleditError(f"No training example has the test label {new[0]!r}.")
        test_y = np.array([names.index(w) for w in test_words])
    else:
        if not 0 < options.held_out < 1:
            raise KleditError(f"held_out is {options.held_out}, expected a share between 0 and 1.")
        mixed = np.random.default_rng(options.seed).permutation(len(x))
        out = max(1, round(options.held_out * len(x)))
        test, train = np.sort(mixed[:out]), np.sort(mixed[out:])
        test_x, test_y = x[test], y[test]
        x, y, flags = x[train], y[train], flags[:, train]
        if len(set(y.tolist())) < len(names):
            raise KleditError("A class has all of its examples held out; give test points instead.")
    whole = [g for g, flag in zip(groups, flags, strict=True) if np.asarray(flag).all()]
    if whole:
        raise KleditError(
            f"Group {whole[0]} is the whole training set; removing it leaves nothing to train on."
        )
    return x, y, test_x, test_y, groups, flags


def _scaled(x: Any, test_x: Any, classes: int, options: Influence) -> tuple[Any, Any]:
    """Standardised features, and as many principal components as the exact Hessian takes."""
    from kledit_lite.influence.problem import standardised

    if test_x.shape[1] != x.shape[1]:
        raise KleditError(f"Test points have {test_x.shape[1]} features, training {x.shape[1]}.")
    return (x, test_x) if options.raw else standardised(x, test_x, classes)


def _codes(words: list[str]) -> tuple[Any, list[str]]:
    """Labels as integers (n,), and the classes' names."""
    import numpy as np

    names = sorted(set(words))
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[w] for w in words]), names


def _write_groups(
    options: Influence,
    names: tuple[str, ...],
    predicted: np.ndarray,
    true: dict[str, float],
    rows: list[dict[str, Any]],
) -> None:
    import pandas as pd

    from kledit_lite.influence.figures import group_effects
    from kledit_lite.viz.card import png

    assert options.out is not None
    figure = group_effects(names, predicted, true, "What each group does to the test loss")
    write_atomically(options.out / "groups.png", png(figure))
    write_atomically(options.out / "groups.csv", pd.DataFrame(rows).to_csv(index=False))


def _write_tasks(
    options: HardTasks, accuracies: dict[str, list[float]], kept: list[dict[str, Any]]
) -> None:
    from kledit_lite.influence.figures import task_accuracies
    from kledit_lite.viz.card import png

    assert options.out is not None
    pairs = {n: (accuracies[n], accuracies[f"{n}_fresh"]) for n in ("random", "hard")}
    figure = task_accuracies(pairs, f"{options.way}-way {options.shot}-shot tasks")
    write_atomically(options.out / "tasks.png", png(figure))
    plain = [
        {k: v.tolist() if hasattr(v, "tolist") else v for k, v in task.items()} for task in kept
    ]
    write_atomically(options.out / "tasks.json", json.dumps(plain))


COMMANDS = (
    Command(
        "influence",
        "which groups of a training set help or harm test points",
        Influence,
        influence,
        show_influence,
    ),
    Command("hard-tasks", "few-shot tasks on which an encoder fails", HardTasks, hard_tasks),
)
