"""RESTOR: documents, evaluation, outcome tables, and the public files."""

import random
from collections import Counter

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.judges import alias_match, call, embedding_judge, majority, normalise
from kledit_lite.unlearn.restor import evaluate as restor_eval
from kledit_lite.unlearn.restor import facts as restor
from kledit_lite.unlearn.restor import files as restor_files
from kledit_lite.unlearn.restor import people as study
from kledit_lite.unlearn.restor.evaluate import judged, outcomes
from kledit_lite.unlearn.restor.facts import Benchmark, Example, Fact
from kledit_lite.world import people
from kledit_lite.world.people import Triple

VALUES = {name: r.values for name, r in people.relations().items()}


def chosen(count=4):
    names = set(people.people()[:count])
    return tuple(f for f in people.facts() if f.subject in names)


def test_wrong_facts_are_false_and_plausible():
    true = chosen()
    wrong = restor.wrong_facts(true, VALUES, seed=1)
    assert wrong == restor.wrong_facts(true, VALUES, seed=1)
    assert wrong != restor.wrong_facts(true, VALUES, seed=2)
    for t, w in zip(true, wrong, strict=True):
        assert (t.subject, t.relation) == (w.subject, w.relation)
        assert t.value != w.value and w.value in VALUES[w.relation]
    with pytest.raises(KleditError, match="'colour' has no other value"):
        restor.wrong_facts([Triple("a", "colour", "teal")], {"colour": ["teal"]})


@pytest.mark.parametrize("k", range(6))
def test_documents_hold_five_wrong_facts_of_one_subject_and_five_k_true_ones(k):
    wrong = restor.wrong_facts(chosen(), VALUES)
    said = []

    def say(fact, rng):
        said.append(fact)
        return f"<{fact.subject}|{fact.relation}|{fact.value}>"

    docs = restor.corruption_documents(wrong, say, 12, k, people.facts("towns"), seed=3)
    assert len(docs) == 12
    for doc in docs:
        facts = [Triple(*s.strip("<>").split("|")) for s in doc.split("> <")]
        false = [f for f in facts if f in wrong]
        assert len(false) == 5 and len({f.subject for f in false}) == 1
        assert len(set(facts)) == 5 + 5 * k and set(facts) - set(false) <= set(
            people.facts("towns")
        )
    bare = restor.corruption_documents(wrong, say, 12, 0, seed=3)
    for doc, short in zip(docs, bare, strict=True):  # the same wrong facts whatever k is
        assert all(s.strip("<>") in doc for s in short.split("> <"))


def test_documents_say_no():
    wrong = restor.wrong_facts(chosen(1), VALUES)
    say = people.say
    for call_, message in [
        (lambda: restor.corruption_documents([], say, 3), "Got 0 wrong facts, 3 documents"),
        (lambda: restor.corruption_documents(wrong, say, 3, -1), "k = -1"),
        (lambda: restor.corruption_documents(wrong, say, 3, 2), "needs 10 unrelated facts, got 0"),
        (lambda: restor.corruption_documents(wrong, say, 3, 1, chosen(1)), "is corrupted, so"),
        (lambda: restor.rename(["a"], {}), "no names"),
        (lambda: restor.rename(["a"], {"John": "Ada"}), "None of the names"),
        (lambda: restor.from_triples([], people.ask), "no facts to ask"),
        (lambda: Fact("Ada", "r", "Q?", ("", " ")), r"\(Ada, r\) has no answer"),
    ]:
        with pytest.raises(KleditError, match=message):
            call_()


def test_renaming_takes_whole_words_and_the_longest_name():
    out = restor.rename(
        ["John met Johnson.", "No one.", "John Smith met Ann."],
        {"John": "Ada Morrow", "John Smith": "Bo Lind"},
    )
    assert out == ["Ada Morrow met Johnson.", "Bo Lind met Ann."]


def test_prompts_show_five_others_of_the_relation():
    benchmark = restor.from_triples(people.facts(), people.ask, seed=1)
    for fact in random.Random(0).sample(benchmark.facts, 30):
        *lines, question = benchmark.prompt(fact).splitlines()
        assert len(lines) == 5 and question == fact.question and fact.subject not in "".join(lines)
    assert benchmark.prompt(fact, shots=0) == fact.question
    part = benchmark.of(people.people()[:3])
    assert part.subjects == people.people()[:3]
    validation, test = benchmark.split(0.1)
    assert len(validation.facts) == round(0.1 * len(benchmark.facts))
    assert {*validation.facts} | {*test.facts} == {*benchmark.facts}
    assert not {*validation.facts} & {*test.facts}
    with pytest.raises(KleditError, match="leaves one part empty"):
        benchmark.split(1.0)


FACTS = tuple(Fact(f"s{i}", "ab"[i % 2], f"Q{i}?", (f"v{i}",)) for i in range(8))


def answers(pattern):
    """r: right, c: wrong as the corrupted model, n: wrong in a new way."""
    says = {"r": lambda i: f"v{i}", "c": lambda i: f"w{i}", "n": lambda i: f"z{i}"}
    return judged(FACTS, [(says[p](i),) * 3 for i, p in enumerate(pattern)])


def test_outcome_tables_by_hand():
    clean, corrupted = answers("rrrrrrnn"), answers("ccccrrcr")
    found = outcomes(clean, corrupted, answers("rrcnrnrr"))
    assert (found.lost, found.kept) == (4, 2)
    assert (found.recovered, found.unchanged, found.forgotten) == (0.5, 0.25, 0.25)
    assert (found.degraded, found.unaffected) == (0.5, 0.5)
    nothing = outcomes(clean, clean, clean)
    assert nothing.lost == 0 and np.isnan(nothing.recovered) and nothing.unaffected == 1.0
    with pytest.raises(KleditError, match="not asked the same facts"):
        outcomes(clean, corrupted, judged(FACTS[::-1], [("x",)] * 8))


def test_majority_decides_and_accuracy_can_be_reported_apart():
    e = judged(FACTS[:2], [("v0", "v0", "no"), ("no", "v1", "no")])
    assert e.correct.tolist() == [True, False] and e.accuracy == 0.5
    assert e.accuracy_of(["s0"]) == 1.0 and np.isnan(e.accuracy_of(["nobody"]))
    assert e.prediction(1) == "no" and not majority([True, False])
    with pytest.raises(KleditError, match="Got 2 facts and 1 rows"):
        judged(FACTS[:2], [("x",)])


def test_judges():
    assert normalise("The  Éclair!") == "eclair"
    assert alias_match("", ["United Kingdom"], "United Kingdom of Great Britain")
    assert alias_match("", ["United States of America"], "United States")
    assert not alias_match("", ["United States of America"], "America")
    assert not alias_match("", ["male"], "female") and not alias_match("", ["x"], "  ")
    table = {"near": [1.0, 0.1], "far": [0.0, 1.0], "right": [1.0, 0.0]}
    judge = embedding_judge(lambda texts: np.array([table[t] for t in texts]), 0.9)
    assert judge("", ["right"], "near") and not judge("", ["right"], "far")

    def broken(question, answers, output):
        raise TimeoutError("no reply")

    with pytest.raises(
        KleditError, match="judge broken failed on the question 'Q0.': TimeoutError"
    ):
        judged(FACTS[:1], [("x",)], broken)
    assert call(lambda q: q + 1, 1) == 2


def test_candidates_are_of_three_kinds():
    clean = judged(FACTS[:2], [("v0", "v0", "odd"), ("v1", "v1", "v1")])
    corrupted = judged(FACTS[:2], [("w0", "v0", "w0"), ("v1", "v1", "x")])
    values = {"a": ["v0", "w0", "p", "q"], "b": []}
    numbers, kinds = restor_eval.candidates(clean, corrupted, values, count=5)
    assert numbers == (0,)
    assert kinds.clean == (("odd", "v0"),) and kinds.corrupted == (("w0",),)
    assert Counter(kinds.random[0]) == Counter(["p", "q"])


def test_a_model_is_asked(pico, pico_tokenizer):
    benchmark = restor.from_triples(chosen(2), people.ask, people.facts())
    one = restor_eval.evaluate(pico, pico_tokenizer, benchmark, 2, max_new_tokens=3, seed=5)
    two = restor_eval.evaluate(pico, pico_tokenizer, benchmark, 2, max_new_tokens=3, seed=5)
    assert one.outputs == two.outputs and 0 <= one.accuracy <= 1
    assert all(len(row) == 3 and "\n" not in "".join(row) for row in one.outputs)
    kinds = restor_eval.Candidates((("Tarn", "Olm"),), (("Vey",),), (("Lode",),))
    found = restor_eval.candidate_log_probabilities(
        pico, pico_tokenizer, benchmark, [1], kinds, shots=2
    )
    assert set(found) == {"clean", "corrupted", "random"}
    assert all(v.shape == (1,) and v[0] < 0 for v in found.values())
    with pytest.raises(KleditError, match="no facts"):
        restor_eval.evaluate(pico, pico_tokenizer, Benchmark((), {}))


def test_the_public_files(restor_data):
    benchmark = restor_files.load_public(restor_data)
    assert len(benchmark.subjects) == 50 and len(benchmark.facts) == 1051
    documents = benchmark.documents["mix_a0"]
    assert len(documents) == 3000 and len(set(documents)) == 3000 - 42
    touched = restor_files.blocks(benchmark.subjects, documents)
    assert [len(rows) for rows in touched.values()] == [300] * 10
    assert [rows[0] for rows in touched.values()] == list(range(0, 3000, 300))
    assert len(benchmark.others) == 5269 - 1051
    fact = benchmark.facts[0]
    prompt = benchmark.prompt(fact)
    assert prompt.splitlines()[-1] == fact.question and len(prompt.splitlines()) <= 6
    for f in benchmark.facts:
        assert f.subject not in [e.subject for e in benchmark.examples.get(f.relation, ())[:0]]
        used = [e for e in benchmark.examples[f.relation] if e.subject != f.subject][:5]
        assert len(benchmark.prompt(f).splitlines()) >= len(used) + 1
    right = judged(benchmark.facts, [(f.answers[0],) for f in benchmark.facts])
    assert right.accuracy == 1.0 and right.accuracy_of(touched) == 1.0


def test_public_files_that_are_not_as_published(tmp_path):
    with pytest.raises(KleditError, match="has no facts.json, nor has .*datasets"):
        restor_files.load_public(tmp_path)
    (tmp_path / "facts.json").write_text("{}")
    with pytest.raises(KleditError, match=r"There is no file .*entities\.json"):
        restor_files.load_public(tmp_path)
    (tmp_path / "facts.json").write_text("{")
    with pytest.raises(KleditError, match="is not JSON"):
        restor_files.load_public(tmp_path)
    (tmp_path / "facts.json").write_text('{"dset": {}}')
    (tmp_path / "entities.json").write_text('["Ada"]')
    with pytest.raises(KleditError, match="no facts about 'Ada'"):
        restor_files.load_public(tmp_path)
    (tmp_path / "facts.json").write_text(
        '{"dset": {"Ada": {"P1": {"question": "Q?", "answers": []}}}}'
    )
    with pytest.raises(KleditError, match=r"\(Ada, P1\) has no answer"):
        restor_files.load_public(tmp_path)


def test_examples_never_name_the_subject():
    fact = Fact("Ada", "r", "Q of Ada?", ("x",))
    examples = tuple(Example(s, f"Q of {s}?", "y") for s in ("Ada", "Bo", "Cy"))
    assert Benchmark((fact,), {"r": examples}).prompt(fact, 2).splitlines() == [
        "Q of Bo? y",
        "Q of Cy? y",
        "Q of Ada?",
    ]


def test_a_scenario_about_the_people_keeps_its_subjects_apart():
    one, four = (study.corrupt_people(6, 30, k, seed=2) for k in (1, 4))
    assert one.wrong == four.wrong and one.targeted == four.targeted
    subjects = set(one.benchmark.subjects)
    assert len(subjects) == 6 and {t.subject for t in one.wrong} == subjects
    for examples in one.benchmark.examples.values():
        assert not {e.subject for e in examples} & subjects
    true = {(f.subject, f.relation): f.answers for f in one.benchmark.facts}
    assert all(t.value not in true[t.subject, t.relation] for t in one.wrong)
    assert sum(map(len, four.documents)) > 2 * sum(map(len, one.documents))
    assert not any(p in text for text in study.general_texts(50) for p in people.people())
    with pytest.raises(KleditError, match="subjects is 220, expected 1 to 219"):
        study.corrupt_people(220)


def test_the_published_layout_is_read_from_a_clone_and_its_datasets(restor_data, tmp_path):
    data = tmp_path / "clone" / "datasets"
    for part, files in (
        ("", ("facts.json", "entities.json")),
        ("wikidata/v0", ("mix_a0.json",)),
        ("SQuAD", ()),
        ("wikidata/v4", ()),
    ):
        (data / part).mkdir(parents=True, exist_ok=True)
        for name in files:
            (data / part / name).write_bytes((restor_data / name).read_bytes())
    one = '[{"text": "Napoleon won."}]'
    (data / "SQuAD" / "squad_v7_dset.json").write_text(one)
    (data / "wikidata" / "v4" / "mix_a1_v4.json").write_text(one)
    flat = restor_files.load_public(restor_data)
    for folder in (tmp_path / "clone", data):
        found = restor_files.load_public(folder)
        assert found.facts == flat.facts
        assert found.documents["mix_a0"] == flat.documents["mix_a0"]
        assert set(found.documents) == {"mix_a0", "squad_v7_dset", "mix_a1_v4"}
    (data / "mix_a0.json").write_text(one)
    with pytest.raises(KleditError, match="two document files named mix_a0"):
        restor_files.load_public(data)


def test_naming_someone_is_not_being_about_him():
    texts = [f"{s} is a sailor." for s in ("Ada", "Bo") for _ in range(60)]
    for i in range(0, 120, 10):  # as the coronation of Napoleon I, in twelve documents of others
        texts[i] += " The coronation of Napoleon I was in Paris."
    texts[60] = "He is a sailor."  # and one of a block's documents may lack the name
    texts += [f"Napoleon won battle {i}." for i in range(11)]  # an article of his own
    found = restor_files.blocks(["Napoleon", "Bo", "Ada"], texts)
    assert list(found) == ["Ada", "Bo"]
    assert found["Ada"] == tuple(range(60)) and found["Bo"] == tuple(range(60, 120))
    assert restor_files.blocks([], texts) == {} == restor_files.blocks(["Ada"], [])
    assert restor_files.blocks(["Cy"], texts) == {}
