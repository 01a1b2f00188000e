"""Files and folders appear whole or not at all, and one writer wins."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import (
    check_folder,
    check_writable,
    claim,
    publish,
    read_lines,
    whole_folder,
    write_atomically,
)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "a.json"
    write_atomically(path, "one")
    assert path.read_text() == "one" and path.stat().st_mode & 0o777 == 0o644

    def broken(*args):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"two")
    assert path.read_text() == "one" and len(list(path.parent.iterdir())) == 1


def test_a_function_writes_under_a_name_of_its_own_that_ends_alike(tmp_path):
    given = []

    def write(path: Path) -> None:
        given.append(path)
        path.write_text("whole")

    path = tmp_path / "a.npz"
    for _ in range(2):
        assert write_atomically(path, write) == path
    assert len(set(given)) == 2 and {p.suffix for p in given} == {".npz"}
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_function_that_fails_leaves_the_old_file(tmp_path):
    path = write_atomically(tmp_path / "a.txt", "old")

    def half(path: Path) -> None:
        path.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_one_of_many_claims_wins(tmp_path):
    path = tmp_path / "new" / "owner"
    names = [str(i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda name: claim(path, name), names))
    assert found == {path.read_text()} and found <= set(names)
    assert list(path.parent.iterdir()) == [path]


def test_a_claim_where_files_cannot_be_linked(tmp_path, monkeypatch):
    def broken(*args):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", broken)
    assert [claim(tmp_path / "owner", name) for name in "ab"] == ["a", "a"]


def test_a_folder_is_whole_or_absent(tmp_path):
    out = tmp_path / "place" / "out"
    with pytest.raises(KeyboardInterrupt), whole_folder(out) as work:
        (work / "a").write_text("half")
        raise KeyboardInterrupt
    assert list(out.parent.iterdir()) == []
    out.mkdir()  # an empty folder may be there
    with whole_folder(out) as work:
        (work / "a").write_text("one")
        assert list(out.iterdir()) == []
    assert (out / "a").read_text() == "one" and list(out.parent.iterdir()) == [out]
    with pytest.raises(KleditError, match="written by another run"), whole_folder(out) as work:
        (work / "a").write_text("two")
    assert (out / "a").read_text() == "one" and list(out.parent.iterdir()) == [out]


def test_a_file_is_not_published_over_another(tmp_path):
    work = tmp_path / "work"
    for text in ("one", "two"):
        work.write_text(text)
        if text == "one":
            publish(work, tmp_path / "out")
    with pytest.raises(KleditError, match="left as it is"):
        publish(work, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "one"


def test_unfinished_folders_are_told(tmp_path, capsys):
    (tmp_path / ".out.0123.partial").mkdir()
    with whole_folder(tmp_path / "out"):
        pass
    assert ".out.0123.partial" in capsys.readouterr().err


def test_folders_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "a").mkdir(parents=True)
    check_folder(tmp_path / "empty")
    check_folder(tmp_path / "new" / "deep")
    check_folder(tmp_path / "full", begun="a")
    with pytest.raises(KleditError, match="not an empty folder"):
        check_folder(tmp_path / "full", begun="b")
    for bad in ("file", "full"):
        with pytest.raises(KleditError, match="not an empty folder"):
            check_folder(tmp_path / bad)
    for check in (check_folder, check_writable):
        with pytest.raises(KleditError, match="is not a folder"):
            check(tmp_path / "file" / "new")
    assert len(list(tmp_path.iterdir())) == 3


def test_lines_without_comments(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\ufeff# words\n a cat \n\na dog\n", encoding="utf-8")
    assert read_lines(path) == ["a cat", "a dog"]
    path.write_text("# nothing\n")
    with pytest.raises(KleditError, match="holds no line of text"):
        read_lines(path)
    with pytest.raises(KleditError, match="Cannot read prompts"):
        read_lines(tmp_path / "absent")
