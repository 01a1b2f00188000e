"""Pieces of HTML that viewers share: style sheets, scripts with their words, and captions."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

LOOK = Path(__file__).parent / "look"


@cache
def _look(file: str) -> str:
    """A file of `LOOK`, read once."""
    return (LOOK / file).read_text(encoding="utf-8")


def style(name: str) -> str:
    """A style sheet of `LOOK` as an element of one line, without its comments.

    Args:
        name: of the file, without its ending.

    Example:
        >>> style("live")[:18]
        '<style>.kl-live{ma'
    """
    sheet = re.sub(r"/\*.*?\*/", "", _look(f"{name}.css"))
    return f"<style>{''.join(map(str.strip, sheet.splitlines()))}</style>"


def script(kind: str, name: str, words: Any) -> str:
    """The script of a viewer; it runs once for each of this name that it has not yet set up.

    Args:
        kind: the file of `LOOK`, without its ending.
        name: of the viewer.
        words: what it says, as JSON.

    Example:
        >>> script("frames", "night", ["dark", "darker"])[:20]
        '<script>\\n(function ('
    """
    code = _look(f"{kind}.js").replace("NAME", json.dumps(name))
    said = json.dumps(words).replace("<", "\\u003c")
    return f"<script>\n{code.replace('WORDS', said)}</script>"


def caption_of(words: str) -> str:
    """The words below a figure; nothing if there are none.

    Args:
        words: as text.

    Example:
        >>> caption_of("a < b")
        '<figcaption>a &lt; b</figcaption>'
    """
    return f"<figcaption>{html.escape(words)}</figcaption>" if words else ""


STYLE = style("viz")
"""Of every viewer."""
