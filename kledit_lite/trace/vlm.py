"""A user's own model that sees and questions, to a table and figures of what tracing found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.multimodal import Reading, answered
from kledit_lite.models.multimodal import open_seer, picture
from kledit_lite.models.vqa import Row, read_vqa
from kledit_lite.trace.multimodal import trace_seeing
from kledit_lite.trace.seeing import Pair, seeing_sites

if TYPE_CHECKING:
    from kledit_lite.trace.command import VlmTraceOptions


def trace_file(options: VlmTraceOptions) -> Results:
    """Read, trace and write ``pairs.csv``, ``sites.csv`` and a figure per kind of module.

    Raises:
        KleditError: questions or a model that will not do; nothing is written then.
    """
    from kledit_lite.viz import heatmap, png

    start = time.perf_counter()
    check_folder(options.out)
    rows = [row for row in read_vqa(options.questions) if not row.keep]
    seer = open_seer(options.model, dtype=options.dtype)
    pairs = [_pair(seer, rows, i, options) for i in range(len(rows))]
    sites = seeing_sites(seer.model, cast(Any, options.kinds), window=options.window)
    how = {name: getattr(options, name) for name in ("noising", "first_token", "batch")}
    found = trace_seeing(seer.model, pairs, sites, **how)
    if found.excluded == len(pairs):
        said = [_said(seer, p.clean) for p in pairs[:3]]
        raise KleditError(
            f"The model gives none of the {len(pairs)} answers before any corruption, so there is "
            f"nothing to trace; to the first questions it says {', '.join(map(repr, said))}."
        )
    figures: dict[str, float] = {"questions": len(pairs), "excluded": found.excluded}
    figures |= {name: float(found.pairs[name].mean()) for name in ("clean", "corrupted")}
    write_atomically(options.out / "pairs.csv", found.pairs.to_csv(index=False))
    write_atomically(options.out / "sites.csv", found.sites.to_csv(index=False))
    words: Any = {"row_label": "tokens", "column_label": "layer", "fmt": "{:.2f}"}
    words["subtitle"] = f"{options.corruption}, window {options.window}"
    where = {}
    for kind in options.kinds:
        table = found.table(kind)
        strongest = table.abs().stack().idxmax()
        figures[f"{kind}_effect"] = float(table.loc[strongest])
        figures[f"{kind}_layer"] = int(strongest[1])
        where[kind] = f"layer {strongest[1]} at {strongest[0]}"
        figure = heatmap(table, f"Effect of restoring {kind}", limits=(-1, 1), **words)
        write_atomically(options.out / f"{kind}.png", png(figure))
    measured = context(seed=0, seconds=time.perf_counter() - start, model=options.model)
    return Results("vlm-trace", figures, {}, measured, where)


def _pair(seer: Any, rows: Sequence[Row], i: int, options: VlmTraceOptions) -> Pair:
    row = rows[i]
    seen = picture(row.image)
    clean = seer.read([seen], [row.asked])[0]
    try:
        if options.corruption == "image-swap":
            others = [r.image for r in rows if r.asked.answer != row.asked.answer]
            if row.swap is None and not others:
                raise KleditError("no other picture has another answer; give it a swap.")
            other = seer.read([picture(row.swap or others[i % len(others)])], [row.asked])[0]
            return Pair(clean, replace(other, answer=clean.answer))
        if not 0 <= options.constraint < len(row.asked.constraints):
            raise KleditError(f"it has no constraint number {options.constraint}.")
        if not row.replacements:
            raise KleditError("it has no replacements; give one for each constraint.")
        words = row.replacements[options.constraint]
        changed = row.asked.replaced(words, options.constraint)
        return Pair(clean, seer.read([seen], [changed])[0], options.constraint)
    except KleditError as error:
        raise KleditError(f"Question {row.asked.text!r}: {error}") from None


def _said(seer: Any, reading: Reading) -> str:
    return seer.say(int(answered(seer.model, [reading]).first.argmax()))
