"""`kledit book`, `run`, `report` and `sync`: what they do with their options, and what they print.

kledit book | run SLUG | report | sync  ->  exit status 0 met, 1 not met
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from kledit_lite.book.discover import find_root
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results, show_bound
from kledit_lite.models import profiles


def book(options: argparse.Namespace) -> int:
    """Execute what changed, check it, build the site; ``force``, ``jobs``, ``json``."""
    from kledit_lite.book.build import build_book

    built = build_book(find_root(), profiles.current().name, options.force, options.jobs)
    for message in built.failures:
        print(f"kledit: {message}", file=sys.stderr)
    built.results.print(options.json)
    if not options.json:
        _print_chapters(built.results.extra["chapters"])
        if built.site is not None:
            print(f"Open {built.site}")
    return built.exit_code


def run(options: argparse.Namespace) -> int:
    """Execute one chapter and check its contract; ``chapter``, ``force``, ``json``."""
    from kledit_lite.book.build import run_chapter

    profile = profiles.current().name
    results = run_chapter(find_root(), options.chapter, profile, options.force)
    error = results.extra["chapter"]["error"]
    if error:
        print(f"kledit: {error}", file=sys.stderr)
    results.print(options.json)
    if not options.json:
        _print_marked(results.extra["chapter"])
    return results.exit_code


def report(options: argparse.Namespace) -> int:
    """Show run time, memory and contract of each chapter; ``json``."""
    from kledit_lite.book.cache import Cache
    from kledit_lite.book.report import report as measured

    root = find_root()
    results = measured(root, Cache(root, profiles.current().name))
    results.print(options.json)
    if not options.json:
        _print_chapters(results.extra["chapters"])
    return results.exit_code


def sync(options: argparse.Namespace) -> int:
    """Write the ``.ipynb`` pair of every chapter; ``json``."""
    from kledit_lite.book.sync import sync_ipynb

    root = find_root()
    paths = [str(p.relative_to(root)) for p in sync_ipynb(root)]
    results = Results("sync", {"written": len(paths)}, {}, context(), {"files": paths})
    results.print(options.json)
    return results.exit_code


def _print_chapters(rows: Sequence[Mapping[str, Any]]) -> None:
    """The chapters and whatever is not as expected, for people."""
    for r in rows:
        took = "" if r["seconds"] is None else f"{r['seconds']:.1f} s, {r['peak_mb']:.0f} MB, "
        held = sum(check["ok"] for check in r["contract"])
        print(f"  {r['name']}: {r['state']}, {took}{held} of {len(r['contract'])} as expected")
        for check in r["contract"]:
            if not check["ok"]:
                print(f"    {check['kind']} {check['key']} = {check['value']}: {check['bound']}")
        _print_marked(r)


def _print_marked(r: Mapping[str, Any]) -> None:
    """The bounds of a chapter that are marked as short, with figure, verdict and reason."""
    for check in r["contract"]:
        if check["reason"]:
            print(
                f"    {check['key']} = {check['value']}, bound {show_bound(check['bound'])}: "
                f"{check['verdict']}. {check['reason']}"
            )
