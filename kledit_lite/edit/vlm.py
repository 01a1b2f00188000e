"""A user's own model that sees and questions, to an edit and a table of answers."""

from __future__ import annotations

import time
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
    kinds = [("edit" if r.new_answer else "keep" if r.keep else "other", r) for r in rows]
    kinds += [("paraphrase", r) for r in changed if r.paraphrase is not None]
    asked = [r.paraphrase if k == "paraphrase" else r.asked for k, r in kinds]
    seen = [picture(r.image) for _, r in kinds]
    readings = seer.read(seen, [a for a in asked if a is not None])
    renamed = [type(r.asked)(r.asked.text, r.asked.constraints, r.new_answer) for r in changed]
    new = seer.read([picture(r.image) for r in changed], renamed)
    wanted = {id(r): n.answer for r, n in zip(changed, new, strict=True)}
    edited = [x for x, (kind, _) in zip(readings, kinds, strict=True) if kind == "edit"]
    facts = [NewFact(x, n.answer) for x, n in zip(edited, new, strict=True)]
    keep = [x for x, (kind, _) in zip(readings, kinds, strict=True) if kind == "keep"]
    where = cast(Where, options.where.replace("-", " "))
    made = multedit(
        seer.model,
        facts,
        options.layer,
        where,
        keep=keep,
        keep_weight=options.keep_weight,
        strength=options.strength,
        steps=options.steps,
    )
    answers = [wanted.get(id(r), x.answer) for x, (_, r) in zip(readings, kinds, strict=True)]
    before = answered(seer.model, readings, answers)
    with made.apply(seer.model):
        after = answered(seer.model, readings, answers)
    said = [before.first.argmax(1), after.first.argmax(1)]
    table = pd.DataFrame(
        {
            "kind": [k for k, _ in kinds],
            "image": [str(r.image) for _, r in kinds],
            "question": [a.text for a in asked if a is not None],
            "answer": [r.new_answer or r.asked.answer for _, r in kinds],
            "p_before": before.p.numpy(),
            "p_after": after.p.numpy(),
            "said_before": [seer.say(int(t)) for t in said[0]],
            "said_after": [seer.say(int(t)) for t in said[1]],
            "same": (said[0] == said[1]).numpy(),
        }
    )
    made.save(options.out / "edit.safetensors")
    write_atomically(options.out / "answers.csv", table.to_csv(index=False))
    figures = {"facts": len(facts), "kept": len(keep), "edit_norm": made.norm}
    for kind, rows_of in table.groupby("kind"):
        if kind in ("edit", "paraphrase"):
            figures[f"{kind}_before"] = float(rows_of["p_before"].mean())
            figures[f"{kind}_after"] = float(rows_of["p_after"].mean())
        else:
            figures[f"{kind}_same"] = float(rows_of["same"].mean())
    seconds = time.perf_counter() - start
    return Results(
        "vlm-edit",
        figures,
        {},
        context(seed=0, seconds=seconds, model=options.model),
        {"edit": str(options.out / "edit.safetensors")},
    )
