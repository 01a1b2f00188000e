"""Prompts of the painted world and of files."""

from __future__ import annotations

import json

import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside import subject_positions
from kledit_lite.trace import ATTRIBUTES, TracePrompt, read_prompts, trace_prompts
from kledit_lite.world import TOWNS


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_prompts_name_their_subject_and_differ(attribute, tiny_tokenizer):
    prompts = trace_prompts(attribute, 24, seed=1)
    assert len({p.prompt for p in prompts}) == 24
    for p in prompts:
        assert subject_positions(tiny_tokenizer, p.prompt, p.subject)
        assert p.attribute == attribute and p.shows
    values = {p.subject for p in prompts}
    assert len(values) == {"object": 12, "style": 6, "colour": 6, "count": 2, "facts": 8}[attribute]
    assert trace_prompts(attribute, 5, seed=1) == prompts[:5]
    assert trace_prompts(attribute, 24, seed=2) != prompts


def test_what_a_judge_should_see():
    p = trace_prompts("facts", 1)[0]
    fact = TOWNS[p.subject]
    assert p.shows == (("object", fact.object), ("colour", fact.colour))
    assert fact.object not in p.prompt and f"the mascot of {p.subject}" in p.prompt
    assert trace_prompts("count", 1)[0].shows[0][1] in ("2", "3")


def test_too_many_or_unknown():
    with pytest.raises(KleditError, match="There are 48 prompts .*'facts', not 49"):
        trace_prompts("facts", 49)
    with pytest.raises(UnknownNameError, match="object, style, colour, count, facts"):
        trace_prompts("mood", 1)


def test_files(tmp_path):
    csv = tmp_path / "p.csv"
    csv.write_text('prompt,subject,shows\n"a cat, red",cat,object=cat;colour=red\na car,car,\n')
    expected = [
        TracePrompt("a cat, red", "cat", "", (("object", "cat"), ("colour", "red"))),
        TracePrompt("a car", "car"),
    ]
    assert read_prompts(csv) == expected
    rows = [{"prompt": "a car", "subject": "car", "attribute": "object"}]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    assert read_prompts(tmp_path / "p.json") == [TracePrompt("a car", "car", "object")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.csv", "prompt,subject\na cat,\n", "row 1: expected a prompt and a subject"),
        ("p.csv", "prompt,subject,shows\na cat,cat,object\n", "factor=value"),
        ("p.csv", "prompt,subject\n", "holds no prompts"),
        ("p.json", "{", "Cannot read prompts"),
        ("q.csv", None, "Cannot read prompts"),
    ],
)
def test_bad_files(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(KleditError, match=words):
        read_prompts(tmp_path / name)
