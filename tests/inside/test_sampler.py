"""The sampler paints what diffusers' own pipelines paint."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Sampling, Text, decode, encode_prompts, latents_for, paint, sample
from kledit_lite.inside.sampler import check_deterministic

PROMPTS = ["a red cat on the beach", "a blue car in the style of van gogh"]


def by_pipeline(pipe, how):
    made = pipe(
        PROMPTS,
        latents=latents_for(pipe, [3, 4]),
        num_inference_steps=how.steps,
        guidance_scale=how.guidance,
        output_type="np",
    ).images
    return (made * 255).round().astype(np.uint8)


@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_pictures_are_the_pipelines_own(pipe, guidance):
    how = Sampling(steps=3, guidance=guidance)
    assert np.array_equal(paint(pipe, PROMPTS, [3, 4], how), by_pipeline(pipe, how))


def test_also_with_a_scheduler_that_remembers(sd2_pipe):
    pipe = copy.copy(sd2_pipe)
    pipe.scheduler = PNDMScheduler(skip_prk_steps=True, prediction_type="v_prediction")
    how = Sampling(steps=4)
    assert np.array_equal(paint(pipe, PROMPTS, [3, 4], how), by_pipeline(pipe, how))


def test_batches_do_not_change_the_picture(pipe):
    text, z = encode_prompts(pipe, PROMPTS), latents_for(pipe, [0, 1])
    together = sample(pipe, text, z, Sampling(steps=2))
    alone = sample(pipe, text, z, Sampling(steps=2, batch=1))
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


def test_bad_latents_and_texts(sd2_pipe):
    text = encode_prompts(sd2_pipe, PROMPTS)
    z = latents_for(sd2_pipe, [0, 1])
    with pytest.raises(KleditError, match="2 texts and 1 latents"):
        sample(sd2_pipe, text, z[:1])
    with pytest.raises(KleditError, match="NaN or infinite latents"):
        sample(sd2_pipe, text, z * float("nan"), Sampling(steps=1))
    with pytest.raises(KleditError, match="NaN pixels"):
        decode(sd2_pipe, z * float("nan"))
    with pytest.raises(KleditError, match="1 seeds and 2 prompts"):
        paint(sd2_pipe, PROMPTS, [0])
    with pytest.raises(KleditError, match="got one string"):
        encode_prompts(sd2_pipe, "a cat")


def test_sdxl_needs_pooled_text(sdxl_pipe):
    text = encode_prompts(sdxl_pipe, PROMPTS[:1])
    with pytest.raises(KleditError, match="needs pooled text"):
        sample(sdxl_pipe, Text(text.hidden), latents_for(sdxl_pipe, [0]), Sampling(1, guidance=1))


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "draws"),
    [
        ("DDIM", False),
        ("PNDM", False),
        ("EulerDiscrete", False),
        ("HeunDiscrete", False),
        ("DPMSolverMultistep", False),
        ("UniPCMultistep", False),
        ("DEISMultistep", False),
        ("EulerAncestralDiscrete", True),
        ("KDPM2AncestralDiscrete", True),
        ("DDPM", True),
        ("LCM", True),
        ("TCD", True),
        ("SASolver", True),
        ("CMStochasticIterative", True),
    ],
)
def test_a_scheduler_that_draws_noise_is_refused(name, draws):
    import diffusers

    kind = getattr(diffusers, f"{name}Scheduler")
    scheduler = kind.from_config(diffusers.DDIMScheduler().config)
    before = torch.get_rng_state()
    if draws:
        with pytest.raises(KleditError, match=f"{name}Scheduler draws noise.*--scheduler ddim"):
            check_deterministic(scheduler)
    else:
        check_deterministic(scheduler)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_solver_set_to_draw_noise_is_refused(sd2_pipe):
    from diffusers import DPMSolverMultistepScheduler

    pipe = copy.copy(sd2_pipe)
    pipe.scheduler = DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++")
    with pytest.raises(KleditError, match="draws noise"):
        paint(pipe, PROMPTS, 0, Sampling(steps=2))


def test_an_autoencoder_that_needs_float32_gets_it(sdxl_pipe):
    pipe = copy.copy(sdxl_pipe)
    vae = copy.deepcopy(sdxl_pipe.vae)
    z = latents_for(pipe, [0]).half()
    pipe.vae = vae.half().float()
    expected = decode(pipe, z.float())
    pipe.vae, seen = vae.half(), []
    vae.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    decode(pipe, z)
    vae.register_to_config(force_upcast=True)
    assert np.array_equal(decode(pipe, z), expected)
    assert seen == [torch.float16, torch.float32] and vae.dtype == torch.float16


def test_an_autoencoder_with_statistics_of_its_latents(sd2_pipe):
    pipe = copy.copy(sd2_pipe)
    pipe.vae = copy.deepcopy(sd2_pipe.vae)
    z = latents_for(pipe, [0])
    pipe.vae.register_to_config(latents_mean=[0.5] * 4, latents_std=[2.0] * 4)
    assert np.array_equal(decode(pipe, z), decode(sd2_pipe, z * 2 + 0.5))


def test_a_unet_that_takes_more_than_latents_and_sizes_that_do_not_fit(sd2_pipe):
    pipe = copy.copy(sd2_pipe)
    pipe.unet = copy.copy(sd2_pipe.unet)
    pipe.unet.register_to_config(in_channels=9)
    with pytest.raises(KleditError, match="takes 9 channels where its autoencoder makes 4"):
        paint(pipe, PROMPTS)
    for size in (4, 60):
        with pytest.raises(KleditError, match=f"multiple of 8 pixels, got {size}"):
            latents_for(sd2_pipe, [0], size)


def test_large_latents_are_decoded_few_at_a_time(sd2_pipe):
    seen = []
    hook = sd2_pipe.vae.decoder.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    z = torch.randn(5, sd2_pipe.unet.config.in_channels, 128, 128)
    try:
        made = decode(sd2_pipe, z)
    finally:
        hook.remove()
    assert seen == [4, 1] and len(made) == 5
