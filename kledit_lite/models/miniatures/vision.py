"""timm's encoders and open_clip's CLIP in miniature, and a folder of pictures for them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite import world
from kledit_lite.models.miniatures import seeded

ENCODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "resnet-50": ("resnet50", "supervised", {"channels": (8, 16, 32, 64)}),
    "dino-resnet-50": ("resnet50", "self-supervised", {"channels": (8, 16, 32, 64)}),
    "dino-vit-s": ("vit_small_patch16_224", "self-supervised", {"embed_dim": 12}),
    "vit-b": ("vit_base_patch16_224", "supervised", {"embed_dim": 24}),
    "deit-b": ("deit_base_patch16_224", "supervised", {"embed_dim": 24}),
    "swin-b": ("swin_base_patch4_window7_224", "supervised", {"embed_dim": 8}),
}
"""Miniature -> timm's architecture, kind of training of the published weights, widths."""
SIZES = ((136, 136), (151, 136), (136, 203))
"""Height and width of the pictures, in pixels; no two alike, none a power of two."""


def build_encoder(name: str) -> tuple[Any, str]:
    """A timm model by its name, and how the one that it stands for was trained.

    Published depth, heads and input of 224 pixels; the width is a thirty-second (ResNet: an
    eighth, Swin: a sixteenth). The self-supervised ones have no classifier.

    Example:
        >>> model, supervision = build_encoder("deit-b")
        >>> len(model.blocks), model.embed_dim, supervision
        (12, 24, 'supervised')
    """
    import timm

    architecture, supervision, width = ENCODERS[name]
    headless = {"num_classes": 0} if supervision == "self-supervised" else {}
    with seeded(name):
        return timm.create_model(architecture, pretrained=False, **width, **headless), supervision


def build_clip() -> Any:
    """open_clip's ViT-B-16 with OpenAI's activation: 12 + 12 layers, a width of 48 and 32.

    Example:
        >>> model = build_clip()
        >>> len(model.visual.transformer.resblocks), len(model.transformer.resblocks)
        (12, 12)
    """
    import open_clip
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    published = open_clip.get_model_config("ViT-B-16")
    vision = CLIPVisionCfg(**published["vision_cfg"])
    text = CLIPTextCfg(**published["text_cfg"])
    vision.width, vision.head_width = vision.width // 16, vision.head_width // 16
    text.width //= 16
    with seeded("clip-vit-b-16"):
        model = CLIP(published["embed_dim"] // 16, vision, text, quick_gelu=True)
    look = {"size": vision.image_size, "mode": "RGB", "interpolation": "bicubic"}
    look |= {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    open_clip.set_model_preprocess_cfg(model, look)
    return model.eval()


@functools.cache
def picture_folder() -> Path:
    """A folder of 192 pictures in sub-folders named for their objects, written once per process.

    They are painted scenes brought to odd sizes, none of them square by a power of two.
    """
    import atexit
    import shutil
    import tempfile

    from PIL import Image

    folder = Path(tempfile.mkdtemp(prefix="kledit-images-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    scenes = [
        world.Scene(name, world.COLOURS[k % 6], world.PLACES[(i + k) % 6], seed=16 * i + k)
        for i, name in enumerate(world.OBJECTS)
        for k in range(16)
    ]
    for i, (scene, picture) in enumerate(zip(scenes, world.render_many(scenes), strict=True)):
        height, width = SIZES[i % len(SIZES)]
        (folder / scene.object).mkdir(exist_ok=True)
        large = Image.fromarray(np.asarray(picture)).resize((width, height))
        large.save(folder / scene.object / f"{i:02}.png")
    return folder
