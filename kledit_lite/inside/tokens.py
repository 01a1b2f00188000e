"""Which tokens of a prompt say what: the subject, its last token, the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kledit_lite.core.errors import KleditError


def token_ids(tokenizer: Any, prompt: str) -> list[int]:
    """The prompt's token ids with start and end, unpadded and uncut.

    Raises:
        KleditError: more tokens than the encoder takes.
    """
    ids = list(tokenizer(prompt)["input_ids"])
    most = tokenizer.model_max_length
    if len(ids) > most:
        raise KleditError(
            f"A prompt has {len(ids)} tokens with start and end, the text encoder takes {most}: "
            f"{prompt!r}; shorten it."
        )
    return ids


def words_of(tokenizer: Any, prompt: str) -> list[str]:
    """The prompt's tokens as people read them, start and end included."""
    tokens = tokenizer.convert_ids_to_tokens(token_ids(tokenizer, prompt))
    return [t.replace("</w>", "") for t in tokens]


def end_position(tokenizer: Any, prompt: str) -> int:
    """Where the end token is, found by its id (padding may have the same id and come later)."""
    return token_ids(tokenizer, prompt).index(tokenizer.eos_token_id, 1)


def subject_positions(tokenizer: Any, prompt: str, subject: str) -> list[int]:
    """Positions of the subject's tokens in the prompt, its last mention.

    Args:
        tokenizer: A CLIP tokenizer.
        prompt: The whole prompt.
        subject: Words that occur in it, e.g. ``"van gogh"``.

    Returns:
        Ascending positions, the start token being 0.

    Raises:
        KleditError: the subject's tokens do not occur in a row; the sentence lists the tokens.

    Example:
        >>> from kledit_lite import zoo
        >>> tokenizer = zoo.load_pipeline("paint-tiny").tokenizer
        >>> subject_positions(tokenizer, "a cat in the style of van gogh", "van gogh")
        [7, 8]
    """
    ids = token_ids(tokenizer, prompt)
    wanted = list(tokenizer(subject)["input_ids"])[1:-1]
    for start in range(len(ids) - len(wanted), 0, -1):
        if wanted and ids[start : start + len(wanted)] == wanted:
            return list(range(start, start + len(wanted)))
    raise KleditError(
        f"The subject {subject!r} is not in the prompt {prompt!r}; its tokens are "
        f"{words_of(tokenizer, prompt)[1:-1]}."
    )


def last_subject_position(tokenizer: Any, prompt: str, subject: str | None = None) -> int:
    """Position of the subject's last token; without a subject, the last token before the end.

    In a causal text encoder this token has read all of the subject, which is why edits use it.

    Args:
        tokenizer: The pipeline's.
        prompt: One prompt.
        subject: Words of the prompt, or None.
    """
    if subject is None:
        return end_position(tokenizer, prompt) - 1
    return subject_positions(tokenizer, prompt, subject)[-1]


def check_pairs(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Raise unless there are as many targets as sources, and some."""
    for name, given in (("source", sources), ("target", targets)):
        if isinstance(given, str):
            raise KleditError(f"Expected a list of {name} prompts, got one string; pass [prompt].")
    if len(sources) != len(targets) or not len(sources):
        raise KleditError(
            f"Expected one target prompt for each source prompt, got {len(sources)} source and "
            f"{len(targets)} target prompts."
        )
