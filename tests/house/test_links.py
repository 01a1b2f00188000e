"""`make links` finds the links of the texts; nothing here visits one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_here = Path(__file__).resolve().parents[1] / "site" / "links.py"
_spec = importlib.util.spec_from_file_location("site_links", _here)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A visit is an error."""

    def visited(*args, **kwargs):
        raise AssertionError(f"visited {args}")

    monkeypatch.setattr(tool.urllib.request, "urlopen", visited)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[a paper](https://a.example/b?c=d&e).", ["https://a.example/b?c=d&e"]),
        ("(see https://a.example/x_(y), too)", ["https://a.example/x_(y)"]),
        ("<https://a.example/b>, `http://c.example`", ["https://a.example/b", "http://c.example"]),
        (
            "**https://a.example/b.html**: twice https://a.example/b.html!",
            ["https://a.example/b.html"],
        ),
        ("https://a.example/p#one https://a.example/p#two", ["https://a.example/p"]),
        ('"pkg @ git+https://a.example/r"', ["https://a.example/r"]),
        ("note = {Zenodo, doi:10.1234/z.5}", ["https://doi.org/10.1234/z.5"]),
        ("note = {arXiv:2305.06386}", ["https://arxiv.org/abs/2305.06386"]),
        ("[here](how-to-use.md#run), https:// and 10.1234/z are none", []),
    ],
)
def test_links_of_a_text(text, expected):
    assert tool.links(text) == expected


def test_every_file_of_a_link_is_named(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "README.md").write_text("https://a.example/b and https://c.example\n")
    (tmp_path / "book" / "page.md").write_text("[there](https://a.example/b)\n")
    assert tool.collect(tmp_path) == {
        "https://a.example/b": ["README.md", "book/page.md"],
        "https://c.example": ["README.md"],
    }


def test_the_report_names_broken_links_first():
    where = {
        "https://a.example": ["x.md"],
        "https://b.example": ["y.md"],
        "https://c.example": ["z"],
    }
    answers = {
        "https://a.example": "undecided: 403",
        "https://b.example": "broken: 404",
        "https://c.example": "fine",
    }
    assert list(tool.report(where, answers)) == [
        "broken: 404  https://b.example  (y.md)",
        "undecided: 403  https://a.example  (x.md)",
        "3 links: 1 broken, 1 undecided",
    ]


@pytest.mark.parametrize(
    "error, verdict",
    [
        (tool.urllib.error.HTTPError("u", 404, "gone", None, None), "broken: 404"),
        (tool.urllib.error.HTTPError("u", 403, "no", None, None), "undecided: 403"),
        (TimeoutError("late"), "undecided: late"),
        (
            tool.urllib.error.URLError(
                tool.socket.gaierror(tool.socket.EAI_NONAME, "unknown host")
            ),
            "broken: ",
        ),
    ],
)
def test_what_an_error_says(monkeypatch, error, verdict):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(tool.urllib.request, "urlopen", refuse)
    assert tool.visit("https://a.example").startswith(verdict)


def test_the_papers_of_the_book_are_among_them(root):
    found = tool.collect(root)
    assert any("doi.org/" in address for address in found)
    assert sum("arxiv.org/abs/" in address for address in found) > 10
