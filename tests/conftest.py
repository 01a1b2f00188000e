"""What several folders of tests share: a real browser, and tiny text-to-image pipelines."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exercises that tests try are no learner's: each test has a folder for what is remembered."""
    monkeypatch.setenv("KLEDIT_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Skips, or fails in CI, for the reason given."""

    def stop(what: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)

    return stop


@pytest.fixture(scope="session")
def browser(missing: Callable[[str], NoReturn]) -> Iterator[object]:
    """A headless Chromium, one a process: Playwright allows no second."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing("no Chromium or Chrome on the PATH: tests/site/install_chromium.sh says how")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """clip-tiny's tokenizer, but padding with another token than the end, as in SD-2 and SDXL."""
    from transformers import CLIPTokenizer

    from kledit_lite import zoo

    tokenizer = CLIPTokenizer.from_pretrained(zoo.WEIGHTS / "clip-tiny")
    tokenizer.pad_token = "a"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    return tokenizer


@pytest.fixture(scope="session")
def sd1_pipe() -> Any:
    """paint-tiny's shape with a random UNet: 16 cross-attention layers, clip-tiny's text tower."""
    from kledit_lite.zoo import paint
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    return _quiet(paint.build_pipeline(paint.build_unet().eval(), PatchAutoencoder().eval()))


@pytest.fixture(scope="session")
def sd2_pipe(tiny_tokenizer: Any) -> Any:
    """Shrunken Stable Diffusion 2: its block types, 16 cross-attention layers, random weights."""
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 8, 16, 16),
        layers_per_block=2, norm_num_groups=4, attention_head_dim=(2, 2, 4, 4),
        use_linear_projection=True, cross_attention_dim=32,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    return _quiet(
        StableDiffusionPipeline(
            vae=_vae(),
            unet=unet.eval(),
            tokenizer=tiny_tokenizer,
            text_encoder=CLIPTextModel(_text_config(32, tiny_tokenizer)).eval(),
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    )


@pytest.fixture(scope="session")
def sdxl_pipe(tiny_tokenizer: Any) -> Any:
    """Shrunken SDXL: its block types, two text encoders, pooled text, random weights."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from kledit_lite import zoo
    from kledit_lite.zoo.tokenizer import load_tokenizer

    torch.manual_seed(3)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=2, transformer_layers_per_block=(1, 1, 2), norm_num_groups=4,
        attention_head_dim=(2, 4, 4), use_linear_projection=True, cross_attention_dim=24 + 40,
        addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=40 + 6 * 8,
    )  # fmt: skip
    first = load_tokenizer(zoo.WEIGHTS / "clip-tiny")
    return _quiet(
        StableDiffusionXLPipeline(
            vae=_vae(),
            unet=unet.eval(),
            tokenizer=first,
            tokenizer_2=tiny_tokenizer,
            text_encoder=CLIPTextModel(_text_config(24, first)).eval(),
            text_encoder_2=CLIPTextModelWithProjection(_text_config(40, tiny_tokenizer)).eval(),
            scheduler=EulerDiscreteScheduler(),
            add_watermarker=False,
        )
    )


def _vae() -> Any:
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    return PatchAutoencoder(latent_channels=4).eval()


def _text_config(width: int, tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe
