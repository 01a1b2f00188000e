"""What an edit is asked to do: pairs of prompts, and which tokens of them to pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal, get_args

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.rows import read_rows
from kledit_lite.inside import end_position, last_subject_position
from kledit_lite.inside.tokens import check_pairs, token_ids, words_of

Tokens = Literal["last-subject", "to-end", "to-padding", "aligned"]
TOKENS: tuple[Tokens, ...] = get_args(Tokens)

TEMPLATES = ("{}", "a photo of {}", "an image of {}", "a picture of {}")
"""The four prompts of the published DiffQuickFix runs."""

SMALL_WORDS = frozenset("a an the of by in on at to from with and as for is this".split())
"""Words that are never taken for a subject that nobody named."""


@dataclass(frozen=True)
class Concept:
    """A concept and what must take its place, in paired prompts.

    Removing a style, replacing an object and updating a fact are the same request: the text of
    each source must act as that of its target.

    Attributes:
        sources: Prompts with the concept.
        targets: As many prompts without it.
        subject: The concept's words in every source, or one for each source; None for the last
            word of the source that its target lacks.
        target_subject: The words that stand for them in the targets; None for the last word of
            the target that its source lacks. `Edit.paired` says what was paired.

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
            target: What it must act as, e.g. the new fact.
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
        sources, targets = (tuple(t.format(w) for t in templates) for w in (subject, target))
        return cls(sources, targets, subject, target)

    def subjects(self, i: int) -> tuple[str | None, str | None]:
        """The words of pair i: subject and target subject."""
        a, b = self.subject, self.target_subject
        return (a[i] if isinstance(a, tuple) else a), (b[i] if isinstance(b, tuple) else b)


@dataclass(frozen=True)
class Pair:
    """One row of the regression: which token of which prompt must act as which other.

    Attributes:
        prompt: Row of the prompts, over all concepts.
        source: Position in the source, the start token being 0.
        target: Position in the target.
        weight: Its importance.
        subject: Whether it pairs the subjects, not what follows them.
    """

    prompt: int
    source: int
    target: int
    weight: float = 1.0
    subject: bool = False


def token_pairs(
    tokenizer: Any,
    concepts: Sequence[Concept],
    tokens: Tokens,
    length: int,
    rest_weight: float = 1.0,
) -> list[Pair]:
    """The rows of an edit.

    - ``last-subject``: the last token of the subject, which in a causal encoder has read all of it;
    - ``to-end``: that token and those after it, through the end token. What follows is counted
      from the end, so that the end token pairs with the end token;
    - ``to-padding``: the same, and padding with padding. Most of these rows are padding, so they
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
        KleditError: a subject that is not in its prompt (lists its tokens), one that is not named
            and cannot be told, a prompt that is too long.
    """
    if tokens not in TOKENS:
        raise unknown("choice of tokens", tokens, TOKENS)
    pairs: list[Pair] = []
    for row, (concept, i) in enumerate((c, i) for c in concepts for i in range(len(c))):
        source, target = concept.sources[i], concept.targets[i]
        if tokens == "aligned":
            pairs += [Pair(row, *at) for at in aligned(tokenizer, source, target, length)]
            continue
        words = concept.subjects(i)
        p = subject_position(tokenizer, source, target, words[0], "subject")
        q = subject_position(tokenizer, target, source, words[1], "target_subject")
        pairs.append(Pair(row, p, q, subject=True))
        if tokens != "last-subject" and rest_weight > 0:
            a, b = end_position(tokenizer, source), end_position(tokenizer, target)
            first = 1 - min(a - p, b - q)  # of what follows, counted from the end tokens
            last = 1 if tokens == "to-end" else length - max(a, b)
            pairs += [Pair(row, a + k, b + k, rest_weight) for k in range(first, last)]
    return pairs


def subject_position(
    tokenizer: Any, prompt: str, other: str, subject: str | None, what: str = "subject"
) -> int:
    """Position of the last token of a prompt's subject, named or told by comparison.

    Args:
        tokenizer: The pipeline's.
        prompt: The prompt to look in.
        other: The prompt it is paired with.
        subject: Its words; None for the last word of the prompt that the other one lacks,
            `SMALL_WORDS` apart.
        what: What an error message asks for.

    Raises:
        KleditError: the subject is not in the prompt; or none is named, and the prompt has no
            word that the other one lacks.
    """
    if subject is not None:
        return last_subject_position(tokenizer, prompt, subject)
    theirs = {word for word, _ in _words(tokenizer, other)} | SMALL_WORDS
    mine = [end for word, end in _words(tokenizer, prompt) if word not in theirs]
    if not mine:
        raise KleditError(
            f"The prompt {prompt!r} has no word that {other!r} lacks, so nothing tells which of "
            f"its tokens to pair; name its {what}."
        )
    return mine[-1]


def _words(tokenizer: Any, prompt: str) -> list[tuple[str, int]]:
    """Each word, and the position of its last token."""
    ids = token_ids(tokenizer, prompt)[1:-1]
    words: list[tuple[str, int]] = []
    begun = ""
    for i, token in enumerate(tokenizer.convert_ids_to_tokens(ids)):
        begun += token.removesuffix("</w>")
        if token.endswith("</w>") or i == len(ids) - 1:
            words.append((begun, i + 1))
            begun = ""
    return words


def paired_words(
    tokenizer: Any, concepts: Sequence[Concept], pairs: Sequence[Pair]
) -> list[dict[str, Any]]:
    """Which tokens were paired, as words: the subjects', or with ``aligned`` all but padding.

    Args:
        tokenizer: The pipeline's.
        concepts: The concepts that were edited.
        pairs: Their rows, from `token_pairs`.

    Returns:
        One row per pair of tokens, with ``source``, ``target`` and ``prompts``, how often they were
        paired. Different tokens come before equal ones, then frequent pairs before rare ones.
    """
    sources = [words_of(tokenizer, p) for c in concepts for p in c.sources]
    targets = [words_of(tokenizer, p) for c in concepts for p in c.targets]
    named = any(p.subject for p in pairs)
    found: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        a, b = sources[pair.prompt], targets[pair.prompt]
        if pair.subject or (not named and pair.source < len(a) and pair.target < len(b)):
            found[a[pair.source], b[pair.target]] += 1
    rows = [{"source": a, "target": b, "prompts": n} for (a, b), n in found.most_common()]
    return sorted(rows, key=lambda row: row["source"] == row["target"])


def aligned(tokenizer: Any, source: str, target: str, length: int) -> list[tuple[int, int]]:
    """Which token of the target stands for each token of the source; see `token_pairs`.

    Tokens of the source that the target simply lacks have no counterpart and are left out.

    Args:
        tokenizer: The pipeline's.
        source: Prompt with the concept.
        target: Prompt without it.
        length: Tokens the encoder pads to.

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
