"""Language models that see, whoever made them: from pictures and questions to readings.

A `Seer` has a ``name``, a ``model`` that takes ``inputs_embeds`` and gives ``logits``, and turns
pictures and questions into what that model reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, TypeAlias

import numpy as np
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read, stop
from kledit_lite.inside.multimodal import Reading, decoder
from kledit_lite.models.vqa import Asked


@dataclass(frozen=True, eq=False)
class DocentSeer:
    """docent-tiny: one token per word, the picture's 16 tokens before the question.

    Attributes:
        docent: The model.
        clip: clip-tiny, whose patches it sees.
        name: Of the model.
    """

    docent: Any
    clip: Any
    name: str = "docent-tiny"

    @property
    def model(self) -> Any:
        """The Llama."""
        return self.docent.language_model

    def patches(self, pictures: np.ndarray) -> torch.Tensor:
        """Picture tokens (N, 16, 128) of (N, 64, 64, 3) uint8 pictures."""
        from kledit_lite.zoo.docent import patch_tokens

        return patch_tokens(self.clip, np.asarray(pictures))

    def read(self, pictures: Sequence[Any], asked: Sequence[Asked]) -> list[Reading]:
        """What the Llama reads.

        Args:
            pictures: N pictures (64, 64, 3) uint8, or their `patches` (16, 128); or N times None
                for questions without a picture.
            asked: N questions.

        Raises:
            KleditError: counts that differ, a word it does not know, an answer of several words.
        """
        if len(pictures) != len(asked):
            raise KleditError(f"Got {len(pictures)} pictures and {len(asked)} questions.")
        seen: list[Any] = list(pictures)
        drawn = [i for i, x in enumerate(seen) if isinstance(x, np.ndarray)]
        if drawn:
            encoded = self.patches(np.stack([_of_side(seen[i], 64) for i in drawn]))
            for i, patches in zip(drawn, encoded, strict=True):
                seen[i] = patches
        return [self._one(x, a) for x, a in zip(seen, asked, strict=True)]

    @torch.no_grad()
    def _one(self, patches: torch.Tensor | None, asked: Asked) -> Reading:
        from kledit_lite.zoo.docent import TOKENS

        ids = self.docent.tokenize([asked.text])
        embeds = self.docent.embed(ids, None if patches is None else patches[None])[0]
        shift = 0 if patches is None else TOKENS
        starts = [shift + 1 + len(asked.text[:a].split()) for a, _ in asked.constraints]
        spans = [(a, a + len(asked.words(k).split())) for k, a in enumerate(starts)]
        answer = self.docent.tokenize([asked.answer])[0, 1:]
        image = torch.arange(len(embeds)) < shift
        names = [f"picture {i}" for i in range(shift)] + ["<start>", *asked.text.split()]
        return Reading(embeds, image, tuple(spans), answer, tuple(names))

    def say(self, token: int) -> str:
        """A word of the vocabulary."""
        from kledit_lite.zoo.docent import WORDS

        return WORDS[token]


@dataclass(frozen=True, eq=False)
class FolderSeer:
    """A model of transformers with its processor: LLaVA, SmolVLM and their like.

    Attributes:
        model: Gives logits from ``input_ids`` and ``pixel_values``, or from ``inputs_embeds``.
        processor: Its processor.
        name: Of the model.
    """

    model: Any
    processor: Any
    name: str

    def read(self, pictures: Sequence[Any], asked: Sequence[Asked]) -> list[Reading]:
        """What the language model reads; see `DocentSeer.read`.

        Args:
            pictures: N PIL images or (H, W, 3) uint8 arrays, or None for no picture.
            asked: N questions.

        Raises:
            KleditError: counts that differ, no image tokens, a picture with NaN, a constraint
                whose tokens cannot be told apart.

        Cost: the vision tower once per question; the language model is not run.
        """
        if len(pictures) != len(asked):
            raise KleditError(f"Got {len(pictures)} pictures and {len(asked)} questions.")
        return [self._one(x, a) for x, a in zip(pictures, asked, strict=True)]

    @torch.no_grad()
    def _one(self, picture: Any, asked: Asked) -> Reading:
        prompt = self._prompt(asked.text, picture is not None)
        tokenizer = self.processor.tokenizer
        if picture is None:
            ids = tokenizer(prompt, return_tensors="pt")["input_ids"][0].to(self.model.device)
            embeds, image = self.model.get_input_embeddings()(ids), torch.zeros(len(ids)).bool()
        else:
            ids, embeds, image = self._look(picture, prompt)
        start = prompt.index(asked.text)
        wanted = [(start + a, start + b) for a, b in asked.constraints]
        spans = self._spans(prompt, ids.tolist(), wanted)
        whole = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        more = tokenizer(f"{prompt} {asked.answer}", add_special_tokens=False)["input_ids"]
        answer = torch.tensor(more[len(commonprefix([whole, more])) :])
        names = tuple(tokenizer.convert_ids_to_tokens(ids.tolist()))
        return Reading(embeds, image.cpu(), spans, answer, names)

    def _look(self, picture: Any, prompt: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of a prompt with a picture: tokens, what the language model reads, which are image."""
        shown = np.array(picture)  # a copy of its own, which may be written to
        given = self.processor(text=prompt, images=[shown], return_tensors="pt")
        given = given.to(self.model.device)
        if not bool(torch.isfinite(given["pixel_values"].float()).all()):
            raise KleditError("The picture has NaN or infinite pixels; load it again.")
        given["pixel_values"] = given["pixel_values"].to(self.model.dtype)
        ids = given["input_ids"][0]
        image = ids == self.image_token
        if not bool(image.any()):
            raise KleditError(
                f"{self.name} puts no image tokens into the prompt; expected a model such as LLaVA "
                "or SmolVLM with its own processor."
            )
        language = decoder(self.model)
        with (
            read(self.model, [language], at="inputs_embeds") as seen,
            stop(self.model, language, at="inputs_embeds"),
        ):
            self.model(**given)
        return ids, seen[language][0], image

    @property
    def image_token(self) -> int:
        """Number of the token that stands for a piece of the picture.

        Raises:
            KleditError: the model's configuration names none.
        """
        for key in ("image_token_id", "image_token_index"):
            if (token := getattr(self.model.config, key, None)) is not None:
                return int(token)
        raise KleditError(
            f"{self.name} has no image token in its configuration; it does not see, or sees by "
            "cross-attention."
        )

    def say(self, token: int) -> str:
        """A token, decoded."""
        return self.processor.tokenizer.decode([token]).strip()

    def _prompt(self, question: str, picture: bool = True) -> str:
        if getattr(self.processor, "chat_template", None):
            content = [{"type": "image"}] * picture + [{"type": "text", "text": question}]
            said = [{"role": "user", "content": content}]
            return self.processor.apply_chat_template(said, add_generation_prompt=True)
        token = getattr(self.processor, "image_token", "<image>") + "\n" if picture else ""
        return f"USER: {token}{question} ASSISTANT:"

    def _spans(
        self, prompt: str, ids: list[int], wanted: Sequence[tuple[int, int]]
    ) -> tuple[tuple[int, int], ...]:
        """Tokens of characters of the prompt, counted from its end, where no picture stands."""
        tokenizer = self.processor.tokenizer
        given = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
        alone, offsets = given["input_ids"], given["offset_mapping"]
        common = len(commonprefix([ids[::-1], alone[::-1]]))
        spans, shift = [], len(ids) - len(alone)
        for start, stop_ in wanted:
            covers = [i for i, (a, b) in enumerate(offsets) if a < stop_ and b > start]
            if not covers or covers[0] < len(alone) - common:
                raise KleditError(
                    f"The tokens of {prompt[start:stop_]!r} cannot be told apart in the prompt; "
                    "the processor of this model rewrites it."
                )
            spans.append((covers[0] + shift, covers[-1] + 1 + shift))
        return tuple(spans)


Seer: TypeAlias = DocentSeer | FolderSeer
"""A language model that sees."""


def _of_side(image: np.ndarray, side: int) -> np.ndarray:
    """A picture as a square of this side."""
    from PIL import Image

    if image.dtype != np.uint8:
        raise KleditError(f"A picture has {image.dtype} pixels; expected uint8, from 0 to 255.")
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
