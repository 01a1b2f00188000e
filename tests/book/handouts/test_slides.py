"""Which parts of a chapter become slides, and what the speaker is told."""

from __future__ import annotations

import pytest
from nbformat import v4

from kledit_lite.book.discover import discover
from kledit_lite.book.handouts.slides import slides_of
from kledit_lite.book.handouts.teaching import Teaching
from kledit_lite.book.plain import References

BOOK = References({"other": ("Another", "02-other.ipynb")}, {})
FIGURE = '<figure class="kl-viz"><img alt="a"><figcaption>What it shows.</figcaption></figure>'
TABLE = '<style>x</style><table border="1"><tbody><tr><td>7</td></tr></tbody></table>'
TITLE = """(talk)=
# 01 · A talk: about things

{bdg-light}`30 minutes`

> **The question.** Why?

:::{admonition} In this chapter you will
:class: tip
- see it;

**Before you start:** nothing.
:::

Before the first section."""
SYLLABUS = """## Two weeks

| Day | Morning | Afternoon |
| --- | --- | --- |
| 3 | {ref}`talk`: begin | {ref}`other` |

## Questions for discussion

**Seeing things.** Is it so? Why not?

**About all of it.** Well?
"""


def shown(*data, tags=(), source="x"):
    """An executed cell with these outputs."""
    outputs = [v4.new_output("display_data", each) for each in data]
    return v4.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def said(**values):
    """The cell that gives the page its numbers."""
    cell = shown(*({"application/papermill.record/text/plain": repr(v)} for v in values.values()))
    for output, name in zip(cell.outputs, values, strict=True):
        output.metadata["scrapbook"] = {"name": name}
    return cell


@pytest.fixture
def of(checkout, add):
    """The slides of a chapter with these cells after its first."""
    add("01-talk", TITLE)
    (checkout / "book" / "syllabus.md").write_text(SYLLABUS)
    (checkout / "_toc.yml").write_text(
        "parts:\n- caption: Seeing\n  chapters:\n  - file: notebooks/01-talk\n"
    )
    (chapter,) = discover(checkout)

    def make(*cells):
        every = [TITLE, *cells]
        made = [v4.new_markdown_cell(c) if isinstance(c, str) else c for c in every]
        notebook = v4.new_notebook(cells=made)
        return slides_of(chapter, notebook, BOOK, Teaching.of(checkout))

    return make


def test_the_title_has_question_objectives_and_timing(of):
    title, intro = of()
    assert (title.kind, title.heading, title.first) == ("title", "01 · A talk: about things", True)
    assert title.body == "> Why?\n\n- see it;"
    assert title.notes == "- 30 minutes\n- Two weeks, day 3, Morning: talk: begin"
    assert (intro.heading, intro.body) == ("A talk", "Before the first section.")


def test_a_section_has_its_first_paragraph_with_its_numbers(of):
    *_, section = of(said(n="1,600"), "## Part {term}`one`\n\nOf {glue:text}`n`.\n\nNo more.")
    assert (section.heading, section.body, section.first) == ("Part one", "Of 1,600.", True)


def test_a_paragraph_that_announces_takes_what_follows(of):
    *_, listed = of("## A\n\nThese:\n\n- one\n- two\n\nLeft out.")
    assert listed.body == "These:\n\n- one\n- two"
    *_, told = of("## A\n\nThis:", shown({"text/plain": "3"}), "Three.\n\nLeft out.")
    assert told.body == "This:\n\nThree."


def test_links_to_notebooks_become_their_words(of):
    *_, section = of("## A\n\nSee {ref}`other`, and [a site](https://a.example/x).")
    assert section.body == "See Another, and [a site](https://a.example/x)."


def test_figures_and_tables_stand_below_their_section(of):
    *_, section, figure, table, later = of(
        "## A\n\nFirst.",
        shown({"text/html": FIGURE}),
        "Before the table.",
        shown({"text/html": TABLE}),
        shown({"text/html": TABLE}),
        "After the table.",
    )
    assert section.first and not figure.first and figure.kind == "figure"
    assert figure.shown == FIGURE and not figure.caption
    assert table.caption == "Before the table." and "style" not in table.shown
    assert "border" not in table.shown and later.caption == "After the table."


def test_a_long_caption_is_cut_between_sentences(of):
    words = " ".join(f"Sentence {n} of many in one paragraph." for n in range(30))
    *_, table = of("## A\n\nFirst.", words, shown({"text/html": TABLE}))
    assert len(table.caption) <= 240 and table.caption.startswith("Sentence ")
    assert table.caption.endswith("Sentence 29 of many in one paragraph.")


def test_a_section_without_words_begins_with_its_table(of):
    *_, table = of("## A", "| a |\n| - |\n| {glue:text}`n` |", said(n="5"))
    assert table.first and "| 5 |" in table.body and table.kind == "table"


def test_a_prediction_hides_its_answer(of):
    *_, slide = of("## A\n\nWords.\n\n:::{dropdown} Predict: which?\nThe $x$.\n:::")
    assert (slide.kind, slide.body, slide.answer) == ("predict", "Which?", "The $x$.")


def test_equations_keep_the_words_that_lead_to_them_and_their_numbers(of):
    first = "$$\na\n$$ (one)"
    *_, section, second = of(f"## A\n\nLet\n\n{first}\n\nNow\n\n$$\nb\n$$ (two)")
    assert section.body == "Let\n\n$$\na\n\\tag{1} $$"
    assert second.body == "Now\n\n$$\nb\n\\tag{2} $$" and second.kind == "equation"


def test_code_is_shown_where_it_is_asked_for_and_cut(of):
    long = "\n".join(f"line_{n} = {n}" for n in range(30))
    *_, slide = of("## A\n\nWords.", shown(source="hidden"), shown(source=long, tags=["slide"]))
    assert slide.kind == "code" and "hidden" not in slide.body
    assert "line_13 = 13\n..." in slide.body and "line_14" not in slide.body


@pytest.mark.parametrize("tag", ["remove-cell", "remove-output", "hide-output", "solution"])
def test_what_the_page_hides_is_not_shown(of, tag):
    assert len(of("## A\n\nWords.", shown({"text/html": FIGURE}, tags=[tag]))) == 3


def test_the_end_says_where_it_breaks_and_what_to_do(of):
    *_, breaks, exercises = of(
        "## Where it breaks\n\n- Here.",
        "## Exercises\n\n:::{exercise} Do {term}`it`\n:label: x\n\n"
        "{bdg-info-line}`easy` 10 minutes. Now.\n:::\n\n:::{dropdown} Solution\nno\n:::",
        shown({"text/markdown": "**talk-b Another** (hard, 5 min)\n\nWrite."}),
        "## Further reading\n\nMuch.",
        "## What this chapter measured\n\nAll.",
    )
    assert breaks.first and breaks.body == "- Here." and not exercises.first
    assert exercises.body == "1. Do it (easy, 10 minutes)\n1. Another (hard, 5 minutes)"
    assert exercises.notes == "Is it so? Why not?" and not breaks.notes


def test_a_checkout_without_a_syllabus_has_no_notes(checkout, add):
    add("01-talk", "# Title\n\nWords.")
    (chapter,) = discover(checkout)
    teaching = Teaching.of(checkout)
    assert (teaching.timing(chapter), teaching.questions(chapter)) == ("", "")
