"""Checkpoints on disk, read by their headers: which tensor lies where, in what precision.

A safetensors file is eight bytes of length, a JSON header, and the raw values of all tensors one
after another. The header says everything that arithmetic on checkpoints needs to know, so models
are compared, and refused, before a single value is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.arithmetic.tokenizers import check_tokenizers

ITEM_SIZE = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
"""Bytes a value takes, by safetensors' name of its type."""
INPUT_EMBEDDINGS = (
    "embed_tokens.weight",
    "wte.weight",
    "embed_in.weight",
    "word_embeddings.weight",
)
OUTPUT_EMBEDDINGS = ("lm_head.weight", "embed_out.weight", "output.weight")
PREFIXES = ("transformer.", "model.", "gpt_neox.")
"""What a model with a head puts before the names of the model without one."""
BUFFERS = (
    (re.compile(r"(^|\.)inv_freq$"), 1),
    (re.compile(r"(^|\.)(attn|attention)\.bias$"), 4),  # a bias proper has one dimension
    (re.compile(r"(^|\.)(attn|attention)\.masked_bias$"), 0),
    (re.compile(r"(^|\.)position_ids$"), 2),
)
"""Names and dimensions of constants that older versions of transformers saved as weights."""
_LONGEST_HEADER = 100_000_000  # what safetensors itself accepts


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies.

    Attributes:
        file: the file that holds it.
        offset: of its first byte in the file.
        dtype: safetensors' name of its type.
        shape: its shape.
        size: its length in bytes.
    """

    file: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Checkpoint:
    """A model in safetensors: one file, or a folder with one or several shards.

    Attributes:
        path: as given.
        files: the shards, by name.
        tensors: name -> `Tensor`, in the order of the files.
        headers: shard -> its first bytes, up to the first value.
    """

    path: Path
    files: tuple[Path, ...]
    tensors: dict[str, Tensor]
    headers: dict[Path, bytes]

    @property
    def folder(self) -> Path:
        """Where configuration and tokenizer are looked for."""
        return self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def config(self) -> dict[str, Any]:
        """``config.json``, or nothing."""
        path = self.folder / "config.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @property
    def size(self) -> int:
        """Bytes of all tensors together."""
        return sum(t.size for t in self.tensors.values())

    def find(self, name: str) -> Tensor | None:
        """The tensor called `name`; a tied output embedding is found in the input's place.

        A model with tied embeddings is saved with one of the two tensors. Where the configuration
        says that they are tied (or says nothing and there is only one candidate), the stored one
        stands for both.
        """
        if name in self.tensors:
            return self.tensors[name]
        if not name.endswith(OUTPUT_EMBEDDINGS) or not self.config.get("tie_word_embeddings", True):
            return None
        inputs = [t for n, t in self.tensors.items() if n.endswith(INPUT_EMBEDDINGS)]
        return inputs[0] if len(inputs) == 1 else None


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Read the headers of a safetensors file, or of all shards in a folder.

    Args:
        path: a ``.safetensors`` file; or a folder, whose ``model.safetensors.index.json`` names
            the shards if there is one.

    Raises:
        KleditError: nothing there, a shard is missing, truncated or damaged, or two shards hold
            a tensor of the same name.

    Cost: reads the headers only.

    Example:
        >>> open_checkpoint("no-such-folder")
        Traceback (most recent call last):
        ...
        kledit_lite.core.errors.KleditError: There is no checkpoint at no-such-folder; ...
    """
    path = Path(path)
    files = _shards(path)
    tensors: dict[str, Tensor] = {}
    headers: dict[Path, bytes] = {}
    for file in files:
        headers[file], found = _read_header(file)
        twice = sorted(tensors.keys() & found.keys())
        if twice:
            raise KleditError(
                f"{path} holds {twice[0]!r} in {tensors[twice[0]].file.name} and in {file.name}; "
                "remove the stale shard."
            )
        tensors.update(found)
    if not tensors:
        raise KleditError(f"{path} holds no tensors.")
    return Checkpoint(path, files, tensors, headers)


def _shards(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise KleditError(
            f"There is no checkpoint at {path}; expected a .safetensors file or a folder of them."
        )
    index = path / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [n for n in names if not (path / n).is_file()]
        if missing:
            raise KleditError(
                f"{path} lacks the shard {missing[0]} that {index.name} names; copy it there."
            )
        return tuple(path / n for n in names)
    files = tuple(sorted(path.glob("*.safetensors")))
    if not files:
        other = "; pickled weights are not read, save the model as safetensors first"
        pickled = any(path.glob("*.bin"))
        raise KleditError(f"{path} holds no .safetensors file{other if pickled else ''}.")
    return files


def _read_header(file: Path) -> tuple[bytes, dict[str, Tensor]]:
    size = file.stat().st_size
    with open(file, "rb") as stream:
        first = stream.read(8)
        length = int.from_bytes(first, "little")
        if len(first) < 8 or length > min(_LONGEST_HEADER, size - 8):
            raise KleditError(f"{file} is not a safetensors file, or it was cut short.")
        text = stream.read(length)
    try:
        header = json.loads(text)
    except ValueError:
        raise KleditError(f"{file} has a damaged header; fetch the file again.") from None
    start = 8 + length
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        if dtype not in ITEM_SIZE or math.prod(shape) * ITEM_SIZE[dtype] != end - begin:
            raise KleditError(f"{file}: the header of {name!r} does not agree with itself.")
        if start + end > size:
            raise KleditError(
                f"{file} was cut short: {name!r} should end at byte {start + end}, the file has "
                f"{size}; fetch it again."
            )
        tensors[name] = Tensor(file, start + begin, dtype, shape, end - begin)
    return first + text, dict(sorted(tensors.items(), key=lambda item: item[1].offset))


@dataclass(frozen=True)
class Matched:
    """Where a checkpoint keeps the tensors of the target.

    Attributes:
        tensors: name in the target -> `Tensor`; without `BUFFERS`.
        tied: names found only because embeddings are tied.
        ignored: `BUFFERS` of either side, which take no part.
        prefix: that one side puts before its names and the other does not.
        rows: names of embeddings of which only the rows that both have are used.
    """

    tensors: dict[str, Tensor]
    tied: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    prefix: str = ""
    rows: tuple[str, ...] = ()


def is_buffer(name: str, tensor: Tensor) -> bool:
    """Whether a tensor is one of `BUFFERS`: a constant of the architecture, not a weight."""
    return any(p.search(name) and len(tensor.shape) == n for p, n in BUFFERS)


def match(target: Checkpoint, other: Checkpoint, role: str, shared_tokens: bool = False) -> Matched:
    """Where `other` keeps each tensor of `target`, or one sentence saying why it cannot be used.

    Args:
        target: the model to edit.
        other: the model to match with it, tensor by tensor.
        role: what `other` is, for the message: ``"base"``, ``"forget"``, ``"retain"``.
        shared_tokens: allow embeddings with more or fewer rows; the first ones are matched.

    Raises:
        KleditError: tensors missing, too many or of other shapes; another tokenizer; a stored
            output embedding that the tied target has no room for.
    """
    weights = {n: t for n, t in target.tensors.items() if not is_buffer(n, t)}
    ignored = target.tensors.keys() - weights.keys()
    ignored |= {n for n, t in other.tensors.items() if is_buffer(n, t)}
    other, prefix = _renamed(weights, other)
    found: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        match_ = other.find(name)
        if match_ is None:
            missing = sum(other.find(n) is None for n in weights)
            raise KleditError(
                f"The {role} checkpoint {other.path} lacks {name!r} ({missing} of "
                f"{len(weights)} tensors are missing); it must be the target's architecture."
            )
        if match_.shape != tensor.shape:
            embeddings = name.endswith(INPUT_EMBEDDINGS + OUTPUT_EMBEDDINGS)
            more_tokens = embeddings and match_.shape[1:] == tensor.shape[1:]
            if not (more_tokens and shared_tokens):
                out = (
                    "one has more tokens; --shared-tokens (shared_tokens=True) computes the rows "
                    "that all have and leaves the target's others as they are"
                    if more_tokens
                    else "all must have the same shapes"
                )
                raise KleditError(
                    f"{name!r} is {list(match_.shape)} in the {role} checkpoint {other.path}, and "
                    f"{list(tensor.shape)} in the target {target.path}; {out}."
                )
        found[name] = match_
    for name in other.tensors.keys() - weights.keys():
        stands_for = target.find(name)
        source = next((n for n, t in weights.items() if t is stands_for), None)
        if stands_for is None or not same_bytes(other.tensors[name], found[str(source)]):
            raise KleditError(
                f"The {role} checkpoint {other.path} holds {name!r}, which the target "
                f"{target.path} does not have; it must be the target's architecture."
            )
    check_tokenizers(target.folder, other.folder, role, shared_tokens)
    tied = sorted(weights.keys() ^ other.tensors.keys())
    rows = tuple(n for n, t in found.items() if t.shape != weights[n].shape)
    return Matched(found, tuple(tied), tuple(sorted(ignored)), prefix, rows)


def _renamed(weights: Mapping[str, Tensor], other: Checkpoint) -> tuple[Checkpoint, str]:
    """`other` without its buffers, under the target's names, and the prefix that differed."""
    mine = {n: t for n, t in other.tensors.items() if not is_buffer(n, t)}
    best = (sum(n in weights for n in mine), "", mine)
    for prefix in PREFIXES:
        longer = {n if n.endswith(OUTPUT_EMBEDDINGS) else prefix + n: t for n, t in mine.items()}
        shorter = {n.removeprefix(prefix): t for n, t in mine.items()}
        for names in (longer, shorter):
            count = sum(n in weights for n in names)
            if count > best[0] and len(names) == len(mine):
                best = (count, prefix, names)
    return replace(other, tensors=best[2]), best[1]


def same_bytes(first: Tensor, second: Tensor, chunk: int = 1 << 22) -> bool:
    """Whether two tensors agree in type, shape and every byte; stops at the first difference.

    Args:
        first: one tensor.
        second: the other.
        chunk: bytes to read at a time.
    """
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    with open(first.file, "rb") as a, open(second.file, "rb") as b:
        a.seek(first.offset)
        b.seek(second.offset)
        for left in range(first.size, 0, -chunk):
            if a.read(min(chunk, left)) != b.read(min(chunk, left)):
                return False
    return True


def dtypes(tensors: Iterable[Tensor]) -> tuple[str, ...]:
    """The types that occur, sorted by name."""
    return tuple(sorted({t.dtype for t in tensors}))
