"""`clip-tiny`: a real open_clip model of the painted world, from a configuration of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.zoo.pixels import encode_images
from kledit_lite.zoo.store import load_state
from kledit_lite.zoo.tokenizer import CONTEXT, load_tokenizer, tokenize

if TYPE_CHECKING:
    import open_clip

CONFIG: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "timm_model_name": "painted_vit", "timm_pool": "avg"},
    "text_cfg": {
        "context_length": CONTEXT, "vocab_size": 0, "width": 128, "heads": 4, "layers": 4,
    },
}  # fmt: skip
"""Architecture of clip-tiny; the vocabulary's size comes from the tokenizer."""


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


def load_folder(folder: Path) -> open_clip.CLIP:
    """The model whose card, weights and tokenizer lie in `folder`, checksum verified.

    Raises:
        KleditError: weights missing or damaged.
    """
    tokenizer = load_tokenizer(folder)
    text = {**CONFIG["text_cfg"], "context_length": tokenizer.model_max_length}
    state = load_state(folder.name, folder.parent)
    model = build_clip(len(tokenizer), {**CONFIG, "text_cfg": text})
    model.load_state_dict(state)
    return model


class ClipModel:
    """An image and a text encoder with one shared space, NumPy in and NumPy out.

    Args:
        model: The open_clip model.
        tokenizer: Folder of its tokenizer.
        name: What to call it.

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
        self, images: np.ndarray, normalise: bool = False, batch: int = 128
    ) -> np.ndarray:
        """Embed pictures.

        Args:
            images: (N, 64, 64, 3) uint8.
            normalise: Divide each embedding by its norm.
            batch: Pictures per forward pass.

        Returns:
            (N, d) float32.

        Raises:
            KleditError: pictures of another shape or dtype.
        """
        return encode_images(
            lambda x: self.model.encode_image(x, normalize=normalise), images, batch
        )

    def encode_text(
        self, texts: Sequence[str], normalise: bool = False, batch: int = 256
    ) -> np.ndarray:
        """Embed texts.

        Args:
            texts: N texts.
            normalise: Divide each embedding by its norm.
            batch: Texts per forward pass.

        Returns:
            (N, d) float32.

        Raises:
            KleditError: a text with more tokens than the tokenizer allows (28 for clip-tiny).
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
