"""Stable Diffusion 1.5, 2.1 and XL in miniature: their layers and text encoders, 72 pixels."""

from __future__ import annotations

from typing import Any

from kledit_lite.models.miniatures import seeded
from kledit_lite.models.miniatures.tokenizers import END, clip_tokenizer

SIDE = 9
"""Side of the latents, odd, so that no code may count on halves; pictures have 72 pixels."""
SIDES = {"sd-1.5": 64, "sd-2.1": 96, "sdxl": 128}
"""Published sides of the latents."""
SHRINK = 32
"""Published widths are divided by this."""

UNETS: dict[str, dict[str, Any]] = {
    "sd-1.5": {
        "block_out_channels": (320, 640, 1280, 1280), "attention_head_dim": 8,
        "cross_attention_dim": 768,
    },
    "sd-2.1": {
        "block_out_channels": (320, 640, 1280, 1280), "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024, "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": (320, 640, 1280), "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048, "use_linear_projection": True,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10), "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip
"""As published; what is not named here is diffusers' default."""
WIDTHS = (
    "block_out_channels",
    "cross_attention_dim",
    "addition_time_embed_dim",
    "projection_class_embeddings_input_dim",
)
TEXTS: dict[str, dict[str, Any]] = {
    "clip-l": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
               "projection_dim": 768, "hidden_act": "quick_gelu"},
    "openclip-h": {"hidden_size": 1024, "num_hidden_layers": 23, "num_attention_heads": 16,
                   "projection_dim": 1024, "hidden_act": "gelu"},
    "openclip-g": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20,
                   "projection_dim": 1280, "hidden_act": "gelu"},
}  # fmt: skip
"""Text encoders; what is not named here is transformers' default, which is CLIP's own."""
SPEAKS = {"sd-1.5": ("clip-l",), "sd-2.1": ("openclip-h",), "sdxl": ("clip-l", "openclip-g")}
"""Which of them a pipeline has."""
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sd-1.5": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}),
    "sd-2.1": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False,
                                 "prediction_type": "v_prediction"}),
    "sdxl": ("EulerDiscreteScheduler", {"timestep_spacing": "leading"}),
}  # fmt: skip


def build(name: str, full: bool = False) -> Any:
    """A pipeline by its name, on the CPU, in float32; the same random weights each time.

    Args:
        name: ``"sd-1.5"``, ``"sd-2.1"`` or ``"sdxl"``.
        full: The published widths of UNet and text encoders, and the published side of the
            latents. The autoencoder stays narrow: the methods here act before it.

    Example:
        >>> build("sd-1.5").unet.config.block_out_channels
        (16, 32, 64, 64)

    Cost: a second, and 10 MB (SDXL: 40 MB); in full 15 seconds, and 4 GB (SDXL: 14 GB).
    """
    import diffusers

    with seeded(name):
        parts = {"unet": unet(name, full), "vae": _vae(name == "sdxl")}
        for number, kind in zip(("", "_2"), SPEAKS[name], strict=False):
            parts[f"text_encoder{number}"] = _text(kind, full)
            parts[f"tokenizer{number}"] = clip_tokenizer(END if kind == "clip-l" else "!")
    scheduler, settings = SCHEDULERS[name]
    parts["scheduler"] = getattr(diffusers, scheduler)(**BETAS, **settings, steps_offset=1)
    if name == "sdxl":
        pipe = diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipe = diffusers.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unet(name: str, full: bool = False) -> Any:
    """The UNet alone, from torch's random numbers, on its default device.

    Args:
        name: As in `build`.
        full: As in `build`.

    Example:
        >>> import torch
        >>> with torch.device("meta"):  # shapes without weights
        ...     unet("sdxl", full=True).config.block_out_channels
        (320, 640, 1280)
    """
    from diffusers import UNet2DConditionModel

    config = {"sample_size": SIDES[name], **UNETS[name]}
    if not full:
        small = {key: _narrow(config[key], SHRINK) for key in WIDTHS if key in config}
        config |= {"sample_size": SIDE, "norm_num_groups": 5, **small}
        if name == "sd-1.5":  # eight heads at every width
            widths = _narrow(UNETS[name]["block_out_channels"], 20)
            config |= {"block_out_channels": widths, "norm_num_groups": 8}
    return UNet2DConditionModel(**config).eval().requires_grad_(False)


def _narrow(width: Any, by: int) -> Any:
    return tuple(w // by for w in width) if isinstance(width, tuple) else width // by


def _vae(xl: bool) -> Any:
    from diffusers import AutoencoderKL

    made = AutoencoderKL(
        block_out_channels=_narrow((128, 256, 512, 512), 16), layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4, norm_num_groups=8, sample_size=8 * SIDE,
        scaling_factor=0.13025 if xl else 0.18215, force_upcast=xl,
    )  # fmt: skip
    return made.eval().requires_grad_(False)


def _text(kind: str, full: bool) -> Any:
    import transformers

    config = dict(TEXTS[kind])
    for key in () if full else ("hidden_size", "projection_dim"):
        config[key] //= SHRINK
    pad = 49407 if kind == "clip-l" else 0
    made = transformers.CLIPTextConfig(
        **config, intermediate_size=4 * config["hidden_size"], pad_token_id=pad
    )
    build_as = "CLIPTextModelWithProjection" if kind == "openclip-g" else "CLIPTextModel"
    return getattr(transformers, build_as)(made).eval().requires_grad_(False)
