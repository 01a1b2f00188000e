"""`kledit book` and `kledit run`: execute what changed, check it, build the site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kledit_lite.book.cache import Cache
from kledit_lite.book.contracts import BOUND, SHORT, load_contract
from kledit_lite.book.discover import Chapter, choose, discover
from kledit_lite.book.early import Early
from kledit_lite.book.execute import Run, Say, Watch, execute, to_stderr
from kledit_lite.book.record import Recorded, refreshed
from kledit_lite.book.rehearse import (
    REHEARSAL,
    badges,
    complaints,
    record_run,
    rehearsable,
    rehearsed,
    with_badges,
)
from kledit_lite.book.report import expected_short, report_page, row, summary
from kledit_lite.book.site import SiteError, build_site, check_toc, stage
from kledit_lite.book.sync import out_of_sync
from kledit_lite.book.wheel import carry
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results


@dataclass(frozen=True)
class Built:
    """What `build_book` did.

    Attributes:
        results: figures, targets and a row per chapter.
        failures: one message for each chapter that failed, and for the site.
        site: the page to open; None when the site was not built.
    """

    results: Results
    failures: tuple[str, ...]
    site: Path | None

    @property
    def exit_code(self) -> int:
        """0 when all chapters ran, all contracts hold and the site stands; else 1."""
        return 1 if self.failures or not self.results.met else 0


def run_chapters(
    cache: Cache,
    chapters: Sequence[Chapter],
    force: Sequence[Chapter] = (),
    jobs: int | None = None,
    say: Say = to_stderr,
    watch: Watch = lambda chapter, run: None,
) -> dict[Chapter, Run]:
    """Runs of all ``chapters``: from the cache where their key is known, else executed now.

    Args:
        cache: runs of the checkout in one profile.
        chapters: the chapters whose runs are wanted.
        force: chapters to execute even though their key is known.
        jobs: how many to execute at once; default: one per core.
        say: receives progress.
        watch: called with each chapter and None as it starts, and with its run once that is known.

    Raises:
        KleditError: a contract is missing or malformed; found before anything is executed.
    """
    contracts = {c: load_contract(c.contract, cache.profile) for c in chapters}
    keys = {c: cache.key(c) for c in chapters}
    runs: dict[Chapter, Run] = {}
    for chapter in chapters:
        kept = None if chapter in force else cache.get(chapter)
        if kept is not None:
            say(f"{chapter.stem}: unchanged, kept")
            shown = Recorded(chapter.slug, kept.figures, contracts[chapter])
            kept = replace(kept, notebook=refreshed(kept.notebook, shown))
            cache.put(chapter, kept, keys[chapter])
            runs[chapter] = kept
            watch(chapter, kept)
    todo = [c for c in chapters if c not in runs]

    def keep(chapter: Chapter, run: Run | None) -> None:
        if run is not None:
            cache.put(chapter, run, keys[chapter])
        watch(chapter, run)

    executed = execute(todo, cache.profile, jobs, say, keep, cache.library)
    runs |= zip(todo, executed, strict=True)
    return {c: runs[c] for c in chapters}


def build_book(
    root: Path,
    profile: str,
    force: Sequence[str] = (),
    jobs: int | None = None,
    say: Say = to_stderr,
    library: Path | None = None,
    rehearse: bool = False,
) -> Built:
    """Execute all chapters that changed, check their contracts, and build the site.

    The site is built when every chapter ran, even if a contract is broken: its report page shows
    which.  A page wears the badges that runs and rehearsals have earned it.  Until then a chapter
    that has run can be read in ``_build/early``: `kledit_lite.book.early`.

    Args:
        root: the checkout.
        profile: name of the profile.
        force: slugs or numbers of chapters to execute even if nothing changed.
        jobs: how many chapters to execute at once; default: one per core.
        say: receives progress.
        library: folder whose sources the cache covers; default: the imported package.
        rehearse: also run the chapters' code for the papers' models, with miniatures of them.

    Raises:
        UnknownNameError: a name in ``force`` that no chapter has.
        KleditError: a malformed chapter, contract or configuration.
    """
    chapters = discover(root)
    if not chapters:
        raise KleditError(f"{root / 'notebooks'} has no chapters; expected files NN-slug.md.")
    forced = choose(chapters, list(force))
    check_toc(root, chapters)
    for path in out_of_sync(root):
        say(f"warning: {path.name} is not in sync with its source; run `kledit sync`")
    cache = Cache(root, profile, library)
    with Early(root, chapters, say) as early:
        runs = run_chapters(cache, chapters, forced, jobs, say, early)
        rows = [row(chapter, run) for chapter, run in runs.items()]
        failures = [run.failure.describe(c) for c, run in runs.items() if run.failure]
        rehearsals = _rehearsals(root, chapters, jobs, say, library) if rehearse else []
        failures += complaints(rehearsals)
        passed = rehearsed(root, chapters, library)
        if any(run.failure for run in runs.values()):
            say("site: not built, because a chapter failed")
        else:
            page = report_page(summary("book", rows, profile, timed=False))
            worn = badges(root, chapters, passed)
            pages = {c: with_badges(run.notebook, worn[c]) for c, run in runs.items()}
            source = stage(root, pages, page)
            try:
                early.site = build_site(root, source, say)
                carry(root, early.site.parent, say)
            except SiteError as error:
                failures.append(str(error))
    extra = {"site": early.site, "failures": failures, "rehearsals": rehearsals}
    results = summary("book", rows, profile, timed=False, rehearsals=len(passed), extra=extra)
    return Built(results, tuple(failures), early.site)


def _rehearsals(
    root: Path, chapters: Sequence[Chapter], jobs: int | None, say: Say, library: Path | None
) -> list[dict[str, Any]]:
    """A row per chapter that has a rehearsal, from the cache where nothing changed."""
    cache = Cache(root, REHEARSAL, library)
    runs = run_chapters(cache, rehearsable(chapters), (), jobs, say)
    return [row(chapter, run) for chapter, run in runs.items()]


def run_chapter(
    root: Path,
    name: str,
    profile: str,
    force: bool = False,
    say: Say = to_stderr,
    library: Path | None = None,
    record: bool = False,
) -> Results:
    """One chapter: its figures, its contract, its seconds and peak memory.

    Args:
        root: the checkout.
        name: slug or number of the chapter.
        profile: name of the profile.
        force: execute it even if nothing changed.
        say: receives progress.
        library: folder whose sources the cache covers; default: the imported package.
        record: keep the figures in ``kledit_lite/recorded``, unless the chapter failed.

    Raises:
        UnknownNameError: no such chapter; the message lists the valid ones.
    """
    chapters = discover(root)
    chosen = choose(chapters, [name])
    cache = Cache(root, profile, library)
    ((chapter, run),) = run_chapters(cache, chosen, chosen if force else (), 1, say).items()
    if record and run.ok:
        say(f"recorded in {record_run(chapter, run).relative_to(root)}")
    shown = row(chapter, run)
    bounds = [c for c in shown["contract"] if c["kind"] == BOUND]
    controls = [c for c in shown["contract"] if c["kind"] != BOUND]
    figures = {
        "executed": int(run.ok),
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        **run.figures,
        "controls_not_failing": sum(not c["ok"] for c in controls),
    }
    targets = {c["key"]: c["bound"] for c in bounds if c["verdict"] != SHORT}
    targets |= {"executed": {"min": 1}, "controls_not_failing": {"max": 0}}
    extra = {"chapter": shown, "expected_short": expected_short([shown])}
    where = context(profile=profile, seconds=run.seconds)
    return Results(f"run {chapter.slug}", figures, targets, where, extra)
