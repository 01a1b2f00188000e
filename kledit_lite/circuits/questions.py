"""Questions that a model answers rightly, as prompts that are laid out, and their corruptions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kledit_lite.circuits.prompts import Laid, generate, lay_out, swapped
from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    from kledit_lite.models.scenarios.reading import Reading
    from kledit_lite.world.reading import Passage

AT_ONCE = 64


@dataclass(frozen=True)
class Questions:
    """Passages and the prompts they became.

    Attributes:
        passages: N of them.
        laid: Their prompts.
        share: Of the passages drawn, the share that the model answered rightly.
    """

    passages: tuple[Passage, ...]
    laid: tuple[Laid, ...]
    share: float

    def __len__(self) -> int:
        return len(self.laid)

    def __getitem__(self, rows: Sequence[int]) -> Questions:
        return Questions(
            tuple(self.passages[i] for i in rows), tuple(self.laid[i] for i in rows), self.share
        )

    @property
    def answers(self) -> list[str]:
        """What is to be said."""
        return [p.answer for p in self.passages]

    @property
    def sources(self) -> list[int]:
        """The sentence that holds each answer.

        Raises:
            KleditError: a passage is silent.
        """
        found = [p.source for p in self.passages if p.source is not None]
        if len(found) != len(self.passages):
            raise KleditError("A passage that is silent has no source.")
        return found


def ask(scenario: Reading, passages: Sequence[Passage]) -> tuple[list[Laid], list[str]]:
    """Prompts of some passages, and what the model answers to them."""
    model, tokenizer = scenario.model, scenario.tokenizer
    longest = getattr(model.config, "max_position_embeddings", None)
    laid = [lay_out(tokenizer, p.sentences, p.question, scenario.form, longest) for p in passages]
    said: list[str] = []
    for start in range(0, len(laid), AT_ONCE):
        some = laid[start : start + AT_ONCE]
        said += generate(model, tokenizer, some, scenario.new_tokens)
    return laid, said


def draw(
    scenario: Reading,
    kind: str,
    n: int,
    seed: int,
    shared: bool | None = None,
    tests: bool = True,
    patience: int = 12,
) -> Questions:
    """Questions of one kind that the model answers as their passages say it should.

    A model that has learned nothing is asked all the same, so that code can be rehearsed.

    Args:
        scenario: Model and passages, of `kledit_lite.models.scenarios.reading`.
        kind: One of `kledit_lite.models.scenarios.reading.KINDS`.
        n: How many.
        seed: Of the draw.
        shared: Whether the passage's other subject shares the relation asked; None: either.
        tests: About the subjects that are kept for tests, or about the others.
        patience: Passages drawn for each one wanted, at most.

    Raises:
        KleditError: the model answers too few of them.
    """
    rng, drawn = random.Random(f"{seed} {kind} {tests}"), 0
    kept: list[Passage] = []
    prompts: list[Laid] = []
    while len(kept) < n:
        if drawn >= patience * max(n, AT_ONCE):
            raise KleditError(
                f"The model gave the answer wanted to {len(kept)} of {drawn} questions of kind "
                f"{kind!r}; {n} were asked for."
            )
        some = [scenario.passage(rng, kind, shared, tests) for _ in range(min(AT_ONCE, 2 * n))]
        laid, said = ask(scenario, some)
        drawn += len(some)
        for passage, prompt, answer in zip(some, laid, said, strict=True):
            if not scenario.learned or scenario.right(answer, passage.expected):
                kept.append(passage)
                prompts.append(prompt)
    share = len(kept) / drawn
    return Questions(tuple(kept[:n]), tuple(prompts[:n]), share)


def corrupt(scenario: Reading, questions: Questions, seed: int) -> list[Laid]:
    """The same prompts about other subjects with other answers.

    Every mention of the subject and of the answer is replaced, in sentences and question, by those
    of another passage that asks for the same relation.

    Args:
        scenario: Where the questions come from.
        questions: N of them.
        seed: Of the draw.
    """
    rng, found = random.Random(f"{seed} corrupt"), []
    for p in questions.passages:
        other = scenario.other(rng, p)
        swap = {p.fact.subject: other.subject, p.answer: other.value}
        swap |= {k[:1].upper() + k[1:]: v[:1].upper() + v[1:] for k, v in swap.items()}
        texts = [swapped(t, swap) for t in (*p.sentences, p.question)]
        found.append(lay_out(scenario.tokenizer, texts[:-1], texts[-1], scenario.form))
    return found
