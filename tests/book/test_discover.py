"""Chapters are found by their file names, and bad ones are said plainly."""

from __future__ import annotations

import pytest

from kledit_lite.book.discover import choose, discover, find_root
from kledit_lite.core.errors import KleditError, UnknownNameError


def test_chapters_come_in_order_with_titles(checkout, add):
    add("02-later", "# Second\n\n# Not this\n")
    add("00-first-words", "Text\n\n# First\n")
    chapters = discover(checkout)
    assert [c.number for c in chapters] == ["00", "02"]
    assert [c.title for c in chapters] == ["First", "Second"]
    assert [c.slug for c in chapters] == ["first-words", "later"]
    assert chapters[0].notebook.name == "00-first-words.ipynb"
    assert chapters[0].contract == checkout / "notebooks" / "contracts" / "first-words.yml"


def test_a_comment_in_the_front_matter_is_no_title(checkout, add, text):
    add("01-x", "# Title\n", front=text.FRONT.replace("---\n", "---\n# a comment\n", 1))
    assert discover(checkout)[0].title == "Title"


@pytest.mark.parametrize("stem", ["alignment", "1-x", "01-Upper", "01_x", "01-x y", "01-2"])
def test_names_must_be_number_and_words(checkout, add, stem):
    (checkout / "notebooks" / f"{stem}.md").write_text("# x\n")
    with pytest.raises(KleditError, match="NN-slug.md"):
        discover(checkout)


def test_a_number_is_used_once(checkout, add):
    add("01-a", "# a\n")
    add("01-b", "# b\n")
    with pytest.raises(KleditError, match="01-a.md and 01-b.md"):
        discover(checkout)


def test_a_slug_is_used_once(checkout, add):
    add("01-a", "# a\n")
    add("02-a", "# a\n")
    with pytest.raises(KleditError, match="01-a.md and 02-a.md have one slug"):
        discover(checkout)


@pytest.mark.parametrize("front", ["", "---\ntitle: x\n---\n", "---\n: [\n---\n"])
def test_without_front_matter_a_chapter_is_refused(checkout, add, front):
    add("01-a", "# a\n", front=front)
    with pytest.raises(KleditError, match="silently not be executed"):
        discover(checkout)


def test_choose_by_number_or_name(checkout, add):
    add("01-a", "# a\n")
    add("02-b", "# b\n")
    chapters = discover(checkout)
    assert [c.stem for c in choose(chapters, ["2", "01-a"])] == ["01-a", "02-b"]
    assert [c.stem for c in choose(chapters, ["b"])] == ["02-b"]
    with pytest.raises(UnknownNameError, match="'07'; choose one of: a, b"):
        choose(chapters, ["07"])


def test_root_is_found_from_below(checkout, tmp_path):
    assert find_root(checkout / "notebooks" / "contracts") == checkout
    with pytest.raises(KleditError, match="No checkout of the book"):
        find_root(tmp_path)
