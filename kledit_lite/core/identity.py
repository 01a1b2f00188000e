"""What numbers depend on, as a key: a hash of the content of models, settings and data.

A run that resumes from finished parts may use them only if everything they depend on is the same.
Names do not say that (a folder's weights are edited in place), nor do sums of weights; the content
does.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Set
from pathlib import PurePath
from typing import Any

from kledit_lite.core.errors import KleditError

KNOWN = ("torch", "transformers", "diffusers", "accelerate", "peft")
"""Packages whose hooks on a module are part of the module."""


def content_hash(*things: Any) -> str:
    """SHA-256 of the content of plain values, arrays, tensors, modules, tokenizers, dataclasses.

    A module is its class, its configuration, its plain attributes and every parameter and buffer,
    bit for bit and with names; where it was loaded from and the device do not count.
    An object with a ``key`` is that key.

    Returns:
        64 hexadecimal digits. O(bytes), about 1 GB per second.

    Raises:
        KleditError: something whose content cannot be told, such as a function, or a module with
            hooks of the user's own.

    Example:
        >>> content_hash({"a": 1, "b": (2.0, None)}) == content_hash({"b": (2.0, None), "a": 1})
        True
        >>> content_hash(1) == content_hash(1.0)
        False
    """
    digest = hashlib.sha256()
    for thing in things:
        _feed(digest.update, thing)
    return digest.hexdigest()


class Keyed:
    """A function that says what its answers depend on, so that they may be kept and used again.

    Args:
        function: Called as it is.
        name: Of what it computes; change it when the code changes.
        content: What else it depends on, e.g. a model; see `content_hash`.

    Example:
        >>> red = Keyed(lambda images, texts: images[..., 0].mean((1, 2)), "red")
        >>> red.key[:10]
        'red e3b0c4'
    """

    def __init__(self, function: Callable[..., Any], name: str, *content: Any) -> None:
        self.function, self.name, self.content = function, name, content
        functools.update_wrapper(self, function, assigned=("__doc__",), updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def key(self) -> str:
        """The name and the `content_hash`, computed anew each time."""
        return f"{self.name} {content_hash(*self.content)}"


def key_of(function: Any, what: str = "score") -> str:
    """The key of a `Keyed` function, or of anything that has a text `key`.

    Raises:
        KleditError: it has none; the sentence says how to give it one.
    """
    key = getattr(function, "key", None)
    if not isinstance(key, str):
        raise KleditError(
            f"The {what} does not say what it depends on, so its answers cannot be kept in a "
            f"folder; pass Keyed(function, 'a name', model), or no folder."
        )
    return key


def pipeline_key(pipe: Any) -> str:
    """`content_hash` of all that a pipeline paints with.

    Every module with its weights (UNet, text encoders, autoencoder, others), the tokenizers, the
    scheduler's class and configuration, and the pipeline's own settings.
    """
    parts = {k: v for k, v in sorted(pipe.components.items()) if v is not None}
    return content_hash(type(pipe).__name__, _public(dict(pipe.config)), parts)


def _feed(update: Callable[[bytes | memoryview], Any], thing: Any) -> None:
    def put(kind: str, *rest: Any) -> None:
        update(f"{kind}(".encode())
        for r in rest:
            _feed(update, r)
        update(b")")

    if thing is None or isinstance(thing, bool | int | float | str | PurePath):
        text = str(thing) if isinstance(thing, PurePath) else repr(thing)
        update(f"{type(thing).__name__}:{len(text)}:{text}".encode())
    elif isinstance(thing, bytes | memoryview):
        update(f"bytes:{len(thing)}:".encode())
        update(thing)
    elif isinstance(thing, Mapping):
        put("map", *(x for k in sorted(thing, key=repr) for x in (k, thing[k])))
    elif isinstance(thing, list | tuple):
        put("list", *thing)
    elif isinstance(thing, Set):
        put("set", *sorted(thing, key=repr))
    elif isinstance(getattr(thing, "key", None), str):
        put("key", thing.key)
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
        put(type(thing).__qualname__, fields)
    else:
        put(type(thing).__qualname__, *_parts(thing))


def _parts(thing: Any) -> tuple[Any, ...]:
    """The parts of an object that is not plain data."""
    import numpy as np
    import torch

    if isinstance(thing, np.ndarray | np.generic):
        array = np.ascontiguousarray(thing)
        return str(array.dtype), list(array.shape), array.tobytes()
    if isinstance(thing, torch.Tensor):
        flat = thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return str(thing.dtype), list(thing.shape), flat.numpy().data.cast("B")
    if isinstance(thing, torch.nn.Module):
        return _module(thing)
    if isinstance(thing, torch.dtype | torch.device):
        return (str(thing),)
    if hasattr(thing, "get_vocab"):
        return _tokenizer(thing)
    if isinstance(getattr(thing, "model", None), torch.nn.Module):  # a zoo's or external model
        return thing.model, getattr(thing, "name", None), getattr(thing, "preprocess", None)
    config = getattr(thing, "config", None)
    if isinstance(config, Mapping):  # a scheduler; its noise levels may have been set by hand
        levels = [getattr(thing, name, None) for name in ("betas", "alphas_cumprod")]
        return _public(config), levels
    if hasattr(thing, "to_dict"):  # a picture processor
        return (_public(thing.to_dict()),)
    raise KleditError(
        f"Cannot tell what a {type(thing).__name__} depends on, so that its answers cannot be "
        "kept in a folder; give it an attribute key (text), or pass no folder."
    )


def _module(module: Any) -> tuple[Any, ...]:
    import torch

    ours = set(vars(torch.nn.Module())) | {"_internal_dict", "name_or_path", "config"}
    attributes = []
    for name, part in module.named_modules():
        for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values()):
            origin = getattr(hook, "__module__", None) or type(hook).__module__
            if not origin.startswith(KNOWN):
                raise KleditError(
                    f"The module {name or type(module).__name__!r} carries a hook of {origin}, "
                    "whose effect cannot be told from outside, so that answers cannot be kept in a "
                    "folder; remove the hook, or pass no folder."
                )
        plain = {k: v for k, v in vars(part).items() if k not in ours and _is_plain(v)}
        processor = type(getattr(part, "processor", None)).__qualname__
        attributes.append((name, type(part).__qualname__, processor, _public(plain, keep="_")))
    config = getattr(module, "config", {})
    config = config if isinstance(config, Mapping) else config.to_dict()
    tensors = {n: p for n, p in (*module.named_parameters(), *module.named_buffers())}
    return _public(config), attributes, tensors


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(v) for v in value.values())
    if isinstance(value, list | tuple | Set):
        return all(_is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str)


def _public(config: Mapping[str, Any], keep: str = "") -> dict[str, Any]:
    """Without private entries and without where and by which version it was saved."""
    gone = {"_is_hf_initialized", "_name_or_path", "transformers_version", "dtype", "torch_dtype"}
    return {
        k: v for k, v in config.items() if k not in gone and (keep or not str(k).startswith("_"))
    }


def _tokenizer(tokenizer: Any) -> tuple[Any, ...]:
    """Vocabulary, merges and special tokens; not how the last call padded."""
    rules = getattr(tokenizer, "bpe_ranks", None)
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        whole = json.loads(backend.to_str())
        rules = {k: whole.get(k) for k in ("model", "normalizer", "pre_tokenizer")}
    special = {k: str(v) for k, v in tokenizer.special_tokens_map.items()}
    return tokenizer.get_vocab(), rules, special, tokenizer.model_max_length
