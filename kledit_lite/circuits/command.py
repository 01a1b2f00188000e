"""``kledit attribute``: an answer, and the sentences of the context that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from kledit_lite.core.commands import Command, File, Positive
from kledit_lite.core.results import Results


@dataclass(frozen=True, kw_only=True)
class AttributeOptions:
    """What to read, what to ask, and which head to look at.

    Attributes:
        context: text file with one sentence per line
        question: what is asked of it
        model: a shipped name, a package, a model's folder or a Hub id (default: the profile's)
        head: LAYER.HEAD to look at; default: the best of ten questions with a known source
        answer: an answer to explain; default: the model's own
        html: file for the context, coloured by how much the head looked at each sentence
        tokens: of the model's own answer, at most
        seed: seed of the ten questions
    """

    context: File
    question: str
    model: Annotated[str, "ID"] | None = None
    head: Annotated[str, "LAYER.HEAD"] | None = None
    answer: str | None = None
    html: Annotated[Path, "FILE"] | None = None
    tokens: Positive = 16
    seed: int = 0


def run(options: AttributeOptions) -> Results:
    """Answer and attribute; see `circuits.explain.explain`."""
    from kledit_lite.circuits.explain import explain

    return explain(options)


def show(results: Results) -> None:
    """The answer, and the sentences, the highest first."""
    print(f"{results.extra['answer']}\n")
    for row in results.extra["sentences"]:
        print(f"  {row['score']:.3f}  {row['sentence']}")
    print(f"\nhead {results.extra['head']}")


COMMANDS = (
    Command("attribute", "name the sentences an answer comes from", AttributeOptions, run, show),
)
