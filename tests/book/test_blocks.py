"""A page of MyST is taken apart into its blocks, and none of its words is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from kledit_lite.book.blocks import LABEL, blocks
from kledit_lite.book.discover import discover, find_root

ROOT = find_root(Path(__file__).parent)
PAGE = """(here)=
# Title

One line
and another:

- an item

  of two paragraphs
- a second
## Section
$$
x
$$ (label)
$$y$$
| a | b |
| - | - |
> said

::::{exercise} Do it
:label: e

:::{tip}
Now.
:::
::::
```python
# no heading
```
"""


def test_every_kind_is_seen():
    found = [(b.kind, b.title, b.level) for b in blocks(PAGE)]
    assert found == [
        ("heading", "Title", 1), ("paragraph", "", 0), ("list", "", 0), ("heading", "Section", 2),
        ("math", "", 0), ("math", "", 0), ("table", "", 0), ("exercise", "Do it", 0),
        ("code", "python", 0),
    ]  # fmt: skip


def test_what_a_block_holds():
    found = {b.kind: b for b in blocks(PAGE)}
    assert found["paragraph"].text == "One line\nand another:"
    assert found["list"].text.endswith("- a second") and "two paragraphs" in found["list"].text
    assert found["exercise"].inside == "\n:::{tip}\nNow.\n:::"


@pytest.mark.parametrize("chapter", discover(ROOT), ids=lambda c: c.slug)
def test_no_line_of_a_chapter_is_lost(chapter):
    kept = [line for line in chapter.text.splitlines() if line.strip() and not LABEL.match(line)]
    found = [line for b in blocks(chapter.text) for line in b.text.splitlines() if line.strip()]
    assert found == kept
