"""One setting for every address: empty by default, and what appears when it is not."""

from __future__ import annotations

import sys

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.core.launch import Launch, launch, wheel

SET = """[project]
name = "x"
[tool.kledit]
repository = "https://sources.example/us/our-book"  # ours
branch = "second"
site = "https://pages.example/our-book/"
[tool.other]
site = "no"
"""


def test_the_setting_is_read(tmp_path):
    assert launch(tmp_path) == Launch()
    (tmp_path / "pyproject.toml").write_text(SET)
    found = launch(tmp_path)
    assert found.repository == "https://sources.example/us/our-book" and found.name == "our-book"
    assert (found.branch, found.site) == ("second", "https://pages.example/our-book/")


@pytest.mark.parametrize("line", ['repo = "https://a.example"', 'site = "http://a.example"'])
def test_a_slip_in_the_setting_is_told(tmp_path, line):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kledit]\n{line}\n")
    with pytest.raises(KleditError, match="expected repository and site"):
        launch(tmp_path)


def test_buttons_come_with_a_repository_and_only_then():
    assert Launch().config() == {}
    config = Launch(repository="https://sources.example/us/our-book", branch="second").config()
    assert config["repository"]["branch"] == "second"
    assert config["html"] == {"use_repository_button": True, "use_issues_button": True}
    assert "binderhub_url" in config["launch_buttons"]


@pytest.mark.parametrize(
    ("site", "place"),
    [("", "../_static/wheels"), ("https://a.example/b/", "https://a.example/b/_static/wheels")],
)
def test_the_first_cell_imports_or_else_installs_the_sites_wheel(site, place, monkeypatch):
    from IPython.core.inputtransformer2 import TransformerManager

    source = TransformerManager().transform_cell(Launch(site=site).bootstrap("1.2"))
    asked = []

    class Shell:
        def run_line_magic(self, name, line):
            asked.append((name, line))

    exec(source, {"get_ipython": Shell})
    assert asked == []
    monkeypatch.setitem(sys.modules, "kledit_lite", None)
    exec(source, {"get_ipython": Shell})
    assert asked == [("pip", f"install --quiet {place}/{wheel('1.2')}")]
