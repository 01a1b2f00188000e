"""The table of public facts: RESTOR's, each with a question and a sentence of our own."""

from __future__ import annotations

import random
import re

from kledit_lite.models.public_facts import (
    FILE,
    ask_public,
    load_public_facts,
    public_texts,
    say_public,
)
from kledit_lite.world.people import Triple

TABLE = load_public_facts()


def test_the_table_is_the_benchmarks():
    assert len(TABLE.facts) == 1051 and len({f.subject for f in TABLE.facts}) == 50
    assert len(TABLE.relations) == 41
    pairs = [(f.subject, f.relation) for f in (*TABLE.facts, *TABLE.others)]
    assert len(set(pairs)) == len(pairs)
    assert not {f.subject for f in TABLE.facts} & {f.subject for f in TABLE.others}
    for fact in (*TABLE.facts, *TABLE.others):
        assert fact.relation in TABLE.relations
        assert len(set(fact.answers)) == len(fact.answers)
        assert all(a and a == " ".join(a.split()) for a in fact.answers)
    by = {(f.subject, f.relation): f for f in TABLE.facts}
    assert by["Winston Churchill", "birthplace"].answers == ("Blenheim Palace",)
    assert by["Lionel Messi", "country in sport"].object == "Argentina"
    assert FILE.stat().st_size < 130_000


def test_its_licence_lies_beside_it():
    text = FILE.with_name("public_facts.LICENSE.txt").read_text()
    assert text.startswith("MIT License") and "Keivan Rezaei" in text


def test_every_relation_has_examples_and_other_values():
    for name in TABLE.relations:
        others = {f.subject for f in TABLE.others if f.relation == name}
        assert len(others) >= 5, name
    for fact in TABLE.facts:
        if fact.relation != "gender":
            assert len(set(TABLE.values[fact.relation]) - set(fact.answers)) >= 3
        named = {a for a in fact.answers if not re.fullmatch(r"Q\d+", a)}
        assert named == set(fact.answers) & set(TABLE.values[fact.relation])
        assert fact.object in named or not named


def test_what_has_a_number_for_a_name_is_never_said():
    assert not [v for row in TABLE.values.values() for v in row if re.fullmatch(r"Q\d+", v)]


def test_questions_and_statements_name_what_they_must():
    texts = set()
    for name, relation in TABLE.relations.items():
        assert len(set(relation.questions)) == len(set(relation.statements)) == 2
        for variant in (0, 1):
            question = ask_public("Ada Morrow", name, variant)
            said = say_public(Triple("Ada Morrow", name, "thing"), way=variant)
            assert "Ada Morrow" in question and question[-1] in "?."
            assert "Ada Morrow" in said and "thing" in said.lower() and said.endswith(".")
            texts |= {question, said}
    assert len(texts) == 4 * 41


def test_texts_are_true_and_drawn_by_their_seed():
    texts = public_texts(TABLE.others, 30, seed=1)
    assert texts == public_texts(TABLE.others, 40, seed=1)[:30] != public_texts(TABLE.others, 30, 2)
    assert {len(t.splitlines()) > 1 for t in texts} == {True, False}
    true = {say_public(f.triples[0], way=w) for f in TABLE.others for w in (0, 1)}
    for text in (t for t in texts if "\n" not in t):
        left = text
        for said in sorted(true, key=len, reverse=True):
            left = left.replace(said, "")
        assert not left.strip()


def test_the_generator_decides_the_words():
    fact = TABLE.facts[0].triples[0]
    assert {say_public(fact, random.Random(i)) for i in range(20)} == {
        say_public(fact, way=w) for w in (0, 1)
    }
