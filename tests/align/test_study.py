"""Pictures, heads and ridges of a comparison, on tiny worlds and folders."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kledit_lite import align, world
from kledit_lite.align.study import FOLDER_TEMPLATES
from kledit_lite.core.errors import KleditError

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4):
            noise = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_painted_pictures_test_on_combinations_never_fitted_on():
    p = align.load_pictures(12, 6, seed=3)
    assert p.fit.shape == (12, 64, 64, 3) and p.test.shape == (6, 64, 64, 3)
    assert all(world.is_held_out(s) for s in p.test_scenes)
    assert not any(world.is_held_out(s) for s in p.fit_scenes)
    assert [p.names[i] for i in p.test_labels] == [s.object for s in p.test_scenes]


def test_a_folder_is_split_without_overlap(folder):
    p = align.load_pictures(5, 3, folder=folder)
    assert (len(p.fit), len(p.test), p.names, p.test_scenes) == (5, 3, ("cat", "dog"), None)
    rows = {x.tobytes() for x in (*p.fit, *p.test)}
    assert len(rows) == 8
    with pytest.raises(KleditError, match="8 images, expected 10"):
        align.load_pictures(6, 4, folder=folder)
    with pytest.raises(KleditError, match="at least 2"):
        align.load_pictures(1, 4)


def test_encode_takes_both_kinds_of_model():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    both = SimpleNamespace(encode_image=lambda x: x.mean((1, 2)))
    assert align.encode(both, images).shape == (2, 3)
    assert align.encode(SimpleNamespace(encode=both.encode_image), images).shape == (2, 3)


def test_probe_is_least_squares_on_one_hot_labels():
    x, y = RNG.normal(size=(60, 4)), RNG.integers(0, 3, 60)
    head = align.probe(x, y, ["a", "b", "c"], ridge=0.0)
    design = np.c_[x, np.ones(60)]
    expected = np.linalg.lstsq(design, np.eye(3)[y], rcond=None)[0]
    np.testing.assert_allclose(np.c_[head.weight, head.bias], expected.T, atol=1e-9)


def test_heads_by_kind_of_model_and_pictures(folder):
    painted = align.load_pictures(30, 8)
    features = RNG.normal(size=(30, 3))
    own = align.LinearHead(np.eye(3), np.zeros(3), ("x", "y", "z"))
    zoo_like = SimpleNamespace(head=own, labels=lambda scenes: np.zeros(len(scenes), np.int64))
    head, labels, kind = align.target_head(zoo_like, painted, features)
    assert (head, kind) == (own, "own head") and labels.shape == (8,)
    headless = SimpleNamespace(head=None)
    head, labels, kind = align.target_head(headless, painted, features)
    assert kind == "probe" and head.weight.shape == (12, 3)
    np.testing.assert_array_equal(labels, painted.test_labels)

    pictures = align.load_pictures(5, 3, folder=folder)
    imagenet = align.LinearHead(np.ones((2, 3)), np.zeros(2), ("cat", "dog"))
    kinds = [
        align.target_head(SimpleNamespace(head=h), pictures, features[:5])[2]
        for h in (imagenet, own, None)
    ]
    assert kinds == ["own head", "probe", "probe"]
    asked = {}

    def zero_shot(names, templates):
        asked.update(names=names, templates=templates)
        return np.eye(2, 3)

    clip = SimpleNamespace(encode_text=None, head=zero_shot)
    head, _, kind = align.target_head(clip, pictures, features[:5])
    assert kind == "zero-shot" and asked == {"names": ("cat", "dog"), "templates": FOLDER_TEMPLATES}


def test_ridge_is_large_for_noise_and_small_for_plenty():
    x = RNG.normal(size=(400, 5))
    assert align.choose_ridge(x, x @ RNG.normal(size=(5, 2)), [0.0, 1e4]) == 0.0
    few = RNG.normal(size=(50, 45))
    noisy = few[:, :1] + 2 * RNG.normal(size=(50, 1))
    assert align.choose_ridge(few, noisy, [1e-6, 50.0]) == 50.0
    with pytest.raises(KleditError, match="grid"):
        align.choose_ridge(x, x, [])


def test_pair_table_takes_a_ridge_for_each_source():
    train = {n: RNG.normal(size=(40, 4)) for n in "ab"}
    heads = {n: align.LinearHead(np.eye(2, 4), np.zeros(2)) for n in "ab"}
    labels = np.arange(40) % 2
    table = align.pair_table(train, train, heads, labels, ridge={"a": 0.0, "b": 7.0})
    one = align.fit_aligner(train["b"], train["a"], 7.0)
    row = table.set_index("source").loc["b"]
    assert row.r2 == pytest.approx(float(align.r2(one, train["b"], train["a"])), rel=1e-9)
    with pytest.raises(KleditError, match="no value for b"):
        align.pair_table(train, train, heads, labels, ridge={"a": 0.0})


def test_a_self_supervised_models_shipped_probe_is_called_one() -> None:
    from kledit_lite import align, zoo

    pictures = align.load_pictures(40, 20, seed=3)
    kinds = {}
    for name in ("simclr-tiny", "resnet-tiny"):
        model = zoo.load_encoder(name)
        features = align.encode(model, pictures.fit)
        head, _, kinds[name] = align.target_head(model, pictures, features)
        assert head is model.head
    assert kinds == {"simclr-tiny": "probe", "resnet-tiny": "own head"}
