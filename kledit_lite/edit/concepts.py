"""What an edit is asked to do: pairs of prompts, and which tokens of them to pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from kledit_lite.errors import KleditError, unknown
from kledit_lite.rows import read_rows
from kledit_lite.trace import end_position, last_subject_position
from kledit_lite.trace.tokens import check_pairs, token_ids

Tokens = Literal["last-subject", "to-end", "to-padding", "aligned"]
TOKENS = ("last-subject", "to-end", "to-padding", "aligned")

TEMPLATES = ("{}", "a photo of {}", "an image of {}", "a picture of {}")
"""The four prompts of the published DiffQuickFix runs."""


@dataclass(frozen=True)
class Concept:
    """A concept and what shall take its place, in paired prompts.

    Removing a style, replacing an object and updating a fact are the same request: the text of
    each source shall act as that of its target.

    Attributes:
        sources: Prompts with the concept.
        targets: As many prompts without it.
        subject: The concept's words in every source, or one for each source; None for the last
            token before the end.
        target_subject: The same for the targets.

    Raises:
        KleditError: unequal numbers of prompts, none, or a string where a list belongs.

    Example:
        >>> Concept(("a cat in the style of seurat",), ("a cat in a photo",), "seurat", "photo")
        ... # doctest: +ELLIPSIS
        Concept(sources=('a cat in the style of seurat',), ...)
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    subject: str | tuple[str, ...] | None = None
    target_subject: str | tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_pairs(self.sources, self.targets)
        object.__setattr__(self, "sources", tuple(self.sources))
        object.__setattr__(self, "targets", tuple(self.targets))
        for name in ("subject", "target_subject"):
            given = getattr(self, name)
            if given is None or isinstance(given, str):
                continue
            if len(given) != len(self.sources):
                raise KleditError(
                    f"{name} names {len(given)} subjects for {len(self.sources)} prompts; give "
                    "one, or one for each prompt."
                )
            object.__setattr__(self, name, tuple(given))

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def of(cls, subject: str, target: str, templates: Sequence[str] = TEMPLATES) -> Concept:
        """The same templates filled with both, e.g. "van gogh" and "painting".

        Args:
            subject: What to edit; also a fact's subject, as in ``"the mascot of Bramble"``.
            target: What it shall act as, e.g. the new fact.
            templates: Texts with one ``{}``.

        Raises:
            KleditError: a template without ``{}``, or none.

        Example:
            >>> Concept.of("van gogh", "painting").sources[1]
            'a photo of van gogh'
        """
        bad = [t for t in templates if t.count("{}") != 1]
        if bad or isinstance(templates, str):
            raise KleditError(f"Templates need exactly one {{}}, got {bad or templates!r}.")
        return cls(
            tuple(t.format(subject) for t in templates),
            tuple(t.format(target) for t in templates),
            subject,
            target,
        )

    def subjects(self, i: int) -> tuple[str | None, str | None]:
        """The words of pair i: subject and target subject."""
        a, b = self.subject, self.target_subject
        return (a[i] if isinstance(a, tuple) else a), (b[i] if isinstance(b, tuple) else b)


@dataclass(frozen=True)
class Pair:
    """One row of the regression: which token of which prompt shall act as which other.

    Attributes:
        prompt: Row of the prompts, over all concepts.
        source, target: Positions in the source and the target, the start token being 0.
        weight: Its importance.
    """

    prompt: int
    source: int
    target: int
    weight: float = 1.0


def token_pairs(
    tokenizer: Any,
    concepts: Sequence[Concept],
    tokens: Tokens,
    length: int,
    rest_weight: float = 1.0,
) -> list[Pair]:
    """The rows of an edit.

    - ``last-subject``: the last token of the subject, which in a causal encoder has read all of it;
    - ``to-end``: that token and those after it, through the end token;
    - ``to-padding``: that token and all those after it. Most of these rows are padding, so they
      outvote the subject unless `rest_weight` is small;
    - ``aligned``: every token of the source with the token of the target that stands for it. Equal
      tokens pair up in order; in a part that differs, tokens pair up from its end; padding pairs
      with padding.

    Args:
        tokenizer: The pipeline's.
        concepts: One or several; their rows go into one regression.
        tokens: See above.
        length: Tokens the encoder pads to.
        rest_weight: Importance of each row after the last subject token; 1 for ``aligned``.

    Raises:
        UnknownNameError: not a choice of tokens.
        KleditError: a subject that is not in its prompt (lists its tokens), a prompt that is too
            long.
    """
    if tokens not in TOKENS:
        raise unknown("choice of tokens", tokens, TOKENS)
    pairs: list[Pair] = []
    row = 0
    for concept in concepts:
        for i, (source, target) in enumerate(zip(concept.sources, concept.targets, strict=True)):
            if tokens == "aligned":
                pairs += [Pair(row, *at) for at in aligned(tokenizer, source, target, length)]
            else:
                words = concept.subjects(i)
                p = last_subject_position(tokenizer, source, words[0])
                q = last_subject_position(tokenizer, target, words[1])
                more = {
                    "last-subject": 0,
                    "to-end": min(
                        end_position(tokenizer, source) - p, end_position(tokenizer, target) - q
                    ),
                    "to-padding": length - 1 - max(p, q),
                }[tokens]
                pairs.append(Pair(row, p, q))
                if rest_weight > 0:
                    pairs += [Pair(row, p + k, q + k, rest_weight) for k in range(1, more + 1)]
            row += 1
    return pairs


def aligned(tokenizer: Any, source: str, target: str, length: int) -> list[tuple[int, int]]:
    """Which token of the target stands for each token of the source; see `token_pairs`.

    Tokens of the source that the target simply lacks have no counterpart and are left out.

    Returns:
        Pairs of positions, ascending in the source.
    """
    a, b = token_ids(tokenizer, source), token_ids(tokenizer, target)
    pairs: list[tuple[int, int]] = []
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for _, i0, i1, j0, j1 in matcher.get_opcodes():
        if j1 > j0:
            pairs += [(i, max(j1 - (i1 - i), j0)) for i in range(i0, i1)]
    padding = length - max(len(a), len(b))
    return pairs + [(len(a) + k, len(b) + k) for k in range(padding)]


def as_concepts(concepts: Concept | Sequence[Concept]) -> list[Concept]:
    """A list of concepts from one or several.

    Raises:
        KleditError: none, or something else.
    """
    found = [concepts] if isinstance(concepts, Concept) else list(concepts)
    if not found or not all(isinstance(c, Concept) for c in found):
        raise KleditError(
            "Expected one Concept or a list of them; make one with Concept.of('van gogh', "
            "'painting')."
        )
    return found


def read_concepts(path: Path) -> list[Concept]:
    """Concepts from a CSV file with a header, or a JSON list of objects.

    Columns or keys: ``source`` and ``target``, and if wanted ``subject``, ``target_subject`` and
    ``concept``, a name that groups rows into concepts.

    Raises:
        KleditError: no such file, not readable, a row without source or target.
    """
    groups: dict[str, list[dict[str, str]]] = {}
    for row in read_rows(path, ("source", "target"), ("subject", "target_subject", "concept")):
        groups.setdefault(row["concept"], []).append(row)
    return [_concept(path, name, group) for name, group in groups.items()]


def _concept(path: Path, name: str, rows: list[dict[str, str]]) -> Concept:
    columns = {}
    for field in ("subject", "target_subject"):
        words = tuple(r[field] for r in rows)
        if any(words) and not all(words):
            raise KleditError(
                f"{path}: some rows of the concept {name!r} have a {field} and some do not; fill "
                "in all or none."
            )
        columns[field] = words if any(words) else None
    return Concept(tuple(r["source"] for r in rows), tuple(r["target"] for r in rows), **columns)
