"""``kledit zoo list``, ``eval`` and ``train``: the models that ship with the package."""

from __future__ import annotations

import contextlib
import sys
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

    cards = [asdict(zoo.card(name)) for name in zoo.names()]
    return Results("zoo list", {"models": len(cards)}, {}, context(), {"models": cards})


def evaluate(options: ZooEvalOptions) -> Results:
    """Measure a model on its ground truth.

    Raises:
        UnknownNameError: no such model.
    """
    from kledit_lite import zoo

    return zoo.evaluate(options.name)


def train(options: ZooTrainOptions) -> Results:
    """Train a model by its recipe.

    Raises:
        UnknownNameError: no recipe for such a model.
    """
    from kledit_lite import zoo

    chosen: dict[str, Any] = {"out": options.out, "work": options.work, "samples": options.samples}
    with contextlib.redirect_stdout(sys.stderr):
        card = zoo.train(options.name, **{k: v for k, v in chosen.items() if v is not None})
    figures = {k: v for k, v in card.result.items() if isinstance(v, int | float)}
    seconds = card.training.get("seconds")
    return Results(f"zoo train {card.name}", figures, {}, context(seconds=seconds))


def show_models(results: Results) -> None:
    """A line per model."""
    for card in results.extra["models"]:
        size = f"{card['parameters'] / 1e6:.1f}M parameters"
        print(f"{card['name']:<14} {card['architecture']}; {card['supervision']}; {size}")


GROUP = "the models that ship with the package"
COMMANDS = (
    Command("zoo list", "show the models and their cards", NoOptions, list_models, show_models),
    Command("zoo eval", "measure a model on its ground truth", ZooEvalOptions, evaluate),
    Command("zoo train", "train a model by its recipe", ZooTrainOptions, train),
)
