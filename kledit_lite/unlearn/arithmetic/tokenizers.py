"""Whether two checkpoints give each token the same number, from their tokenizers' files."""

from __future__ import annotations

import json
from pathlib import Path

from kledit_lite.core.errors import KleditError


def check_tokenizers(target: Path, other: Path, role: str, shared_tokens: bool = False) -> None:
    """Refuse checkpoints whose tokens mean different things; silent where there is no tokenizer.

    Args:
        target: folder of the target.
        other: folder of the checkpoint to compare.
        role: what `other` is, for the message.
        shared_tokens: allow tokens that only one of them has.

    Raises:
        KleditError: both folders hold a vocabulary, and they number a token differently, or one
            lacks it without `shared_tokens`.
    """
    for name in ("tokenizer.json", "vocab.json"):
        ours, theirs = target / name, other / name
        if not (ours.is_file() and theirs.is_file()) or ours.read_bytes() == theirs.read_bytes():
            continue
        a, b = _vocabulary(ours), _vocabulary(theirs)
        moved = sum(a[token] != b[token] for token in a.keys() & b.keys())
        alone = len(a.keys() ^ b.keys())
        if moved or (alone and not shared_tokens):
            why = "rows of the embeddings would stand for other tokens."
            if not moved:
                why = "--shared-tokens (shared_tokens=True) leaves out tokens that only one has."
            raise KleditError(
                f"The {role} checkpoint {other} has another tokenizer than the target {target} "
                f"({moved + alone} tokens differ); {why}"
            )


def _vocabulary(path: Path) -> dict[str, int]:
    """Token -> number, of a ``tokenizer.json`` (added tokens included) or a ``vocab.json``."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if path.name == "vocab.json":
        return found
    vocabulary = found.get("model", {}).get("vocab", {})
    if isinstance(vocabulary, list):  # a unigram model: pairs of token and score
        vocabulary = {token: i for i, (token, _) in enumerate(vocabulary)}
    return vocabulary | {t["content"]: t["id"] for t in found.get("added_tokens") or ()}
