"""Checkpoints on disk, read by their headers: which tensor lies where, in what precision.

A safetensors file is eight bytes of length, a JSON header, and the raw values of all tensors one
after another. The header says everything that arithmetic on checkpoints needs to know, so models
are compared, and refused, before a single value is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kledit_lite.errors import KleditError

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
_LONGEST_HEADER = 100_000_000  # what safetensors itself accepts


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: file, offset of its first byte in it, type, shape, length in bytes."""

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
        kledit_lite.errors.KleditError: There is no checkpoint at no-such-folder; expected a ...
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


def match(
    target: Checkpoint, other: Checkpoint, role: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Where `other` keeps each tensor of `target`, or one sentence saying why it cannot be used.

    Args:
        target: the model to edit.
        other: the model to match with it, tensor by tensor.
        role: what `other` is, for the message: ``"base"``, ``"forget"``, ``"retain"``.

    Returns:
        name -> `Tensor` for all tensors of the target, and the names that were found only
        because embeddings are tied.

    Raises:
        KleditError: tensors missing, too many or of other shapes; another tokenizer; a stored
            output embedding that the tied target has no room for.
    """
    found: dict[str, Tensor] = {}
    tied = []
    for name, tensor in target.tensors.items():
        match_ = other.find(name)
        if match_ is None:
            missing = sum(other.find(n) is None for n in target.tensors)
            raise KleditError(
                f"The {role} checkpoint {other.path} lacks {name!r} ({missing} of "
                f"{len(target.tensors)} tensors are missing); it must be the target's architecture."
            )
        if match_.shape != tensor.shape:
            raise KleditError(
                f"{name!r} is {list(match_.shape)} in the {role} checkpoint {other.path}, and "
                f"{list(tensor.shape)} in the target {target.path}; all must have the same shapes."
            )
        if name not in other.tensors:
            tied.append(name)
        found[name] = match_
    for name in other.tensors.keys() - target.tensors.keys():
        stands_for = target.find(name)
        source = next((n for n, t in target.tensors.items() if t is stands_for), None)
        if stands_for is None or not _same_bytes(other.tensors[name], found[str(source)]):
            raise KleditError(
                f"The {role} checkpoint {other.path} holds {name!r}, which the target "
                f"{target.path} does not have; it must be the target's architecture."
            )
        tied.append(name)
    check_tokenizers(target.folder, other.folder, role)
    return found, tuple(sorted(tied))


def _same_bytes(first: Tensor, second: Tensor, chunk: int = 1 << 22) -> bool:
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    with open(first.file, "rb") as a, open(second.file, "rb") as b:
        a.seek(first.offset)
        b.seek(second.offset)
        for left in range(first.size, 0, -chunk):
            if a.read(min(chunk, left)) != b.read(min(chunk, left)):
                return False
    return True


def check_tokenizers(target: Path, other: Path, role: str) -> None:
    """Refuse checkpoints whose tokens mean different things; silent where there is no tokenizer.

    Raises:
        KleditError: both folders hold a vocabulary, and the same token has another number.
    """
    for name, key in (("tokenizer.json", "model"), ("vocab.json", None)):
        ours, theirs = target / name, other / name
        if not (ours.is_file() and theirs.is_file()) or ours.read_bytes() == theirs.read_bytes():
            continue
        a, b = (json.loads(p.read_text(encoding="utf-8")) for p in (ours, theirs))
        a, b = (_vocabulary(x[key] if key else x) for x in (a, b))
        differ = sum(b.get(token) != number for token, number in a.items()) + len(b.keys() - a)
        if differ:
            raise KleditError(
                f"The {role} checkpoint {other} has another tokenizer than the target {target} "
                f"({differ} tokens differ); rows of the embeddings would stand for other tokens."
            )


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    vocabulary = model.get("vocab", model)
    if isinstance(vocabulary, list):  # a unigram model: pairs of token and score
        return {token: i for i, (token, _) in enumerate(vocabulary)}
    return vocabulary


def dtypes(tensors: Iterable[Tensor]) -> tuple[str, ...]:
    """The types that occur, sorted by name."""
    return tuple(sorted({t.dtype for t in tensors}))
