"""The SGD baseline: same optimum, and its scaling undone the right way."""

import subprocess
import sys

import numpy as np
import pytest

from kledit_lite.align import fit_aligner, fit_aligner_sgd, r2
from kledit_lite.align.sgd import TARGET_VARIANCE, unscale, variance_scale
from kledit_lite.core.errors import KleditError


def data(n=1200, d_s=6, d_t=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d_s))
    weight, bias = rng.normal(size=(d_s, d_t)), 5 * rng.normal(size=d_t)
    return 0.2 * x, x @ weight + bias


def test_scale_reaches_the_variance_over_all_entries() -> None:
    x, _ = data()
    for array in (x, x.astype(np.float32), x + 4):
        assert (variance_scale(array) * array).var() == pytest.approx(TARGET_VARIANCE, rel=1e-5)


def test_unscaling_is_exact_and_divides_the_bias_by_c2_only() -> None:
    rng = np.random.default_rng(1)
    x, weight, bias = rng.normal(size=(7, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    c1, c2 = 0.3, 11.0
    scaled = (c1 * x) @ weight + bias  # what the layer says about c2 * y
    w, b = unscale(weight, bias, c1, c2)
    np.testing.assert_allclose(x @ w + b, scaled / c2, rtol=1e-12)
    wrong = bias * c1 / c2
    assert not np.allclose(x @ w + wrong, scaled / c2)


def test_approaches_the_closed_form() -> None:
    x, y = data()
    exact = fit_aligner(x, y)
    near = fit_aligner_sgd(x, y, epochs=60, weight_decay=0.0, progress=False)
    np.testing.assert_allclose(near.weight, exact.weight, atol=0.02 * np.abs(exact.weight).max())
    np.testing.assert_allclose(near.bias, exact.bias, atol=0.02 * np.abs(exact.bias).max())
    assert float(r2(near, x, y)) <= float(r2(exact, x, y))
    assert near.meta["recipe"] == "sgd"


def test_seed_decides_and_the_global_state_is_left_alone() -> None:
    import torch

    x, y = data(n=200)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = fit_aligner_sgd(x, y, epochs=1, seed=3, progress=False)
    assert torch.equal(torch.rand(1), expected)
    again = fit_aligner_sgd(x, y, epochs=1, seed=3, progress=False)
    other = fit_aligner_sgd(x, y, epochs=1, seed=4, progress=False)
    np.testing.assert_array_equal(first.weight, again.weight)
    assert not np.array_equal(first.weight, other.weight)


def test_a_data_loader_takes_the_same_steps() -> None:
    x, y = data(n=210)
    plain = fit_aligner_sgd(x, y, epochs=2, progress=False)
    loaded = fit_aligner_sgd(x, y, epochs=2, progress=False, workers=0)
    np.testing.assert_array_equal(plain.weight, loaded.weight)
    np.testing.assert_array_equal(plain.bias, loaded.bias)


def test_progress_goes_to_stderr(capsys) -> None:
    fit_aligner_sgd(*data(n=200), epochs=2)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 2 and "2/2" in err


def test_bad_input_is_one_sentence() -> None:
    x, y = data(n=50)
    with pytest.raises(KleditError, match="row counts differ"):
        fit_aligner_sgd(x, y[:-1], progress=False)
    with pytest.raises(KleditError, match="All entries of the features"):
        fit_aligner_sgd(np.ones((50, 2)), y, progress=False)
    with pytest.raises(KleditError, match="both must be at least 1"):
        fit_aligner_sgd(x, y, batch=0, progress=False)
    with pytest.raises(KleditError, match="diverged"):
        fit_aligner_sgd(x, y, lr=1e6, epochs=40, batch=5, progress=False)


def test_importing_align_does_not_import_torch() -> None:
    code = "import sys, kledit_lite.align; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
