"""The book with its chapters in another order: nothing but file names and titles changes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from kledit_lite.book.build import load_contract
from kledit_lite.book.discover import discover
from kledit_lite.book.renumber import numbers, renumber
from kledit_lite.book.site import check_toc
from kledit_lite.book.sync import out_of_sync
from kledit_lite.core.errors import KleditError
from kledit_lite.course import exercises
from kledit_lite.recorded import recording

ROOT = Path(__file__).resolve().parents[2]
DUMMY = """---
jupytext:
  text_representation:
    format_name: myst
---

(dummy)=

# 77 · A dummy

See {ref}`alignment`.
"""


@pytest.fixture
def book(tmp_path):
    """The sources of the real book, copied."""
    root = tmp_path / "book-of-mine"
    for folder in ("notebooks", "book"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("_static", "_generated")
        )
    for name in ("_toc.yml", "myst.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    (root / "kledit_lite").symlink_to(ROOT / "kledit_lite")  # whose code the pages show
    return root


def source(root, slug):
    """A chapter's file, whatever its number."""
    return next((root / "notebooks").glob(f"[0-9][0-9]-{slug}.md"))


def swap(path, one, two):
    """Exchange two lines of a table of contents, and write a third before the first of all."""
    lines = path.read_text().split("\n")
    a, b = (next(i for i, line in enumerate(lines) if f"-{slug}" in line) for slug in (one, two))
    lines[a], lines[b] = lines[b], lines[a]
    first = next(i for i, line in enumerate(lines) if "notebooks/" in line)
    new = re.sub(r"notebooks/[\w-]+", "notebooks/77-dummy", lines[first])
    path.write_text("\n".join([*lines[: first + 1], new, *lines[first + 1 :]]))


def pages(root):
    """Everything that is written for a reader, with the contracts: path -> text."""
    found = [*(root / "book").rglob("*.md"), *(root / "notebooks").rglob("*.[my]*")]
    return {p: p.read_text(encoding="utf-8") for p in found}


def broken(root) -> list[str]:
    """What points nowhere, or carries a number of its own."""
    said = [f"not in sync: {p.name}" for p in out_of_sync(root)]
    texts, place = pages(root), numbers(root)
    labels = {m for t in texts.values() for m in re.findall(r"^\(([\w-]+)\)=$", t, flags=re.M)}
    labels |= {m for t in texts.values() for m in re.findall(r"^:label: ([\w-]+)$", t, flags=re.M)}
    for path, text in texts.items():
        links = re.findall(r"\{ref\}`(?:[^`<]*<)?([\w-]+)>?`", text)
        links += re.findall(r":link: ([\w-]+)\n:link-type: ref", text)
        said += [f"{path.name}: no label {link}" for link in links if link not in labels]
        loose = re.findall(rf"\b\d\d-(?:{'|'.join(place)})\b|\b[Cc]hapters? \d\d", text)
        said += [f"{path.name}: {number}" for number in loose]
    for chapter in discover(root):
        slug, text = chapter.slug, chapter.text
        if place[slug] != chapter.number or not chapter.title.startswith(f"{chapter.number} · "):
            said.append(f"{chapter.stem}: at place {place[slug]}, titled {chapter.title}")
        if f"({slug})=\n" not in text:
            said.append(f"{chapter.stem}: no label")
        if slug == "dummy":
            continue
        if not load_contract(chapter.contract, "lite").bounds:
            said.append(f"{chapter.stem}: no bounds")
        ids = {e.id for e in exercises(slug)}
        asked = set(re.findall(r'\b(?:check|hint|get)\("([\w-]+-[a-z])"', text))
        asked |= {f"{slug}-{x}" for x in re.findall(rf":label: ex-{slug}-([a-z])", text)}
        if asked != ids:
            said.append(f"{chapter.stem}: asks {sorted(asked)} of {sorted(ids)}")
        if re.findall(r'\brecord\(\s*"([\w-]+)"', text) != [slug]:
            said.append(f"{chapter.stem}: does not record {slug} once")
        for name in re.findall(r'\brecording\("([\w-]+)"\)', text):
            if not recording(name).is_file():
                said.append(f"{chapter.stem}: no {name}")
    return said


def test_the_book_as_it_is_has_no_loose_ends(book):
    assert broken(book) == []
    assert renumber(book) == []


def test_renumbering_breaks_nothing(book):
    before = {c.slug: c.text for c in discover(book)}
    (book / "notebooks" / "77-dummy.md").write_text(DUMMY)
    for name in ("_toc.yml", "myst.yml"):
        swap(book / name, "failure-modes", "locogen")
    assert any("at place" in line for line in broken(book))

    moved = renumber(book)
    order = [c.slug for c in discover(book)]
    exchanged = {"failure-modes": "locogen", "locogen": "failure-modes"}
    first, *rest = (exchanged.get(slug, slug) for slug in before)
    assert order == [first, "dummy", *rest]
    assert {p.stem[3:] for p in moved} == set(order) - {"painted-world"}
    assert broken(book) == []
    check_toc(book, discover(book))
    toc, myst = (
        re.findall(r"notebooks/[\w-]+", (book / n).read_text()) for n in ("_toc.yml", "myst.yml")
    )
    assert toc == myst == [f"notebooks/{c.stem}" for c in discover(book)]
    assert yaml.safe_load((book / "_toc.yml").read_text())["format"] == "jb-book"

    for chapter in discover(book):  # not a word besides the title
        old = before.get(chapter.slug, DUMMY).splitlines()
        changed = [a for a, b in zip(old, chapter.text.splitlines(), strict=True) if a != b]
        assert len(changed) <= 1 and all(line.startswith("# ") for line in changed)
    assert renumber(book) == []


def test_a_chapter_without_a_number_in_the_table_gets_one(book):
    toc = book / "_toc.yml"
    listed = f"notebooks/{source(book, 'locogen').stem}"
    toc.write_text(toc.read_text().replace(listed, "notebooks/locogen"))
    assert listed not in toc.read_text()
    assert renumber(book) == []
    assert listed in toc.read_text()


def test_a_chapter_that_is_not_there_is_named_before_anything_moves(book):
    source(book, "locogen").unlink()
    swap(book / "_toc.yml", "alignment", "text-to-concept")
    names = sorted(p.name for p in (book / "notebooks").iterdir())
    with pytest.raises(KleditError, match="'dummy', 'locogen'"):
        renumber(book)
    assert sorted(p.name for p in (book / "notebooks").iterdir()) == names
