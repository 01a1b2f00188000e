"""A page of MyST as its blocks: headings, paragraphs, lists, equations, directives."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kledit_lite.book.plain import FENCE, end_of, options_of

HEADING = re.compile(r"^(#{1,6}) +(.+?)\s*$")
LABEL = re.compile(r"^\([\w-]+\)=\s*$")
ITEM = re.compile(r"^(?:[-*+]|\d+\.) +")
MATH = re.compile(r"^\$\$")


@dataclass(frozen=True)
class Block:
    """A piece of a page that stands between empty lines.

    Attributes:
        kind: heading, paragraph, list, table, quote, math, code, or a directive's name.
        text: its source, all of it.
        title: of a heading or a directive.
        level: of a heading; 0 for everything else.
    """

    kind: str
    text: str
    title: str = ""
    level: int = 0

    @property
    def inside(self) -> str:
        """What stands between the fences of a directive, below its options."""
        return "\n".join(options_of(self.text.splitlines()[1:-1])[1])


def blocks(text: str) -> list[Block]:
    """The blocks of a page, in order; labels are left out.

    Cost: O(length of the text).

    Example:
        >>> [b.kind for b in blocks("# A title\\n\\nWords.\\n\\n- one\\n- two\\n\\n$$\\nx\\n$$")]
        ['heading', 'paragraph', 'list', 'math']
    """
    lines = text.splitlines()
    found: list[Block] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        if not line.strip() or LABEL.match(line):
            i += 1
            continue
        if heading := HEADING.match(line):
            found.append(Block("heading", line, heading[2], len(heading[1])))
            i += 1
            continue
        end, kind, title = _span(lines, i)
        found.append(Block(kind, "\n".join(lines[i:end]), title))
        i = end
    return found


def _span(lines: Sequence[str], i: int) -> tuple[int, str, str]:
    """Where the block that begins at a line ends, its kind and its title."""
    line = lines[i]
    if fence := FENCE.match(line):
        return end_of(lines, i, fence[1]) + 1, fence[2] or "code", fence[3].strip()
    if MATH.match(line):
        whole = len(line.strip()) > 3 and line.strip().endswith("$$")
        return (i if whole else _next(lines, i + 1, MATH.match)) + 1, "math", ""
    if ITEM.match(line):
        return _list_end(lines, i), "list", ""
    end = _next(lines, i + 1, lambda s: not s.strip() or _begins(s))
    return end, "table" if line[0] == "|" else "quote" if line[0] == ">" else "paragraph", ""


def _list_end(lines: Sequence[str], i: int) -> int:
    """The line after a list: indented lines and further items belong to it, empty ones between."""
    end = i + 1
    while end < len(lines):
        if not lines[end].strip():
            after = end + 1
            if after >= len(lines) or not (ITEM.match(lines[after]) or lines[after][:1] == " "):
                break
        elif _begins(lines[end]):
            break
        end += 1
    return end


def _begins(line: str) -> bool:
    """Whether a line begins another block even without an empty line before it."""
    return any(p.match(line) is not None for p in (HEADING, FENCE, MATH, LABEL))


def _next(lines: Sequence[str], i: int, stops: Callable[[str], object]) -> int:
    """The first line from `i` on that stops a block; the number of lines if none does."""
    return next((k for k in range(i, len(lines)) if stops(lines[k])), len(lines))
