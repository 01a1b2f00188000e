"""Asking: a language model that sees, things in pictures, and questions about them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.slots import current
from kledit_lite.inside.multimodal import Reading, answered, decoder
from kledit_lite.models import profiles
from kledit_lite.models.image_folder import load_image_folder
from kledit_lite.models.seers import Seer
from kledit_lite.models.vqa import Asked, ask
from kledit_lite.world.people import towns

How = Literal["replacement", "image swap", "blank", "text"]
SEED = 2500
"""Of the pictures; picture number `shot` of each thing is drawn with SEED + shot."""


@dataclass(frozen=True, eq=False)
class Asking:
    """What the chapter on language models that see talks about.

    Attributes:
        profile: name of the profile in force.
        painted: whether the things are the painted world's towns.
        seer: the model.
        things: what questions are about; each can be seen in any number of pictures.
        relations: what can be asked of a thing.
        layers: which layers a trace looks at.
        traced: the things that are traced.
        planted: layers in which facts are planted.
        seeds: of what is drawn more than once.
        steps: of each training.
        world: who knows pictures, questions and answers.
    """

    profile: str
    painted: bool
    seer: Seer
    things: tuple[str, ...]
    relations: tuple[str, ...]
    layers: tuple[int, ...]
    traced: tuple[str, ...]
    planted: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    world: Any = field(repr=False)

    @property
    def model(self) -> Any:
        """What takes ``inputs_embeds`` and gives ``logits``."""
        return self.seer.model

    def read(
        self,
        relation: str,
        things: Iterable[str] | None = None,
        shot: int = 0,
        *,
        how: How | None = None,
        way: int = 0,
        noise: float = 0.0,
        constraint: int = 0,
    ) -> list[Reading]:
        """Questions about things, as the language model reads them.

        Args:
            relation: one of `relations`.
            things: default all.
            shot: which picture of each.
            how: ``"replacement"``: the words that point at the picture become the partner's name
                (or, of another constraint, its other value). ``"image swap"``: the partner's
                picture. ``"blank"``: a grey picture. ``"text"``: no picture, the thing is named.
            way: which wording.
            noise: standard deviation of noise on the pixels, of 255.
            constraint: which one a replacement replaces.

        Raises:
            UnknownNameError: no such relation.
        """
        if relation not in self.relations:
            raise unknown("relation", relation, self.relations)
        chosen = list(self.things if things is None else things)
        asked = [self.world.asked(t, relation, way, how == "text") for t in chosen]
        pictures: list[Any] = [None] * len(chosen)
        if how != "text":
            seen = [self.partner(t, relation) if how == "image swap" else t for t in chosen]
            pictures = self.world.pictures(self.seer, tuple(seen), shot, noise, how == "blank")
        if how == "replacement":
            asked = [
                self.world.replaced(self.seer, a, t, self.partner(t, relation), constraint)
                for a, t in zip(asked, chosen, strict=True)
            ]
        keys = [(t, relation, shot, way, noise, how) for t in chosen]
        return self.world.settled(self.seer, self.seer.read(pictures, asked), keys)

    def partner(self, thing: str, relation: str) -> str:
        """Another thing with another answer, always the same one."""
        i = self.things.index(thing)
        others = [*self.things[i + 7 :], *self.things[: i + 7]]
        own = self.world.answer(thing, relation)
        return next(t for t in others if t != thing and self.world.answer(t, relation) != own)

    def changed(self, relation: str, things: Sequence[str], seed: int) -> dict[str, torch.Tensor]:
        """Thing -> tokens of a wrong answer, drawn with `seed`.

        Args:
            relation: one of `relations`.
            things: whose answers change.
            seed: of the draw.
        """
        rng, values, new = random.Random(seed), self.world.values(relation), {}
        for thing in things:
            wrong = [v for v in values if v != self.world.answer(thing, relation)]
            new[thing] = self.world.tokens(self.seer, rng.choice(wrong))
        return new


@dataclass(frozen=True)
class _Towns:
    """_Towns of the painted world: a mascot in each picture, facts about each town."""

    def asked(self, thing: str, relation: str, way: int, named: bool) -> Asked:
        """A question about a town; a relation with a season is "goods in spring"."""
        from kledit_lite.world.towns import ask_town

        name, _, season = relation.partition(" in ")
        found = ask_town(thing, name, season, named, way)
        words = found.text.split()
        return ask(found.text, [" ".join(words[a:b]) for a, b in found.constraints], found.answer)

    def answer(self, thing: str, relation: str) -> str:
        """The true one."""
        return self.asked(thing, relation, 0, False).answer

    def values(self, relation: str) -> list[str]:
        """All answers that there are."""
        return sorted({self.answer(t, relation) for t in towns()})

    def settled(self, seer: Any, readings: list[Reading], keys: Sequence[Any]) -> list[Reading]:
        """The readings as they are: the answers are known."""
        return readings

    def tokens(self, seer: Any, value: str) -> torch.Tensor:
        """Numbers of an answer's tokens."""
        return seer.docent.tokenize([value])[0, 1:]

    def pictures(
        self, seer: Any, things: tuple[str, ...], shot: int, noise: float, blank: bool
    ) -> list[Any]:
        """The picture tokens of each town."""
        if blank:
            grey = seer.patches(np.full((1, 64, 64, 3), 128, np.uint8))[0]
            return [grey] * len(things)
        return [_town_patches(seer, shot, noise)[t] for t in things]

    def replaced(self, seer: Any, asked: Asked, thing: str, other: str, constraint: int) -> Asked:
        """The other town's name, or the other season."""
        from kledit_lite.world.towns import SEASONS, word

        if constraint == 0:
            return asked.replaced(f"town {word(other)}")
        season = asked.words(constraint)
        return asked.replaced(SEASONS[1 - SEASONS.index(season)], constraint)


@lru_cache(maxsize=32)
def _town_patches(seer: Any, shot: int, noise: float) -> Mapping[str, torch.Tensor]:
    """One picture of every town, as picture tokens."""
    from kledit_lite.world.renderer import render_many
    from kledit_lite.world.towns import picture_of

    rng = random.Random(SEED + shot)
    images = render_many([picture_of(t, rng) for t in towns()])
    if noise:
        spoilt = images + np.random.default_rng(SEED + shot).normal(0, noise, images.shape)
        images = spoilt.clip(0, 255).astype(np.uint8)
    return dict(zip(towns(), seer.patches(images), strict=True))


@dataclass(frozen=True, eq=False)
class _Folder:
    """Things of a folder with one sub-folder per thing; the model's own first answer counts.

    Attributes:
        sample: The pictures, with labels and names.
        said: What the model said when it was first asked, by question.
    """

    sample: Any
    said: dict[Any, torch.Tensor] = field(default_factory=dict)

    FORMS = {
        "colour": ("What colour is this thing?", "This thing, what colour is it?"),
        "use": ("What is this thing used for?", "This thing, what is it used for?"),
        "place": ("Where does one find this thing?", "This thing, where does one find it?"),
    }

    def asked(self, thing: str, relation: str, way: int, named: bool) -> Asked:
        """A question about a thing."""
        text = self.FORMS[relation][way % 2]
        words = "this thing" if "this thing" in text else "This thing"
        asked = ask(text, [words], self.answer(thing, relation))
        return asked.replaced(f"the {thing}") if named else asked

    def answer(self, thing: str, relation: str) -> str:
        """A name for the answer; what it stands for is found when the model is asked."""
        return f"{thing} {relation}"

    def values(self, relation: str) -> list[str]:
        """Names of wrong answers."""
        return ["red", "blue", "green", "white"]

    def settled(self, seer: Any, readings: list[Reading], keys: Sequence[Any]) -> list[Reading]:
        """The readings with the answers that the model gave when it was first asked."""
        new = [i for i, key in enumerate(keys) if key not in self.said]
        if new:
            best = answered(seer.model, [readings[i] for i in new], batch=8).first.argmax(1)
            self.said.update({keys[i]: best[[j]] for j, i in enumerate(new)})
        return [replace(r, answer=self.said[k]) for r, k in zip(readings, keys, strict=True)]

    def tokens(self, seer: Any, value: str) -> torch.Tensor:
        """The first token of a word in the middle of a text."""
        found = seer.processor.tokenizer(f" {value}", add_special_tokens=False)["input_ids"]
        return torch.tensor(found[-len(value) :][:1])

    def pictures(
        self, seer: Any, things: tuple[str, ...], shot: int, noise: float, blank: bool
    ) -> list[Any]:
        """A picture of each thing."""
        if blank:
            return [np.full((136, 136, 3), 128, np.uint8)] * len(things)
        labels = [self.sample.names.index(t) for t in things]
        rows = [np.flatnonzero(self.sample.labels == label) for label in labels]
        return [self.sample.images[own[shot % len(own)]] for own in rows]

    def replaced(self, seer: Any, asked: Asked, thing: str, other: str, constraint: int) -> Asked:
        """Another thing's name of as many tokens, or where there is none, any such words."""
        size = len(seer.read([None], [asked])[0])  # a picture adds as many to each
        names = [f"the {n}" for n in (other, *self.sample.names) if n != thing]
        for words in [*names, *(n[: len(asked.words())].ljust(10, "s") for n in names)]:
            if len(seer.read([None], [asked.replaced(words)])[0]) == size:
                return asked.replaced(words)
        raise KleditError(f"No other name has as many tokens as {asked.words()!r}.")


def asking(seer: Seer | None = None) -> Asking:
    """The scenario of the profile in force.

    Args:
        seer: a model instead of the profile's; docent-tiny is asked about towns in any profile.

    Raises:
        SlotUnavailable: the model or the pictures cannot be had.

    Example:
        >>> scenario = asking()
        >>> scenario.seer.name, len(scenario.things)
        ('docent-tiny', 36)
    """
    seer = profiles.resolve("seer").model if seer is None else seer
    profile, depth = current().name, len(decoder(seer.model).layers)
    if seer.name == "docent-tiny":
        relations = ("river", "country", "sight", "goods in spring", "goods in autumn", "name")
        return Asking(
            profile, True, seer, towns(), relations, tuple(range(depth)), towns()[::3],
            (1, 3, 5), (0, 1, 2), 60, _Towns(),
        )  # fmt: skip
    sample = load_image_folder(profiles.resolve("images").model, 200, 0)
    world, names, draws, steps = _Folder(sample), tuple(sample.names), 3, 60
    layers = tuple(range(depth))
    traced, planted = names[:12], layers[:3]
    if profile == "rehearsal":
        layers, names, draws, steps = (0, depth // 2, depth - 1), names[:4], 1, 4
        traced, planted = names[:2], layers[1:2]
    forms, seeds = tuple(world.FORMS), tuple(range(draws))
    return Asking(profile, False, seer, names, forms, layers, traced, planted, seeds, steps, world)
