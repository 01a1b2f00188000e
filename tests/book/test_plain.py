"""What a learner opens in Jupyter is plain Markdown, without solutions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from nbformat import v4

from kledit_lite.book.discover import choose, discover, find_root
from kledit_lite.book.plain import Plain, References, numbers
from kledit_lite.book.sync import pair, sync_ipynb, write_solutions
from kledit_lite.core.errors import KleditError

ROOT = find_root(Path(__file__).parent)
OURS = References.of(ROOT)
CHAPTERS = [c.slug for c in discover(ROOT)]
RAW = re.compile(r"\{[a-z][a-z:-]*\}`|^:::|^```\{|^\([\w-]+\)=$|^:[a-z-]+:", re.MULTILINE)
"""MyST that Jupyter does not know."""
BOOK = {"a": ("A and B", "2020", "A, B. *On*. 2020."), "c": ("C et al.", "2021", "C, D, E. *Of*.")}


@pytest.fixture()
def plain() -> Plain:
    chapter = choose(discover(ROOT), ["locogen"])[0]
    return Plain(chapter, References({"zoo": ("The zoo", "00.ipynb#The-zoo")}, BOOK))


@pytest.mark.parametrize("slug", CHAPTERS)
def test_no_chapter_shows_myst_or_a_solution(slug: str) -> None:
    notebook = pair(choose(discover(ROOT), [slug])[0], OURS)
    words = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    said = "\n".join(re.sub(r"^```\w*\n.*?^```$", "", w, flags=re.M | re.S) for w in words)
    assert RAW.findall(said) == []
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert "<summary>Solution" not in said and "def solution_" not in code
    assert "solved" not in code and "solutions_right" not in code
    assert not any("solution" in c.metadata.get("tags", []) for c in notebook.cells)
    assert ("## References" in said) == bool(re.search(r"\(\d{4}\)| \d{4}\)", said))


def test_a_lint_that_can_fail() -> None:
    for raw in ("{term}`x`", ":::{tip}", "```{math}", "(label)=", ":label: x"):
        assert RAW.search(f"one\n{raw}\n")


@pytest.mark.parametrize(
    ("myst", "expected"),
    [
        ("{bdg-light}`lite` and {term}`a probe <probe>`", "`lite` and a probe"),
        (
            "see {ref}`zoo`, {ref}`the models <zoo>`",
            "see [The zoo](00.ipynb#The-zoo), [the models](00.ipynb#The-zoo)",
        ),
        ("as {cite:t}`a` says {cite}`a,c`", "as A and B (2020) says (A and B 2020; C et al. 2021)"),
        (
            "{glue:text}`share:.2f` of {py:mod}`~kledit_lite.trace`",
            "`share` of `kledit_lite.trace`",
        ),
        ("(here)=\n## Title", "## Title"),
        ("$$\nx\n$$ (one)\n\nand {eq}`one`", "$$\nx\n\\tag{1} $$\n\nand (1)"),
        ("```{math}\n:label: two\ny\n```", "$$\ny\n\\tag{1} $$"),
        ("```python\n{term}`x`\n```", "```python\n{term}`x`\n```"),
        (":::{admonition} Read\n:class: tip\n- one {term}`a`\n:::", "> **Read**\n>\n> - one a"),
        (
            "::::{exercise} Do it\n:label: e\n\nNow.\n:::{dropdown} Solution\nno\n:::\n::::",
            "### Exercise: Do it\n\nNow.",
        ),
        (
            ":::{dropdown} Guess\n```\nx\n```\n:::",
            "<details>\n<summary>Guess</summary>\n\n```\nx\n```\n\n</details>",
        ),
    ],
)
def test_each_form(plain: Plain, myst: str, expected: str) -> None:
    assert plain.markdown(myst) == expected


def test_code_is_put_in_and_what_is_cited_is_listed_once(plain: Plain) -> None:
    path = "../kledit_lite/core/errors.py"
    made = plain.markdown(f"```{{literalinclude}} {path}\n:pyobject: KleditError\n```")
    assert made.startswith("```python\nclass KleditError") and made.endswith("```")
    plain.markdown("{cite}`c` {cite}`a` {cite}`c`")
    assert plain.references() == f"## References\n\n- {BOOK['a'][2]}\n- {BOOK['c'][2]}"


@pytest.mark.parametrize(
    ("myst", "named"),
    [
        ("{unheard}`x`", r"role \{unheard\}"),
        (":::{figure} x\n:::", r"directive \{figure\}"),
        ("{ref}`nowhere`", "label 'nowhere'"),
        ("{cite}`nobody`", "citation 'nobody'"),
    ],
)
def test_what_has_no_plain_form_is_refused(plain: Plain, myst: str, named: str) -> None:
    with pytest.raises(KleditError, match=f"07-locogen.md has a {named}|locogen.md has a {named}"):
        plain.markdown(myst)


def test_labels_and_entries_of_the_book() -> None:
    assert OURS.labels["primer"][1] == "../book/primer.md"
    title, file = OURS.labels["painted-zoo"]
    assert title == "The zoo" and file == "00-painted-world.ipynb#The-zoo"
    who, year, whole = OURS.bibliography["gandikota2023erasing"]
    assert (who, year) == ("Gandikota et al.", "2023") and "Materzyńska" in whole


def test_solutions_are_written_where_they_are_wanted(checkout, add, tmp_path, text) -> None:
    source = add("01-good", text.GOOD + "\n:::{dropdown} Solution\nForty-two.\n:::\n")
    sync_ipynb(checkout)
    assert "Forty-two" not in source.with_suffix(".ipynb").read_text()
    (made,) = write_solutions(checkout, tmp_path / "out")
    assert "Forty-two" in made.read_text() and json.loads(made.read_text())["cells"]


def test_a_line_that_folds_is_html_since_markdown_is_not_read_there(plain: Plain) -> None:
    shown = plain.markdown(":::{dropdown} Is `a_b` < *c* **d**, or $x*y*z$?\nYes.\n:::")
    line = "Is <code>a_b</code> &lt; <em>c</em> <strong>d</strong>, or $x*y*z$?"
    assert shown.splitlines()[1] == f"<summary>{line}</summary>"


def test_numbers_are_those_that_the_page_shows() -> None:
    given = {"a": "'3%'", "b": '"it\'s"', "c": "7"}
    outputs = [
        v4.new_output(
            "display_data", {"x/text/plain": value}, metadata={"scrapbook": {"name": key}}
        )
        for key, value in given.items()
    ]
    other = v4.new_output("display_data", {"text/plain": "'x'"})
    notebook = v4.new_notebook(cells=[v4.new_code_cell("say(a)", outputs=[*outputs, other])])
    assert numbers(notebook) == {"a": "3%", "b": "it's", "c": "7"}
