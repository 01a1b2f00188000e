"""The papers' models in miniature: every published layer, a small width, random weights.

A miniature has the class, the number of layers and heads, the block types and the tokenizer of the
model that it stands for, so that code which runs on the one runs on the other. It knows nothing:
what it paints is noise, and only what holds for any weights can be asked of it. Nothing downloads.

    miniature:sd-1.5 | sd-2.1 | sdxl                 text-to-image pipelines, 72 pixels
    miniature:clip-vit-b-16                          an open_clip model
    miniature:resnet-50 | dino-resnet-50 | dino-vit-s | vit-b | deit-b | swin-b      timm models
    miniature:llama-3.2-1b | olmo-2-1b | llama-3-8b  causal language models
    miniature:llava-1.5-7b | smolvlm-256m            language models that see
    miniature:images                                 a folder of pictures
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

from kledit_lite.core.errors import KleditError, unknown

SCHEME = "miniature"
PAINTERS = ("sd-1.5", "sd-2.1", "sdxl")
CLIPS = ("clip-vit-b-16",)
ENCODERS = ("resnet-50", "dino-resnet-50", "dino-vit-s", "vit-b", "deit-b", "swin-b")
WRITERS = ("llama-3.2-1b", "olmo-2-1b", "llama-3-8b")
SEERS = ("llava-1.5-7b", "smolvlm-256m")
FOLDERS = ("images",)


def names() -> tuple[str, ...]:
    """Every miniature, without its scheme.

    Example:
        >>> "sdxl" in names()
        True
    """
    return (*PAINTERS, *CLIPS, *ENCODERS, *WRITERS, *SEERS, *FOLDERS)


def name_of(source_id: str, among: tuple[str, ...]) -> str | None:
    """The miniature that an id names, or None where the id is of another scheme.

    Args:
        source_id: such as ``miniature:sdxl``.
        among: the miniatures that would do.

    Raises:
        UnknownNameError: no such miniature.
        KleditError: a miniature of another kind.

    Example:
        >>> name_of("miniature:sdxl", PAINTERS), name_of("paint-tiny", PAINTERS)
        ('sdxl', None)
    """
    scheme, _, name = source_id.partition(":")
    if scheme != SCHEME:
        return None
    if name not in names():
        raise unknown("miniature", name, names())
    if name not in among:
        raise KleditError(f"{source_id} is of another kind; expected one of {', '.join(among)}.")
    return name


@contextlib.contextmanager
def seeded(name: str) -> Iterator[None]:
    """A context in which torch's random numbers depend on a name alone, and are put back after."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(name.encode()))
        yield


def sizes(layers: int, heads: int, width: int, inner: int) -> dict[str, int]:
    """Of a transformer, by the names in transformers' configurations.

    Args:
        layers: number of them.
        heads: of each layer's attention.
        width: of what passes from layer to layer.
        inner: width of the MLPs.

    Example:
        >>> sizes(2, 4, 32, 128)["hidden_size"]
        32
    """
    keys = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
    return dict(zip(keys, (layers, heads, width, inner), strict=True))
