"""Chapters, their pairs, contracts and tables of contents agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from kledit_lite.book import discover
from kledit_lite.book.sync import out_of_sync


def listed(entry: Any) -> Iterator[str]:
    """The files of a table of contents in order, without suffix."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key in {"root", "file"}:
                yield re.sub(r"\.(md|ipynb)$", "", value)
            else:
                yield from listed(value)
    elif isinstance(entry, list):
        for each in entry:
            yield from listed(each)


def test_both_tables_of_contents_list_the_same_files(root):
    one = list(listed(yaml.safe_load((root / "_toc.yml").read_text())))
    two = list(listed(yaml.safe_load((root / "myst.yml").read_text())["project"]["toc"]))
    assert one == two
    assert len(one) == len(set(one))


def test_every_listed_page_exists_and_every_page_is_listed(root):
    pages = set(listed(yaml.safe_load((root / "_toc.yml").read_text())))
    assert [p for p in pages if not (root / f"{p}.md").is_file()] == []
    written = {
        p.relative_to(root).with_suffix("").as_posix()
        for folder in ("book", "notebooks")
        for p in (root / folder).rglob("*.md")
        if not {"_static", "_generated"} & set(p.parts) and "assignments" not in p.parts
    }
    assert written == pages


def test_chapter_names_are_lower_case_with_hyphens(root):
    for page in listed(yaml.safe_load((root / "_toc.yml").read_text())):
        assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9-]+)*", page)


def test_sources_claim_no_profile(root):
    """A badge for a profile is awarded by the build."""
    claimed = re.compile(r"\{bdg-\w+\}`(lite|laptop|gpu)`")
    assert [c.slug for c in discover(root) if claimed.search(c.text)] == []


def test_pairs_are_in_sync(root):
    assert out_of_sync(root) == [], "run `kledit sync`"


def test_every_chapter_has_front_matter_and_a_contract(root):
    chapters = discover(root)  # refuses a chapter without `format_name: myst`
    assert chapters
    for chapter in chapters:
        contract = yaml.safe_load(chapter.contract.read_text())
        assert contract.get("bounds"), f"{chapter.contract.name} has no bounds"
        assert contract.get("negative_controls"), f"{chapter.contract.name} has no control"


def numbered(text: str) -> list[str]:
    """Strings of code cells that begin with a number and a hyphen, as exercises once did."""
    cells = re.findall(r"^```\{code-cell\}.*?^```$", text, re.MULTILINE | re.DOTALL)
    return [s for cell in cells for s in re.findall(r"""f?["']\d\d-[a-z{][^"']*["']""", cell)]


def test_cells_know_exercises_by_slug(root):
    for chapter in discover(root):
        assert numbered(chapter.source.read_text(encoding="utf-8")) == [], chapter.name
    planted = '```{code-cell} python3\ngrade(f"04-{x}", f)\n```\n'
    assert numbered(planted) == ['f"04-{x}"']


def of_one_profile(text: str) -> list[str]:
    """What code cells say of language models and people that only the scenario should know."""
    from kledit_lite.world.people import people

    cells = "\n".join(re.findall(r"^```\{code-cell\}.*?^```$", text, re.MULTILINE | re.DOTALL))
    words = ("bard-tiny", "world.people", '"lite":', *people(), *people("authors"))
    return [w for w in words if w in cells]


def test_cells_on_language_models_go_through_their_scenario(root):
    for chapter in discover(root):
        if chapter.slug in {"restor", "model-state-arithmetic"}:
            assert of_one_profile(chapter.text) == [], chapter.name
    planted = '```{code-cell} python3\nzoo.load_writer("bard-tiny")\n```\nbard-tiny'
    assert of_one_profile(planted) == ["bard-tiny"]
    assert of_one_profile("bard-tiny") == []


def linked(text: str) -> tuple[list[str], dict[str, str]]:
    """The numbers of a chapter's objectives, and the one that each of its exercises names."""
    head = re.search(r"In this chapter you will\n.*?\n:::", text, re.DOTALL)
    numbers = re.findall(r"^(\d)\. ", head[0] if head else "", re.MULTILINE)
    said = r"^:label: ex-([\w-]+)\n\n\{bdg-[\w-]+\}`\w+` \d+ minutes, objective (\d)\. "
    return numbers, dict(re.findall(said, text, re.MULTILINE))


def test_every_exercise_names_an_objective_of_its_chapter(root):
    from kledit_lite.course import exercises

    for chapter in discover(root):
        numbers, named = linked(chapter.text)
        assert numbers == [str(i + 1) for i in range(len(numbers))] and len(numbers) >= 3
        assert set(named) == {e.id for e in exercises() if e.chapter == chapter.slug}, chapter.slug
        assert set(named.values()) <= set(numbers), chapter.slug


def test_pages_say_what_engine_and_exercises_do(root):
    from kledit_lite.course import exercises

    assert all(e.hints for e in exercises())  # most of the last ones are the answer
    words = {p.stem: " ".join(p.read_text().split()) for p in (root / "book").glob("*.md")}
    assert "never the answer" not in words["welcome"]
    assert "a decision that has to be defended" not in words["instructor"]
    assert "the site is still built" in words["how-to-use"]  # see book.build.build_book


def test_every_citation_is_in_the_bibliography(root):
    known = set(re.findall(r"@\w+\{([^,]+),", (root / "book/references.bib").read_text()))
    for folder in ("book", "notebooks"):
        for page in (root / folder).rglob("*.md"):
            for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text()):
                assert {k.strip() for k in keys.split(",")} <= known, f"{page.name}: {keys}"


def test_pages_use_portable_directives_only(root):
    portable = {
        "admonition", "note", "tip", "warning", "important", "hint", "seealso", "figure", "image",
        "math", "exercise", "exercise-start", "exercise-end", "solution", "solution-start",
        "solution-end", "dropdown", "tab-set", "tab-item", "grid", "grid-item-card", "card",
        "code-cell", "code-block", "literalinclude", "include", "glossary", "bibliography", "table",
        "list-table", "margin", "aside", "iframe",
    }  # fmt: skip
    for folder in ("book", "notebooks"):
        for page in (root / folder).rglob("*.md"):
            used = re.findall(r"^\s*[`:]{3,}\{([a-z-]+)\}", page.read_text(), flags=re.MULTILINE)
            assert set(used) <= portable, f"{page.name}: {set(used) - portable}"


def test_chapters_have_no_callbacks_that_need_a_kernel(root):
    for chapter in discover(root):
        dead = re.findall(r"\b(?:interact|interactive|\w+\.observe|on_click)\(", chapter.text)
        assert dead == [], f"{chapter.stem}: {dead} does nothing on a static page; use jslink"
