"""``kledit book``, ``run``, ``estimate``, ``report``, ``sync``, ``renumber``, ``bench``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from kledit_lite.core.commands import BARE, Command, Folder, Name, NoOptions, Positive
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results, show_bound
from kledit_lite.core.slots import current

Chapter = Annotated[str, "CHAPTER"]


@dataclass(frozen=True, kw_only=True)
class BookOptions:
    """What to execute anew, and how many chapters at once.

    Attributes:
        force: execute these chapters even if nothing changed
        jobs: chapters at once (default: one per core)
        rehearse: also run the code for the papers' models, with miniatures of them
    """

    force: tuple[Chapter, ...] = ()
    jobs: Positive | None = None
    rehearse: bool = False


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which chapter to execute.

    Attributes:
        chapter: its slug or number
        force: execute it even if nothing changed
        record: keep its figures in kledit_lite/recorded
    """

    chapter: Annotated[Chapter, BARE]
    force: bool = False
    record: bool = False


@dataclass(frozen=True, kw_only=True)
class EstimateOptions:
    """Which chapter to cost, in which profile.

    Attributes:
        chapter: its slug or number
        profile: lite, laptop, gpu or rehearsal (default: the one in force)
        rate: rows, pictures or tokens per second (default: measured here, ten seconds)
    """

    chapter: Annotated[Chapter, BARE]
    profile: Name | None = None
    rate: Annotated[float, "PER_SECOND"] | None = None


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """Which chapter to begin with.

    Attributes:
        chapter: its slug or number (default: the first of the book)
    """

    chapter: Annotated[Chapter, BARE] = ""


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """Which notebooks to write beside the pairs.

    Attributes:
        solutions: folder for the same notebooks with the solutions of their exercises
    """

    solutions: Folder | None = None


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """Which benchmark to run.

    Attributes:
        name: a file in benchmarks/, without .py
        quick: measure less, in under a minute
    """

    name: Annotated[Name, BARE]
    quick: bool = False


def _root() -> Path:
    from kledit_lite.book.discover import find_root

    return find_root()


def book(options: BookOptions) -> Results:
    """Execute what changed, check it, build the site.

    Until then ``_build/early/index.html`` shows each chapter as soon as it has run.
    """
    from kledit_lite.book.build import build_book

    profile, rehearse = current().name, options.rehearse
    built = build_book(_root(), profile, options.force, options.jobs, rehearse=rehearse)
    for message in built.failures:
        print(f"kledit: {message}", file=sys.stderr)
    results = built.results
    if built.exit_code and results.met:  # every contract holds, and the site could not be built
        figures = {**results.figures, "site": 0}
        results = replace(results, figures=figures, targets={**results.targets, "site": {"min": 1}})
    return results


def run(options: RunOptions) -> Results:
    """Execute one chapter and check its contract."""
    from kledit_lite.book.build import run_chapter

    name, force, profile = options.chapter, options.force, current().name
    results = run_chapter(_root(), name, profile, force, record=options.record)
    if error := results.extra["chapter"]["error"]:
        print(f"kledit: {error}", file=sys.stderr)
    return results


def estimate(options: EstimateOptions) -> Results:
    """Download, memory, work and minutes of a chapter, before it runs."""
    from kledit_lite.book.discover import choose, discover
    from kledit_lite.book.estimate import estimate as cost_of

    (chapter,) = choose(discover(_root()), [options.chapter])
    return cost_of(chapter.slug, options.profile or current().name, options.rate)


def start(options: StartOptions) -> Results:
    """Execute one chapter, build its page, and open it where there is a browser."""
    from kledit_lite.book.start import start as begin

    return begin(_root(), current().name, options.chapter)


def report(options: NoOptions) -> Results:
    """Run time, memory and contract of each chapter."""
    from kledit_lite.book.cache import Cache
    from kledit_lite.book.discover import discover
    from kledit_lite.book.rehearse import rehearsed
    from kledit_lite.book.report import report as measured

    root = _root()
    passed = len(rehearsed(root, discover(root)))
    return measured(root, Cache(root, current().name), rehearsals=passed)


def sync(options: SyncOptions) -> Results:
    """Write the ``.ipynb`` pair of every chapter, and their solutions where they are wanted."""
    from kledit_lite.book.sync import sync_ipynb, write_solutions

    root = _root()
    paths = [str(p.relative_to(root)) for p in sync_ipynb(root)]
    if options.solutions is not None:
        paths += [str(p) for p in write_solutions(root, options.solutions)]
    return Results("sync", {"written": len(paths)}, {}, context(), {"files": paths})


def renumber(options: NoOptions) -> Results:
    """Give every chapter the number of its place in ``_toc.yml``, and its pair anew."""
    from kledit_lite.book.renumber import renumber as follow

    root = _root()
    moved = [p.relative_to(root).as_posix() for p in follow(root)]
    return Results("renumber", {"renamed": len(moved)}, {}, context(), {"files": moved})


def bench(options: BenchOptions) -> Results:
    """Run one benchmark of the checkout."""
    from kledit_lite.core import bench as benchmarks

    return benchmarks.run(_root(), options.name, options.quick)


def show_book(results: Results) -> None:
    """The figures, the chapters, and the page to open."""
    show_chapters(results)
    if results.extra.get("site") is not None:
        print(f"Open {results.extra['site']}")


def show_estimate(results: Results) -> None:
    """The models, the parts of the work, and what they come to."""
    about, figures = results.extra, results.figures
    for m in about["models"]:
        state = "here" if m["at_hand"] else f"{m['download_mb']:,g} MB to get"
        optional = "" if m["needed"] else "; optional, not counted"
        print(f"  {m['slot']:<20} {m['model']}: {state}, {m['memory_mb']:,} MB loaded{optional}")
    for what, count in about["parts"].items():
        print(f"  {what:<28} {count:>15,} {about['unit']}")
    total = sum(about["parts"].values())
    print(f"{results.name}, profile {results.context['profile']}")
    print(f"  to get     {figures['download_mb']:,.0f} MB")
    print(f"  memory     {figures['memory_mb']:,.0f} MB")
    print(f"  work       {total:,} {about['unit']}")
    print(f"  minutes    {figures['minutes']:,.1f} at {figures['rate']:,g} per second")
    print(f"  rate       {about['rate_of']}")


def show_start(results: Results) -> None:
    """The figures, and where the page is."""
    results.print()
    print(f"Open {results.extra['page']}")


def show_chapters(results: Results) -> None:
    """The figures, the chapters, and whatever is not as expected."""
    results.print()
    for r in results.extra["chapters"]:
        took = "" if r["seconds"] is None else f"{r['seconds']:.1f} s, {r['peak_mb']:.0f} MB, "
        held = sum(check["ok"] for check in r["contract"])
        print(f"  {r['name']}: {r['state']}, {took}{held} of {len(r['contract'])} as expected")
        for check in r["contract"]:
            if not check["ok"]:
                print(f"    {check['kind']} {check['key']} = {check['value']}: {check['bound']}")
        _print_marked(r["contract"])


def show_run(results: Results) -> None:
    """The figures, and the bounds that are marked as short."""
    results.print()
    _print_marked(results.extra["chapter"]["contract"])


def _print_marked(checks: Sequence[Mapping[str, Any]]) -> None:
    """The bounds of a chapter that are marked as short, with figure, verdict and reason."""
    for check in checks:
        if check["reason"]:
            print(
                f"    {check['key']} = {check['value']}, bound {show_bound(check['bound'])}: "
                f"{check['verdict']}. {check['reason']}"
            )


COMMANDS = (
    Command(
        "book", "execute what changed, show each chapter as it finishes, build the site",
        BookOptions, book, show_book,
    ),
    Command("start", "execute one chapter and open its page", StartOptions, start, show_start),
    Command("run", "execute one chapter and check its contract", RunOptions, run, show_run),
    Command(
        "estimate", "say what a chapter would cost, before it runs", EstimateOptions, estimate,
        show_estimate,
    ),
    Command(
        "report", "show run time, memory and contract of each chapter", NoOptions, report,
        show_chapters,
    ),
    Command("sync", "write the .ipynb pair of every chapter", SyncOptions, sync),
    Command("renumber", "number the chapters as _toc.yml orders them", NoOptions, renumber),
    Command("bench", "run a benchmark", BenchOptions, bench),
)  # fmt: skip
