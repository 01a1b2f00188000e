"""Sections of side questions are folded on the site: "A closer look: ..." opens by a click.

The heading stays where it is, with its anchor and its place in the page's contents; all that it
heads goes into one ``<details>``. A link to something in it opens it, as browsers do, and print
shows it open (``kledit.css``).
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

FOLDED = "A closer look: "
"""How the heading of a section begins that is folded."""


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fold(app: Any, doctree: nodes.document, page: str) -> None:
    """Put the contents of every section to be folded into a ``<details>`` of their own."""
    for section in list(doctree.findall(nodes.section)):
        place = section.first_child_matching_class(nodes.title)
        if place is None or not section[place].astext().startswith(FOLDED):
            continue
        head, rest = section.children[: place + 1], section.children[place + 1 :]
        summary = "<summary>Open this closer look</summary>"
        opening = f'<details class="kl-closer">{summary}<div class="kl-closer-body">'
        section.children = []
        section.extend([
            *head, nodes.raw("", opening, format="html"),
            *rest, nodes.raw("", "</div></details>", format="html"),
        ])  # fmt: skip
