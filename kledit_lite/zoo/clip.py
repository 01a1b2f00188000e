"""`clip-tiny`: a real open_clip model of the painted world, from a config of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.world import COUNTS, FACTORS, OBJECTS, SceneSet
from kledit_lite.zoo.recipes.training import Recipe, fit, load_pool, shift_and_flip, to_tensor
from kledit_lite.zoo.tokenizer import CONTEXT, tokenize

if TYPE_CHECKING:
    import open_clip
    import torch

CONFIG: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "timm_model_name": "painted_vit", "timm_pool": "avg"},
    "text_cfg": {
        "context_length": CONTEXT, "vocab_size": 0, "width": 128, "heads": 4, "layers": 4,
    },
}  # fmt: skip
"""Architecture of clip-tiny; the vocabulary's size comes from the tokenizer."""

WARM_UP = Recipe(samples=64_000, batch=128, lr=1.5e-3, warmup=50)
"""Before the contrastive loss: the image tower learns to name the factors (see `warm_up`)."""
RECIPE = Recipe(samples=120_000, batch=128, lr=1e-3, warmup=100, hard_from=100)
"""The contrastive training itself; hard batches share place and style."""
SECOND = Recipe(samples=80_000, batch=128, lr=1e-3, warmup=50, hard_from=0, seed=2)
"""A second cycle whose hard batches share the count too, so that small objects get their turn."""


def build_clip(vocabulary: int, config: dict[str, Any] = CONFIG) -> open_clip.CLIP:
    """An untrained open_clip `CLIP` of the configuration (ViT image tower, causal text tower)."""
    import open_clip

    import kledit_lite.zoo.vit  # noqa: F401  (registers painted_vit with timm)

    return open_clip.CLIP(
        embed_dim=config["embed_dim"],
        vision_cfg=open_clip.CLIPVisionCfg(**config["vision_cfg"]),
        text_cfg=open_clip.CLIPTextCfg(**{**config["text_cfg"], "vocab_size": vocabulary}),
        quick_gelu=False,
    )


class ClipModel:
    """An image and a text encoder with one shared space, NumPy in and NumPy out.

    Example:
        >>> from kledit_lite import zoo
        >>> clip = zoo.load_clip("clip-tiny")
        >>> clip.encode_text(["a red cat"]).shape
        (1, 128)
    """

    def __init__(self, model: open_clip.CLIP, tokenizer: Path, name: str = "clip-tiny") -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.architecture = "ViT"
        self.supervision = "language"

    @property
    def dim(self) -> int:
        """Size of the shared space."""
        return int(self.model.text_projection.shape[1])

    @property
    def logit_scale(self) -> float:
        """The learned inverse temperature of the contrastive loss."""
        return float(self.model.logit_scale.detach().exp())

    def encode_image(
        self, images: np.ndarray, normalise: bool = False, batch: int = 256
    ) -> np.ndarray:
        """Embed pictures.

        Args:
            images: (N, 64, 64, 3) uint8.
            normalise: Divide each embedding by its norm.
            batch: Pictures a forward pass.

        Returns:
            (N, d) float32.

        Raises:
            KleditError: pictures of another shape or dtype.
        """
        return encode_images(
            lambda x: self.model.encode_image(x, normalize=normalise), images, batch
        )

    def encode_text(
        self, texts: Sequence[str], normalise: bool = False, batch: int = 1024
    ) -> np.ndarray:
        """Embed texts: a list of N strings to (N, d) float32.

        Raises:
            KleditError: a text with more than 20 tokens.
        """
        import torch

        tokens = tokenize(texts, self.tokenizer)
        with torch.inference_mode():
            parts = [self.model.encode_text(t, normalize=normalise) for t in tokens.split(batch)]
        return torch.cat(parts).float().numpy()

    def head(self, phrases: Sequence[str], templates: Sequence[str]) -> np.ndarray:
        """Zero-shot classifier rows: the normalised mean over templates of each phrase's text.

        Returns:
            (C, d) float32 rows of unit norm.
        """
        texts = [t.format(p) for p in phrases for t in templates]
        rows = self.encode_text(texts, normalise=True).reshape(len(phrases), len(templates), -1)
        return unit_rows(rows.mean(1))


def encode_images(forward: Any, images: np.ndarray, batch: int) -> np.ndarray:
    """Check pictures, run `forward` on normalised batches, collect (N, d) float32."""
    import torch

    if images.ndim != 4 or images.shape[1:] != (64, 64, 3) or images.dtype != np.uint8:
        raise KleditError(
            f"Expected pictures (N, 64, 64, 3) uint8, got {images.shape} {images.dtype}; "
            "resize or stack them first."
        )
    with torch.inference_mode():
        parts = [
            forward(to_tensor(images[i : i + batch])).float().numpy()
            for i in range(0, len(images), batch)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def warm_up(
    tower: torch.nn.Module, pool: SceneSet, recipe: Recipe, work: Path, device: str
) -> dict[str, Any]:
    """Train the image tower's trunk to name object, colour, place and style, each by a linear head.

    The contrastive loss alone finds place, style and colour in minutes, and shapes only after
    millions of pictures: any one of the easy three tells most of a batch apart. Naming the factors
    first costs a tenth of that. The heads are thrown away. A colour that is not shown, and the
    branded character's object, are not asked for.
    """
    import torch
    import torch.nn.functional as F

    labels = {}
    for factor in ("object", "colour", "place", "style"):
        index = torch.from_numpy(pool.factor(factor)).to(device)
        if factor == "colour":
            index[torch.from_numpy(~pool.shows_colour).to(device)] = -100
        if factor == "object":
            index[index >= len(OBJECTS)] = -100
        labels[factor] = index
    trunk = tower.trunk
    heads = {f: torch.nn.Linear(trunk.num_features, len(FACTORS[f])) for f in labels}
    both = torch.nn.ModuleDict({"trunk": trunk, "heads": torch.nn.ModuleDict(heads)}).to(device)

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        z = trunk(shift_and_flip(to_tensor(pool.images[rows], device), rng))
        return sum(F.cross_entropy(heads[f](z), labels[f][rows]) for f in labels)

    return fit(both, loss, recipe, work / "clip-tiny-warm-up.ckpt")


def train_clip(
    recipe: Recipe,
    work: Path,
    tokenizer: Path,
    device: str = "cpu",
    warm: Recipe | None = WARM_UP,
    second: Recipe | None = SECOND,
) -> tuple[open_clip.CLIP, dict[str, Any]]:
    """Train clip-tiny: a warm-up of its image tower, then open_clip's contrastive loss.

    The captions are random paraphrases that leave factors out four times in ten.

    Equation (symmetric InfoNCE, Radford et al. 2021): with unit image rows u and text rows v,
    ``L = (CE(s u v^T, I) + CE(s v u^T, I)) / 2``.
    """
    import open_clip
    import torch

    from kledit_lite.world import random_caption
    from kledit_lite.zoo.tokenizer import load_tokenizer

    torch.manual_seed(recipe.seed)
    pool = load_pool(recipe, work)
    model = build_clip(len(load_tokenizer(tokenizer))).to(device)
    contrast = open_clip.ClipLoss()
    before = warm_up(model.visual, pool, warm, work, device) if warm is not None else {}

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        x = shift_and_flip(to_tensor(pool.images[rows], device), rng)
        texts = tokenize([random_caption(pool.scenes[i], rng) for i in rows], tokenizer)
        u, v, scale = model(x, texts.to(device))
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6)
        return contrast(u, v, scale)

    groups = pool.factor("place") * len(pool.names("style")) + pool.factor("style")
    info = fit(model, loss, recipe, work / "clip-tiny.ckpt", groups=groups)
    after = {}
    if second is not None:
        groups = groups * len(COUNTS) + pool.factor("count")
        after = fit(model, loss, second, work / "clip-tiny-second.ckpt", groups=groups)
    (work / "clip-tiny-second.ckpt").unlink(missing_ok=True)
    (work / "clip-tiny-warm-up.ckpt").unlink(missing_ok=True)
    return model.cpu(), {**info, "warm_up": before, "second": after}
