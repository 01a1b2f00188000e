"""What a chapter says to its page."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from kledit_lite.book import say


def test_numbers_reach_the_page_by_name(monkeypatch):
    got = []
    page = SimpleNamespace(glue=lambda name, value, display: got.append((name, value, display)))
    monkeypatch.setitem(sys.modules, "myst_nb", page)
    say(share="81%", n="48")
    assert got == [("share", "81%", False), ("n", "48", False)]


def test_without_a_page_nothing_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "myst_nb", None)  # as if it were not installed
    say(share="81%")
    assert capsys.readouterr().out == ""
