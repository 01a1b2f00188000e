"""One chapter and its page: what is staged, where it is opened, and that `make` says so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from kledit_lite.book import start as module
from kledit_lite.core.errors import KleditError, UnknownNameError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def staged(checkout, add, text, monkeypatch):
    """A checkout of two chapters whose site is not built; the staged sources, and pages opened."""
    add("01-good", text.GOOD)
    (checkout / "_toc.yml").write_text("format: jb-book\nroot: notebooks/01-good\n")
    opened = []

    def build(root, source, say, place, strict):
        assert not strict and place == root / "_build" / "start"
        return place / "html" / "index.html"

    monkeypatch.setattr(module, "build_site", build)
    monkeypatch.setattr(module.webbrowser, "open", lambda page: opened.append(page) or True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return checkout, opened


def test_the_first_chapter_is_executed_and_its_address_told(staged, monkeypatch):
    checkout, opened = staged
    results = module.start(checkout, "lite", say=lambda text: None)
    page = checkout / "_build" / "start" / "html" / "notebooks" / "01-good.html"
    assert results.extra["page"] == page.as_uri() and results.figures["opened"] == 0
    source = checkout / "_build" / "start" / "site-src"
    assert (source / "notebooks" / "01-good.ipynb").is_file()
    toc = yaml.safe_load((source / "_toc.yml").read_text())
    assert toc["root"] == "book/welcome"
    assert toc["chapters"] == [{"file": "notebooks/01-good"}]
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert module.start(checkout, "lite", "1", say=lambda text: None).figures["opened"] == 1
    assert opened == [page.as_uri()]


def test_an_unknown_chapter_and_one_that_fails(staged, add):
    checkout, _ = staged
    with pytest.raises(UnknownNameError, match="Unknown chapter 'nine'"):
        module.start(checkout, "lite", "nine", say=lambda text: None)
    add("01-good", "# Bad\n\n```{code-cell} ipython3\n1 / 0\n```\n")
    with pytest.raises(KleditError, match="ZeroDivisionError"):
        module.start(checkout, "lite", say=lambda text: None)


def test_make_start_installs_less_and_starts():
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-B", "start"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"pip install .*--constraint constraints.txt .*'\.\[book\]'", done.stdout)
    assert done.stdout.rstrip().endswith(".venv/bin/kledit start")


INDEX = "<a href='{0}'>{0}</a>"


@pytest.mark.parametrize("name, version", [("torch", "2.15.0"), ("torchvision", "0.29.2")])
def test_pip_takes_a_cpu_build_when_the_variable_alone_names_an_index_of_them(
    tmp_path, monkeypatch, name, version
):
    """As README says: constraints.txt lets a local version such as 2.15.0+cpu through."""
    import json
    import sys

    if sys.version_info < (3, 11) and name == "torch":
        version = "2.14.1"
    for index, local in (("plain", ""), ("cpu", "+cpu")):
        write_index(tmp_path / index, name, f"{version}{local}")
    for variable in ("PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "plain").as_uri())
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--no-deps",
        "--report",
        "-",
        "--constraint",
        "constraints.txt",
        name,
    ]
    taken = []
    for extra in ("", (tmp_path / "cpu").as_uri()):
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", extra)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        taken.append(json.loads(done.stdout)["install"][0]["metadata"]["version"])
    assert taken == [version, f"{version}+cpu"]


def write_index(folder: Path, name: str, version: str) -> None:
    """An index with one package in it, which has no code."""
    import zipfile

    place = folder / name
    place.mkdir(parents=True)
    wheel = f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(place / wheel, "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    (place / "index.html").write_text(INDEX.format(wheel))
