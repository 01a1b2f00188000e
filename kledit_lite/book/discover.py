"""Chapters are the files ``notebooks/NN-slug.md`` of a checkout, and nothing else.

A chapter is known by its slug; contract, exercises, recorded runs, figures and links have it.  The
number is the chapter's place in ``_toc.yml``, and stands in the file's name and in the title alone:
`kledit_lite.book.renumber` brings both in line with the table of contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kledit_lite.core.errors import KleditError, unknown

_NAME = re.compile(r"(?P<number>\d{2})-(?P<slug>[a-z][a-z0-9]*(-[a-z0-9]+)*)\.md")


@dataclass(frozen=True)
class Chapter:
    """One chapter: ``notebooks/01-alignment.md`` has slug ``"alignment"`` and number ``"01"``.

    Attributes:
        slug: lower-case words joined by hyphens, by which everything else knows the chapter.
        number: two digits, its place in the book.
        stem: file name without its suffix.
        source: the MyST file, which is the only thing written by hand.
        root: the checkout.
    """

    slug: str
    number: str
    stem: str
    source: Path
    root: Path

    @property
    def notebook(self) -> Path:
        """The generated, output-free pair of the source."""
        return self.source.with_suffix(".ipynb")

    @property
    def contract(self) -> Path:
        """Where the chapter's bounds are written."""
        return self.source.parent / "contracts" / f"{self.slug}.yml"

    @property
    def text(self) -> str:
        """The source, as text."""
        return self.source.read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        """The first level-one heading outside the front matter, or the stem when there is none.

        Example:
            ``# Alignment`` at the head of ``01-alignment.md`` gives ``"Alignment"``.
        """
        body = re.sub(r"\A---\n.*?\n---\n", "", self.text, flags=re.DOTALL)
        found = re.search(r"^# +(.+?)\s*$", body, flags=re.MULTILINE)
        return found.group(1) if found else self.stem


def find_root(start: Path | None = None) -> Path:
    """The checkout that holds ``start`` (default: the working directory).

    Walks up to the first folder with both ``pyproject.toml`` and ``notebooks/``.

    Raises:
        KleditError: there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise KleditError(
        f"No checkout of the book around {start}: expected a folder with pyproject.toml and "
        "notebooks/; change into your clone and try again."
    )


def discover(root: Path) -> list[Chapter]:
    """All chapters of a checkout, in order of their numbers.

    Raises:
        KleditError: a file name that is not ``NN-slug.md``, a number or a slug used twice, or a
            chapter without the jupytext front matter (which would silently not be executed).
    """
    chapters: list[Chapter] = []
    used: dict[str, str] = {}  # number or slug -> the file that has it
    for source in sorted((root / "notebooks").glob("*.md")):
        match = _NAME.fullmatch(source.name)
        if match is None:
            raise KleditError(
                f"{source} is not named NN-slug.md (two digits, then lower-case words joined by "
                "hyphens); rename it."
            )
        number, slug = match["number"], match["slug"]
        if number in used:
            both = f"{used[number]} and {source.name}"
            raise KleditError(f"Chapter number {number} is used by {both}; renumber one.")
        if slug in used:
            raise KleditError(f"{used[slug]} and {source.name} have one slug; rename one.")
        _require_front_matter(source)
        used |= {number: source.name, slug: source.name}
        chapters.append(Chapter(slug, number, source.stem, source, root))
    return chapters


def toc_pages(toc: Mapping[str, Any]) -> list[tuple[str, str]]:
    """File, without its ending, and part of each page that a table of contents lists, in order.

    Args:
        toc: what ``_toc.yml`` says.

    Example:
        >>> toc_pages({"root": "a", "parts": [{"caption": "B", "chapters": [{"file": "c.md"}]}]})
        [('a', ''), ('c', 'B')]
    """
    parts = [{"file": toc.get("root", "")}, toc, *toc.get("parts", ())]
    return [(file, part.get("caption", "")) for part in parts for file in _files(part)]


def _files(entry: Mapping[str, Any]) -> Iterator[str]:
    if "file" in entry:
        yield re.sub(r"\.(md|ipynb)$", "", str(entry["file"]))
    for inside in (*entry.get("chapters", ()), *entry.get("sections", ())):
        yield from _files(inside)


def choose(chapters: list[Chapter], names: list[str]) -> list[Chapter]:
    """The chapters that ``names`` name, in book order.

    A name is a slug (``alignment``), a number (``1``, ``01``) or a file's name (``01-alignment``).

    Raises:
        UnknownNameError: a name that no chapter has; the message lists the valid ones.
    """
    by_name = {name: c for c in chapters for name in (c.slug, c.number, c.stem)}
    chosen = set()
    for name in names:
        key = name.zfill(2) if name.isdigit() else name.removesuffix(".md").removesuffix(".ipynb")
        if key not in by_name:
            raise unknown("chapter", name, [c.slug for c in chapters])
        chosen.add(by_name[key].slug)
    return [c for c in chapters if c.slug in chosen]


def _require_front_matter(source: Path) -> None:
    match = re.match(r"---\n(.*?)\n---\n", source.read_text(encoding="utf-8"), flags=re.DOTALL)
    try:
        meta = yaml.safe_load(match.group(1) if match else "{}")
        form = meta["jupytext"]["text_representation"]["format_name"]
    except (yaml.YAMLError, KeyError, TypeError):
        form = None
    if form != "myst":
        raise KleditError(
            f"{source} has no jupytext front matter with format_name: myst, so it would silently "
            "not be executed; begin it as the other chapters begin."
        )
