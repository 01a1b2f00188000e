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
from kledit_lite.errors import KleditError
from kledit_lite.results import Results, context


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Example:
        >>> main(["profile", "no-such-profile"])
        2
    """
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except KleditError as error:
        print(f"kledit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kledit: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="kledit", description="Build, check and measure the book and its models."
    )
    top.add_argument("--version", action="version", version=f"kledit-lite {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    book = _command(commands, "book", _book, "execute what changed, check it, build the site")
    book.add_argument("--force", metavar="NN", nargs="+", action="extend", default=[],
                      help="execute these chapters even if nothing changed")
    book.add_argument("--jobs", type=_positive, metavar="N",
                      help="chapters at once (default: one a core)")

    run = _command(commands, "run", _run, "execute one chapter and check its contract")
    run.add_argument("chapter", metavar="NN")
    run.add_argument("--force", action="store_true", help="execute it even if nothing changed")

    _command(commands, "report", _report, "what every chapter took and whether it holds")
    _command(commands, "sync", _sync, "write the .ipynb pair of every chapter")

    profile = _command(commands, "profile", _profile, "which model fills which slot here")
    profile.add_argument("name", nargs="?", metavar="NAME")

    bench = _command(commands, "bench", _bench, "run a benchmark")
    bench.add_argument("name", metavar="NAME")
    bench.add_argument("--quick", action="store_true", help="measure less, in under a minute")

    zoo = commands.add_parser("zoo", help="the models that ship with the package")
    actions = zoo.add_subparsers(required=True, metavar="ACTION")
    _command(actions, "list", _zoo_list, "the models and their cards")
    evaluate = _command(actions, "eval", _zoo_eval, "measure a model on its ground truth")
    evaluate.add_argument("name", metavar="NAME")
    train = _command(actions, "train", _zoo_train, "train a model by its recipe")
    train.add_argument("name", metavar="NAME")
    train.add_argument("--samples", type=_positive, metavar="N",
                       help="pictures to see (default: the recipe's)")
    train.add_argument("--out", type=Path, metavar="DIR",
                       help="folder for NAME/ (default: the package's own weights)")
    train.add_argument("--work", type=Path, metavar="DIR",
                       help="folder for checkpoints (default: _build/train)")
    return top


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)
    return command


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _finish(results: Results, json: bool) -> int:
    results.print(json)
    return results.exit_code


def _book(options: argparse.Namespace) -> int:
    from kledit_lite import profiles
    from kledit_lite.book.build import build_book
    from kledit_lite.book.discover import find_root

    built = build_book(find_root(), profiles.current().name, options.force, options.jobs)
    for message in built.failures:
        print(f"kledit: {message}", file=sys.stderr)
    built.results.print(options.json)
    if not options.json:
        _contracts(built.results.extra["chapters"])
        if built.site is not None:
            print(f"Open {built.site}")
    return built.exit_code


def _run(options: argparse.Namespace) -> int:
    from kledit_lite import profiles
    from kledit_lite.book.build import run_chapter
    from kledit_lite.book.discover import find_root

    profile = profiles.current().name
    results = run_chapter(find_root(), options.chapter, profile, options.force)
    error = results.extra["chapter"]["error"]
    if error:
        print(f"kledit: {error}", file=sys.stderr)
    return _finish(results, options.json)


def _report(options: argparse.Namespace) -> int:
    from kledit_lite import profiles
    from kledit_lite.book.cache import Cache
    from kledit_lite.book.discover import find_root
    from kledit_lite.book.report import report

    root = find_root()
    results = report(root, Cache(root, profiles.current().name))
    results.print(options.json)
    if not options.json:
        _contracts(results.extra["chapters"])
    return results.exit_code


def _contracts(rows: Sequence[dict[str, Any]]) -> None:
    """The chapters and whatever is not as expected, for people."""
    for r in rows:
        took = "" if r["seconds"] is None else f"{r['seconds']:.1f} s, {r['peak_mb']:.0f} MB, "
        held = sum(check["ok"] for check in r["contract"])
        print(f"  {r['name']}: {r['state']}, {took}{held} of {len(r['contract'])} as expected")
        for check in r["contract"]:
            if not check["ok"]:
                print(f"    {check['kind']} {check['key']} = {check['value']}: {check['bound']}")


def _sync(options: argparse.Namespace) -> int:
    from kledit_lite.book.discover import find_root
    from kledit_lite.book.sync import sync_ipynb

    root = find_root()
    written = [str(path.relative_to(root)) for path in sync_ipynb(root)]
    results = Results("sync", {"written": len(written)}, {}, context(), {"files": written})
    return _finish(results, options.json)


def _profile(options: argparse.Namespace) -> int:
    from kledit_lite import profiles

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
    from kledit_lite import bench
    from kledit_lite.book.discover import find_root

    return _finish(bench.run(find_root(), options.name, options.quick), options.json)


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
