"""Commands from dataclasses: what is shown, what is read, what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import pytest

from kledit_lite.core.commands import (
    BARE,
    Parser,
    Positive,
    add_options,
    execute,
    glimpse,
    register,
    words,
)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What several commands take.

    Attributes:
        seed: of every draw,
            of all kinds
        batch: rows at a time
    """

    seed: int = 0
    batch: Positive = 16


@dataclass(frozen=True, kw_only=True)
class Cook(Shared):
    """What to cook.

    Attributes:
        recipe: a file
        guests: how many, 100% of them (default: all)
        way: of heating
        spices: one or more.
        heat: degrees
        l: of the spoons
        quick_one: leave out the rest

    Raises:
        nothing: this is not an attribute
    """

    recipe: Annotated[Path, BARE, "FILE"]
    guests: Positive | None = None
    way: Literal["bake", "boil"] = "bake"
    spices: tuple[Annotated[float, "GRAM"], ...] = (0.5, 2.0)
    heat: float = 180.0
    l: int = 1  # noqa: E741
    quick_one: bool = False
    batch: Positive = 4


def parser(options=Cook):
    made = Parser("kledit cook", add_help=False)
    add_options(made, options)
    return made


def test_every_shape_of_a_field_is_read():
    given = "soup.txt --guests 3 --way boil --spices 1 2 --spices 3 --heat 9 -l 2 --quick-one"
    read = vars(parser().parse_args(given.split()))
    assert read == {
        "recipe": Path("soup.txt"),
        "guests": 3,
        "way": "boil",
        "spices": [1.0, 2.0, 3.0],
        "heat": 9.0,
        "l": 2,
        "quick_one": True,
        "json": False,
    }
    # Defaults stand in the dataclass alone: what is not given is not there.
    assert vars(parser().parse_args(["s", "--l", "5"])) == {
        "recipe": Path("s"),
        "l": 5,
        "json": False,
    }


def test_the_help_shows_words_and_the_defaults_of_the_dataclass():
    shown = " ".join(parser().format_help().split())
    for part in (
        "FILE a file",
        "--guests N how many, 100% of them (default: all)",
        "--batch N rows at a time (default: 4)",
        "--spices GRAM [GRAM ...] one or more (default: 0.5 2)",
        "-l N, --l N of the spoons (default: 1)",
        "--seed N of every draw, of all kinds (default: 0)",
        "--heat X degrees (default: 180)",
        "--way {bake,boil} of heating (default: bake)",
        "--quick-one leave out the rest --json",
    ):
        assert part in shown, shown


def test_words_are_those_of_the_attributes_only():
    assert list(words(Cook)) == ["seed", "batch", *list(fields_of(Cook))[2:]]
    assert words(Cook)["spices"] == "one or more" and "nothing" not in words(Cook)


def fields_of(options):
    return [f.name for f in fields(options)]


def test_a_field_without_words_is_an_error():
    @dataclass(frozen=True)
    class Silent(Cook):
        """Says nothing of what it adds."""

        planted: int = 3

    with pytest.raises(TypeError, match="Silent.planted has no words"):
        parser(Silent)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "The following arguments are required: FILE"),
        ("s --guests 0", "Argument --guests: expected a whole number of at least 1, got '0'"),
        ("s --guests two", "Argument --guests: expected a whole number of at least 1, got 'two'"),
        ("s --heat hot", "Argument --heat: expected a number, got 'hot'"),
        ("s --seed 1.5", "Argument --seed: expected a whole number, got '1.5'"),
        ("s --way fry", "Argument --way: invalid choice: 'fry' (choose from"),
        ("s --colour red", "Unrecognized arguments: --colour red"),
    ],
)
def test_bad_grammar_is_one_sentence_and_exit_2(line, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        parser().parse_args(line.split())
    said = capsys.readouterr()
    assert left.value.code == 2 and said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"kledit: {sentence}")
    assert said.err.endswith("; see `kledit cook --help`.\n")


MODULE = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import BARE, Command, Name, Positive
from kledit_lite.core.results import Results


@dataclass(frozen=True, kw_only=True)
class Grow:
    """What to grow.

    Attributes:
        name: of the plant
        rows: of the bed
        pots: where else
    """

    name: Annotated[Name, BARE] = "beans"
    rows: Positive = 3
    pots: tuple[int, ...] = ()


def run(options):
    figures = {"rows": options.rows, "pots": len(options.pots)}
    assert isinstance(options.pots, tuple)
    return Results(options.name, figures, {"rows": {"min": 2}})


GROUP = "the garden"
COMMANDS = (
    Command("garden grow", "grow plants", Grow, run),
    Command("weed", "take plants out", Grow, run, lambda results: print("weeds")),
)
'''


@pytest.fixture
def garden(tmp_path, monkeypatch):
    """A package that cannot be imported without a heavy one, with a light ``command.py`` in it."""
    (tmp_path / "plot").mkdir()
    (tmp_path / "plot" / "__init__.py").write_text("import heavy_thing\n")
    (tmp_path / "plot" / "command.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [n for n in sys.modules if n.split(".")[0] in ("plot", "heavy_thing")]:
        del sys.modules[name]


def plot(garden):
    made = Parser("kledit")
    paths = [(garden / "plot" / "command.py", "plot.command")]
    register(made.add_subparsers(required=True), paths)
    return made


def test_commands_are_listed_without_their_package_and_run_with_it(garden, capsys):
    made = plot(garden)
    shown = " ".join(made.format_help().split())
    assert "garden the garden weed take plants out" in shown
    assert "plot" not in sys.modules and "plot.command" not in sys.modules
    chosen = made.parse_args(["garden", "grow", "--json"])
    with pytest.raises(ModuleNotFoundError, match="heavy_thing"):
        execute(chosen)
    (garden / "heavy_thing.py").touch()
    assert execute(chosen) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "beans" and told["figures"] == {"rows": 3, "pots": 0} and told["met"]
    assert execute(made.parse_args(["garden", "grow", "peas", "--rows", "1"])) == 1
    assert "NOT MET" in capsys.readouterr().out
    assert execute(made.parse_args(["weed", "--pots", "1", "2"])) == 0
    assert capsys.readouterr().out == "weeds\n"
    assert glimpse(garden / "plot" / "command.py", "plot.command") is sys.modules["plot.command"]


def test_several_values_stand_by_themselves_or_none():
    @dataclass(frozen=True, kw_only=True)
    class Words:
        """Which words.

        Attributes:
            words: to say
        """

        words: Annotated[tuple[str, ...], BARE, "WORD"] = ()

    assert vars(parser(Words).parse_args(["one", "two"]))["words"] == ["one", "two"]
    assert "words" not in parser(Words).parse_args([])
