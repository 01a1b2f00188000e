"""Concept vectors, zero-shot and the free bottleneck against slow obvious versions."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from kledit_lite.align import (
    TEMPLATES,
    ConceptBank,
    ConceptBottleneck,
    asked_once,
    attribute_auroc,
    bootstrap_auroc,
    concept_levels,
    concept_vector,
    correct_concepts,
    fill_templates,
    rank_classes,
    top_images,
    zero_shot,
    zero_shot_accuracy,
)
from kledit_lite.core.errors import KleditError, UnknownNameError


class Encoder:
    """A text encoder that gives every distinct text its own random direction and length."""

    def __init__(self, dim: int = 8) -> None:
        self.dim, self.calls = dim, []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.calls.append(list(texts))
        seeds = [sum(ord(c) * 31**i for i, c in enumerate(t)) % 2**32 for t in texts]
        rows = [np.random.default_rng(s).normal(size=self.dim) * (1 + s % 7) for s in seeds]
        return np.stack(rows).astype(np.float32)


def slow_vector(encode: Encoder, sentences: list[str]) -> np.ndarray:
    total = 0
    for sentence in sentences:
        v = encode([sentence])[0].astype(np.float64)
        total = total + v / np.sqrt((v**2).sum())
    return total / np.sqrt((total**2).sum())


def test_a_concept_is_the_mean_of_normalised_embeddings_normalised() -> None:
    encode = Encoder()
    ours = concept_vector(encode, "a red car", ["{}", "a photo of {}"])
    np.testing.assert_allclose(ours, slow_vector(encode, ["a red car", "a photo of a red car"]))
    assert np.linalg.norm(ours) == pytest.approx(1)
    raw = encode(["a red car", "a photo of a red car"]).mean(axis=0)  # lengths would decide
    assert not np.allclose(ours, raw / np.linalg.norm(raw), atol=1e-3)


def test_banks_are_joined_in_their_order_and_remember_where_a_concept_came_from() -> None:
    encode = Encoder()
    banks = {
        "object": ConceptBank.build(encode, ["cat", "boat"]),
        "place": ConceptBank.build(encode, ["beach"]),
    }
    bank, group_of = ConceptBank.joined(banks)
    assert bank.names == ("cat", "boat", "beach")
    assert group_of == {"cat": "object", "boat": "object", "beach": "place"}
    np.testing.assert_allclose(bank.vectors[2], banks["place"].vectors[0])
    with pytest.raises(KleditError, match="cat"):
        ConceptBank.joined({"a": banks["object"], "b": banks["object"]})


def test_a_text_is_encoded_once_and_answers_do_not_depend_on_the_order() -> None:
    encode, plain = Encoder(), Encoder()
    once = asked_once(encode)
    asked = [["a", "b", "a"], ["b"], ["c", "a"]]
    for texts in asked:
        np.testing.assert_array_equal(once(texts), plain(texts))
    assert encode.calls == [["a", "b"], ["c"]]


def test_an_attribute_is_judged_where_it_counts() -> None:
    rng = np.random.default_rng(0)
    s, has, valid = rng.normal(size=(50, 2)), rng.random((50, 2)) < 0.4, rng.random((50, 2)) < 0.7
    table = attribute_auroc(s, has, ["red", "cat"], valid=valid).table
    for c in range(2):
        rows = valid[:, c]
        assert table["auroc"][c] == pytest.approx(roc_auc_score(has[rows, c], s[rows, c]))
        assert table["positives"][c] == has[rows, c].sum()
    everywhere = attribute_auroc(s, has, ["red", "cat"]).table["auroc"]
    assert not np.allclose(everywhere, table["auroc"])


def test_classes_are_put_before_the_phrase() -> None:
    encode, templates = Encoder(), ["a photo of {}", "art of {}"]
    sentences = [t.format(f"{c} in a tree") for t in templates for c in ("a cat", "a dog")]
    assert fill_templates("in a tree", templates, ["a cat", "a dog"]) == sentences
    ours = concept_vector(encode, "in a tree", templates, ["a cat", "a dog"])
    np.testing.assert_allclose(ours, slow_vector(encode, sentences))


def test_a_bank_is_its_concepts_in_one_call() -> None:
    encode = Encoder()
    concepts = {"cat": ["a cat", "a kitten"], "beach": "on the beach"}
    bank = ConceptBank.build(encode, concepts)
    assert len(encode.calls) == 1 and len(encode.calls[0]) == 3 * len(TEMPLATES)
    for i, phrases in enumerate(concepts.values()):
        np.testing.assert_allclose(bank.vectors[i], concept_vector(encode, phrases))
    assert bank.names == ("cat", "beach") and len(bank) == 2
    np.testing.assert_allclose(bank.subset(["beach"]).vectors[0], bank.vectors[1])


def test_similarity_is_the_cosine_and_zero_shot_its_argmax() -> None:
    rng = np.random.default_rng(0)
    bank = ConceptBank(("a", "b", "c"), rng.normal(size=(3, 8)))
    x = rng.normal(size=(50, 8)) * 100
    x[7] = 0
    ours = bank.similarity(x)
    for i in range(50):
        for c in range(3):
            v = bank.vectors[c]
            norm = np.linalg.norm(x[i]) * np.linalg.norm(v)
            assert ours[i, c] == pytest.approx(x[i] @ v / norm if norm else 0)
    np.testing.assert_array_equal(zero_shot(x, bank), ours.argmax(axis=1))
    labels = np.arange(50) % 3
    assert zero_shot_accuracy(x, bank, labels) == np.mean(ours.argmax(axis=1) == labels)
    assert bank.similarity(x.astype(np.float32)).dtype == np.float32


def test_rankings() -> None:
    s = np.array([0.3, 0.9, 0.1, 0.9, 0.5])
    assert top_images(s, 3).tolist() == [1, 3, 4]
    assert top_images(s, 2, largest=False).tolist() == [2, 0]
    assert len(top_images(s, 99)) == 5
    order, mean = rank_classes(s, [5, 2, 5, 2, 9])
    assert order.tolist() == [2, 9, 5]
    np.testing.assert_allclose(mean, [0.9, 0.5, 0.2])


@pytest.fixture(scope="module")
def similarities():
    rng = np.random.default_rng(0)
    attributes = rng.integers(0, 2, size=(400, 5))
    s = 0.2 + 0.05 * attributes + 0.03 * rng.normal(size=(400, 5))
    labels = attributes[:, 0] + 2 * attributes[:, 1]
    return s, attributes, labels


NAMES = ("fur", "wings", "red", "tall", "wet")


def test_contributions_sum_to_the_logits_exactly(similarities) -> None:
    s, _, labels = similarities
    model = ConceptBottleneck(NAMES).fit(s, labels)
    parts = model.contributions(s)
    assert parts.shape == (400, 4, 5)
    np.testing.assert_allclose(parts.sum(axis=2) + model.intercept_, model.logits(s), rtol=1e-11)
    k, c, i = 2, 1, 17
    expected = model.coef_[k, c] * (s[i, c] - s[:, c].mean()) / s[:, c].std()
    assert parts[i, k, c] == pytest.approx(expected, rel=1e-11)
    np.testing.assert_allclose(model.contributions(s[17]), parts[17])


@pytest.mark.parametrize("classes", [2, 4])
def test_bottleneck_is_scikit_learns_head(similarities, classes: int) -> None:
    s, _, labels = similarities
    labels = labels % classes + 10
    model = ConceptBottleneck(NAMES).fit(s, labels)
    z = StandardScaler().fit_transform(s)
    head = LogisticRegression(max_iter=2000).fit(z, labels)
    np.testing.assert_array_equal(model.predict(s), head.predict(z))
    assert model.score(s, labels) == head.score(z, labels) > 0.6
    logits = model.logits(s)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, head.predict_proba(z), atol=1e-9)


def test_bottleneck_takes_a_concept_that_never_changes(similarities) -> None:
    s, _, labels = similarities
    s = s.copy()
    s[:, 4] = 0.25
    model = ConceptBottleneck(NAMES).fit(s, labels)
    np.testing.assert_allclose(model.contributions(s)[:, :, 4], 0, atol=1e-12)


def test_attribute_auroc(similarities) -> None:
    s, attributes, _ = similarities
    report = attribute_auroc(s, attributes.astype(bool), NAMES)
    each = [roc_auc_score(attributes[:, c], s[:, c]) for c in range(5)]
    np.testing.assert_allclose(report.table["auroc"], each)
    assert report.mean == pytest.approx(np.mean(each))
    assert report.share(0.75) == np.mean(np.array(each) >= 0.75)
    assert report.table["positives"].tolist() == attributes.sum(axis=0).tolist()


def test_bad_input_is_one_sentence(similarities) -> None:
    s, attributes, labels = similarities
    bank = ConceptBank(("a", "b"), np.eye(2))
    cases = [
        (lambda: concept_vector(Encoder(), "cat", ["a photo"]), "exactly one {}"),
        (lambda: concept_vector(Encoder(), []), "at least one phrase"),
        (lambda: concept_vector(Encoder(), "cat", classes=[]), "classes is empty"),
        (lambda: concept_vector(lambda t: np.eye(2), "cat", ["{}"]), r"\(2, 2\) for 1 sentences"),
        (
            lambda: concept_vector(lambda t: [[1.0], [-1.0]], "cat", ["{}", "a {}"]),
            "cancel to a zero vector",
        ),
        (lambda: ConceptBank(("a", "a"), np.eye(2)), "given twice: a"),
        (lambda: ConceptBank(("a", "b"), np.zeros((2, 2))), "is zero"),
        (lambda: ConceptBank.build(Encoder(), []), "No concepts"),
        (lambda: bank.index("z"), "Unknown concept 'z'; choose one of: a, b"),
        (lambda: bank.similarity(np.eye(3)), "expected 2 features"),
        (lambda: zero_shot_accuracy(np.eye(2), bank, [0, 2]), "expected 0 to 1"),
        (lambda: top_images([0.1], 0), "k is 0"),
        (lambda: ConceptBottleneck(NAMES).fit(s, labels * 0), "at least two classes"),
        (lambda: ConceptBottleneck(NAMES[:2]).fit(s, labels), "2 names for 5 columns"),
        (lambda: attribute_auroc(s, attributes * 0, NAMES), "Attribute 'fur': AUROC needs both"),
        (lambda: attribute_auroc(s, attributes[:, :2], NAMES), "expected 5 features"),
    ]
    for call, message in cases:
        with pytest.raises(KleditError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(UnknownNameError):
        bank.subset(["z"])


def test_levels_and_corrections_are_class_means() -> None:
    rng = np.random.default_rng(0)
    s, has = rng.normal(size=(60, 4)), rng.random((60, 4)) < 0.4
    levels = concept_levels(s, has)
    for c in range(4):
        assert levels[0, c] == pytest.approx(s[~has[:, c], c].mean())
        assert levels[1, c] == pytest.approx(s[has[:, c], c].mean())
    out = correct_concepts(s, has, levels, [1, 3])
    np.testing.assert_array_equal(out[:, [0, 2]], s[:, [0, 2]])
    for i, c in np.ndindex(60, 2):
        column = (1, 3)[c]
        assert out[i, column] == levels[int(has[i, column]), column]
    with pytest.raises(KleditError, match="only one level"):
        concept_levels(s, np.ones_like(has))
    with pytest.raises(KleditError, match="expected 4 features"):
        correct_concepts(s, has[:, :3], levels, [0])


def test_a_correction_by_class_means_is_a_score_that_pictures_have() -> None:
    """The rule recovers what noise on one concept took; extreme scores overshoot."""
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=900)
    has = np.eye(3, dtype=bool)[y]
    s = 0.2 * has + 0.1 * rng.normal(size=(900, 3))
    rule = ConceptBottleneck(["a", "b", "c"]).fit(s[:600], y[:600])
    levels = concept_levels(s[:600], has[:600])
    mended = correct_concepts(s[600:], has[600:], levels, [0, 1, 2])
    assert rule.score(mended, y[600:]) == 1.0 > rule.score(s[600:], y[600:])


def test_bootstrapped_auroc_is_that_of_each_resample() -> None:
    rng = np.random.default_rng(3)
    has, valid = rng.random((50, 3)) < 0.4, rng.random((50, 3)) < 0.9
    tables = {n: has * lift + rng.normal(size=(50, 3)) for n, lift in (("good", 2.0), ("bad", 0.0))}
    out = bootstrap_auroc(tables, has, valid=valid, draws=4, seed=7)
    again = np.random.default_rng(7)
    for draw in range(4):
        rows = again.integers(50, size=50)
        for c in range(3):
            r = rows[valid[rows, c]]
            for name, s in tables.items():
                assert out[name][draw, c] == pytest.approx(roc_auc_score(has[r, c], s[r, c]))
    assert (out["good"].mean(1) > out["bad"].mean(1)).all()
    assert np.isnan(bootstrap_auroc({"s": [[0.1], [0.2]]}, [[1], [1]], draws=2)["s"]).all()
    with pytest.raises(KleditError, match="draws is 0"):
        bootstrap_auroc(tables, has, draws=0)
