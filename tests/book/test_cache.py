"""The key covers what a result depends on; damage and failures never count as results."""

from __future__ import annotations

import json
import shutil

import pytest

from kledit_lite.book.cache import KEEP, Cache, tree_digest
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import Failure, Run


def a_run(**changes):
    made = {
        "chapter": "01",
        "profile": "lite",
        "seconds": 1.0,
        "peak_mb": 2.0,
        "figures": {"r2": 0.9},
        "versions": {"python": "3"},
        "notebook": '{"cells": []}',
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


def test_the_key_covers_everything(checkout, chapter, library, monkeypatch):
    def key(profile="lite"):
        return Cache(checkout, profile, library).key(chapter)

    keys = [key()]
    assert key() == keys[0]
    keys.append(key("laptop"))
    chapter.source.write_text(chapter.text + "\nMore.\n")
    keys.append(key())
    (library / "a.py").write_text("x = 2\n")
    keys.append(key())
    (library / "weights").mkdir()
    (library / "weights" / "model.safetensors").write_bytes(b"\0")
    keys.append(key())
    (library / "weights" / "model.safetensors").write_bytes(b"\1")
    keys.append(key())
    (checkout / "constraints.txt").write_text("numpy==2.1\n")
    keys.append(key())
    monkeypatch.setenv("KLEDIT_SLOT_CLIP", "zoo:other")
    keys.append(key())
    run = chapter.source.parent / "recorded" / "run.json"
    run.parent.mkdir()
    run.write_text("{}")
    assert key() == keys[-1]  # a recorded run that the chapter does not name
    chapter.source.write_text(chapter.text + "\nSee recorded/run.json.\n")
    keys.append(key())
    run.write_text("[]")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_the_library_that_is_imported_is_the_default(checkout, chapter):
    import kledit_lite

    default = Cache(checkout, "lite").key(chapter)
    from pathlib import Path

    named = Cache(checkout, "lite", Path(kledit_lite.__file__).parent).key(chapter)
    assert default == named


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
    entry = checkout / "_build" / "cache" / "lite" / "good" / cache.key(chapter)
    (entry / "run.json").write_text("{")
    assert cache.get(chapter) is None
    (entry / "run.json").write_text(json.dumps({"chapter": "01"}))
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
