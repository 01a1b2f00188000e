"""Questions about pictures with their constraints marked, as in VQA-Constraints (thesis, 6.2.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError

_KEYS = ("image", "question", "constraints", "answer")
_MORE = ("replacements", "swap", "new_answer", "paraphrase", "keep")


@dataclass(frozen=True)
class Asked:
    """A question about a picture.

    Attributes:
        text: The question.
        constraints: (start, stop) characters of each constraint, in the order of the text; the
            first is the visual one, which points at the picture.
        answer: What the model should say.
    """

    text: str
    constraints: tuple[tuple[int, int], ...]
    answer: str

    def words(self, k: int = 0) -> str:
        """The words of constraint number `k`.

        Example:
            >>> Asked("what is in this town ?", ((11, 20),), "a mill").words()
            'this town'
        """
        start, stop = self.constraints[k]
        return self.text[start:stop]

    def replaced(self, words: str, k: int = 0) -> Asked:
        """The question with other words in place of constraint number `k`.

        Example:
            >>> Asked("what is in this town ?", ((11, 20),), "a mill").replaced("town Telber").text
            'what is in town Telber ?'
        """
        start, stop = self.constraints[k]
        more = len(words) - (stop - start)
        moved = [(a + more * (a >= stop), b + more * (b >= stop)) for a, b in self.constraints]
        text = self.text[:start] + words + self.text[stop:]
        return replace(self, text=text, constraints=tuple(moved))


def ask(text: str, constraints: Sequence[str | Sequence[int]], answer: str) -> Asked:
    """A question with its constraints as words, or as (start, stop) characters.

    Args:
        text: The question.
        constraints: Each as words that stand in it once, or as two numbers.
        answer: What the model should say.

    Raises:
        KleditError: a constraint that is not in the question, or stands in it twice; none at all.

    Example:
        >>> ask("what is in this town ?", ["this town"], "a mill").constraints
        ((11, 20),)
    """
    spans = []
    for given in constraints:
        if isinstance(given, str):
            if not given or text.count(given) != 1:
                often = "empty" if not given else f"in the question {text.count(given)} times"
                raise KleditError(
                    f"The constraint {given!r} is {often}: {text!r}; name words that stand in it "
                    "once, or give their first and last character."
                )
            start = text.index(given)
            stop = start + len(given)
        else:
            try:
                start, stop = map(int, given)
            except (TypeError, ValueError):
                why = f"The constraint {given!r} is neither words nor two numbers."
                raise KleditError(why) from None
            if not 0 <= start < stop <= len(text):
                raise KleditError(
                    f"The constraint from {start} to {stop} is not in the question {text!r}, which "
                    f"has {len(text)} characters."
                )
        spans.append((start, stop))
    if not spans:
        raise KleditError(
            f"The question {text!r} has no constraint; name the words that point at the picture."
        )
    if not text.strip() or not answer.strip():
        raise KleditError("A question or its answer is empty; fill it in or leave it out.")
    return Asked(text, tuple(spans), answer)


@dataclass(frozen=True)
class Row:
    """A question of a file.

    Attributes:
        image: The picture.
        asked: The question with its answer.
        replacements: What each constraint is replaced by for the corrupted run; may be empty.
        swap: Another picture for the corrupted run, or None.
        new_answer: What an edit should make the model say; empty if there is nothing to edit.
        paraphrase: The question in other words, or None.
        keep: Whether the edit must leave this row as it is.
    """

    image: Path
    asked: Asked
    replacements: tuple[str, ...] = ()
    swap: Path | None = None
    new_answer: str = ""
    paraphrase: Asked | None = None
    keep: bool = False


def read_vqa(path: Path) -> list[Row]:
    """Read questions from a JSON file: a list of objects.

    Each has ``image`` (a path, relative to the file), ``question``, ``constraints`` (words or
    (start, stop) characters; the first points at the picture) and ``answer``; it may have
    ``replacements`` (one for each constraint), ``swap`` (another picture), and for edits
    ``new_answer``, ``paraphrase`` (another wording that holds the same constraints' words) and
    ``keep`` (true: must not change).

    Raises:
        KleditError: not such a file; the sentence names the entry and says what is wrong.
    """
    try:
        listed = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KleditError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise KleditError(f"{path} is not readable JSON: {error}.") from None
    if not isinstance(listed, list) or not listed:
        raise KleditError(f"{path} holds no list of questions; see `kledit vlm-trace --help`.")
    rows = []
    for i, entry in enumerate(listed):
        try:
            rows.append(_row(Path(path).parent, entry))
        except KleditError as error:
            raise KleditError(f"Question {i} of {path}: {error}") from None
    return rows


def _row(folder: Path, entry: Any) -> Row:
    if not isinstance(entry, Mapping):
        raise KleditError(
            f"Expected an object with {', '.join(_KEYS)}, got {type(entry).__name__}."
        )
    missing = [k for k in _KEYS if not entry.get(k)]
    strange = [k for k in entry if k not in (*_KEYS, *_MORE)]
    if missing or strange:
        what = f"lacks {missing[0]!r}" if missing else f"has {strange[0]!r}"
        raise KleditError(f"It {what}; the keys are {', '.join((*_KEYS, *_MORE))}.")
    for key in ("image", "question", "answer", "swap", "new_answer", "paraphrase"):
        if not isinstance(entry.get(key, ""), str):
            raise KleditError(f"{key!r} is {entry[key]!r}, expected text.")
    for key in ("constraints", "replacements"):
        if not isinstance(entry.get(key, []), list):
            raise KleditError(f"{key!r} is {entry[key]!r}, expected a list.")
    asked = ask(entry["question"], entry["constraints"], entry["answer"])
    replacements = tuple(str(r) for r in entry.get("replacements", ()))
    if replacements and len(replacements) != len(asked.constraints):
        raise KleditError(
            f"It has {len(asked.constraints)} constraints and {len(replacements)} replacements; "
            "give one for each."
        )
    image = folder / entry["image"]
    swap = folder / entry["swap"] if "swap" in entry else None
    for picture in (image, swap):
        if picture and not picture.is_file():
            raise KleditError(f"There is no picture {picture}.")
    new_answer, keep = entry.get("new_answer", ""), bool(entry.get("keep", False))
    again = entry.get("paraphrase")
    every = [asked.words(k) for k in range(len(asked.constraints))]
    paraphrase = ask(again, every, entry["answer"]) if again else None
    return Row(image, asked, replacements, swap, new_answer, paraphrase, keep)
