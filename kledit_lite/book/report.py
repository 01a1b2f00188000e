"""The run report: run time, memory and contract of each chapter, for programs and people.

    report(root, cache)        -> Results, with a row per chapter   (`kledit report --json`)
    report_page(results)       -> the text that the book's run-report page includes

A bound that its contract marks as ``expected_short`` and that is short counts in neither
``contracts_met`` nor the target of it, but in ``expected_short``, and is listed with its figure and
its reason; one that is met after all counts as met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kledit_lite.book.cache import Cache
from kledit_lite.book.contracts import BOUND, CONTROL, SHORT, load_contract
from kledit_lite.book.discover import Chapter, discover
from kledit_lite.book.execute import Run
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results, show_bound

#: Profile -> (seconds that a chapter may take, mean seconds per chapter over the whole book).
TIME_LIMITS: Mapping[str, tuple[float, float]] = {"lite": (180.0, 160.0), "rehearsal": (60.0, 60.0)}


def row(chapter: Chapter, run: Run | None, current: bool = True) -> dict[str, Any]:
    """One chapter of the report as JSON data.

    Args:
        chapter: the chapter to report on.
        run: its last run; None when it was never executed.
        current: whether the chapter's sources are still those of the run.

    Returns:
        The row, whose ``state`` is ``"executed"``, ``"failed"``, ``"stale"`` (the sources have
        changed since) or ``"missing"``.

    Raises:
        KleditError: the contract is missing or malformed.
    """
    base: dict[str, Any] = {"chapter": chapter.slug, "name": chapter.stem, "title": chapter.title}
    if run is None:
        base |= {"state": "missing", "seconds": None, "peak_mb": None, "figures": {}}
        return {**base, "contract": [], "met": False, "error": "never executed in this profile"}
    checks = load_contract(chapter.contract, run.profile).check(run.figures)
    state = "failed" if not run.ok else "executed" if current else "stale"
    base |= {"state": state, "profile": run.profile, "seconds": run.seconds}
    return {
        **base,
        "peak_mb": run.peak_mb,
        "figures": dict(run.figures),
        "contract": [check.to_dict() for check in checks],
        "met": state == "executed" and all(check.ok for check in checks),
        "error": run.failure.describe(chapter) if run.failure else "",
        "versions": dict(run.versions),
    }


def last_row(cache: Cache, chapter: Chapter) -> dict[str, Any]:
    """The `row` of a chapter's latest run.

    Args:
        cache: runs of the checkout in one profile.
        chapter: the chapter to report on.
    """
    run, current = cache.last(chapter) or (None, False)
    return row(chapter, run, current)


def summary(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    profile: str,
    timed: bool,
    rehearsals: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Results:
    """The `Results` over rows of chapters.

    Args:
        name: name of the results.
        rows: what `row` returned for each chapter.
        profile: the profile in which they ran.
        timed: hold seconds to `TIME_LIMITS`, too.
        rehearsals: how many chapters' rehearsals passed, where that was asked.
        extra: further top-level keys.
    """
    short = expected_short(rows)
    checks = [check for r in rows for check in r["contract"] if not _is_short(check)]
    totals = {kind: sum(c["kind"] == kind for c in checks) for kind in (BOUND, CONTROL)}
    passed = {kind: sum(c["kind"] == kind and c["ok"] for c in checks) for kind in totals}
    seconds = [r["seconds"] for r in rows if r["seconds"] is not None]
    figures = {
        "chapters": sum(r["state"] == "executed" for r in rows),
        "total_seconds": round(sum(seconds), 2),
        "slowest_seconds": max(seconds, default=0.0),
        "peak_mb": max((r["peak_mb"] or 0.0 for r in rows), default=0.0),
        "contracts_met": passed[BOUND],
        "expected_short": len(short),
        "negative_controls_failing": passed[CONTROL],
    }
    if rehearsals is not None:
        figures["rehearsals_passed"] = rehearsals
    targets = {"chapters": {"min": len(rows)}, "contracts_met": {"min": totals[BOUND]}}
    targets["negative_controls_failing"] = {"min": totals[CONTROL]}
    if timed and profile in TIME_LIMITS:
        each, mean = TIME_LIMITS[profile]
        targets["slowest_seconds"] = {"max": each}
        targets["total_seconds"] = {"max": mean * len(rows)}
    where = context(profile=profile, seconds=figures["total_seconds"])
    shown = {**(extra or {}), "chapters": list(rows), "expected_short": short}
    return Results(name, figures, targets, where, shown)


def expected_short(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every bound that is not met, as its contract expects: figure, bound and reason.

    Example:
        >>> check = {"key": "arrived", "kind": "bound", "bound": {"min": 0.8}, "value": 0.3,
        ...          "ok": True, "verdict": "short, as expected", "reason": "It only removes."}
        >>> expected_short([{"chapter": "locogen", "contract": [check]}])[0]["value"]
        0.3
    """
    keys = ("key", "value", "bound", "reason")
    return [
        {"chapter": r["chapter"], **{key: check[key] for key in keys}}
        for r in rows
        for check in r["contract"]
        if _is_short(check)
    ]


def report(root: Path, cache: Cache, timed: bool = True, rehearsals: int | None = None) -> Results:
    """The last run of every chapter in the cache's profile, held to its contract.

    A chapter that failed or never ran, or whose sources have changed since, does not count as
    executed.

    Args:
        root: the checkout.
        cache: runs of the checkout in one profile.
        timed: hold seconds to `TIME_LIMITS`, too.
        rehearsals: how many chapters' rehearsals passed, where that was asked.

    Raises:
        KleditError: a contract is missing or malformed.

    Cost: reads one small file per chapter.
    """
    rows = [last_row(cache, chapter) for chapter in discover(root)]
    return summary("report", rows, cache.profile, timed, rehearsals)


def report_page(results: Results) -> str:
    """The report as MyST text without a title: a table of chapters, contracts, versions."""
    rows, figures, where = results.extra["chapters"], results.figures, results.context
    lines = [
        f"Profile `{where['profile']}` on {where['cpus']} cores ({where['device']}).",
        "",
        "| Chapter | State | Seconds | Peak memory, MB | Bounds met | Controls failing, as they "
        "should |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for r in rows:
        spent = _number(r["seconds"], 1), _number(r["peak_mb"], 0)
        lines.append(_cells(_heading(r), r["state"], *spent, _share(r, BOUND), _share(r, CONTROL)))
    spent = _number(figures["total_seconds"], 1), _number(figures["peak_mb"], 0)
    held = figures["contracts_met"], figures["negative_controls_failing"]
    lines.append(_cells("All chapters", f"{figures['chapters']} executed", *spent, *held))
    for r in rows:
        lines += ["", f"## Contract of {_heading(r)}", ""]
        if not r["contract"]:
            lines.append("No bounds in this profile.")
            continue
        lines += ["| Figure | Kind | Value | Bound | As expected |", "|---|---|--:|---|---|"]
        for check in r["contract"]:
            bound = show_bound(check["bound"])
            wanted = bound if check["kind"] == BOUND else f"must not be {bound}"
            verdict = check["verdict"] if check["ok"] else "**no**"
            name, value = f"`{check['key']}`", _number(check["value"], 4)
            lines.append(_cells(name, check["kind"], value, wanted, verdict))
        if marked := [check for check in r["contract"] if check["reason"]]:
            lines += ["", "Bounds that were set from what the method should do, and marked:", ""]
            lines += [f"- `{c['key']}`, {c['verdict']}: {c['reason']}" for c in marked]
    versions: Mapping[str, str] = next((r["versions"] for r in rows if r.get("versions")), {})
    lines += ["", "## Versions", "", "| Library | Version |", "|---|---|"]
    lines += [_cells(*each) for each in versions.items()]
    return "\n".join(lines) + "\n"


def _cells(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _share(r: Mapping[str, Any], kind: str) -> str:
    checks = [c for c in r["contract"] if c["kind"] == kind]
    short = sum(map(_is_short, checks))
    met = f"{sum(c['ok'] for c in checks) - short} of {len(checks)}"
    return f"{met}, {short} short as expected" if short else met


def _is_short(check: Mapping[str, Any]) -> bool:
    return check["verdict"] == SHORT


def _number(value: float | None, digits: int) -> str:
    return "not recorded" if value is None else f"{value:.{digits}f}"


def _heading(r: Mapping[str, Any]) -> str:
    """The chapter's title, which begins with its number."""
    return str(r["title"]).replace("|", "\\|")
