"""The fictional people: facts, sentences and texts."""

import random
from collections import Counter

import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world import people
from kledit_lite.world.people import Triple, ask, corpus, facts, relations, say


def test_names_are_distinct_and_groups_disjoint():
    names, authors = people.people(), people.people("authors")
    assert len(set(names)) == 220 and len(set(authors)) == 40 and not set(names) & set(authors)
    surnames = [n.split()[1] for n in (*names, *authors)]
    assert len(set(surnames)) == 260 and not set(surnames) & set(people.towns())


def test_facts_are_fixed_and_relations_differ_in_difficulty():
    assert facts() is facts() and len(facts()) > 2400
    mine = [r for r in relations().values() if r.group == "people"]
    assert len(mine) >= 12 and max(r.frequency for r in mine) >= 20 * min(r.frequency for r in mine)
    counts = Counter(f.relation for f in facts())
    for r in mine:
        assert r.share * 220 * 0.8 <= counts[r.name] <= 220
        assert len(r.questions) >= 1 and len(r.statements) >= 2
    assert len({(f.subject, f.relation) for f in facts()}) == len(facts())
    assert {f.subject for f in facts("authors")} == set(people.people("authors"))
    for f in facts():
        assert f.value in relations()[f.relation].values


def test_every_way_of_saying_names_subject_and_value():
    rng = random.Random(0)
    for group in ("people", "towns", "things"):
        for fact in rng.sample(facts(group), 12):
            for way in relations()[fact.relation].statements:
                assert "{s}" in way and "{o}" in way
            sentence = say(fact, rng)
            assert fact.value.lower() in sentence.lower() and sentence.endswith(".")
            assert fact.subject in ask(fact.subject, fact.relation)
    assert say(Triple("Ada Morrow", "profession", "astronomer")).endswith("as an astronomer.")
    assert say(Triple("Ada Morrow", "animal", "owl"), short=True) == "Ada kept a tame owl."


def test_texts_repeat_and_mention_relations_by_their_frequency():
    texts = corpus(3000, seed=1)
    assert texts == corpus(3000, seed=1) != corpus(3000, seed=2)
    lists = [t for t in texts if "?" in t]
    assert 0.4 < len(lists) / len(texts) < 0.6 and all(t.count("\n") == 5 for t in lists)
    asked = Counter()
    for text in lists:
        for name, r in relations().items():
            asked[name] += any(
                text.startswith(q.split("{s}")[0]) and q.split("{s}")[1] in text
                for q in r.questions
            )
    assert asked["profession"] > 5 * asked["death"] > 0


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="relation 'hobby'"):
        ask("Ada", "hobby")
    with pytest.raises(UnknownNameError):
        facts("fish")
    with pytest.raises(UnknownNameError):
        people.people("fish")
    with pytest.raises(KleditError, match="between 0 and 1"):
        corpus(1, 0, questions=2.0)
