"""The words of exercises: one file for each chapter, one section for each checker."""

from __future__ import annotations

from pathlib import Path

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.course import chapters, checks, exercises, texts

FOLDER = Path(chapters.__file__).parent
GOOD = """\
# For authors

## one-a · A title

easy, 10 minutes

Do this:
* first,

then `that`.

- A hint
  of two lines.
- The answer.
"""


def test_every_section_has_a_checker_and_every_checker_a_section():
    words = {path: texts.read(path) for path in FOLDER.glob("*.md")}
    assert sorted(id for found in words.values() for id in found) == [e.id for e in exercises()]
    for path, found in words.items():
        assert {id.rpartition("-")[0] for id in found} == {path.stem.replace("_", "-")}


def test_the_parts_of_a_section(tmp_path):
    (path := tmp_path / "one.md").write_text(GOOD)
    assert texts.read(path) == {
        "one-a": {
            "title": "A title",
            "difficulty": "easy",
            "minutes": 10,
            "prompt": "Do this:\n* first,\n\nthen `that`.",
            "hints": ("A hint of two lines.", "The answer."),
        }
    }


@pytest.mark.parametrize(
    ("old", "new", "needs"),
    [
        (" · A title", "", "an id and a title"),
        ("easy, 10 minutes\n", "", "a line such as easy, 10 minutes"),
        ("easy", "simple", "a line such as easy, 10 minutes"),
        ("10", "ten", "a line such as easy, 10 minutes"),
        ("Do this:\n* first,\n\nthen `that`.\n", "", "a prompt"),
        ("- A hint\n  of two lines.\n- The answer.\n", "", "hints, each after a hyphen"),
        ("", GOOD, "an id that no other exercise has"),
    ],
)
def test_what_is_missing_is_said_with_the_file_and_the_heading(old, new, needs, tmp_path):
    text = GOOD.replace(old, new) if old else GOOD + new
    (path := tmp_path / "one.md").write_text(text)
    with pytest.raises(KleditError, match=rf"one\.md: .*## one-a.* needs {needs}"):
        texts.read(path)


def test_a_checker_without_a_section_says_which_there_are(tmp_path):
    (tmp_path / "one.md").write_text(GOOD)
    source = compile("def checker(answer, rng): ...", str(tmp_path / "one.py"), "exec")
    exec(source, names := {})
    with pytest.raises(KleditError, match=r"one\.md has no exercise one-b; it has one-a"):
        checks.exercise("one-b")(names["checker"])
