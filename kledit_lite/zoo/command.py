"""``kledit zoo list``, ``eval`` and ``train``: the models that ship with the package."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from kledit_lite.core.commands import BARE, Command, Folder, Name, NoOptions, Positive
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results


@dataclass(frozen=True, kw_only=True)
class ZooEvalOptions:
    """Which model to measure.

    Attributes:
        name: a model, as `kledit zoo list` shows it
    """

    name: Annotated[Name, BARE]


@dataclass(frozen=True, kw_only=True)
class ZooTrainOptions:
    """Which model to train, for how long, and where to.

    Attributes:
        name: a model, as `kledit zoo list` shows it
        samples: pictures to see (default: the recipe's)
        out: folder for NAME/, whose files are replaced (default: the package's own weights)
        work: folder for checkpoints; a killed run goes on in it (default: _build/train)
    """

    name: Annotated[Name, BARE]
    samples: Positive | None = None
    out: Folder | None = None
    work: Folder | None = None


def list_models(options: NoOptions) -> Results:
    """The models and their cards."""
    from kledit_lite import zoo

    cards = [asdict(card) | card.provenance() for card in map(zoo.card, zoo.names())]
    return Results("zoo list", {"models": len(cards)}, {}, context(), {"models": cards})


def evaluate(options: ZooEvalOptions) -> Results:
    """Measure a model on its ground truth.

    Raises:
        UnknownNameError: no such model.
    """
    from kledit_lite.zoo import measure

    return measure.evaluate(options.name)


def train(options: ZooTrainOptions) -> Results:
    """Train a model by its recipe.

    Raises:
        UnknownNameError: no recipe for such a model.
    """
    from kledit_lite.zoo.recipes import run

    chosen = {key: value for key, value in asdict(options).items() if value is not None}
    with contextlib.redirect_stdout(sys.stderr):
        card = run.train(**chosen)
    figures = {k: v for k, v in card.result.items() if isinstance(v, int | float)}
    made = context(seconds=card.training.get("seconds"), card=card.provenance())
    return Results(f"zoo train {card.name}", figures, {}, made)


def show_models(results: Results) -> None:
    """Two lines per model: what it is, and how it was made."""
    for card in results.extra["models"]:
        size = f"{card['parameters'] / 1e6:.1f}M parameters"
        print(f"{card['name']:<14} {card['architecture']}; {card['supervision']}; {size}")
        print(f"{'':<14} {' · '.join(facts(card))}")


def show_measured(results: Results) -> None:
    """The figures, and how the model was made."""
    results.print()
    print("made: " + " · ".join(facts(results.context["card"])))


def facts(card: Mapping[str, Any]) -> list[str]:
    """The provenance of a card in words, checksums by their first 12 digits.

    Example:
        >>> facts({"command": "not recorded", "threads": 2, "sha256": 64 * "0"})
        ['threads 2', 'sha256 000000000000', 'not recorded: command']
    """
    from kledit_lite.zoo.store import FACTS, NOT_RECORDED

    told = {name.replace("_", " "): card[name] for name in FACTS if name in card}
    missing = [name for name, value in told.items() if value == NOT_RECORDED]
    short = {name: v[:12] if name.endswith("sha256") else v for name, v in told.items()}
    said = [f"{name} {value}" for name, value in short.items() if name not in missing]
    return [*said, f"not recorded: {', '.join(missing)}"] if missing else said


GROUP = "the models that ship with the package"
COMMANDS = (
    Command("zoo list", "show the models and their cards", NoOptions, list_models, show_models),
    Command(
        "zoo eval", "measure a model on its ground truth", ZooEvalOptions, evaluate, show_measured
    ),
    Command("zoo train", "train a model by its recipe", ZooTrainOptions, train, show_measured),
)
