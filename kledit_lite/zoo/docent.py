"""docent-tiny, a small LLaVA: frozen clip-tiny patches, a projector, and a Llama that reads both.

As in LLaVA (Liu et al. 2023, section 4.1) the picture's patch features pass a projector into the
word space of a language model and stand before the question. The modules carry the names they have
in transformers' LLaVA: ``multi_modal_projector`` and ``language_model``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world.towns import vocabulary

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

WORDS = ("<end>", "<start>", *vocabulary())
"""One token per word; row numbers are token ids."""
TOKENS = 16
"""Picture tokens, which are the 8 x 8 patches of clip-tiny, averaged two by two."""
SETTINGS: dict[str, Any] = {
    "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64,
    "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip


class Docent(nn.Module):
    """Answers questions about a picture with one word.

    Example:
        >>> docent = Docent(seed=0)
        >>> ids = docent.tokenize(["name this town ?"])
        >>> docent(ids, torch.zeros(1, 16, 128)).shape[:2]
        torch.Size([1, 21])
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, seed: int, vision: int = 128) -> None:
        from transformers import LlamaConfig
        from transformers import LlamaForCausalLM as Llama

        super().__init__()
        torch.manual_seed(seed)
        config = LlamaConfig(vocab_size=len(WORDS), **SETTINGS)
        self.language_model: LlamaForCausalLM = Llama(config)
        self.multi_modal_projector = nn.Linear(vision, SETTINGS["hidden_size"])
        self.register_buffer("mean", torch.zeros(vision))
        self.register_buffer("std", torch.ones(vision))

    def tokenize(self, texts: Sequence[str]) -> torch.Tensor:
        """Token ids (N, 1 + words) with the start token; all texts must have equally many words.

        Raises:
            UnknownNameError: a word that is not in `WORDS`.
            KleditError: texts of different lengths.
        """
        said = [text.split() for text in texts]
        for word in chain.from_iterable(said):
            if word not in WORDS:
                raise unknown("word", word, WORDS[2:])
        if len(set(map(len, said))) > 1:
            raise KleditError("Texts of one batch must have equally many words; sort them first.")
        return torch.tensor([[1, *map(WORDS.index, words)] for words in said])

    def embed(self, ids: torch.Tensor, patches: torch.Tensor | None = None) -> torch.Tensor:
        """What the language model reads.

        Args:
            ids: Token ids (N, L).
            patches: Picture tokens (N, 16, vision) of `patch_tokens`, or None for text alone.

        Returns:
            (N, 16 + L, width), or (N, L, width) without pictures.
        """
        words = self.language_model.get_input_embeddings()(ids)
        if patches is None:
            return words
        seen = self.multi_modal_projector((patches - self.mean) / self.std)
        return torch.cat([seen, words], 1)

    def forward(self, ids: torch.Tensor, patches: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, picture tokens + L, words); arguments as `embed`."""
        return self.language_model(inputs_embeds=self.embed(ids, patches)).logits

    def answer(self, texts: Sequence[str], patches: torch.Tensor | None = None) -> list[str]:
        """The most likely word after each question. O(N) forwards in blocks of equal length."""
        said = [""] * len(texts)
        lengths = np.array([len(t.split()) for t in texts])
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            ids = self.tokenize([texts[i] for i in rows])
            with torch.inference_mode():
                logits = self(ids, None if patches is None else patches[rows])[:, -1]
            for i, w in zip(rows, logits.argmax(1).tolist(), strict=True):
                said[i] = WORDS[w]
        return said


def patch_tokens(clip: Any, images: np.ndarray, batch: int = 256) -> torch.Tensor:
    """The 16 picture tokens of each picture, from the frozen image tower of an open_clip model.

    Args:
        clip: An open_clip model whose image tower is a timm trunk, as clip-tiny's.
        images: (N, 64, 64, 3) uint8.
        batch: Pictures per forward.

    Returns:
        (N, 16, 128) float32: means over two by two patches.
    """
    from kledit_lite.zoo.pixels import to_tensor

    trunk = clip.visual.trunk.eval()
    parts = []
    with torch.inference_mode():
        for i in range(0, len(images), batch):
            patches = trunk.forward_features(to_tensor(images[i : i + batch]))  # (B, 64, D)
            patches = patches[:, trunk.num_prefix_tokens :]
            side = int(patches.shape[1] ** 0.5)
            grid = patches.unflatten(1, (side // 2, 2, side // 2, 2))
            parts.append(grid.mean((2, 4)).flatten(1, 2))
    return torch.cat(parts)
