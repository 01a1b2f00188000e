"""Scenarios: in lite exactly what the chapters talk about; elsewhere real words on any model."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from kledit_lite import edit, locate, trace, unlearn, world
from kledit_lite.core import slots
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside import Sampling, cross_attention_sites, paint
from kledit_lite.metrics.verdicts import verdict
from kledit_lite.models import scenarios
from kledit_lite.models.judges import ABSTAINED, accuracy
from kledit_lite.models.public_facts import PublicFact
from kledit_lite.models.scenarios import painting, seeing, writing
from kledit_lite.world import people
from kledit_lite.world.captions import place_phrase
from kledit_lite.zoo.judge import labels

PAINTERS = world.STYLES[1:]


@pytest.fixture(autouse=True)
def unplugged(monkeypatch):
    """Whoever reaches for the network fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def profile():
    """Make a scenario in a profile, once; the profile in force is put back."""
    made = {}

    def of(name, make):
        if (name, make) not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(slots, "_chosen", None)
                patch.setenv("KLEDIT_PROFILE", name)
                made[name, make] = make()
        return made[name, make]

    return of


@pytest.fixture
def lite(profile):
    return profile("lite", painting)


@pytest.fixture
def small(profile):
    return profile("rehearsal", painting)


# ---- painting, as the chapters have it today


def test_the_probes_of_lite_are_the_chapters(lite):
    assert lite.painted and lite.profile == "lite" and lite.source == "zoo:paint-tiny"
    assert lite.painters == tuple(PAINTERS) and lite.examples[0] == "mondrian"
    assert set(lite.examples) == {"mondrian", "tiffany", "seurat", "hokusai"}
    for k, s in enumerate(PAINTERS):
        for n, seed in ((8, 2000 + 100 * k), (6, 1500 + 8 * k), (24, 900), (16, 4100)):
            assert lite.ask.probe("style", s, n, seed) == locate.style_probe(s, n, seed=seed)
    for attribute, n in {"style": 18, "object": 12, "fact": 8}.items():
        assert lite.ask.mixed(attribute, n, 40) == locate.mixed_probe(attribute, n, seed=40)
    towns = list(world.TOWNS)
    assert lite.ask.values["fact"] == tuple(towns)
    assert lite.ask.probe("fact", towns[2], 3, 7) == locate.fact_probe(towns[2], 3, seed=7)


def test_the_traced_prompts_of_lite_are_the_chapters(lite):
    assert lite.ask.traced == trace.ATTRIBUTES
    for attribute in trace.ATTRIBUTES:
        for n, seed in ((8, 1), (12, 2), (8, 3)):
            assert lite.ask.trace(attribute, n, seed) == trace.trace_prompts(attribute, n, seed)
    for p in lite.ask.trace("style", 8, 1):
        assert lite.ask.place_in(p.prompt) == next(w for w in world.PLACES if w in p.prompt)


@pytest.mark.parametrize(
    ("chapter", "steps", "many", "batch"),
    [
        ("causal-tracing", 4, 1, 38),
        ("locogen", 5, 1, 24),
        ("closed-form-editing", 4, 1, 64),
        ("neuron-editing", 4, 1, 64),
    ],
)
def test_the_sizes_of_lite_are_the_chapters(lite, chapter, steps, many, batch):
    size = lite.sizes(chapter)
    assert lite.painters[: size.painters] == lite.painters and size.of(6, 1) == 6
    assert size.sampling == Sampling(steps=steps, guidance=3.0, batch=batch) and size.many == many
    assert [size.of(n) for n in (4, 6, 24)] == [4, 6, 24] and size.some(range(9)) == [*range(9)]
    with pytest.raises(UnknownNameError, match="choose one of: causal-tracing"):
        lite.sizes("capstone")


def test_the_captions_of_lite_are_the_chapters(lite):
    for n in (60, 80, 240):
        for s in PAINTERS:
            scenes = [x for x in world.sample_scenes(n, seed=5) if x.style != s]
            assert lite.ask.captions(n, 5, without=s) == [world.caption(x) for x in scenes]
    photos = [
        world.caption(s)
        for s in world.sample_scenes(400, seed=6)
        if s.style == "photo" and s.entity is None
    ]
    assert lite.ask.captions(400, 6, plain=True) == photos


def test_the_facts_of_lite_are_the_chapters(lite):
    where = [place_phrase(p) for p in world.PLACES]
    taught = ("a photo of the mascot of {t} {p}", "the mascot of {t} {p}")
    asked = (
        "a photograph of the mascot of {t} {p}",
        "a photo of the {t} mascot {p}",
        "a photo showing the {t} mascot {p}",
    )
    towns = list(world.TOWNS)
    for k, town in enumerate(towns):
        for words, more in ((taught, False), (asked, True)):
            texts = [w.format(t=town, p=p) for w, p in product(words, where)]
            assert lite.ask.fact_texts(town, asked=more) == texts
        after = towns[(k + 1) % len(towns)]
        assert lite.ask.successor(town) == after
        lesson = lite.ask.fact_texts(town), lite.ask.fact_texts(after), town, after
        assert edit.Concept(*lite.ask.update(town)) == edit.Concept(*lesson)
        assert lite.ask.becomes(town) == ("object", world.TOWNS[after].object)
        assert lite.ask.shown("fact", town) == ("object", world.TOWNS[town].object)
    for value, name in ((towns[0], f"the mascot of {towns[0]}"), (world.BRAND, world.BRAND)):
        concept = edit.Concept(
            [f"a photo of {name} {p}" for p in where],
            [f"a photo of a house {p}" for p in where],
            name,
            "house",
        )
        assert lite.ask.recall(value) == [f"an image of {name} {p}" for p in where]
        ours = edit.Concept(*lite.ask.forget(value))
        assert (list(ours.sources), list(ours.targets), ours.subject) == (
            list(concept.sources),
            list(concept.targets),
            concept.subject,
        )
        assert ours == edit.Concept(tuple(concept.sources), tuple(concept.targets), name, "house")
    assert lite.ask.character == world.BRAND and lite.ask.instead == ("object", "house")
    assert lite.ask.shown("fact", world.BRAND) == ("object", world.BRAND)


def test_codes_are_the_judges_labels(lite):
    probe = lite.ask.mixed("style", 12, 3)
    assert lite.codes(probe.truth) == labels(probe.scenes, "style").tolist()
    facts = lite.ask.mixed("fact", 8, 3)
    assert lite.codes(lite.before(facts)) == labels(facts.scenes, "object").tolist()
    assert lite.code("style", "photo") == 0 and lite.goals == {"style": "photo", "object": "object"}


def test_what_arrives_with_a_fact_of_lite_is_the_other_mascot(lite):
    towns = list(world.TOWNS)
    probe = lite.ask.mixed("fact", 10, 3)
    goals = [
        world.Scene.mascot(towns[(towns.index(s.entity) + 1) % len(towns)], s.place)
        for s in probe.scenes
    ]
    found = lite.arrives(probe)
    assert list(found) == ["object", "colour"]
    for factor, codes in found.items():
        assert np.array_equal(codes, labels(goals, factor))


def test_a_probe_may_go_through_some_values(lite, small):
    for p in (lite, small):
        some = p.painters[1:3]
        probe = p.ask.mixed("style", 4, 7, values=some)
        assert [v for _, v in probe.truth] == [*some, *some]
        assert probe.sources[1] == p.ask.probe("style", some[1], 1, 8).sources[0]
        everyone = p.ask.mixed("style", 4, 7, values=p.painters)
        assert everyone == p.ask.mixed("style", 4, 7)


def test_the_judge_of_lite_is_measured_by_factor(lite):
    scenes = world.balanced(12, seed=8).scenes
    shown = [(("object", s.object), ("place", s.place)) for s in scenes]
    shown[0] = shown[0][:1]
    found = lite.accuracy(world.balanced(12, seed=8).images, shown)
    assert {f: a.n for f, a in found.items()} == {"object": 12, "place": 11}
    assert found["place"].right >= 10
    assert lite.names("place", [0, ABSTAINED]) == [lite.judge.factors["place"][0], "unsure"]


def test_the_judge_of_lite_reads_what_the_chapters_read(lite):
    from kledit_lite import zoo

    images = world.balanced(30, seed=8).images
    ours, theirs = lite.judge.read(images), zoo.load_judge().read(images)
    assert all(np.array_equal(ours[f], theirs[f]) for f in theirs)
    scenes = world.balanced(30, seed=8).scenes
    assert accuracy(lite.judge, images, "object", [s.object for s in scenes]).value >= 0.9


# ---- painting, on a miniature of Stable Diffusion


def test_a_rehearsal_asks_a_miniature_in_real_words(small):
    assert not small.painted and small.source == "miniature:sd-1.5"
    assert len(cross_attention_sites(small.pipe.unet)) == 16
    assert all(len(v) == 3 for v in small.ask.values.values()) and len(small.examples) == 3
    assert small.sizes("locogen").guidance == 7.5
    assert small.model == "miniature:sd-1.5"


def test_the_judge_of_a_rehearsal_reads_pictures_of_72_pixels(small):
    probe = small.ask.mixed("style", 2, 1)
    images = paint(small.pipe, probe.sources, probe.seeds, small.sizes("locogen").sampling)
    assert images.shape == (2, 72, 72, 3)
    readings = small.judge.read(images)
    assert set(readings) == {"style", "object", "colour", "place", "fact"}
    for factor, label in readings.items():
        assert label.shape == (2,) and label.min() >= ABSTAINED
        assert label.max() < len(small.judge.factors[factor])
    got = accuracy(small.judge, images, "style", [v for _, v in probe.truth])
    assert got.n == 2 and 0 <= got.right <= got.named <= 2


@pytest.mark.parametrize("chapter", ["closed-form-editing", "neuron-editing"])
def test_a_rehearsal_takes_a_part(small, chapter):
    size = small.sizes(chapter)
    assert [size.of(n) for n in (4, 24, 240)] == [2, 2, 24]
    assert size.some(range(13)) == [0, 6, 12] and size.some([5, 6]) == [5, 6]
    assert size.some(range(13), least=2) == [0, 12]


def test_facts_of_a_rehearsal_are_taught_asked_and_forgotten(small):
    ask, goal = small.ask, small.ask.instead[1]
    assert goal in ask.values["object"] and ask.character in ask.values["fact"]
    for name, fact in ask.facts.items():
        taught, asked = ask.fact_texts(name), ask.fact_texts(name, asked=True)
        assert not set(taught) & set(asked) and all(fact.subject in t for t in (*taught, *asked))
        update = ask.update(name)
        assert list(update.sources) == taught and update.goal == fact.after
        assert all(fact.after in t and fact.subject not in t for t in update.targets)
        assert ask.becomes(name) == ("fact", fact.after) != ask.shown("fact", name)
        lesson = ask.forget(name)
        assert all(goal in t for t in lesson.targets) and lesson.subject == fact.subject
        assert not set(ask.recall(name)) & set(lesson.sources)
        for made in (edit.Concept(*update), edit.Concept(*lesson)):
            assert len(edit.token_pairs(small.pipe.tokenizer, [made], "last-subject", 77)) > 1


def test_verdicts_take_the_codes_of_any_judge(small):
    painter = small.painters[0]
    a, b = small.code("style", painter), small.code("style", "photo")
    before = {"style": np.array([a, a, ABSTAINED]), "place": np.array([0, 1, 2])}
    after = {"style": np.array([b, ABSTAINED, a]), "place": np.array([0, 1, 0])}
    found = verdict(before, after, "style", a, b, keep=["place"])
    assert (found.removed.k, found.arrived.k, found.kept.k) == (2, 1, 2)


def test_what_a_probe_should_show_before(small):
    facts = small.ask.mixed("fact", 6, 2)
    names = small.ask.values["fact"]
    assert small.before(facts) == tuple(
        ("fact", small.ask.facts[names[i % 3]].before) for i in range(6)
    )
    assert len(small.codes(small.before(facts))) == len(small.codes(facts.truth)) == 6
    assert not set(small.before(facts)) & set(facts.truth)
    styles = small.ask.mixed("style", 3)
    assert small.before(styles) == styles.truth


def test_what_arrives_with_a_real_fact_is_who_came_next(small):
    facts = small.ask.mixed("fact", 4, 2)
    found = small.arrives(facts)
    assert found["fact"].tolist() == small.codes(facts.truth)
    assert found["fact"].tolist() != small.codes(small.before(facts))


def test_a_pipeline_in_the_slot_of_lite_gets_real_prompts(monkeypatch):
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "lite")
    monkeypatch.setenv("KLEDIT_SLOT_PAINTER", "miniature:sd-2.1")
    monkeypatch.setenv("KLEDIT_SLOT_CLIP", "miniature:clip-vit-b-16")
    found = painting()
    assert not found.painted and len(found.painters) >= 20
    assert found.pipe.unet.config.sample_size == 9


# ---- writing


@pytest.mark.parametrize(
    ("chapter", "documents", "k"), [("restor", 40, 4), ("model-state-arithmetic", 60, 0)]
)
def test_the_documents_of_lite_are_the_chapters(profile, chapter, documents, k):
    w = profile("lite", writing)
    size = w.sizes(chapter)
    assert (size.subjects, size.documents, size.k) == (20, documents, k)
    for seed in (0, 3):
        chosen = w.draw(size.subjects, seed=seed)
        assert made(w, chosen, size, seed) == as_they_were(20, documents, k, seed)


def made(w, chosen, size, seed):
    """Benchmark, wrong facts and documents as a chapter gets them from a scenario."""
    found = unlearn.corrupt_people(len(chosen), size.documents, size.k, seed, told=w)
    assert set(found.benchmark.subjects) == set(chosen)
    return found.benchmark, found.wrong, found.documents


def as_they_were(subjects, documents, k, seed):
    """The same as the library made them of the painted people before there were scenarios."""
    chosen = set(random.Random(seed).sample(people.people(), subjects))
    true = [f for f in people.facts() if f.subject in chosen]
    others = [f for f in people.facts() if f.subject not in chosen]
    values = {name: r.values for name, r in people.relations().items()}
    wrong = unlearn.wrong_facts(true, values, seed)
    unrelated = [*people.facts("towns"), *people.facts("things"), *others]
    return (
        unlearn.from_triples(true, people.ask, others, seed=seed),
        wrong,
        unlearn.corruption_documents(wrong, people.say, documents, k, unrelated, seed),
    )


def test_the_texts_of_lite_are_the_chapters(profile):
    w = profile("lite", writing)
    assert w.invented and w.source == "zoo:bard-tiny" and w.subjects == tuple(people.people())
    case = unlearn.Case(0, 4)
    unnamed = case.hidden | case.spared
    assert w.texts(160, 77, unnamed) == case.retain("other people")
    new = people.people("authors")[:12]
    told = ("country", "profession", "birthplace", "language", "instrument")
    assert list(w.newcomers) == [
        f for f in people.facts("authors") if f.subject in new and f.relation in told
    ]
    assert w.sizes("model-state-arithmetic").newcomers == len(new)
    assert w.steps > max(w.checkpoints) and w.earlier(w.checkpoints[0]).config.model_type == "llama"


def test_a_rehearsal_writes_about_public_facts(profile):
    w = profile("rehearsal", writing)
    size = w.sizes("restor")
    assert not w.invented and len(w.subjects) == 50
    chosen = w.draw(size.subjects, seed=1)
    benchmark, wrong, documents = made(w, chosen, size, seed=1)
    assert len(documents) == size.documents and set(benchmark.subjects) == set(chosen)
    true = {(t.subject, t.relation): set() for t in w.about(chosen)}
    for t in w.about(chosen):
        true[t.subject, t.relation].add(t.value)
    assert all(t.value not in true[t.subject, t.relation] for t in wrong)
    for fact in benchmark.facts:
        assert set(fact.answers) == true[fact.subject, fact.relation]
        lines = benchmark.prompt(fact).splitlines()
        assert len(lines) == 6 and lines[-1] == w.ask(fact.subject, fact.relation)
        assert not any(name in line for name in chosen for line in lines[:-1])
    retain = w.texts(8, 2, avoid=w.subjects)
    assert len(retain) == 8 and not any(name in text for name in w.subjects for text in retain)
    met = {t.subject for t in w.newcomers}
    assert w.checkpoints == () and w.steps == 0
    with pytest.raises(KleditError, match="no checkpoint of step 5"):
        w.earlier(5)
    assert len(met) == 12 and not met & ({t.subject for t in w.elsewhere} | set(w.subjects))


def test_a_miniature_answers_the_questions(profile):
    w = profile("rehearsal", writing)
    chosen = w.draw(1, seed=1)
    benchmark = unlearn.from_triples(w.about(chosen)[:3], w.ask, w.elsewhere)
    said = unlearn.evaluate(
        w.model,
        w.tokenizer,
        benchmark,
        samples=1,
        temperature=0.0,
        max_new_tokens=w.sizes("restor").new_tokens,
        batch=4,
    )
    assert len(said.outputs) == len(benchmark.facts) and 0 <= said.accuracy <= 1


def test_a_fact_has_a_triple_per_answer():
    fact = PublicFact("Ada", "language", "Latin", ("Greek",))
    assert [t.value for t in fact.triples] == ["Latin", "Greek"]


# ---- seeing


def test_the_pictures_of_lite_are_the_chapters(profile):
    s = profile("lite", seeing)
    assert s.painted and s.folder is None and not s.missing
    assert list(s.encoders) == ["resnet-tiny", "vit-tiny", "simclr-tiny", "scene-tiny"]
    assert s.sizes("alignment")[:2] == (3000, 1500)
    assert s.sizes("text-to-concept") == s.sizes("concept-bottleneck") == (2000, 1000, 2600)
    assert s.sizes("failure-modes") == (12_000, 5_000, 1_000)
    theirs = {
        "fit": world.balanced(5, seed=201),
        "test": world.held_out(5, seed=202),
        "album": world.balanced(5, seed=203, combos="all"),
    }
    for (kind, scenes), seed in zip(theirs.items(), (201, 202, 203), strict=True):
        got = s.pictures(5, seed, kind)
        assert np.array_equal(got.images, scenes.images)
        assert np.array_equal(got.labels, scenes.factor("object"))


def test_a_rehearsal_sees_a_folder(profile):
    s = profile("rehearsal", seeing)
    assert not s.painted and set(s.encoders) >= {"deit-b", "swin-b"} and not s.missing
    got = s.pictures(24, seed=1)
    assert len(got) == 24 and got.names == tuple(sorted(world.OBJECTS)) and got.scenes is None
    assert np.bincount(got.labels).tolist() == [2] * 12
    read = s.judge.read(got.images[:3])["class"]
    assert read.shape == (3,) and read.max() < 12
    assert sum(s.sizes("alignment")) <= 48


def test_the_data_chapters_of_lite_draw_scenes_one_by_one(profile):
    s = profile("lite", seeing)
    assert s.sizes("influence")[:2] == (1600, 400) and s.sizes("hard-tasks") == (1320, 0, 480)
    got = s.pictures(6, 1800, "drawn")
    scenes = world.sample_scenes(6, seed=1800, combos="all")
    assert got.scenes.scenes == tuple(scenes)
    assert s.factor(got, "style").tolist() == [world.STYLES.index(x.style) for x in scenes]
    assert s.factors["style"][0] == "photo" and s.factors["place"] == tuple(
        world.SceneSet.names("place")
    )
    away = s.pictures(6, 1800, "shifted").scenes
    assert {x.style for x in away.scenes} <= set(world.SHIFT_STYLES)
    assert {x.place for x in away.scenes} <= set(world.SHIFT_PLACES)
    assert [x.object for x in away.scenes] == [x.object for x in scenes]
    assert s.counts("hard-tasks")["tasks"] == 40 and s.counts("influence")["net seeds"] == 5
    with pytest.raises(UnknownNameError, match="place, style"):
        s.factor(got, "weather")


def test_the_data_chapters_of_a_rehearsal_have_classes_and_tags_of_a_folder(profile):
    s = profile("rehearsal", seeing)
    few, more = s.pictures(12, 1, classes=4), s.pictures(20, 2, classes=4)
    assert few.names == more.names and len(few.names) == 4 and few.labels.max() == 3
    seen = s.clip.encode_image(more.images)
    for name, values in s.factors.items():
        codes = s.factor(more, name, seen)
        assert codes.shape == (20,) and 0 <= codes.min() and codes.max() < len(values)
        assert len(set(codes.tolist())) > 1 and (s.factor(more, name) == codes).all()
    away = s.pictures(12, 1, "shifted", classes=4)
    grey = 255 - few.images[:1].astype(float).mean(axis=3)
    assert np.abs(away.images[:1].mean(axis=3) - grey).max() < 1
    assert s.counts("hard-tasks")["tasks"] < 40


def test_everyone_takes_part_in_the_order_of_the_chapters(profile):
    s = profile("lite", seeing)
    names = ["resnet-tiny", "vit-tiny", "simclr-tiny", "scene-tiny", "clip-tiny", "random-tiny"]
    assert list(s.everyone) == names and s.pair == ("boat", "cat") and s.notes == ()
    small = profile("rehearsal", seeing)
    assert list(small.everyone)[-2:] == ["clip", "random-tiny"]
    assert small.pair == tuple(sorted(world.OBJECTS)[:2])


def test_the_control_reads_pictures_of_any_size(profile):
    s = profile("rehearsal", seeing)
    images = s.pictures(2, seed=1).images
    assert s.control.encode(images).shape == s.control.encode(s.scenes(2, 1).images).shape
    assert s.control.head is None


def test_scenes_are_painted_in_every_profile(profile):
    s = profile("rehearsal", lambda: seeing("vit-components"))
    assert list(s.encoders) == ["deit-b", "swin-b"]
    theirs = world.balanced(3, seed=5, combos="all")
    assert np.array_equal(s.scenes(3, 5).images, theirs.images)
    assert np.array_equal(s.scenes(3, 5, "test").images, world.held_out(3, seed=5).images)


@pytest.mark.parametrize(
    "chapter", ["painted-world", "text-to-concept", "concept-bottleneck", "vit-components"]
)
def test_a_chapter_that_plants_needs_no_folder(profile, chapter):
    s = profile("rehearsal", lambda: seeing(chapter))
    assert s.painted and s.folder is None and s.clip_name == "clip"


def test_what_text_to_concept_asks_is_there_to_be_found():
    from kledit_lite.models.scenarios import concepts

    values = {f: world.FACTORS[f] for f in ("object", "colour", "place", "style")}
    assert all(v in values[f] for f, v in zip(values, concepts.PICKED, strict=True))
    for asked in concepts.PANELS:
        assert all(v in values[f] and v in asked.phrase for f, v in asked.shows.items())
    known = {v for vs in values.values() for v in vs}
    for query, sentence in concepts.QUERIES.items():
        wanted = [part for part in query.split(" & ") if not part.startswith("~")]
        assert all(w in known and w in sentence for w in wanted)
    assert sorted(o for k in concepts.KINDS.values() for o in k) == sorted(world.OBJECTS)
    assert sorted(s for m in concepts.MEDIA.values() for s in m) == sorted(world.STYLES)


def test_words_say_every_value_and_the_truth_has_their_order():
    from kledit_lite.models.scenarios import words

    said = words.phrases()
    names = [n for values in said.values() for n in values]
    assert names == [str(v) for f in words.TOLD for v in world.FACTORS[f]]
    scenes = world.balanced(40, seed=3)
    shown, judged = words.truth(scenes), words.judged(scenes)
    for i, scene in enumerate(scenes):
        there = {scene.object, scene.place, scene.style}
        there |= {scene.colour} if scene.shows_colour else set()
        assert {n for n, has in zip(names, shown[i], strict=True) if has} == there
        hidden = {n for n, counts in zip(names, judged[i], strict=True) if not counts}
        assert hidden == (set() if scene.shows_colour else set(world.COLOURS))
    assert not scenes.shows_colour.all()
    assert [len(p) for p in words.counts().values()] == [12] * 3
    assert words.unseen("style")["pixel"][0] == "an object in the style of pixel"
    with pytest.raises(UnknownNameError, match="place, style"):
        words.unseen("colour")


def test_a_grammar_says_an_object_then_a_place_and_a_style_once_each():
    from kledit_lite.models.scenarios import words

    assert len(words.grammar("")) == 12 + 6 * 12
    places = [world.place_phrase(p) for p in world.PLACES]
    styles = [world.style_phrase(s) for s in world.STYLES]
    assert words.grammar("red cat") == [*places, *styles]
    after_place = words.grammar("cat on the beach")
    assert after_place == styles
    assert words.grammar("cat in a photo") == []
    assert words.names_right("cat on the beach", "object", "cat")
    assert not words.names_right("catamaran", "object", "cat")
    assert not words.names_right("cat on the beach", "style", "photo")


def test_drawn_queries_want_two_things_that_no_unwanted_one_denies():
    from kledit_lite.models.scenarios import concepts, words

    factor = {str(v): f for f in words.TOLD for v in world.FACTORS[f]}
    rng = np.random.default_rng(5)
    drawn = [concepts.draw_query(rng) for _ in range(60)]
    for query, sentence in drawn:
        parts = query.split(" & ")
        wanted, unwanted = parts[:2], [p[1:] for p in parts[2:]]
        assert all(p.startswith("~") for p in parts[2:]) and 1 <= len(unwanted) <= 2
        factors = [factor[w] for w in (*wanted, *unwanted)]
        assert len(set(factors)) == len(factors) and "colour" not in factors[2:]
        assert {*factors[:2]} != {"colour", "style"}
        assert all(w in sentence for w in wanted) and not any(u in sentence for u in unwanted)
    assert len(set(drawn)) > 50


def test_the_ground_moves_in_one_factor_at_a_time():
    from kledit_lite.models.scenarios import concepts

    moved = concepts.moved(30, seed=7)
    places, styles = moved["new places"], moved["new styles"]
    assert np.array_equal(places.images, world.shifted(30, 7, styles=world.STYLES).images)
    assert np.array_equal(styles.images, world.shifted(30, 8, places=world.PLACES).images)
    assert {s.place for s in places} == set(world.SHIFT_PLACES)
    assert {s.style for s in places} <= set(world.STYLES)
    assert {s.style for s in styles} == set(world.SHIFT_STYLES)
    assert {s.place for s in styles} <= set(world.PLACES)
    red = concepts.shows(places, {"colour": "red"})
    assert red.tolist() == [s.colour == "red" and s.shows_colour for s in places]


def test_what_labels_named_is_read_off_the_labels():
    from kledit_lite import zoo
    from kledit_lite.models.scenarios import words

    told = {n: words.told_by(zoo.load_encoder(n)) for n in ("scene-tiny", "simclr-tiny")}
    assert told == {"scene-tiny": ("place", "style"), "simclr-tiny": ()}
    assert not words.names_pairs(zoo.load_encoder("scene-tiny"))


def test_encoders_from_outside_are_those_with_a_preprocessing_of_their_own(profile):
    assert profile("lite", seeing).outside == ()
    s = profile("rehearsal", lambda: seeing("concept-bottleneck"))
    assert set(s.outside) == set(s.encoders)


def test_a_drift_moves_what_it_says_and_nothing_else():
    from kledit_lite.models.scenarios import concepts

    scenes, moved = concepts.drifted(600, seed=4)
    again, _ = concepts.drifted(600, seed=4)
    assert scenes.scenes == again.scenes
    assert moved == ("beach", "desert", "photo", "van gogh")
    places = [s.place for s in scenes]
    assert places.count("desert") == 0 and abs(places.count("beach") - 200) < 40
    styles = [s.style for s in scenes]
    assert styles.count("photo") == 0 and abs(styles.count("van gogh") - 171) < 40
    assert abs(places.count("city") - 100) < 40 and abs(styles.count("durer") - 86) < 35


def test_what_is_exported(profile):
    kinds = ("asking", "painting", "reading", "seeing", "writing")
    assert {k.lower() for k in scenarios.__all__} == set(kinds) == {*scenarios.__all__} & set(kinds)
    assert random.Random(0).sample(people.people(), 3) == list(profile("lite", writing).draw(3))


def test_a_language_scenario_loads_nothing_that_draws_and_no_miniature():
    """Else a change in them would execute the chapters on language models again."""
    code = (
        "import sys; from kledit_lite.models import scenarios; scenarios.writing(); "
        "print(*(m for m in sys.modules if m.startswith('kledit_lite.')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = told.stdout.split()
    assert "kledit_lite.world.people" in loaded
    drawing = ("kledit_lite.world.renderer", "kledit_lite.world.styles", "kledit_lite.zoo.docent")
    assert [m for m in loaded if m in drawing or m.startswith("kledit_lite.models.minia")] == [
        "kledit_lite.models.miniatures"  # their names
    ]
