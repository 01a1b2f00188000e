"""The primer's code runs, and its map of chapters agrees with what each chapter says it needs."""

from __future__ import annotations

import re

from kledit_lite.book import discover

REF = re.compile(r"\{ref\}`(?:[^`<]*<)?([a-z-]+)>?`")


def needs(text: str) -> list[str]:
    """The chapters that a chapter's "Before you start" names."""
    before = re.search(r"\*\*Before you start:\*\*(.*?)(?:\*\*You need|:::|\n\n)", text, re.DOTALL)
    return REF.findall(before[1]) if before else []


def test_its_code_runs(root):
    text = (root / "book" / "primer.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(snippets) == 3 and all("assert" in s for s in snippets)
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(snippet, names)  # ours, and one page: later ones use the names of earlier ones


def test_its_map_names_every_chapter_and_what_it_needs(root):
    text = (root / "book" / "primer.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\{ref\}[^|]*)\|([^|]*)\|", text, re.MULTILINE)
    drawn = {REF.findall(chapter)[0]: REF.findall(first) for chapter, first in rows}
    written = {c.slug: needs(c.source.read_text(encoding="utf-8")) for c in discover(root)}
    assert drawn == written
    order = list(written)
    assert all(order.index(n) < order.index(c) for c, some in written.items() for n in some)
