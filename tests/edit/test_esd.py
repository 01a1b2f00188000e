"""The fine-tuning baseline: its target, what it trains, and that it puts everything back."""

import copy

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit import Edit, EsdRecipe, esd_x, negative_target
from kledit_lite.edit import esd as module
from kledit_lite.inside import encode_prompts, latents_for
from kledit_lite.inside.sampler import encode_nothing

QUICK = EsdRecipe(steps=2, sampling_steps=3, lr=1e-3)


def test_the_target_is_the_same_for_noise_v_and_clean_latents() -> None:
    e = [torch.randn(2, 3, dtype=torch.float64) for _ in range(3)]
    z, a, s = torch.randn(2, 3, dtype=torch.float64), 0.6, 0.8
    v = [(x - s * z) / a for x in e]
    noise = negative_target(*e, eta=2.0)
    torch.testing.assert_close(negative_target(*v, eta=2.0), (noise - s * z) / a)
    clean = [(z - s * x) / a for x in e]
    torch.testing.assert_close(negative_target(*clean, eta=2.0), (z - s * noise) / a)
    torch.testing.assert_close(noise, e[0] - 2 * (e[1] - e[2]))


def test_trains_cross_attention_only_and_puts_the_pipeline_back(pipe, state, unchanged) -> None:
    before, seen = state(pipe), []
    flags = {n: p.requires_grad for n, p in pipe.unet.named_parameters()}
    edit = esd_x(pipe, "seurat", "photo", QUICK, lambda step, loss: seen.append((step, loss)))
    unchanged(pipe, before)
    assert {n: p.requires_grad for n, p in pipe.unet.named_parameters()} == flags
    assert all(p.grad is None for p in pipe.unet.parameters())
    assert [s for s, _ in seen] == [1, 2] and all(loss > 0 for _, loss in seen)
    trained = {n for n, _ in pipe.unet.named_parameters() if ".attn2." in n}
    assert set(edit.changes) == {f"unet.{n}" for n in trained}
    assert all(0 < c.delta().abs().max() < 3e-3 for c in edit.changes.values())  # Adam, 2 steps
    with edit.apply(pipe):
        now = state(pipe)
        assert {n for n in before if not torch.equal(now[n], before[n])} == set(edit.changes)


def test_a_unet_in_float16_is_trained_in_float32_and_put_back(pipe, capfd) -> None:
    half = copy.deepcopy(pipe).to(dtype=torch.float16)
    rounded = copy.deepcopy(half).to(dtype=torch.float32)  # the same weights, but more room
    rounded.text_encoder = half.text_encoder
    before = {n: p.clone() for n, p in half.unet.state_dict().items()}
    ours = esd_x(half, "seurat", "photo", QUICK)
    after = half.unet.state_dict()
    assert half.unet.dtype == torch.float16 and all(
        torch.equal(after[n], before[n]) for n in before
    )
    capfd.readouterr()
    theirs = esd_x(rounded, "seurat", "photo", QUICK)
    assert capfd.readouterr().err == ""  # diffusers warns of casts; here there is none
    for name, change in ours.changes.items():
        torch.testing.assert_close(change.delta(), theirs.changes[name].delta(), rtol=0, atol=1e-5)
        assert change.delta().abs().max() > 0
    with ours.apply(half):
        now = half.unet.state_dict()
        assert sum(not torch.equal(now[n], before[n]) for n in before) == len(ours.changes)


def test_learns_its_target(pipe) -> None:
    """With one fixed time step the squared error to the target falls."""
    recipe = EsdRecipe(steps=12, sampling_steps=1, lr=1e-3, guidance=1.0)
    before = encode_prompts(pipe, ["seurat"]).hidden, encode_nothing(pipe).hidden
    z, t = latents_for(pipe, [7]), torch.tensor(999)
    with torch.no_grad():
        e_c, e_0 = (pipe.unet(z, t, encoder_hidden_states=h).sample for h in before)
    goal = negative_target(e_0, e_c, e_0, 2.0)
    edit = esd_x(pipe, "seurat", "", recipe)
    with edit.apply(pipe), torch.no_grad():
        after = pipe.unet(z, t, encoder_hidden_states=before[0]).sample
    assert (after - goal).square().mean() < 0.6 * (e_c - goal).square().mean()


@pytest.mark.parametrize("error", [KeyboardInterrupt, KleditError])
def test_an_interrupt_leaves_the_pipeline_as_it_was(pipe, state, unchanged, error) -> None:
    before = state(pipe)

    def stop(step: int, _loss: float) -> None:
        assert not torch.equal(
            state(pipe)["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"],
            before["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"],
        )
        raise error("stop")

    with pytest.raises(error):
        esd_x(pipe, "seurat", "photo", QUICK, stop)
    unchanged(pipe, before)


def test_runs_on_sdxl_and_sd2_shapes_and_saves(sdxl, sd2, state, unchanged, tmp_path) -> None:
    for shape in (sdxl, sd2):
        before = state(shape)
        edit = esd_x(shape, "seurat", "photo", QUICK)
        unchanged(shape, before)
        with Edit.load(edit.save(tmp_path / "esd.safetensors")).apply(shape):
            pass
        unchanged(shape, before)


def test_bad_input_is_one_clear_sentence(pipe, state, unchanged, monkeypatch) -> None:
    before = state(pipe)
    with pytest.raises(KleditError, match="steps and the batch must be at least 1"):
        esd_x(pipe, "seurat", recipe=EsdRecipe(steps=0))
    with pytest.raises(KleditError, match="the text encoder takes 28"):
        esd_x(pipe, "cat " * 30, recipe=QUICK)
    monkeypatch.setattr(module, "negative_target", lambda *a, **k: a[0] * float("nan"))
    with pytest.raises(KleditError, match="loss of ESD-x is not finite at step 1"):
        esd_x(pipe, "seurat", recipe=QUICK)
    unchanged(pipe, before)
