"""The key covers what a result depends on; damage and failures never count as results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from kledit_lite.book.cache import KEEP, Cache
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import Failure, Run
from kledit_lite.book.sources import tree_digest
from kledit_lite.book.sync import read_source


def a_run(**changes):
    made = {
        "chapter": "01",
        "profile": "lite",
        "seconds": 1.0,
        "peak_mb": 2.0,
        "figures": {"r2": 0.9},
        "versions": {"python": "3"},
        "notebook": '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        "used": ("library/a.py",),
    }
    return Run(**{**made, **changes})


@pytest.fixture
def chapter(checkout, add, text):
    add("01-good", text.GOOD)
    return discover(checkout)[0]


def test_what_is_put_is_got(checkout, chapter, library):
    cache = Cache(checkout, "lite", library)
    assert cache.get(chapter) is None and cache.last(chapter) is None
    cache.put(chapter, a_run())
    assert cache.get(chapter) == a_run()
    again = Cache(checkout, "lite", library)
    assert again.get(chapter) == a_run()
    run, current = again.last(chapter)
    assert current and run.figures == {"r2": 0.9}


def test_the_key_covers_what_is_not_a_file_of_the_library(checkout, chapter, library, monkeypatch):
    def key(profile="lite"):
        return Cache(checkout, profile, library).key(chapter)

    keys = [key()]
    assert key() == keys[0]
    keys.append(key("laptop"))
    chapter.source.write_text(chapter.text + "\n```{code-cell} ipython3\n1 + 1\n```\n")
    keys.append(key())
    (checkout / "constraints.txt").write_text("numpy==2.1\n")
    keys.append(key())
    monkeypatch.setenv("KLEDIT_SLOT_CLIP", "zoo:other")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_run_is_kept_until_something_that_it_used_changes(checkout, chapter, library):
    weights, recorded = library / "weights", library / "recorded"
    for path in (
        weights / "one" / "card.json",
        weights / "one" / "model.safetensors",
        weights / "two" / "card.json",
        recorded / "a.json",
        recorded / "b.json",
        checkout / "notebooks" / "contracts" / "other.yml",
        library / "b.py",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    other = "notebooks/contracts/other.yml"
    used = ("library/a.py", "library/weights/one/card.json", "library/recorded/a.json", other)

    def kept():
        return Cache(checkout, "lite", library).get(chapter) is not None

    def run():
        Cache(checkout, "lite", library).put(chapter, a_run(used=used))

    run()
    for unused in (
        library / "b.py",
        library / "new.py",
        weights / "two" / "card.json",
        recorded / "b.json",
        chapter.contract,
    ):
        unused.write_text("2")
        assert kept(), unused
    for path in (
        library / "a.py",
        weights / "one" / "card.json",
        recorded / "a.json",
        weights / "one" / "model.safetensors",  # lies beside its card
        checkout / other,
    ):
        before = path.read_text()
        path.write_text("2")
        assert not kept(), path
        path.write_text(before)
        assert kept(), path
    (recorded / "a.json").unlink()
    assert not kept()


def test_other_words_and_folds_keep_a_run_and_are_shown(checkout, chapter, library):
    source = read_source(chapter)
    for n, cell in enumerate(c for c in source.cells if c.cell_type == "code"):
        cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text=f"{n}")], n
    ran = a_run(notebook=nbformat.writes(source))
    Cache(checkout, "lite", library).put(chapter, ran)
    folded = chapter.text.replace("ipython3\n", "ipython3\n:tags: [hide-input]\n", 1)
    chapter.source.write_text(folded.replace("A good", "Quite another") + "\nMore.\n")
    got = nbformat.reads(Cache(checkout, "lite", library).get(chapter).notebook, as_version=4)
    words = "".join(c.source for c in got.cells if c.cell_type == "markdown")
    assert "Quite another" in words and "More." in words
    codes = [c for c in got.cells if c.cell_type == "code"]
    assert [c.outputs[0].text for c in codes] == ["0", "1"]
    assert codes[0].metadata.tags == ["hide-input"]
    # a tag that changes what a cell does, or the cell itself, is another run
    for other in (folded.replace("hide-input", "raises-exception"), folded.replace("0.9", "0.8")):
        chapter.source.write_text(other)
        assert Cache(checkout, "lite", library).get(chapter) is None


def test_a_file_that_changes_during_the_run_does_not_count_as_used(checkout, chapter, library):
    before = Cache(checkout, "lite", library)
    (library / "a.py").write_text("x = 2\n")  # while the chapter runs
    before.put(chapter, a_run())
    assert Cache(checkout, "lite", library).get(chapter) is None


def test_a_file_that_was_looked_for_in_vain_counts_when_it_appears(checkout, chapter, library):
    Cache(checkout, "lite", library).put(chapter, a_run(used=("library/c.json",)))
    assert Cache(checkout, "lite", library).get(chapter) is not None
    (library / "c.json").write_text("{}")
    assert Cache(checkout, "lite", library).get(chapter) is None


def test_the_library_that_is_imported_is_the_default(checkout):
    import kledit_lite

    assert Cache(checkout, "lite").library == Path(kledit_lite.__file__).resolve().parent


def test_byte_code_and_hidden_files_do_not_count(library):
    before = tree_digest(library)
    (library / "__pycache__").mkdir()
    (library / "__pycache__" / "a.pyc").write_bytes(b"1")
    (library / ".hidden").write_text("x")
    assert tree_digest(library) == before
    (library / "a.py").rename(library / "b.py")
    assert tree_digest(library) != before


def test_a_failed_run_is_last_but_never_got(checkout, chapter, library):
    cache = Cache(checkout, "lite", library)
    cache.put(chapter, a_run())
    cache.put(chapter, a_run(failure=Failure(2, "1/0", "ZeroDivisionError")))
    assert cache.get(chapter) is None  # not even the success before it
    run, current = cache.last(chapter)
    assert current and run.failure.cell == 2
    assert cache.failed_file(chapter).is_file()


def test_a_damaged_entry_runs_again(checkout, chapter, library):
    cache = Cache(checkout, "lite", library)
    cache.put(chapter, a_run())
    (entry,) = (p for p in (checkout / "_build/cache/lite/good").iterdir() if p.is_dir())
    (entry / "run.json").write_text("{")
    assert cache.get(chapter) is None
    (entry / "run.json").write_text(json.dumps({"chapter": "01"}))
    assert cache.get(chapter) is None
    (entry / "used.json").write_text("[]")
    assert cache.get(chapter) is None
    shutil.rmtree(entry)
    assert cache.get(chapter) is None
    (entry.parent / "last.json").write_text('{"key": "x", "chapter": "01"}')
    assert cache.last(chapter) is None


def test_a_stale_run_is_known_and_old_ones_go(checkout, chapter, library):
    for i in range(KEEP + 2):
        (library / "a.py").write_text(f"x = {i}\n")
        cache = Cache(checkout, "lite", library)
        cache.put(chapter, a_run())
    kept = [p for p in (checkout / "_build" / "cache" / "lite" / "good").iterdir() if p.is_dir()]
    assert len(kept) == KEEP
    assert cache.get(chapter) is not None
    (library / "a.py").write_text("changed\n")
    _, current = Cache(checkout, "lite", library).last(chapter)
    assert not current
