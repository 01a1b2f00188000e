"""A user's own model that sees and questions, to an edit and a table of answers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.edit.multimodal import NewFact, Where, multedit
from kledit_lite.inside.multimodal import answered
from kledit_lite.models.multimodal import open_seer, picture
from kledit_lite.models.vqa import read_vqa

if TYPE_CHECKING:
    from kledit_lite.edit.command import VlmEditOptions


def edit_file(options: VlmEditOptions) -> Results:
    """Solve the edit, ask before and after, write ``edit.safetensors`` and ``answers.csv``.

    Questions with a ``new_answer`` are edited; those with ``keep`` must stay as they are, and the
    rest is only asked. The model's own folder is not touched: ``Edit.load(file).apply(model)``.

    Raises:
        KleditError: questions or a model that will not do; nothing is written then.
    """
    import pandas as pd

    start = time.perf_counter()
    check_folder(options.out)
    rows = read_vqa(options.questions)
    changed = [r for r in rows if r.new_answer]
    if not changed:
        raise KleditError(f"{options.questions} has no question with a new_answer to write.")
    if any(r.keep for r in changed):
        raise KleditError("A question cannot both have a new_answer and be kept.")
    seer = open_seer(options.model, dtype=options.dtype)
    spoken = [(r, r.paraphrase) for r in changed if r.paraphrase is not None]
    whose = rows + [r for r, _ in spoken]
    kinds = ["edit" if r.new_answer else "keep" if r.keep else "other" for r in rows]
    kinds += ["paraphrase"] * len(spoken)
    asked = [r.asked for r in rows] + [paraphrase for _, paraphrase in spoken]
    readings = seer.read([picture(r.image) for r in whose], asked)
    renamed = [replace(r.asked, answer=r.new_answer) for r in changed]
    new = seer.read([picture(r.image) for r in changed], renamed)
    wanted = {id(r): n.answer for r, n in zip(changed, new, strict=True)}
    facts = [
        NewFact(x, wanted[id(r)]) for x, r in zip(readings, rows, strict=False) if r.new_answer
    ]
    keep = [x for x, kind in zip(readings, kinds, strict=True) if kind == "keep"]
    where = cast(Where, options.where.replace("-", " "))
    how = {name: getattr(options, name) for name in ("keep_weight", "strength", "steps")}
    made = multedit(seer.model, facts, options.layer, where, keep=keep, **how)
    answers = [wanted.get(id(r), x.answer) for x, r in zip(readings, whose, strict=True)]
    before = answered(seer.model, readings, answers)
    with made.apply(seer.model):
        after = answered(seer.model, readings, answers)
    said = [before.first.argmax(1), after.first.argmax(1)]
    table = pd.DataFrame(
        {
            "kind": kinds,
            "image": [str(r.image) for r in whose],
            "question": [a.text for a in asked],
            "answer": [r.new_answer or r.asked.answer for r in whose],
            "p_before": before.p.numpy(),
            "p_after": after.p.numpy(),
            "said_before": [seer.say(int(t)) for t in said[0]],
            "said_after": [seer.say(int(t)) for t in said[1]],
            "same": (said[0] == said[1]).numpy(),
        }
    )
    file = made.save(options.out / "edit.safetensors")
    write_atomically(options.out / "answers.csv", table.to_csv(index=False))
    figures = {"facts": len(facts), "kept": len(keep), "edit_norm": made.norm}
    for kind, rows_of in table.groupby("kind"):
        told = ("p_before", "p_after") if kind in ("edit", "paraphrase") else ("same",)
        figures |= {f"{kind}_{c.removeprefix('p_')}": float(rows_of[c].mean()) for c in told}
    measured = context(seed=0, seconds=time.perf_counter() - start, model=options.model)
    return Results("vlm-edit", figures, {}, measured, {"edit": str(file)})
