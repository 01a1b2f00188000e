"""Neuron scores against a slow oracle; ablated outputs are what was asked, and hooks go away."""

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.edit import ablated, neuron_scores, z_scores
from kledit_lite.edit.neurons import NeuronScores
from kledit_lite.inside import Sampling, encode_prompts, end_position, last_subject_position, paint

STYLED = [
    "a cat in the style of seurat",
    "a red car on the beach in the style of seurat",
    "a house by seurat in the city",
]
PLAIN = ["a cat", "a red car on the beach", "a photo of a house", "two blue boats"]


@pytest.fixture
def scores(pipe) -> NeuronScores:
    return neuron_scores(pipe, STYLED, PLAIN, [8, 9], subject="seurat")


def by_hand(pipe, name: str, position: str) -> tuple[np.ndarray, np.ndarray]:
    """|z| and the mean without, one prompt and one neuron at a time."""
    module = pipe.unet.get_submodule(name.removeprefix("unet.").removesuffix(".weight"))
    values: list[list[list[float]]] = [[], []]
    for which, prompts in enumerate((STYLED, PLAIN)):
        for prompt in prompts:
            at = end_position(pipe.tokenizer, prompt)
            if position == "last-subject":
                at = last_subject_position(pipe.tokenizer, prompt, None if which else "seurat")
            elif position == "pad":
                at = 19
            c = encode_prompts(pipe, [prompt]).hidden[0, at]
            values[which].append((c.double() @ module.weight.detach().double().T).tolist())
    z, mean = [], []
    for x, y in zip(zip(*values[0], strict=True), zip(*values[1], strict=True), strict=True):
        error = np.sqrt(np.var(x, ddof=1) / len(x) + np.var(y, ddof=1) / len(y))
        z.append(abs(np.mean(x) - np.mean(y)) / error)
        mean.append(np.mean(y))
    return np.array(z), np.array(mean)


@pytest.mark.parametrize("position", ["last-subject", "end", "pad"])
def test_scores_equal_the_slow_definition(pipe, position) -> None:
    at = 19 if position == "pad" else position
    found = neuron_scores(pipe, STYLED, PLAIN, [8, 9], subject="seurat", position=at)
    assert len(found.z) == 4
    for name in list(found.z)[:2]:
        z, mean = by_hand(pipe, name, position)
        np.testing.assert_allclose(found.z[name], z, rtol=1e-3)
        np.testing.assert_allclose(found.mean_without[name], mean, atol=1e-5)


def test_neurons_that_never_differ_score_zero(pipe) -> None:
    start = neuron_scores(pipe, STYLED, PLAIN, [8], position=0)  # always the same token
    assert all(bool((z == 0).all()) for z in start.z.values())
    x = torch.tensor([[1.0, 5.0], [1.0, 6.0]])
    assert z_scores(x, torch.tensor([[1.0, 0.0], [1.0, 1.0]])).tolist()[0] == 0


def test_the_top_neurons(scores) -> None:
    top = scores.top(5)
    for name, chosen in top.items():
        assert sorted(scores.z[name].argsort(descending=True)[:5].tolist()) == sorted(
            chosen.tolist()
        )
    across = scores.top(7, across=True)
    every = sorted((float(z) for zs in scores.z.values() for z in zs), reverse=True)[:7]
    found = [float(scores.z[n][i]) for n, chosen in across.items() for i in chosen]
    assert sorted(found, reverse=True) == every
    rows = scores.table(7)
    assert [r["z"] for r in rows] == every and {"K", "V"} >= {r["matrix"][-1] for r in rows}
    width = len(next(iter(scores.z.values())))
    with pytest.raises(KleditError, match=f"Cannot choose {width + 1} neurons: there are {width}"):
        scores.top(width + 1)
    with pytest.raises(KleditError, match="in all"):
        scores.top(10**6, across=True)


def test_a_neuron_of_every_concept_is_no_neuron_of_one() -> None:
    """Two concepts share neuron 0; each has one of its own, whatever the scale of its scores."""
    z = [torch.tensor([50.0, 8.0, 1.0, 0.0]), torch.tensor([60.0, 2.0, 9.0, 0.0])]
    mine, theirs = (NeuronScores({"a": x}, {"a": x}, {"a": -x}) for x in z)
    assert mine.top(1)["a"].tolist() == theirs.top(1)["a"].tolist() == [0]
    apart = mine.against([theirs])
    torch.testing.assert_close(apart.z["a"], torch.tensor([50 / 60, 4.0, 1 / 9, 0.0]))
    assert apart.top(1)["a"].tolist() == [1]
    assert theirs.against([mine]).top(1)["a"].tolist() == [2]
    assert apart.mean_without is mine.mean_without and apart.mean_with is mine.mean_with
    # the largest of several others counts, in any order
    third = NeuronScores({"a": torch.tensor([1.0, 16.0, 1.0, 0.0])}, {}, {})
    for others in ([theirs, third], [third, theirs]):
        assert mine.against(others).z["a"][1] == 0.5
    for bad in ([], [NeuronScores({"b": z[0]}, {}, {})]):
        with pytest.raises(KleditError, match="at least one other concept"):
            mine.against(bad)


def outputs(pipe, run) -> dict[str, torch.Tensor]:
    """What to_k and to_v of layer 8 give, as the attention sees it."""
    seen: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in pipe.unet.named_modules():
        if name.endswith(("attn2.to_k", "attn2.to_v")):
            handles.append(
                module.register_forward_hook(lambda _m, _a, out, n=name: seen.update({n: out}))
            )
    run()
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_ablated_outputs_are_zero_or_the_mean(pipe, scores, how) -> None:
    neurons = scores.top(6)
    sampling = Sampling(steps=1, guidance=2.0)
    clean = outputs(pipe, lambda: paint(pipe, STYLED[:2], 0, sampling))
    for conditional, positions in ((False, None), (True, None), (True, [3, 8])):
        with ablated(pipe, neurons, how, scores, conditional, positions) as fired:
            held = outputs(pipe, lambda: paint(pipe, STYLED[:2], 0, sampling))
            fired.expect(1)
        for name, chosen in neurons.items():
            key = name.removeprefix("unet.").removesuffix(".weight")
            value = scores.mean_without[name][chosen].float() if how == "mean" else torch.zeros(6)
            expected = clean[key].clone()
            rows = slice(2 if conditional else 0, None)
            at = range(expected.shape[1]) if positions is None else positions
            for t in at:
                expected[rows, t, chosen] = value
            # later layers see other pictures but the same text, so the rest is untouched
            torch.testing.assert_close(held[key], expected, rtol=0, atol=0)
    again = outputs(pipe, lambda: paint(pipe, STYLED[:2], 0, sampling))
    assert all(torch.equal(again[k], clean[k]) for k in clean)


def test_hooks_go_when_the_block_fails(pipe, scores) -> None:
    with pytest.raises(KeyboardInterrupt), ablated(pipe, scores.top(2)):
        raise KeyboardInterrupt


def test_dropping_more_moves_the_picture_more(pipe, scores) -> None:
    sampling = Sampling(steps=2, guidance=2.0)
    before = paint(pipe, STYLED[:2], 0, sampling).astype(float)
    every = len(next(iter(scores.z.values())))
    moved = []
    for count in (0, every):
        with ablated(pipe, scores.top(count)):
            images = paint(pipe, STYLED[:2], 0, sampling)
        moved.append(float(np.abs(images - before).mean()))
    assert moved[0] == 0 < moved[1]


def test_runs_on_sdxl_and_sd2_shapes(sdxl, sd2) -> None:
    for shape in (sdxl, sd2):
        found = neuron_scores(shape, STYLED, PLAIN, None, subject="seurat")
        with ablated(shape, found.top(3), "mean", found, conditional=True) as fired:
            images = paint(shape, STYLED[:1], 0, Sampling(steps=2, guidance=2.0))
            fired.expect(2)
        assert images.dtype == np.uint8


def test_bad_input_is_one_clear_sentence(pipe, scores) -> None:
    name, zs = next(iter(scores.z.items()))
    width = len(zs)
    for call, words in [
        (lambda: neuron_scores(pipe, STYLED[:1], PLAIN, [8]), "at least 2 prompts"),
        (lambda: neuron_scores(pipe, STYLED, "a cat", [8]), "at least 2 prompts"),
        (lambda: neuron_scores(pipe, STYLED, PLAIN, [8], position=28), "There is no token 28"),
        (lambda: neuron_scores(pipe, STYLED, PLAIN, [8], subject="dog"), "its tokens are"),
        (lambda: neuron_scores(pipe, STYLED, PLAIN, [99]), "do not exist"),
        (lambda: ablated(pipe, scores.top(2), "mean").__enter__(), "needs the scores"),
        (
            lambda: ablated(pipe, {name: torch.tensor([width])}).__enter__(),
            f"has {width} neurons, numbered from 0; got {width}",
        ),
    ]:
        with pytest.raises(KleditError, match=words):
            call()
    with pytest.raises(UnknownNameError, match="choose one of: zero, mean"):
        ablated(pipe, scores.top(2), "noise").__enter__()
    with (
        ablated(pipe, scores.top(2), conditional=True),
        pytest.raises(KleditError, match="no conditional half"),
    ):
        paint(pipe, STYLED[:1], 0, Sampling(steps=1, guidance=1.0))
