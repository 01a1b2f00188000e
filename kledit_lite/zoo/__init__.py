"""The zoo: small models that ship with the package, each with a card and a recipe.

Example:
    >>> from kledit_lite import zoo
    >>> "clip-tiny" in zoo.names()
    True
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from kledit_lite.core.errors import check_known
from kledit_lite.zoo.store import WEIGHTS, Card, load_state, read_card

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    from kledit_lite.zoo.bard import Writer
    from kledit_lite.zoo.clip import ClipModel
    from kledit_lite.zoo.docent import Docent
    from kledit_lite.zoo.encoders import Encoder
    from kledit_lite.zoo.judge import Judge
    from kledit_lite.zoo.pair_judge import PairJudge

CLIPS = ("clip-tiny",)
ENCODERS = ("resnet-tiny", "vit-tiny", "vit-deep", "simclr-tiny", "scene-tiny", "random-tiny")
CLASSIFIERS = ("flawed-tiny", "sound-tiny")
JUDGES = ("judge-tiny",)
STERN = ("stern-tiny",)
PAINTERS = ("paint-tiny",)
TRANSFORMERS = ("dit-tiny", "dit-planted")
BARDS = ("bard-tiny",)
READERS = ("reader-tiny",)
WRITERS = BARDS + READERS
DOCENTS = ("docent-tiny",)


KNOWN = (
    CLIPS + ENCODERS + CLASSIFIERS + JUDGES + STERN + PAINTERS + TRANSFORMERS + WRITERS + DOCENTS
)
"""Every model there is a recipe for."""


def names() -> list[str]:
    """Every model of the zoo whose weights are here (``random-tiny`` needs none)."""
    return [n for n in KNOWN if n == "random-tiny" or (WEIGHTS / n / "card.json").exists()]


def card(name: str) -> Card:
    """How a model was made and what it can do.

    Raises:
        UnknownNameError: no such model.

    Example:
        >>> card("clip-tiny").supervision
        'language'
    """
    check_known("model", [name], KNOWN)
    if name == "random-tiny":
        from kledit_lite.zoo.encoders import SPECS

        spec = SPECS[name]
        return Card(name, spec.architecture, spec.supervision, spec.description, {"seed": 3})
    return read_card(name)


@lru_cache(maxsize=2)
def load_clip(name: str = "clip-tiny") -> ClipModel:
    """A shipped CLIP, checksum verified.

    Raises:
        UnknownNameError: no such model.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.clip import ClipModel, load_folder

    check_known("CLIP model", [name], CLIPS)
    return ClipModel(load_folder(WEIGHTS / name), WEIGHTS / name, name)


@lru_cache(maxsize=8)
def load_encoder(name: str) -> Encoder:
    """A shipped vision encoder or classifier, checksum verified.

    ``random-tiny`` is made from its seed.

    Raises:
        UnknownNameError: no such model.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.encoders import Encoder, with_head

    check_known("encoder", [name], ENCODERS + CLASSIFIERS)
    model = with_head(name)
    if name != "random-tiny":
        model.load_state_dict(load_state(name))
    return Encoder(name, model)


@lru_cache(maxsize=1)
def load_judge(name: str = "judge-tiny") -> Judge:
    """The judge that reads every factor off a picture, checksum verified.

    Raises:
        UnknownNameError: no such judge.
        KleditError: weights missing or damaged.
    """
    check_known("judge", [name], JUDGES)
    return _pair_judge(name)


@lru_cache(maxsize=1)
def load_stern() -> PairJudge:
    """The stern reader, which says whether a person could read a picture, checksum verified."""
    return _pair_judge(*STERN)


def _pair_judge(name: str) -> PairJudge:
    from kledit_lite.zoo.pair_judge import PairJudge, Reader

    reader = Reader(0)
    reader.load_state_dict(load_state(name))
    return PairJudge(reader)


def load_pipeline(name: str = "paint-tiny") -> StableDiffusionPipeline:
    """A shipped text-to-image pipeline, checksum verified; every call makes a fresh one.

    The transformers paint with paint-tiny's autoencoder, from its texts.

    Raises:
        UnknownNameError: no such pipeline.
        KleditError: weights missing or damaged.
    """
    import torch

    from kledit_lite.zoo.paint import build_pipeline, build_unet, read_autoencoder

    check_known("pipeline", [name], PAINTERS + TRANSFORMERS)
    painter = name if name in PAINTERS else PAINTERS[0]
    state = load_state(painter)
    vae = read_autoencoder({k[4:]: v for k, v in state.items() if k.startswith("vae.")})
    if name in TRANSFORMERS:
        from kledit_lite.zoo.dit import load_transformer

        return build_pipeline(load_transformer(name), vae)
    unet = build_unet(settings=card(name).recipe["unet"])
    unet.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("unet.")})
    # channels last: a fifth more rows a second on a CPU, where convolutions then need no reordering
    return build_pipeline(unet.eval().to(memory_format=torch.channels_last), vae)


def load_writer(name: str = "bard-tiny", step: int | None = None) -> Writer:
    """A shipped language model with its tokenizer; every call makes a fresh one.

    Args:
        name: name of the model.
        step: step of an intermediate checkpoint (`kledit_lite.zoo.bard.checkpoints` lists them), or
            None for the final model.

    Raises:
        UnknownNameError: no such model or checkpoint.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.bard import load_bard

    check_known("language model", [name], WRITERS)
    return load_bard(name, step)


def load_docent(name: str = "docent-tiny") -> Docent:
    """A shipped model that answers questions about pictures, checksum verified.

    Raises:
        UnknownNameError: no such model.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.docent import Docent

    check_known("docent", [name], DOCENTS)
    state = load_state(name)
    docent = Docent(0, vision=state["mean"].numel())
    docent.load_state_dict(state)
    return docent.eval()


def load_text_model(name: str = "clip-tiny") -> CLIPTextModel:
    """A shipped CLIP's text tower as a transformers `CLIPTextModel` with identical outputs."""
    from kledit_lite.zoo.export import text_model
    from kledit_lite.zoo.tokenizer import load_tokenizer

    return text_model(load_clip(name).model, load_tokenizer(WEIGHTS / name))


__all__ = [
    "BARDS",
    "CLASSIFIERS",
    "CLIPS",
    "DOCENTS",
    "ENCODERS",
    "JUDGES",
    "PAINTERS",
    "READERS",
    "STERN",
    "TRANSFORMERS",
    "WEIGHTS",
    "WRITERS",
    "Card",
    "card",
    "load_clip",
    "load_docent",
    "load_encoder",
    "load_judge",
    "load_pipeline",
    "load_stern",
    "load_text_model",
    "load_writer",
    "names",
]
