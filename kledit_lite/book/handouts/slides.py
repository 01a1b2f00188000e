"""What of an executed chapter is shown on slides, and in which order::

    title      the chapter's title, its question, the objectives
    section    each heading, its first paragraph, a list or an equation right after it; below it
               every other equation, figure, table and "Predict", in the chapter's order
    last       where it breaks, and the titles of the exercises

Code is shown where a cell has the tag ``slide``. What a reader folds open, a solution, what the
chapter measured and the further reading stay in the chapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kledit_lite.book.blocks import Block, blocks
from kledit_lite.book.discover import Chapter
from kledit_lite.book.handouts.teaching import Teaching
from kledit_lite.book.plain import Plain, References, numbers

LAST = ("Where it breaks", "When it fails")
EXERCISES = "Exercises"
LEFT_OUT = {EXERCISES, "What this chapter measured", "Further reading"}
"""Sections without slides of their own."""
NO_OUTPUT = {"remove-cell", "remove-output", "hide-cell", "hide-output", "solution"}
"""Tags of cells whose output the page does not show, or folds."""
PREDICT = "Predict"
CODE_LINES = 14
CAPTION_LETTERS = 240
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z`*])")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\([\w./-]+\.ipynb[^)]*\)")
SHOWN_EXERCISE = re.compile(r"\A\*\*(\S+) (.+?)\*\* \((\w+), (\d+) min\)")
BADGE = re.compile(r"\{bdg-\w+(?:-line)?\}`(\w+)` (\d+) minutes")


@dataclass(frozen=True)
class Slide:
    """One slide.

    Attributes:
        heading: above everything.
        body: plain Markdown.
        shown: the HTML of a figure or a table.
        caption: plain Markdown under it, where it brings none itself.
        answer: plain Markdown that appears with the next key.
        notes: plain Markdown for the speaker.
        first: whether it begins a section; the others stand below it.
        kind: for the style sheet: title, section, equation, figure, table, predict, code, last.
    """

    heading: str
    body: str = ""
    shown: str = ""
    caption: str = ""
    answer: str = ""
    notes: str = ""
    first: bool = False
    kind: str = "section"


@dataclass
class _Reader:
    """Goes through a chapter and collects its slides."""

    plain: Plain
    slides: list[Slide] = field(default_factory=list)
    heading: str = ""
    question: str = ""
    objectives: str = ""
    lead: str = ""  # the last paragraph, which introduces what follows it
    told: set[str] = field(default_factory=set)  # paragraphs that a slide has shown
    waiting: int | None = None  # a slide of a table whose caption is the next paragraph
    exercises: list[str] = field(default_factory=list)

    def words(self, block: Block) -> None:
        """Take a block of a cell of words."""
        kind = block.kind
        if kind == "heading" and block.level <= 2:
            self.section(block)
        elif kind == "exercise":
            level = BADGE.search(block.inside)
            suffix = f" ({level[1]}, {level[2]} minutes)" if level else ""
            self.exercises.append(self.rendered(block.title) + suffix)
        elif self.heading in LEFT_OUT:
            return
        elif kind == "quote" and not self.question:
            said = re.sub(r"^> ?", "", block.text, flags=re.MULTILINE)
            self.question = self.rendered(re.sub(r"^\*\*The question\.\*\*\s*", "", said))
        elif kind == "admonition" and not self.objectives:
            listed = [b for b in blocks(block.inside) if b.kind == "list"]
            self.objectives = self.rendered(listed[0].text) if listed else ""
        elif kind == "dropdown" and block.title.startswith(PREDICT):
            asked = self.rendered(re.sub(rf"^{PREDICT}[:.]?\s*", "", block.title))
            body = asked[:1].upper() + asked[1:]
            answer = self.rendered(block.inside)
            self.slides.append(Slide(PREDICT, body, answer=answer, kind="predict"))
        elif kind == "paragraph" and not block.text.startswith(("{bdg", "**Before")):
            self.paragraph(self.rendered(block.text))
        elif kind == "list":
            self.list(self.rendered(block.text))
        elif kind == "math":
            self.equation(self.rendered(block.text))
        elif kind == "table":
            self.add(Slide(self.heading, self.rendered(block.text), kind="table"))

    def section(self, block: Block) -> None:
        """Begin the title's slide, or a section."""
        if block.level == 1:
            self.slides.append(Slide(self.rendered(block.title), first=True, kind="title"))
            self.heading = re.sub(r"^\d\d · |:.*", "", self.rendered(block.title))
            return
        self.heading, self.lead, self.waiting = self.rendered(block.title), "", None
        if self.heading not in LEFT_OUT:
            kind = "last" if self.heading in LAST else "section"
            self.slides.append(Slide(self.heading, first=True, kind=kind))

    def paragraph(self, text: str) -> None:
        """The first one of a section is shown, and the next if that one announces something."""
        self.lead = text
        if self.waiting is not None:
            self.change(self.waiting, caption=_in_short(text, from_end=False))
            self.told.add(text)
            self.waiting = None
        elif not self.slides or self.slides[-1].kind == "title":
            if self.objectives:  # what stands between them and the first section
                self.slides.append(Slide(self.heading, text, first=True))
                self.told.add(text)
        elif self.open and (not (body := self.slides[-1].body) or body.endswith(":")):
            self.change(-1, body=f"{body}\n\n{text}".strip())
            self.told.add(text)

    def list(self, text: str) -> None:
        """One that follows the first paragraph, or stands in its place, is shown with it."""
        if self.open and (not self.slides[-1].body or self.lead in self.told):
            self.change(-1, body=f"{self.slides[-1].body}\n\n{text}".strip())

    def equation(self, text: str) -> None:
        """Beside the paragraph that leads to it."""
        last = self.slides[-1] if self.slides else None
        if last and last.kind in ("section", "equation") and last.body and self.lead in last.body:
            self.change(-1, body=f"{last.body}\n\n{text}")
        elif last:
            self.slides.append(Slide(self.heading, f"{self.lead}\n\n{text}", kind="equation"))
            self.told.add(self.lead)

    def code(self, cell: Mapping[str, Any]) -> None:
        """Take a cell of code: what it shows, and itself where it has the tag."""
        tags = set(cell["metadata"].get("tags", []))
        outputs = list(_shown(cell)) if not tags & NO_OUTPUT else []
        if self.heading == EXERCISES:
            found = [m for o in outputs if (m := SHOWN_EXERCISE.match(o.get("text/markdown", "")))]
            self.exercises += [f"{m[2]} ({m[3]}, {m[4]} minutes)" for m in found]
        if self.heading in LEFT_OUT or not self.slides:
            return
        if "slide" in tags:
            lines = cell["source"].splitlines()
            cut = [*lines[:CODE_LINES], "..."] if len(lines) > CODE_LINES else lines
            text = "\n".join(["```python", *cut, "```"])
            self.slides.append(Slide(self.heading, text, kind="code"))
        for data in outputs:
            page = data.get("text/html", "")
            if "image/png" in data:
                image = data["image/png"].strip()
                page = f'<figure class="kl-viz"><img alt="" src="data:image/png;base64,{image}">'
                self.add(Slide(self.heading, shown=f"{page}</figure>", kind="figure"))
            elif "kl-viz" in page:
                self.slides.append(Slide(self.heading, shown=page, kind="figure"))
            elif "<table" in page and "kledit-results" not in page:
                self.add(Slide(self.heading, shown=_bare(page), kind="table"))

    def add(self, slide: Slide) -> None:
        """A figure or table without words of its own: those before it, or else after it."""
        if self.lead and self.lead not in self.told:
            slide = replace(slide, caption=_in_short(self.lead, from_end=True))
            self.told.add(self.lead)
        self.slides.append(slide)
        self.waiting = None if slide.caption else len(self.slides) - 1

    @property
    def open(self) -> bool:
        """Whether the last slide is that of a section, to which words can be added."""
        return bool(self.slides) and self.slides[-1].kind in ("section", "last")

    def change(self, index: int, **values: Any) -> None:
        """Give one of the slides other values."""
        self.slides[index] = replace(self.slides[index], **values)

    def rendered(self, text: str) -> str:
        """A piece of MyST as plain Markdown; links to other notebooks become their words."""
        return LINK.sub(r"\1", self.plain.markdown(text))


def slides_of(
    chapter: Chapter, notebook: Mapping[str, Any], book: References, teaching: Teaching
) -> list[Slide]:
    """The slides of a chapter.

    Args:
        chapter: the chapter.
        notebook: it, executed, as ``nbformat`` reads it.
        book: what its words may refer to.
        teaching: what an instructor is told about it.

    Raises:
        KleditError: MyST that has no plain form.
    """
    plain = Plain(chapter, book, numbers=numbers(notebook))
    cells = notebook["cells"]
    for cell in cells:  # every equation gets its number, also where it is not shown
        if cell["cell_type"] == "markdown":
            plain.markdown(cell["source"])
    reader = _Reader(plain)
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for block in blocks(cell["source"]):
                reader.words(block)
        elif cell["cell_type"] == "code":
            reader.code(cell)
    kept = [s for s in reader.slides if s.kind != "title"]
    question = f"> {reader.question}" if reader.question else ""
    body = "\n\n".join(filter(None, [question, reader.objectives]))
    title = Slide(chapter.title, body, notes=teaching.timing(chapter), first=True, kind="title")
    last = [s for s in kept if s.kind == "last"] or [Slide(LAST[0], first=True, kind="last")]
    middle = list(_joined(s for s in kept if s.kind != "last"))
    if reader.exercises:
        listed = "\n".join(f"1. {name}" for name in reader.exercises)
        last.append(Slide(EXERCISES, listed, kind="last"))
    if last := [s for s in last if s.body]:
        last[-1] = replace(last[-1], notes=teaching.questions(chapter))
        last[0] = replace(last[0], first=True)
    return [title, *middle, *last]


def _joined(found: Iterable[Slide]) -> Iterator[Slide]:
    """The same without sections that have no words: what comes first in one begins it."""
    empty: Slide | None = None
    for slide in found:
        if slide.first and not slide.body:
            empty = slide
            continue
        yield replace(slide, first=True) if empty and not slide.first else slide
        empty = None


def _shown(cell: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The data of each output that a page shows, as text."""
    for output in cell.get("outputs", []):
        if "scrapbook" not in output.get("metadata", {}):
            data = output.get("data", {})
            yield {kind: value for kind, value in data.items() if isinstance(value, str)}


def _in_short(text: str, from_end: bool) -> str:
    """The first sentences of a paragraph, or the last ones, that make a caption."""
    kept: list[str] = []
    sentences = SENTENCE.split(text)
    for each in reversed(sentences) if from_end else sentences:
        if kept and len(" ".join([*kept, each])) > CAPTION_LETTERS:
            break
        kept.append(each)
    return " ".join(reversed(kept) if from_end else kept)


def _bare(page: str) -> str:
    """A table without the style that pandas gives it."""
    page = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r' (?:border="1"|style="[^"]*")', "", page)
