"""The site's tooltips: what a term means, where it is read, and a link to the glossary.

The first mention in a chapter of each term of two words or more becomes a link of its own; shorter
ones, which may be everyday words, are linked where the author wrote ``{term}``. Every such link
carries its definition in ``data-tip``, which ``kledit.css`` shows under a mouse or the keyboard.
"""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from sphinx import addnodes

GLOSSARY = "book/glossary"
PLAIN = (nodes.literal, nodes.reference, nodes.title, nodes.math, nodes.term, nodes.caption)
"""Text inside these stays as it is."""


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", link_terms)
    app.connect("html-page-context", show_definitions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def definitions(app: Any) -> dict[str, tuple[str, str]]:
    """Term as written -> anchor and definition, of the page's own glossary."""
    known = getattr(app, "kledit_terms", None)
    if known is None:
        known = {}
        if GLOSSARY in app.env.found_docs:
            for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
                meaning = without_citations(item[-1])
                for term in item.findall(nodes.term):
                    known[term.astext()] = (term["ids"][0], meaning)
        app.kledit_terms = known
    return known


def without_citations(definition: nodes.Node) -> str:
    """The words of a definition; a key of the bibliography says nothing in a tooltip."""
    bare = definition.deepcopy()
    for pending in list(bare.findall(addnodes.pending_xref)):
        if pending.get("refdomain") == "cite":
            pending.parent.remove(pending)
    return re.sub(r"\s+([.,;])", r"\1", " ".join(bare.astext().split()))


def link_terms(app: Any, doctree: nodes.document, page: str) -> None:
    """Link a chapter's first mention of each term of several words, where it stands in prose."""
    if not page.startswith("notebooks/"):
        return
    left = {t: a for t, (a, _) in definitions(app).items() if re.search(r"[ -]", t)}
    for link in doctree.findall(nodes.reference):
        anchor = link.get("refuri", "").partition("#")[2]
        left = {t: a for t, a in left.items() if a != anchor}
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            if not left:
                return
            if not inside(text, PLAIN, paragraph):
                parts = split(text.astext(), left, app.builder.get_relative_uri(page, GLOSSARY))
                if len(parts) > 1:
                    text.parent.replace(text, parts)


def inside(node: nodes.Node, kinds: tuple[type, ...], up_to: nodes.Node) -> bool:
    """Whether a node of one of the kinds stands between a node and one above it."""
    while node.parent is not up_to and node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


def split(text: str, left: dict[str, str], to: str) -> list[nodes.Node]:
    """Text with first mentions made links; what was found leaves ``left``."""
    parts: list[nodes.Node] = []
    while left:
        one_of = "|".join(sorted(map(re.escape, left), key=len, reverse=True))
        found = re.search(rf"(?<![\w-])(?:{one_of})(?:s|es)?(?![\w-])", text, re.IGNORECASE)
        if not found:
            break
        word = found.group()
        term = max((t for t in left if word.lower().startswith(t.lower())), key=len)
        link = nodes.reference("", word, refuri=f"{to}#{left.pop(term)}", internal=True)
        parts += [nodes.Text(text[: found.start()]), link]
        text = text[found.end() :]
    return [*parts, nodes.Text(text)]


def show_definitions(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Give each link to a term its definition, for the eye only: the link itself leads there."""
    if doctree is None or page == GLOSSARY:
        return
    meanings = {anchor: meaning for anchor, meaning in definitions(app).values()}

    def tip(found: re.Match[str]) -> str:
        meaning = meanings.get(found["anchor"])
        if meaning is None:
            return found[0]
        return f'<a class="kl-term" data-tip="{html.escape(meaning)}" href="{found["href"]}">'

    link = r'<a [^>]*?href="(?P<href>[^"]*glossary\.html#(?P<anchor>term-[^"]*))"[^>]*>'
    context["body"] = re.sub(link, tip, context["body"])
