"""Alignment measures against their definitions, computed the slow way."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from kledit_lite.align import (
    AffineMap,
    ConceptBank,
    LinearHead,
    accuracy,
    aligned_accuracy,
    chance_level,
    fit_aligner,
    group_matrix,
    pair_matrix,
    pair_table,
    principal_alignment,
    r2,
    retained_accuracy,
    retained_ratio,
    sample_efficiency,
    weakest_target,
    zero_shot,
)
from kledit_lite.align import evaluate as module
from kledit_lite.core.errors import KleditError


@pytest.fixture(scope="module")
def world():
    """Four encoders that see the same latent classes through different linear eyes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, size=600)
    latent = np.eye(8)[labels] * 3 + rng.normal(size=(600, 8))
    widths = {"narrow": 3, "middle": 8, "wide": 20, "other": 10}
    eyes = {n: rng.normal(size=(8, d)) for n, d in widths.items()}
    features = {n: latent @ e + 0.1 * rng.normal(size=(600, e.shape[1])) for n, e in eyes.items()}
    train = {n: f[:400] for n, f in features.items()}
    test = {n: f[400:] for n, f in features.items()}
    heads = {}
    for n in ("narrow", "middle", "wide"):
        fit = fit_aligner(train[n], np.eye(4)[labels[:400]])
        heads[n] = LinearHead(fit.weight.T, fit.bias)
    return train, test, heads, labels[400:]


def test_r2_equals_scikit_learn_in_blocks(world, monkeypatch) -> None:
    train, test, _, _ = world
    h = fit_aligner(train["wide"], train["middle"])
    monkeypatch.setattr(module, "_BLOCK", 17)
    ours = r2(h, test["wide"], test["middle"])
    raw = r2_score(test["middle"], h(test["wide"]), multioutput="raw_values")
    np.testing.assert_allclose(ours.per_dimension, raw, rtol=1e-10)
    assert float(ours) == ours.mean == pytest.approx(r2_score(test["middle"], h(test["wide"])))


def test_accuracies_follow_their_definition(world) -> None:
    train, test, heads, labels = world
    h, head = fit_aligner(train["wide"], train["middle"]), heads["middle"]
    mapped = test["wide"] @ h.weight + h.bias
    aligned = np.mean((mapped @ head.weight.T + head.bias).argmax(1) == labels)
    own = np.mean((test["middle"] @ head.weight.T + head.bias).argmax(1) == labels)
    assert aligned_accuracy(h, test["wide"], head, labels) == aligned
    assert accuracy(head, test["middle"], labels) == own
    kept = retained_accuracy(h, test["wide"], test["middle"], head, labels)
    assert kept == aligned / own > 0.9


def test_identity_retains_everything(world) -> None:
    _, test, heads, labels = world
    same = AffineMap(np.eye(8), np.zeros(8))
    x = test["middle"]
    assert retained_accuracy(same, x, x, heads["middle"], labels) == 1.0


def test_pair_table_equals_one_pair_at_a_time(world) -> None:
    train, test, heads, labels = world
    table = pair_table(train, test, heads, labels)
    assert len(table) == 3 * 2 + 3  # "other" has no head: a source only
    for row in table.itertuples():
        h = fit_aligner(train[row.source], train[row.target])
        args = test[row.source], test[row.target], heads[row.target], labels
        assert row.retained == retained_accuracy(h, *args)
        assert row.retained == row.aligned / row.own
        assert row.r2 == pytest.approx(float(r2(h, *args[:2])), rel=1e-9)


def test_the_matrix_of_pairs_and_the_asymmetry_of_width(world) -> None:
    train, test, heads, labels = world
    table = pair_table(train, test, heads, labels)
    matrix = pair_matrix(table)
    assert list(matrix.index) == ["narrow", "middle", "wide", "other"]
    assert list(matrix.columns) == ["narrow", "middle", "wide"]
    assert np.isnan([matrix.loc[n, n] for n in matrix.columns]).all()
    assert matrix.notna().sum().sum() == 9
    scores = pair_matrix(table, "r2")
    assert scores.loc["wide", "narrow"] > scores.loc["narrow", "wide"] + 0.2


def test_labels_may_differ_by_head(world) -> None:
    train, test, heads, labels = world
    two = {**heads, "wide": LinearHead(heads["wide"].weight[:2], heads["wide"].bias[:2])}
    truth = {"narrow": labels, "middle": labels, "wide": labels % 2}
    table = pair_table(train, test, two, truth)
    assert set(table["target"]) == set(heads)


def test_group_matrix_averages_ordered_pairs() -> None:
    names = ["a", "b", "c"]
    matrix = pd.DataFrame(
        [[np.nan, 0.2, 0.3], [0.4, np.nan, 0.6], [0.7, 0.8, np.nan]], index=names, columns=names
    )
    out = group_matrix(matrix, {"a": "Sup", "b": "Sup", "c": "CLIP"})
    assert list(out.index) == list(out.columns) == ["Sup", "CLIP"]
    np.testing.assert_allclose(out.loc["Sup"], [0.3, 0.45])
    np.testing.assert_allclose(out.loc["CLIP", "Sup"], 0.75)
    assert np.isnan(out.loc["CLIP", "CLIP"])  # a model with itself is no pair
    with pytest.raises(KleditError, match="Model 'c' has no group"):
        group_matrix(matrix, {"a": "Sup", "b": "Sup"})


def test_sample_efficiency_rises_and_uses_subsets(world) -> None:
    train, test, heads, labels = world
    table = sample_efficiency(
        train["wide"],
        train["middle"],
        [5, 100, 400],
        source_test=test["wide"],
        target_test=test["middle"],
        head=heads["middle"],
        labels=labels,
        repeats=2,
    )
    assert table["rows"].tolist() == [5, 100, 400] * 2
    mean = table.groupby("rows")["r2"].mean()
    assert mean[5] < mean[100] < mean[400]
    full = fit_aligner(train["wide"], train["middle"])
    score = float(r2(full, test["wide"], test["middle"]))
    np.testing.assert_allclose(table["r2"][table["rows"] == 400], score)
    assert table["retained"].between(0, 2).all()


def test_principal_alignment_is_the_regression_of_components(world) -> None:
    train, _, _, _ = world
    x, y = train["middle"], train["wide"]
    out = principal_alignment(x, y, k=5)

    def scores(z):
        u, s, _ = np.linalg.svd(z - z.mean(0), full_matrices=False)
        return u[:, :5] * np.sqrt(len(z)), s**2 / (s**2).sum()

    (u, share), (v, _) = scores(x), scores(y)
    h = fit_aligner(u, v)
    np.testing.assert_allclose(np.abs(out.correspondence), np.abs(h.weight), atol=1e-8)
    np.testing.assert_allclose(out.r2, r2_score(v, h(u), multioutput="raw_values"), atol=1e-8)
    np.testing.assert_allclose(out.source_variance, share[:5])
    assert (out.correspondence.max(axis=0) >= -out.correspondence.min(axis=0)).all()


def test_principal_alignment_of_a_rotated_space_is_the_identity() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 6)) * [6, 5, 4, 3, 2, 1]
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    out = principal_alignment(x, x @ rotation - 3, k=6)
    np.testing.assert_allclose(out.correspondence, np.eye(6), atol=1e-8)
    np.testing.assert_allclose(out.r2, 1.0)
    np.testing.assert_allclose(out.source_variance, out.target_variance)


def test_clip_head_is_zero_shot_classification(world) -> None:
    _, test, _, _ = world
    bank = ConceptBank(("a", "b", "c"), np.random.default_rng(1).normal(size=(3, 8)))
    assert bank.head().label_names == bank.names
    predicted = module.head_predict(bank.head(), test["middle"])
    np.testing.assert_array_equal(predicted, zero_shot(test["middle"], bank))


def test_bad_input_is_one_sentence(world) -> None:
    train, test, heads, labels = world
    h = fit_aligner(train["wide"], train["middle"])
    cases = [
        (lambda: r2(h, test["wide"], test["wide"]), "expected 8 features"),
        (lambda: r2(h, test["wide"][:5], test["middle"]), "row counts differ"),
        (lambda: accuracy(heads["wide"], test["middle"], labels), "expected 20 features"),
        (lambda: accuracy(heads["wide"], test["wide"], labels + 1), "expected 0 to 3"),
        (
            lambda: retained_accuracy(
                h,
                test["wide"],
                test["middle"],
                LinearHead(np.zeros((5, 8)), np.zeros(5)),
                np.full(200, 4),
            ),
            "own accuracy is 0",
        ),
        (lambda: pair_table(train, {}, heads, labels), "only in one of them"),
        (lambda: pair_table({}, {}, heads, labels), "Unknown model with a head 'narrow'"),
        (lambda: pair_matrix(pair_table(train, test, heads, labels), "x"), "Unknown column 'x'"),
        (lambda: principal_alignment(train["narrow"], train["wide"], 4), "k is 4, expected 1 to 3"),
        (lambda: principal_alignment(np.ones((9, 3)), np.ones((9, 3)), 2), "0 directions only"),
        (
            lambda: sample_efficiency(
                train["wide"],
                train["middle"],
                [1, 500],
                source_test=test["wide"],
                target_test=test["middle"],
            ),
            r"sizes \[1, 500\] are out of range: expected 2 to 400",
        ),
    ]
    for call, message in cases:
        with pytest.raises(KleditError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_target_that_hardly_beats_guessing_retains_nothing() -> None:
    # 12 even classes, own accuracy .274 as of a weak probe: three times chance is .25 ...
    assert retained_ratio(0.52, 0.274, 1 / 12) == pytest.approx(0.52 / 0.274)
    # ... and .294 where the commonest label makes up .098
    assert np.isnan(retained_ratio(0.52, 0.274, 0.098))
    assert weakest_target(0.5) == 0.75 and weakest_target(0.2) == pytest.approx(0.6)
    head = LinearHead(np.eye(4), np.zeros(4))
    assert chance_level(head, [0, 1, 2, 3]) == 0.25 and chance_level(head, [1, 1, 1, 0]) == 0.75
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    strong = np.eye(4)[labels]
    weak = np.where(rng.random((400, 1)) < 0.2, strong, np.eye(4)[rng.integers(4, size=400)])
    same = AffineMap(np.eye(4), np.zeros(4))
    assert np.isnan(retained_accuracy(same, strong, weak, head, labels))
    assert retained_accuracy(same, strong, strong, head, labels) == 1.0
    train = {"strong": strong + 0.01 * rng.normal(size=strong.shape), "weak": weak}
    table = pair_table(
        train, train, {"strong": head, "weak": head}, labels, allow_rank_deficient=True
    ).set_index("target")
    assert np.isnan(table.loc["weak", "retained"]) and table.loc["weak", "aligned"] > 0.2
    assert np.isfinite(table.loc["strong", "retained"])
    assert table.loc["weak", "chance"] == chance_level(head, labels)


def test_no_right_answer_among_few_may_be_bad_luck():
    assert np.isnan(retained_ratio(0.5, 0.0, chance=1 / 12, n=15))
    with pytest.raises(KleditError, match="own accuracy is 0"):
        retained_ratio(0.5, 0.0, chance=1 / 12, n=200)
