"""The command line: exit status 0, 1 or 2, and exactly one JSON object on stdout."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from dataclasses import MISSING, fields

import pytest

from kledit_lite import cli
from kledit_lite.book import build
from kledit_lite.core import slots
from kledit_lite.core.commands import words as words_of

CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
---

# One

```{code-cell} ipython3
print("the kernel's own words")
from kledit_lite.book import record
record("one", {"r2": 0.9})
```
"""

BENCHMARK = """from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

def run(quick):
    return Results("bench tiny", {"ratio": 2.0 if quick else 0.5}, {"ratio": {"min": 1}}, context())
"""


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "lite")
    (tmp_path / "notebooks" / "contracts").mkdir(parents=True)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks" / "01-one.md").write_text(CHAPTER)
    (tmp_path / "notebooks" / "contracts" / "one.yml").write_text("bounds: {r2: {min: 0.8}}\n")
    (tmp_path / "benchmarks" / "tiny.py").write_text(BENCHMARK)
    (tmp_path / "benchmarks" / "_shared.py").write_text("1 / 0\n")
    (tmp_path / "_config.yml").write_text("title: t\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: notebooks/01-one\n")
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


@pytest.fixture
def kledit(capsys):
    """Run a command with ``--json``: (status, the one object, stderr)."""

    def run(*arguments):
        status = cli.main([*arguments, "--json"])
        captured = capsys.readouterr()
        assert captured.out.count("\n") == 1
        return status, json.loads(captured.out), captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "07"], "Unknown chapter '07'; choose one of: one."),
        (["book", "--force", "seven"], "Unknown chapter 'seven'; choose one of: one."),
        (["profile", "big"], "Unknown profile 'big'; choose one of: lite, laptop, gpu, rehearsal."),
        (["bench", "huge"], "Unknown benchmark 'huge'; choose one of: tiny."),
        (["bench", "_shared"], "Unknown benchmark '_shared'"),
        (["zoo", "eval", "clip-huge"], "Unknown model 'clip-huge'; choose one of: clip-tiny"),
        (["zoo", "train", "clip-huge"], "Unknown trainable model 'clip-huge'; choose one of"),
    ],
)
def test_unknown_names_exit_2_with_the_valid_ones(arguments, words, capsys):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith(f"kledit: {words}")
    assert captured.err.count("\n") == 1


def test_an_unknown_profile_in_the_environment_exits_2(monkeypatch, capsys):
    monkeypatch.setenv("KLEDIT_PROFILE", "big")
    for arguments in (["book"], ["run", "01"], ["report"], ["profile"]):
        assert cli.main(arguments) == 2
        assert "choose one of: lite, laptop, gpu" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["cook"], ["run"], ["book", "--jobs", "0"], ["zoo"]])
def test_bad_grammar_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2 and capsys.readouterr().out == ""


def test_outside_a_checkout(tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert cli.main(["report"]) == 2
    assert "No checkout of the book" in capsys.readouterr().err


@pytest.mark.slow
def test_run_then_report(kledit, checkout):
    status, data, err = kledit("report")
    assert status == 1 and data["chapters"][0]["state"] == "missing" and not data["met"]
    status, data, err = kledit("run", "1")
    assert status == 0 and data["figures"]["r2"] == 0.9 and "01-one: cell 2 of 2" in err
    status, data, err = kledit("run", "01-one")
    assert "unchanged, kept" in err
    status, data, err = kledit("run", "01", "--force")
    assert "cell 2 of 2" in err
    status, data, err = kledit("report")
    assert status == 0 and data["met"] and data["figures"]["chapters"] == 1
    assert data["chapters"][0]["contract"][0]["ok"] and data["chapters"][0]["peak_mb"] > 0
    (checkout / "notebooks" / "contracts" / "one.yml").write_text("bounds: {r2: {min: 0.95}}\n")
    assert kledit("run", "01")[0] == 1
    assert kledit("report")[0] == 1


def test_a_failing_chapter_exits_1_and_says_where(kledit, checkout):
    source = checkout / "notebooks" / "01-one.md"
    source.write_text(source.read_text().replace('record("one", {"r2": 0.9})', "1 / 0"))
    status, data, err = kledit("run", "01")
    assert status == 1 and data["figures"]["executed"] == 0
    assert "01-one.md, cell 2 failed" in err and "ZeroDivisionError: division by zero" in err
    status, data, err = kledit("book")
    assert status == 1 and data["chapters"][0]["state"] == "failed" and data["site"] is None
    assert "ZeroDivisionError" in err


@pytest.mark.slow
def test_book(kledit, monkeypatch, capsys):
    monkeypatch.setattr(build, "build_site", lambda root, source, say: root / "index.html")
    status, data, err = kledit("book", "--jobs", "1")
    assert status == 0 and data["name"] == "book" and data["site"].endswith("index.html")
    assert "01-one.ipynb is not in sync" in err
    assert kledit("sync")[1]["files"] == ["notebooks/01-one.ipynb"]
    assert kledit("sync")[1]["figures"] == {"written": 0}
    assert kledit("renumber")[1]["files"] == ["notebooks/00-one.md"]
    assert kledit("renumber")[1]["figures"] == {"renamed": 0}
    assert kledit("book")[1]["chapters"][0]["name"] == "00-one"
    assert cli.main(["book"]) == 0
    out = capsys.readouterr().out
    assert "00-one: executed" in out and out.splitlines()[-1].startswith("Open ")


def test_bench(kledit, checkout, capsys):
    assert kledit("bench", "tiny", "--quick")[0] == 0
    status, data, _ = kledit("bench", "tiny")
    assert status == 1 and data["figures"] == {"ratio": 0.5} and not data["met"]
    for text, words in (("x = 1\n", "no function run"), ("def run(quick): pass\n", "NoneType")):
        (checkout / "benchmarks" / "tiny.py").write_text(text)
        assert cli.main(["bench", "tiny"]) == 2
        assert words in capsys.readouterr().err


def test_profile_and_zoo_list(kledit, capsys):
    status, data, _ = kledit("profile")
    assert status == 0 and data["name"] == "profile lite"
    assert data["figures"]["available"] == data["figures"]["slots"] == len(data["slots"])
    status, data, _ = kledit("profile", "gpu")
    assert data["context"]["profile"] == "gpu"
    assert cli.main(["profile", "gpu"]) == 0
    assert "KLEDIT_IMAGENET is not set" in capsys.readouterr().out


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\nfrom kledit_lite import cli\n"
        "try:\n    cli.main(['--version'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'numpy', 'nbclient', 'jupytext'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("arguments", [["--help"], ["profile"], ["sync", "--json"]])
def test_a_reader_that_leaves_ends_a_command_quietly(arguments, monkeypatch):
    """As in ``kledit profile | head -1``, with a `head` that has left already."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "kledit_lite", *arguments]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


def commands(parser, words=()):
    """Every command's name and parser, such as ``("zoo eval", parser)``."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield " ".join(words), parser
    for action in below:
        for name, inner in action.choices.items():
            yield from commands(inner, (*words, name))


PARSERS = dict(commands(cli.parser()))


def test_no_command_that_texts_name_is_lost():
    assert set(PARSERS) >= {
        "book",
        "run",
        "report",
        "sync",
        "bench",
        "profile",
        "prime",
        "trace",
        "locogen",
        "edit",
        "apply",
        "unedit",
        "msa",
        "restor",
        "tofu",
        "influence",
        "hard-tasks",
        "zoo list",
        "zoo eval",
        "zoo train",
        "components",
        "renumber",
        "course build",
        "grade",
        "start",
        "progress",
        "vlm-trace",
        "vlm-edit",
    }


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_has_words_and_shows_the_default_of_its_dataclass(name):
    parser = PARSERS[name]
    module = importlib.import_module(parser.get_default("of_module"))
    (command,) = [c for c in module.COMMANDS if c.name == name]
    assert command.words and parser.description
    shown = {a.dest: a for a in parser._actions if a.dest not in ("help", "json")}
    assert list(shown) == [f.name for f in fields(command.options)]
    for field in fields(command.options):
        option, default = shown[field.name], field.default
        assert option.default is argparse.SUPPRESS  # the dataclass's own is the only one
        assert option.help and option.help.startswith(words_of(command.options)[field.name])
        told = option.help.count("(default: ")
        if default is MISSING or default is False:
            assert told == 0 and (option.required is (default is MISSING))
        elif default not in (None, (), ""):
            assert told == 1
            values = option.help.rpartition("(default: ")[2].rstrip(")").split()
            many = isinstance(default, tuple)
            read = option.type or str
            assert [read(v) for v in values] == list(default if many else (default,))
        else:
            assert told <= 1
    assert any(a.dest == "json" and a.help for a in parser._actions)


def test_options_of_one_name_mean_one_thing():
    """The commands on text-to-image models share names, types and, but for where, words."""
    for name in ("batch", "clip", "dtype", "guidance", "model", "steps", "seed"):
        found = [
            a
            for c in ("trace", "locogen", "edit", "apply", "unedit")
            for a in PARSERS[c]._actions
            if a.dest == name
        ]
        assert len(found) >= 3 and len({(a.type, a.metavar) for a in found}) == 1
        assert len({a.help.split(" ")[0] for a in found}) == 1, name


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trace --out o --attribute style", "The following arguments are required: --model"),
        ("trace --model m --out o", "Give either --prompts with a file, or --attribute."),
        ("trace --model m --out o --prompts p --attribute style", "Give either --prompts"),
        ("locogen --model m --prompts p --out o --steps 0", "Argument --steps: expected a whole"),
        (
            "edit --model m --prompts p --out o --guidance x",
            "Argument --guidance: expected a number",
        ),
        ("prime t.csv --out o --kind luck", "Argument --kind: invalid choice: 'luck'"),
        ("msa --target t --forget f", "The following arguments are required: --out"),
        (
            "restor --model m --data d --out o --methods magic",
            "Unknown method 'magic'; choose one of",
        ),
        ("tofu --log l --model m", "Give either --model with files of questions, or --log."),
        ("zoo eval", "The following arguments are required: NAME"),
        ("cook", "Argument COMMAND: invalid choice: 'cook'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(line, sentence, capsys):
    try:
        status = cli.main(line.split())
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr()
    assert status == 2 and said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"kledit: {sentence}"), said.err
