"""TOFU's metrics on the published logs, and on cases small enough to work out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kledit_lite import cli
from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.judges import rouge_l
from kledit_lite.unlearn.tofu import authors
from kledit_lite.unlearn.tofu import command as tofu_command
from kledit_lite.unlearn.tofu import logs as tofu_logs
from kledit_lite.unlearn.tofu import metrics as tofu
from kledit_lite.unlearn.tofu.metrics import Log, Question
from kledit_lite.world.people import facts, people

LOGS = {
    "retain": "eval_log.json",
    "forget": "eval_log_forget.json",
    "authors": "eval_real_author_wo_options.json",
    "world": "eval_real_world_wo_options.json",
}


@pytest.fixture(scope="module")
def published(tofu_data):
    return {
        name: json.loads((tofu_data / f"phi_{name}_eval_log.json").read_text())
        for name in ("full", "retain90")
    }


def golden_log(model, part):
    """The numbers of a published log, rounded to 1/4000: see golden/README.md."""
    with np.load(Path(__file__).parent / "golden" / "tofu_phi.npz") as file:
        rows = file[f"{model}_{part}"] / 4000
    return Log(rows[:, 0], rows[:, 1], rows[:, 3:], rows[:, 2])


def utility(model, retain=True):
    parts = ["authors", "world", *["retain"] * retain]
    return tofu.model_utility(*(golden_log(model, part) for part in parts))


def test_the_golden_numbers_are_the_published_ones(published):
    for model, raw in published.items():
        for part, name in LOGS.items():
            ours, theirs = golden_log(model, part), Log.from_published(raw[name])
            for field in ("truth", "paraphrase", "wrong", "rouge"):
                gap = np.abs(getattr(ours, field) - getattr(theirs, field)).max()
                assert gap <= 0.000126, (model, part, field)


@pytest.mark.parametrize(("name", "golden"), [("full", 0.5221), ("retain90", 0.5320)])
def test_golden_model_utility(name, golden):
    found = utility(name)
    assert found.value == pytest.approx(golden, abs=5e-5) and len(found.terms) == 9
    six = utility(name, retain=False)
    assert len(six.terms) == 6 and six.value < found.value
    assert six.value == pytest.approx(stats.hmean(list(six.terms.values())), rel=1e-12)


@pytest.mark.parametrize(("name", "golden"), [("full", 0.4834), ("retain90", 0.6288)])
def test_golden_truth_ratio_is_geometric(name, golden):
    log = golden_log(name, "forget")
    assert tofu.forget_truth_ratio(log) == pytest.approx(golden, abs=5e-5)
    arithmetic = np.exp(-log.wrong).mean(1) / np.exp(-log.paraphrase)
    assert abs(np.minimum(arithmetic, 1 / arithmetic).mean() - golden) > 0.005


def test_published_truth_ratios_are_ours(published):
    for raw in published.values():
        ours = tofu.truth_ratio(Log.from_published(raw[LOGS["forget"]]))
        logged = np.array(list(raw[LOGS["forget"]]["truth_ratio"].values()))
        np.testing.assert_allclose(np.sort(1 / ours), np.sort(1 / logged), rtol=1e-4)


def test_golden_forget_quality_is_scipys():
    full, ideal = (golden_log(n, "forget") for n in ("full", "retain90"))
    assert len(full.truth) == 300
    found = tofu.forget_quality(full, ideal)
    assert found.p == pytest.approx(2.19e-16, rel=5e-3)
    expected = stats.ks_2samp(tofu.truth_ratio(full), tofu.truth_ratio(ideal))
    assert found.p == expected.pvalue and found.statistic == expected.statistic
    assert tofu.forget_quality(ideal, ideal).p == 1.0


def test_published_rouge_recalls_are_ours(published):
    for log in published["full"].values():
        for key, (_, output, truth) in list(log["generated_text"].items())[:60]:
            found = rouge_l(truth, output.removeprefix("Answer:"))
            assert found.recall == pytest.approx(log["rougeL_recall"][key], abs=1e-9) or (
                rouge_l(truth, output).recall == pytest.approx(log["rougeL_recall"][key], abs=1e-9)
            )


WORDS = st.lists(st.sampled_from(["a", "be", "cat7"]), max_size=9)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS, st.booleans())
def test_rouge_l_is_the_longest_common_subsequence_by_the_table(a, b, stem):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            same = table[i - 1, j - 1] + 1
            table[i, j] = same if x == y else max(table[i - 1, j], table[i, j - 1])
    found, common = rouge_l(" ".join(a), ", ".join(b).upper(), stem), int(table[-1, -1])
    assert found.recall == (common / len(a) if common else 0)
    assert found.precision == (common / len(b) if common else 0)
    assert found.fmeasure == pytest.approx(2 * common / (len(a) + len(b)) if common else 0)


def test_rouge_l_stems_long_words_only_and_drops_other_letters():
    assert rouge_l("singing lutes", "sings lute").recall == 1.0
    assert rouge_l("singing lutes", "sings lute", stem=False).recall == 0.0
    assert rouge_l("was his", "wa hi").recall == 0.0  # three letters stay as they are
    assert rouge_l("Caf\u00e9-noir, 1602!", "caf noir 1602").fmeasure == 1.0


def test_by_hand():
    log = Log(
        truth=np.array([0.0, np.log(2)]),
        paraphrase=np.array([0.0, np.log(4)]),
        wrong=np.log([[2.0, 8.0], [1.0, 1.0]]),
        rouge=np.array([1.0, 0.5]),
    )
    np.testing.assert_allclose(tofu.probability(log), [1, 0.5])
    np.testing.assert_allclose(tofu.normalised_probability(log), [1 / 1.625, 0.5 / 2.5])
    np.testing.assert_allclose(tofu.truth_ratio(log), [0.25, 4.0])
    assert tofu.forget_truth_ratio(log) == pytest.approx(0.25)
    assert tofu.retain_truth_ratio(log) == pytest.approx(0.375)
    dead = Log(log.truth, log.paraphrase, log.wrong, np.zeros(2))
    assert tofu.model_utility(dead, log).value == 0.0


QUESTIONS = [
    Question("Where was Ada born?", "in Tarn", "Tarn", ("in Olm", "in Vey")),
    Question("Where was Bo born?", "in Sarn", "Sarn", ("in Olm", "in Vey")),
    Question("Where was Cy born?", "in Lode", "Lode", ("in Olm", "in Vey")),
]


def test_judged_accuracies():
    ideal = ["near Quill", "in Sarn", "unknown"]
    said = tofu.judge_outputs(QUESTIONS, ["near Quill", "in Sarn", "in Lode"], ideal)
    assert said.recover == pytest.approx(2 / 3) and said.retain == 1.0
    assert said.forget == pytest.approx(1 / 3)
    wrong = tofu.judge_outputs(QUESTIONS, ["in Olm"] * 3, ideal)
    assert (wrong.forget, wrong.recover, wrong.retain) == (1.0, 0.0, 0.0)


def test_candidates_come_in_random_order_and_seeds_repeat():
    seen = []

    def first(question, output, candidates):
        seen.append(tuple(candidates))
        return 0

    one = tofu.judge_outputs(QUESTIONS, ["x"] * 3, ["y"] * 3, first, seed=1)
    two = tofu.judge_outputs(QUESTIONS, ["x"] * 3, ["y"] * 3, first, seed=1)
    assert one == two and seen[:3] == seen[3:]
    orders = {tofu.judge_outputs(QUESTIONS, ["x"] * 3, ["y"] * 3, first, seed=s) for s in range(20)}
    assert len(orders) > 1


def test_bad_input_is_one_sentence(tmp_path):
    def angry(question, output, candidates):
        raise RuntimeError("no credit left")

    for call, message in [
        (lambda: tofu.judge_outputs([], [], []), "Got 0 questions"),
        (lambda: tofu.judge_outputs(QUESTIONS, ["x"], ["y"] * 3), "1 outputs"),
        (
            lambda: tofu.judge_outputs(QUESTIONS, ["x"] * 3, ["y"] * 3, angry),
            "judge angry failed on the question .Where was Ada born..: RuntimeError: no credit",
        ),
        (lambda: tofu.judge_outputs(QUESTIONS, ["x"] * 3, ["y"] * 3, lambda *_: 9), "chose 9 for"),
        (lambda: Question("Q?", " ", "p", ("w",)), "needs an answer"),
        (lambda: tofu.load_questions(tmp_path / "no.json"), "There is no file"),
        (lambda: Log.from_published({}), "lacks 'avg_gt_loss'"),
    ]:
        with pytest.raises(KleditError, match=message):
            call()
    (tmp_path / "bad.json").write_text('{"question": "Q?"}\n')
    with pytest.raises(KleditError, match="line 1 is not a TOFU sample"):
        tofu.load_questions(tmp_path / "bad.json")


def test_published_questions_load(tofu_data):
    for name, count in (("real_authors", 100), ("world_facts", 117)):
        found = tofu.load_questions(tofu_data / f"{name}_perturbed.json")
        assert len(found) == count and all(len(q.wrong) == 3 for q in found)


def loss_of(model, ids, prompt):
    """transformers' own loss on what follows the first `prompt` tokens."""
    import torch

    labels = torch.tensor([[-100] * prompt + ids[prompt:]])
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), labels=labels).loss.item()


@pytest.mark.parametrize("end", [True, False])
def test_evaluating_a_model_agrees_with_its_own_loss(pico, pico_tokenizer, end):
    log, outputs = tofu.evaluate(
        pico, pico_tokenizer, QUESTIONS, batch=4, max_new_tokens=3, **({} if end else {"end": end})
    )
    assert log.wrong.shape == (3, 2) and len(outputs) == 3
    prompt = [0, *pico_tokenizer("Question: Where was Bo born?\nAnswer:")["input_ids"]]
    last = [pico_tokenizer.eos_token_id] if end else []
    for found, answer in ((log.truth[1], " in Sarn"), (log.wrong[1, 1], " in Vey")):
        ids = [*prompt, *pico_tokenizer(answer)["input_ids"], *last]
        assert found == pytest.approx(loss_of(pico, ids, len(prompt)), rel=1e-5)


def test_answers_may_be_long(pico, pico_tokenizer, monkeypatch):
    from kledit_lite.unlearn import generation

    asked = []
    generate = generation.generate
    monkeypatch.setattr(
        generation, "generate", lambda *a, **k: asked.append(k) or generate(*a, **k)
    )
    tofu.evaluate(pico, pico_tokenizer, QUESTIONS[:1], stop="", batch=4)
    assert asked[0]["max_new_tokens"] == 200 and asked[0]["stop"] == ""


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_chat_is_scored_as_its_template_writes_it(pico, pico_tokenizer):
    tokenizer = pico_tokenizer.__class__.from_pretrained(pico_tokenizer.name_or_path)
    with pytest.raises(KleditError, match="no chat template; give a prompt"):
        tofu.evaluate(pico, tokenizer, QUESTIONS, chat=True)
    tokenizer.chat_template = TEMPLATE
    log, _ = tofu.evaluate(
        pico, tokenizer, QUESTIONS, chat=True, system="Be brief.", max_new_tokens=2
    )
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": QUESTIONS[2].question},
    ]
    prompt = tokenizer(
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    )["input_ids"]
    chat.append({"role": "assistant", "content": QUESTIONS[2].answer})
    whole = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False))["input_ids"]
    assert whole[: len(prompt)] == prompt and whole.count(0) == 4  # one start, three ends
    assert log.truth[2] == pytest.approx(loss_of(pico, whole, len(prompt)), rel=1e-5)


def test_a_start_token_that_is_markup_is_not_put_before_plain_text(pico_tokenizer):
    from kledit_lite.inside.language import token_rows

    tokenizer = pico_tokenizer.__class__.from_pretrained(pico_tokenizer.name_or_path)
    assert token_rows(tokenizer, ["Ada."]).ids[0, 0] == 0
    tokenizer.chat_template = TEMPLATE  # of a tokenizer that does not put its start token itself
    assert token_rows(tokenizer, ["Ada."]).ids[0, 0] != 0
    assert token_rows(tokenizer, [tokenizer.bos_token + "Ada."]).ids[0].tolist().count(0) == 1


def test_forget_quality_refuses_another_forget_set():
    log = golden_log("full", "forget")
    short = Log(log.truth[:40], log.paraphrase[:40], log.wrong[:40], log.rouge[:40])
    with pytest.raises(KleditError, match="300 samples and the ideal model's 40"):
        tofu.forget_quality(log, short)


def as_open_unlearning(logs):
    """The same figures as open-unlearning's TOFU_EVAL.json holds them."""
    out = {}
    for name, short in tofu_logs.OPEN_UNLEARNING.items():
        log = logs[name]
        columns = {"Q_A_Prob": log.truth, "Q_A_PERT_Prob": log.wrong}
        if name in ("forget", "retain"):
            columns["Q_A_PARA_Prob"] = log.paraphrase
        for metric, losses in columns.items():
            rows = {
                str(i): {"prob": np.exp(-x).tolist(), "avg_loss": x.tolist()}
                for i, x in reversed(list(enumerate(losses)))
            }
            out[f"{short}_{metric}"] = {"agg_value": 0.5, "value_by_index": rows}
        rows = {
            str(i): {"rougeL_recall": float(x), "rougeL_f1": 0.0} for i, x in enumerate(log.rouge)
        }
        out[f"{short}_Q_A_ROUGE"] = {"agg_value": 0.5, "value_by_index": rows}
    return out


def test_three_kinds_of_evaluation_files_say_the_same(tofu_data, tmp_path):
    first = tofu_data / "phi_full_eval_log.json"
    logs = tofu_logs.load_logs(first)
    assert set(logs) == set(tofu_logs.SETS)
    other, own = tmp_path / "TOFU_EVAL.json", tmp_path / "own.json"
    raw = as_open_unlearning(logs)
    other.write_text(json.dumps(raw))
    tofu_logs.save_logs(own, logs)
    ideal = tofu_data / "phi_retain90_eval_log.json"
    one, two, three = (
        tofu_command.run(tofu_command.TofuOptions(log=f, ideal=ideal)).figures
        for f in (first, other, own)
    )
    assert three == one and one["model_utility_9"] == pytest.approx(0.5221, abs=5e-5)
    assert one["forget_quality"] == pytest.approx(2.19e-16, rel=5e-3) and one["forget_n"] == 300
    # open-unlearning keeps no paraphrase of the short answers: the answer is its own
    same = [k for k in one if not k.startswith(("real_truth", "world_truth", "model_utility"))]
    assert [two[k] for k in same] == pytest.approx([one[k] for k in same], rel=1e-12)
    del raw["ra_Q_A_ROUGE"], raw["forget_Q_A_PARA_Prob"], raw["forget_Q_A_Prob"]
    other.write_text(json.dumps(raw))
    with pytest.raises(KleditError, match="not an evaluation of TOFU: KeyError 'forget_Q_A_PARA"):
        tofu_logs.load_logs(other)
    for text, message in (("[]", "TypeError a list"), ("{}", "holds neither eval_log_forget")):
        other.write_text(text)
        with pytest.raises(KleditError, match=message):
            tofu_logs.load_logs(other)


def test_the_command_evaluates_a_model(pico, pico_tokenizer, tmp_path, capsys):
    model, asked, out = tmp_path / "model", tmp_path / "q.json", tmp_path / "new" / "eval.json"
    pico.save_pretrained(model)
    pico_tokenizer.save_pretrained(model)
    rows = [
        {
            "question": q.question,
            "answer": q.answer,
            "paraphrased_answer": q.paraphrase,
            "perturbed_answer": q.wrong,
        }
        for q in QUESTIONS
    ]
    asked.write_text("\n".join(map(json.dumps, rows)))
    command = ["tofu", "--model", str(model), "--forget", str(asked), "--out", str(out), "--json"]
    assert cli.main(command) == 0
    found = json.loads(capsys.readouterr().out)
    log, _ = tofu.evaluate(pico, pico_tokenizer, QUESTIONS)
    assert found["figures"]["forget_n"] == 3
    assert found["figures"]["forget_probability"] == pytest.approx(tofu.probability(log).mean())
    assert cli.main(["tofu", "--log", str(out), "--ideal", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["forget_quality"] == 1.0
    for wrong, message in (
        (["tofu"], "Give either --model"),
        (["tofu", "--model", "x"], "A model needs questions"),
        (["tofu", "--log", str(out), "--real", str(asked)], "leave the files of questions out"),
        (["tofu", "--model", "x", "--real", str(asked), "--prompt", "Q"], "no {} where"),
        (["tofu", "--log", str(tmp_path / "no")], "There is no file"),
    ):
        assert cli.main(wrong) == 2
        assert message in capsys.readouterr().err


def test_the_small_tofu_asks_about_forty_authors():
    every = authors.questions(facts("authors"))
    assert len(every) > 200 and all(len(q.wrong) == 3 for q in every)
    assert len(people("authors")) == 40
    for q in every[:40]:
        assert q.answer != q.paraphrase and q.answer not in q.wrong and q.paraphrase not in q.wrong
        assert len({q.paraphrase, *q.wrong}) == 4
    known = authors.known_questions("people", 20)
    assert len(known) == 20 and known == authors.known_questions("people", 20)
    assert all(q.answer == q.paraphrase and q.answer not in q.wrong for q in known)
