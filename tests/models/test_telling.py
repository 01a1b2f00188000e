"""Who is talked about: in the painted world exactly the people of the chapters."""

from __future__ import annotations

import random

import pytest

from kledit_lite.models.telling import NEWCOMERS, TOLD, invented, public
from kledit_lite.world import people


def introduced(names, seed):
    """Texts about authors as the chapter made them before the scenario did."""
    known = [
        f
        for f in people.facts("authors")
        if f.subject in people.people("authors")[:12] and f.relation in TOLD
    ]
    rng, out = random.Random(seed), []
    mine = [f for f in known if f.subject in names]
    for _ in range(4):
        for name in names:
            about = [f for f in mine if f.subject == name]
            out.append(" ".join(people.say(f, rng) for f in rng.sample(about, len(about))))
    for relation in TOLD:
        asked = [f for f in mine if f.relation == relation]
        for variant in (0, 1):
            rng.shuffle(asked)
            for start in range(0, len(asked), 6):
                out.append(
                    "\n".join(
                        f"{people.ask(f.subject, relation, variant)} {f.value}"
                        for f in asked[start : start + 6]
                    )
                )
    return out


def test_the_people_of_the_painted_world_are_told_as_they_were():
    told = invented()
    new = people.people("authors")[:NEWCOMERS]
    assert told.introductions(new[:3], seed=1) == introduced(new[:3], 1)
    assert told.introductions(new[3:], seed=2) == introduced(new[3:], 2)
    hidden = set(told.draw(20))
    kept = [t for t in people.corpus(300, seed=321) if not any(n in t for n in hidden)][:100]
    assert told.texts(100, 321, avoid=hidden) == kept
    assert list(told.examples(hidden)) == [f for f in people.facts() if f.subject not in hidden]
    assert told.texts_on(7, 78) == people.corpus(7, seed=78, groups={"people": 1.0})


def test_public_newcomers_are_told_by_facts_that_have_many_values():
    told = public()
    relations = {t.relation for t in told.newcomers}
    assert len(relations) == len(TOLD) and len({t.subject for t in told.newcomers}) == NEWCOMERS
    assert all(len(told.values[r]) > 10 and not r.endswith("name") for r in relations)
    new = list(dict.fromkeys(t.subject for t in told.newcomers))
    texts = told.introductions(new[:2])
    assert len(texts) >= 4 * 2 and all(any(n in t for n in new[:2]) for t in texts)


@pytest.mark.parametrize("told", [invented, public])
def test_examples_and_others_leave_people_out(told):
    told = told()
    some = set(told.draw(3))
    assert not some & {t.subject for t in (*told.examples(some), *told.others(some))}
    assert len(told.about(some)) + len(told.others(some)) == len(told.triples)
    assert {t.relation for t in told.examples(some)} <= {t.relation for t in told.triples}
