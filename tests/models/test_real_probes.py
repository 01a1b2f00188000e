"""The papers' probes: enough of each, unique, well-formed, found by the genuine tokenizer."""

from __future__ import annotations

import json

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import subject_positions
from kledit_lite.inside.tokens import token_ids
from kledit_lite.models.miniatures.tokenizers import clip_tokenizer
from kledit_lite.models.real_probes import FILE, load_real_probes
from kledit_lite.models.scenarios.real import TRACED, RealPrompts


@pytest.fixture(scope="module")
def tokenizer():
    return clip_tokenizer()


@pytest.fixture(scope="module")
def ask():
    return RealPrompts()


def test_there_are_twenty_of_each_and_all_differ(ask):
    found = load_real_probes()
    for values in (found.painters, found.objects, found.facts):
        assert len(values) >= 20
        for name, row in values.items():
            others = getattr(row, "neighbours", row)
            assert len(set(others)) == 2 and name not in others and set(others) <= set(values)
    facts = found.facts.values()
    subjects = [f.subject for f in facts]
    holders = [w for f in facts for w in (f.before, f.after)]
    assert len(set(subjects)) == len(subjects) and len(set(holders)) == len(holders)
    assert not any(a in b for a in subjects for b in subjects if a != b)
    assert {f.kind for f in facts} == {"office", "role", "mascot", "logo"} == set(found.settings)
    assert all(1980 <= f.year <= 2025 for f in facts)
    raw = FILE.read_text(encoding="utf-8")
    assert raw.isascii() and raw == raw.lower()


@pytest.mark.parametrize("attribute", ["style", "object", "fact"])
def test_pairs_are_well_formed(ask, tokenizer, attribute):
    for value in ask.values[attribute]:
        probe = ask.probe(attribute, value, 6, seed=4)
        assert len(set(probe.sources)) == len(set(probe.targets)) == 6
        assert ask.probe(attribute, value, 3, seed=4) == probe.first(3)
        for source, target in zip(probe.sources, probe.targets, strict=True):
            subject = {"fact": lambda v: ask.facts[v].subject}.get(attribute, str)(value)
            goal = {"style": "photo", "object": "object"}.get(attribute) or ask.facts[value].after
            assert subject_positions(tokenizer, source, subject)
            assert subject_positions(tokenizer, target, goal)
            assert subject not in target and len(token_ids(tokenizer, source)) <= 77
            assert source == " ".join(source.split()) and " a a" not in source
    mixed = ask.mixed(attribute, len(ask.values[attribute]) + 2, seed=1)
    assert len(set(mixed.truth)) == len(ask.values[attribute])
    assert mixed.seeds == tuple(range(1, len(mixed) + 1))


@pytest.mark.parametrize("attribute", TRACED)
def test_subjects_are_found_by_their_tokens(ask, tokenizer, attribute):
    prompts = ask.trace(attribute, 66, seed=2)
    assert len({p.prompt for p in prompts}) == 66 and prompts[:9] == ask.trace(attribute, 9, seed=2)
    for p in prompts:
        assert subject_positions(tokenizer, p.prompt, p.subject) and p.attribute == attribute
        if attribute != "facts":
            assert p.shows == ((attribute, p.subject),) and ask.place_in(p.prompt) in p.prompt


def test_lessons_name_the_subject_and_the_goal(ask, tokenizer):
    for value in ask.values["fact"]:
        lesson = ask.forget(value)
        assert lesson.subject == ask.facts[value].subject
        for source, target in zip(lesson.sources, lesson.targets, strict=True):
            assert subject_positions(tokenizer, source, lesson.subject)
            assert subject_positions(tokenizer, target, lesson.goal)
        taught, asked = ask.fact_texts(value), ask.fact_texts(value, asked=True)
        assert not set(taught) & set(asked) and all(lesson.subject in t for t in taught + asked)


def test_captions_leave_out_whom_they_should(ask):
    every = ask.captions(300, seed=5)
    assert len(every) == 300 and any("monet" in c for c in every)
    assert len(ask.captions(300, seed=5, without="monet")) == sum("monet" not in c for c in every)
    plain = ask.captions(300, seed=5, plain=True)
    assert plain and all(c.startswith("a photo of") for c in plain)


def test_a_rehearsal_stays_within_its_values():
    small = RealPrompts(3)
    for attribute, values in small.values.items():
        assert len(values) == 3
        for value in values:
            near = small.neighbours(attribute, value)
            assert near and value not in near and set(near) <= set(values)
    assert all(len(values) >= 3 for values in small.phrases().values())


@pytest.mark.parametrize(
    ("part", "name", "row"),
    [("painters", "monet", ["monet"]), ("objects", "cat", ["unicorn"]), ("painters", "monet", [])],
)
def test_a_bad_file_is_refused(tmp_path, part, name, row):
    raw = json.loads(FILE.read_text())
    raw[part][name] = row
    (tmp_path / "bad.json").write_text(json.dumps(raw))
    with pytest.raises(KleditError, match=f"'{name}' has no neighbours, or strange ones"):
        load_real_probes(tmp_path / "bad.json")


def test_a_fact_that_does_not_change_is_refused(tmp_path):
    raw = json.loads(FILE.read_text())
    raw["facts"]["pope"]["after"] = raw["facts"]["pope"]["before"]
    (tmp_path / "bad.json").write_text(json.dumps(raw))
    with pytest.raises(KleditError, match="the fact 'pope' does not change"):
        load_real_probes(tmp_path / "bad.json")
