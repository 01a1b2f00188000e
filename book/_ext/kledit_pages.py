"""The site's own Sphinx extension: tables made from the library, and nothing from a network.

Before Sphinx reads a page this writes ``book/_generated/*.txt`` beside the staged pages, which
include them: the exercises, the profiles, the shipped models, the API of each subpackage and the
command line. So no page repeats by hand what the library knows.

After a page is made, what cannot work from a folder on a disk is taken out of its head.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kledit_lite.book.handouts.teaching import MINUTES

# Page of the API -> module or package of the library.
API = {
    "world": ("world",),
    "zoo": ("zoo",),
    "align": ("align",),
    "components": ("components",),
    "failures": ("failures",),
    "circuits": ("circuits",),
    "influence": ("influence",),
    "trace": ("trace",),
    "locate": ("locate",),
    "edit": ("edit",),
    "unlearn": ("unlearn", "unlearn/restor", "unlearn/tofu", "unlearn/arithmetic"),
    "capstone": ("capstone",),
    "metrics": ("metrics",),
    "viz": ("viz",),
    "course": ("course",),
    "book": ("book", "book/handouts"),
    "models": ("models",),
    "inside": ("inside",),
    "core": ("core",),
}
# Modules of exercises: shown as a table on the instructor page, and full of their own answers.
LEFT_OUT = re.compile(r"kledit_lite\.course\.chapters.*|.*\._.*|.*\.__main__")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("config-inited", name_beside_logo)
    app.connect("config-inited", version_in_footer)
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", keep_drawings, priority=400)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", without_preloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_beside_logo(app: Any, config: Any) -> None:
    """`html_theme_options` in ``_config.yml`` would replace what Jupyter Book puts there."""
    config.html_theme_options.setdefault("logo", {"text": config.project, "alt_text": ""})


def version_in_footer(app: Any, config: Any) -> None:
    """The library's own version becomes Sphinx's, and stands at the foot of every page."""
    from kledit_lite import __version__

    config.version = config.release = __version__
    config.html_theme_options.setdefault("extra_footer", f"<p>{config.project} {__version__}</p>")


def write_pages(app: Any) -> None:
    """Write every included text into ``book/_generated`` of the sources being built."""
    source = Path(app.srcdir)
    folder = source / "book" / "_generated"
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"api-{page}": api(source, parts) for page, parts in API.items()}
    texts |= {
        "exercises": exercises(source),
        "profiles": profiles(),
        "models": models(),
        "cli": cli(),
        "expected": expected(source),
        **addresses(source),
    }
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def keep_drawings(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Set what a module's docstring draws with indented lines as it stands (before Napoleon)."""
    if what != "module":
        return
    text = re.sub(r"(?m)^(\S.*[^:\n])\n\n(?=    )", r"\1\n\n::\n\n", "\n".join(lines))
    lines[:] = text.split("\n")


def skip_foreign(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out methods that another library put on a class of ours."""
    module = getattr(obj, "__module__", None) or ""
    return True if inspect.isroutine(obj) and not module.startswith("kledit_lite") else None


def without_thebe(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Live code needs a server; its script would be declared twice on every page."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{script} {getattr(script, 'attributes', '')}".lower()
    ]


def without_preloads(app: Any, exception: Exception | None) -> None:
    """A browser refuses to preload fonts from ``file://``, and says so on its console."""
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        clean = re.sub(r'<link rel="preload" as="font"[^>]*>\n?', "", text)
        if clean != text:
            path.write_text(clean, encoding="utf-8")


def api(source: Path, parts: tuple[str, ...]) -> str:
    """A section for each public module, with everything documented in it."""
    sections = []
    for part in parts:
        for module, path in modules(source, part):
            head = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
            if not head or LEFT_OUT.fullmatch(module):
                continue
            sections += [
                f"## `{module.removeprefix('kledit_lite.')}`",
                "",
                "```{eval-rst}",
                f".. automodule:: {module}",
                "```",
                "",
            ]
    return "\n".join(sections)


def modules(source: Path, part: str) -> Iterator[tuple[str, Path]]:
    """``(dotted name, file)`` of a module, or of a package and the modules in it."""
    library = source / "kledit_lite"
    if (library / f"{part}.py").is_file():
        yield f"kledit_lite.{part}", library / f"{part}.py"
        return
    for path in sorted((library / part).glob("*.py"), key=lambda p: (p.stem != "__init__", p.stem)):
        name = f"kledit_lite.{part.replace('/', '.')}"
        yield (name if path.stem == "__init__" else f"{name}.{path.stem}"), path


def exercises(source: Path) -> str:
    """Every exercise with its chapter, difficulty and minutes."""
    from kledit_lite.course import exercises as every

    pages = {page.stem[3:]: page.stem for page in (source / "notebooks").glob("[0-9][0-9]-*.*")}
    rows = [("Exercise", "What it asks for", "Difficulty", "Minutes")]
    total = 0
    for e in every():
        label = f"`{e.id}`"
        if e.chapter in pages:
            label = f"[{e.id}](../notebooks/{pages[e.chapter]})"
        rows.append((label, e.title, e.difficulty, str(e.minutes)))
        total += e.minutes
    rows.append(("All", f"{len(rows) - 1} exercises", "", str(total)))
    return table(rows)


def expected(source: Path) -> str:
    """What each chapter takes, and how many statements its run is held to."""
    from kledit_lite.course import exercises as every

    theirs: dict[str, list[int]] = {}
    for e in every():
        theirs.setdefault(e.chapter, []).append(e.minutes)
    rows = [
        ("Chapter", "Minutes", "Exercises", "Their minutes", "Bounds", "Controls that must fail")
    ]
    pages = {page.stem: page for page in (source / "notebooks").glob("[0-9][0-9]-*.*")}
    for page in (pages[stem] for stem in sorted(pages)):
        slug = page.stem[3:]
        contract = source / "notebooks" / "contracts" / f"{slug}.yml"
        if not contract.is_file():
            continue
        said = yaml.safe_load(contract.read_text(encoding="utf-8"))
        minutes = MINUTES.search(page.read_text(encoding="utf-8"))
        asked = theirs.get(slug, [])
        rows.append((
            f"[{slug}](../notebooks/{page.stem})",
            minutes[1] if minutes else "",
            str(len(asked)),
            str(sum(asked)),
            str(len(said.get("bounds", {}))),
            str(len(said.get("negative_controls", {}))),
        ))  # fmt: skip
    return table(rows)


def profiles() -> str:
    """The slots of each profile, and what fills them."""
    from kledit_lite.core import slots

    text = []
    for name in slots.names():
        profile = slots.get(name)
        rows = [("Slot", "Filled by", "Download", "Needed")]
        for slot in profile.slots:
            ids = ", or ".join(f"`{i}`" for i in slot.ids)
            size = f"{slot.size_mb:g} MB" if slot.size_mb else "none"
            rows.append((slot.name, ids, size, "no" if slot.optional else "yes"))
        text += [f"### {name}", "", profile.summary, "", table(rows), ""]
    return "\n".join(text)


def addresses(source: Path) -> dict[str, str]:
    """How to get the book: with the address of a repository if it has one, else without."""
    from kledit_lite.core.launch import launch

    at = launch(source)
    kind = "repository" if at.repository else "here"
    texts = {}
    for name in ("clone", "elsewhere"):
        text = (source / "book" / "launch" / f"{name}-{kind}.txt").read_text(encoding="utf-8")
        for word in ("repository", "branch", "name"):
            text = text.replace(f"{{{word}}}", getattr(at, word))
        texts[name] = text
    return texts


def models() -> str:
    """The cards of the shipped models, in short."""
    from kledit_lite import zoo

    rows = [("Model", "Architecture", "Learned from", "Parameters")]
    for name in zoo.names():
        card = zoo.card(name)
        size = f"{card.parameters / 1e6:.1f} M" if card.parameters else "as `resnet-tiny`"
        rows.append((f"`{name}`", card.architecture, card.supervision, size))
    return table(rows)


def cli() -> str:
    """The help of every command."""
    from kledit_lite.cli import parser

    text = []
    for words, command in commands("kledit", parser()):
        command.formatter_class = Narrow
        text += [f"## `{words}`", "", "```text", command.format_help().rstrip(), "```", ""]
    return "\n".join(text)


class Narrow(argparse.HelpFormatter):
    """Help that does not depend on the width of the terminal that builds the site."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=78)


def commands(
    words: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """``("kledit zoo eval", its parser)`` for every command, the top one first."""
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from commands(f"{words} {name}", below)


def table(rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    ]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body]) + "\n"
