"""The generated pairs are deterministic, valid, free of outputs, and known when stale."""

from __future__ import annotations

import json
import subprocess
import sys

import nbformat

from kledit_lite.book.sync import out_of_sync, sync_ipynb


def test_sync_writes_once_and_the_same_bytes(checkout, add, text):
    source = add("01-good", text.GOOD + "\nSame.\n\n+++\n\nSame.\n")
    pair = source.with_suffix(".ipynb")
    assert out_of_sync(checkout) == [pair]
    assert sync_ipynb(checkout) == [pair]
    first = pair.read_bytes()
    assert out_of_sync(checkout) == sync_ipynb(checkout) == []
    pair.unlink()
    sync_ipynb(checkout)
    assert pair.read_bytes() == first


def test_the_pair_is_valid_and_has_no_outputs(checkout, add, text):
    source = add("01-good", text.GOOD + "\nSame.\n\n+++\n\nSame.\n")
    sync_ipynb(checkout)
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert len(code) == 3 and code[0].id == "bootstrap"
    assert all(c.outputs == [] and c.execution_count is None for c in code)
    ids = [c.id for c in notebook.cells]
    assert len(set(ids)) == len(ids)


def test_inserting_a_cell_keeps_the_others_ids(checkout, add, text):
    source = add("01-good", text.GOOD)
    sync_ipynb(checkout)
    pair = source.with_suffix(".ipynb")
    before = [c["id"] for c in json.loads(pair.read_text())["cells"]]
    source.write_text(
        source.read_text().replace(
            "# A good chapter\n", "# A good chapter\n\n```{code-cell} ipython3\nnew = 1\n```\n"
        )
    )
    assert out_of_sync(checkout) == [pair]
    sync_ipynb(checkout)
    after = [c["id"] for c in json.loads(pair.read_text())["cells"]]
    assert [i for i in after if i in before] == before and len(after) == len(before) + 1


def test_cell_metadata_reach_the_pair(checkout, add):
    source = add(
        "01-good",
        "# x\n\n```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: A red square\n"
        "tags: [hide-input]\n---\n1\n```\n",
    )
    sync_ipynb(checkout)
    cell = json.loads(source.with_suffix(".ipynb").read_text())["cells"][2]
    assert cell["metadata"] == {
        "jupyter": {"source_hidden": True},
        "mystnb": {"image": {"alt": "A red square"}},
        "tags": ["hide-input"],
    }


def test_a_chapter_loads_no_more_of_the_engine_than_it_needs():
    """What it loads decides when it is executed anew."""
    code = "import sys; from kledit_lite.book import record; print(*sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m for m in said.stdout.split() if m.startswith("kledit_lite.book")}
    needed = ("", ".contracts", ".discover", ".record", ".say")
    assert loaded == {f"kledit_lite.book{m}" for m in needed}
