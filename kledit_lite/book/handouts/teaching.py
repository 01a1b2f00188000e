"""What the syllabus says about a chapter, for the speaker's notes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from kledit_lite.book.blocks import blocks
from kledit_lite.book.discover import Chapter, toc_pages
from kledit_lite.book.plain import ROLE

SYLLABUS = Path("book/syllabus.md")
QUESTIONS = "Questions for discussion"
MINUTES = re.compile(r"\{bdg-light\}`(\d+) minutes`")
"""How long a chapter takes, in its line of badges."""
TOPIC = re.compile(r"^\*\*(.+?)\.?\*\*\s*(.+)", re.DOTALL)


@dataclass(frozen=True)
class Teaching:
    """The plans and questions of a checkout.

    Attributes:
        sessions: slug -> in which session of which plan it is taught.
        discussed: first word of a part of the book, in lower case -> questions about it.
        parts: file of a chapter without its ending -> the part of the book that it is in.
    """

    sessions: Mapping[str, list[str]]
    discussed: Mapping[str, str]
    parts: Mapping[str, str]

    @classmethod
    def of(cls, root: Path) -> Teaching:
        """Read ``book/syllabus.md`` and ``_toc.yml``; empty where they are missing."""
        syllabus, toc = root / SYLLABUS, root / "_toc.yml"
        sessions: dict[str, list[str]] = {}
        discussed: dict[str, str] = {}
        heading = ""
        for block in blocks(syllabus.read_text(encoding="utf-8") if syllabus.is_file() else ""):
            if block.kind == "heading":
                heading = block.title
            elif block.kind == "table":
                for slug, session in _sessions(heading, block.text):
                    sessions.setdefault(slug, []).append(session)
            elif heading == QUESTIONS and (found := TOPIC.match(block.text)):
                discussed[found[1].split()[0].lower()] = " ".join(found[2].split())
        listed = yaml.safe_load(toc.read_text(encoding="utf-8")) if toc.is_file() else {}
        named = {Path(file).name: part for file, part in toc_pages(listed) if part}
        return cls(sessions, discussed, named)

    def timing(self, chapter: Chapter) -> str:
        """How long a chapter takes and when it is taught, as plain Markdown; may be empty."""
        minutes = MINUTES.search(chapter.text)
        lines = [f"{minutes[1]} minutes"] if minutes else []
        return "\n".join(f"- {line}" for line in [*lines, *self.sessions.get(chapter.slug, [])])

    def questions(self, chapter: Chapter) -> str:
        """The questions for discussion about its part of the book; may be empty."""
        part = self.parts.get(chapter.stem, "")
        return self.discussed.get(part.split()[0].lower(), "") if part else ""


def _sessions(plan: str, table: str) -> list[tuple[str, str]]:
    """For each chapter that a cell of a plan names: its slug, and where in the plan it stands."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]
    head = rows[0]
    found = []
    for row in rows[2:]:
        for column, cell in zip(head[1:], row[1:], strict=False):
            words = ROLE.sub(lambda m: re.sub(r"\s*<.*>", "", m[2]), cell)
            for kind, target in ROLE.findall(cell):
                slug = re.sub(r".*<(.+)>", r"\1", target)
                if kind == "ref":
                    found.append((slug, f"{plan}, {head[0].lower()} {row[0]}, {column}: {words}"))
    return found
