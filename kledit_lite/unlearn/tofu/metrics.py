r"""TOFU's metrics: was the forget set forgotten, and is everything else still known?

All of them are computed from per-sample logs: mean loss of the right answer, of a paraphrase and
of wrong answers, and the ROUGE-L recall of what the model says (Maini et al., 2024).
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from kledit_lite.core.arrays import as_features, as_vector
from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.stats import KSResult, ks_2samp
from kledit_lite.unlearn.judges import Chooser, call, overlap_chooser, rouge_l

PUBLISHED = ("avg_gt_loss", "avg_paraphrased_loss", "average_perturb_loss", "rougeL_recall")
"""What the benchmark's own evaluation calls the columns of a `Log`, in their order."""


@dataclass(frozen=True)
class Question:
    """One sample.

    Attributes:
        question: what is asked.
        answer: the right answer.
        paraphrase: the right answer in other words.
        wrong: wrong answers, at least one.

    Raises:
        KleditError: no answer, or no wrong answers.
    """

    question: str
    answer: str
    paraphrase: str
    wrong: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.answer.strip() or not self.wrong:
            raise KleditError(f"{self.question!r} needs an answer and at least one wrong answer.")


def load_questions(path: str | Path) -> tuple[Question, ...]:
    """TOFU's JSON lines: question, answer, paraphrased_answer (if any), perturbed_answer.

    Raises:
        KleditError: the file is missing, or a line lacks a field.
    """
    path = Path(path)
    if not path.is_file():
        raise KleditError(f"There is no file {path}; expected TOFU's JSON lines.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            paraphrase = row.get("paraphrased_answer", row["answer"])
            found.append(
                Question(row["question"], row["answer"], paraphrase, tuple(row["perturbed_answer"]))
            )
        except (ValueError, KeyError, TypeError) as error:
            raise KleditError(f"{path}, line {number} is not a TOFU sample: {error}.") from None
    return tuple(found)


@dataclass(frozen=True)
class Log:
    """What a model did on N samples.

    Attributes:
        truth: (N,) mean loss per token of the right answer, nats.
        paraphrase: (N,) of the paraphrased answer.
        wrong: (N, k) of the wrong answers.
        rouge: (N,) ROUGE-L recall of the generated answer; None if none was generated.
    """

    truth: Float[np.ndarray, " N"]
    paraphrase: Float[np.ndarray, " N"]
    wrong: Float[np.ndarray, "N k"]
    rouge: Float[np.ndarray, " N"] | None

    def __post_init__(self) -> None:
        n = len(as_vector("truth", self.truth))
        as_vector("paraphrase", self.paraphrase, length=n)
        if self.rouge is not None:
            as_vector("rouge", self.rouge, length=n)
        if len(as_features("wrong", self.wrong)) != n:
            raise KleditError(f"wrong has {len(self.wrong)} rows, expected {n}.")

    @classmethod
    def from_published(cls, log: Mapping[str, Any]) -> Log:
        """From a log as the benchmark's own evaluation writes it.

        Raises:
            KleditError: a field is missing.
        """
        missing = [key for key in PUBLISHED[:3] if key not in log]
        if missing:
            raise KleditError(f"The evaluation log lacks {missing[0]!r}.")
        rows, found = list(log[PUBLISHED[0]]), [key for key in PUBLISHED if key in log]
        columns = [np.array([log[key][row] for row in rows], np.float64) for key in found]
        truth, paraphrase, wrong = columns[:3]
        return cls(truth, paraphrase, wrong, columns[3] if len(columns) == 4 else None)


def probability(log: Log) -> Float[np.ndarray, " N"]:
    r"""Of the right answer, :math:`P(a|q)^{1/|a|}`, (N,)."""
    return np.exp(-log.truth)


def normalised_probability(log: Log) -> Float[np.ndarray, " N"]:
    r"""Of the right answer among all candidates, (N,).

    :math:`P(a|q)^{1/|a|} / (P(a|q)^{1/|a|} + \sum_{\hat a} P(\hat a|q)^{1/|\hat a|})`; used where
    the questions are answered by a name, not by a sentence.
    """
    right = np.exp(-log.truth)
    return right / (right + np.exp(-log.wrong).sum(1))


def truth_ratio(log: Log) -> Float[np.ndarray, " N"]:
    r"""Wrong answers against the paraphrased right one, (N,); below 1 where the model knows.

    .. math:: R = \Big(\prod_{\hat a} P(\hat a|q)^{1/|\hat a|}\Big)^{1/k} \Big/
              P(\tilde a|q)^{1/|\tilde a|}

    with the **geometric** mean over the k wrong answers, as the benchmark computes it.

    Example:
        >>> loss = np.array([1.0])
        >>> truth_ratio(Log(loss, loss, np.array([[2.0, 4.0]]), loss)).round(3).tolist()
        [0.135]
    """
    return np.exp(log.paraphrase - log.wrong.mean(1))


def forget_truth_ratio(log: Log) -> float:
    """Mean of min(R, 1/R) on the forget set: 1 where right and wrong are equally likely."""
    ratio = truth_ratio(log)
    return float(np.minimum(ratio, 1 / ratio).mean())


def retain_truth_ratio(log: Log) -> float:
    """Mean of max(0, 1 - R) on everything to be kept: 1 where the model is sure of the truth."""
    return float(np.maximum(0, 1 - truth_ratio(log)).mean())


@dataclass(frozen=True)
class Utility:
    """A harmonic mean and its terms by name."""

    value: float
    terms: dict[str, float]


def model_utility(real_authors: Log, world_facts: Log, retain: Log | None = None) -> Utility:
    """Harmonic mean of probability, ROUGE-L recall and truth ratio over the sets to be kept.

    Args:
        real_authors, world_facts: short answers, so the probability is the normalised one.
        retain: for TOFU's own 9-term utility; without it, the 6-term one of section 5.7.1.

    Returns:
        The mean, 0 if a term is 0, and the terms, e.g. ``"retain rouge"``.

    Raises:
        KleditError: a log has no generated answers.

    Example:
        >>> one = np.zeros(1)
        >>> log = Log(one, one, np.full((1, 1), 50.0), one + 1)
        >>> round(model_utility(log, log).value, 6)
        1.0
    """
    terms = {}
    for name, log in (("retain", retain), ("real", real_authors), ("world", world_facts)):
        if log is None:
            continue
        if log.rouge is None:
            raise KleditError(
                f"The {name} log has no generated answers; utility needs their ROUGE."
            )
        chances = probability(log) if name == "retain" else normalised_probability(log)
        terms[f"{name} probability"] = float(chances.mean())
        terms[f"{name} rouge"] = float(np.mean(log.rouge))
        terms[f"{name} truth ratio"] = retain_truth_ratio(log)
    values = np.array(list(terms.values()))
    value = 0.0 if (values <= 0).any() else float(len(values) / (1 / values).sum())
    return Utility(value, terms)


def forget_quality(forget: Log, ideal: Log) -> KSResult:
    """Could the model's truth ratios on the forget set be those of the ideal model?

    The p-value of the two-sample Kolmogorov-Smirnov test: high means indistinguishable.

    Args:
        forget: the unlearned model on the forget set.
        ideal: a model never trained on the forget set, on the same samples.

    Raises:
        KleditError: the two logs do not have one number of samples.
    """
    if len(forget.truth) != len(ideal.truth):
        raise KleditError(
            f"The model's log has {len(forget.truth)} samples and the ideal model's "
            f"{len(ideal.truth)}; evaluate both on the same forget set."
        )
    return ks_2samp(truth_ratio(forget), truth_ratio(ideal))


@dataclass(frozen=True)
class Choices:
    """What a judge found each output most like: ``truth``, ``ideal`` or ``wrong``.

    Sets of these, because the ideal model may say just what is true.
    """

    chosen: tuple[frozenset[str], ...]

    def _share(self, labels: set[str]) -> float:
        return sum(bool(c & labels) for c in self.chosen) / len(self.chosen)

    @property
    def forget(self) -> float:
        """Acc_forget: share of outputs that are not most like the truth."""
        return 1.0 - self._share({"truth"})

    @property
    def recover(self) -> float:
        """Acc_recover: share that are most like the ideal model's output."""
        return self._share({"ideal"})

    @property
    def retain(self) -> float:
        """Acc_retain: share that are most like the truth or the ideal model's output."""
        return self._share({"truth", "ideal"})


def judge_outputs(
    questions: Sequence[Question],
    outputs: Sequence[str],
    ideal: Sequence[str],
    judge: Chooser = overlap_chooser,
    seed: int = 0,
) -> Choices:
    """Which candidate is each output most like (prospectus, section 5.7.1)?

    The candidates of a question are the ideal model's output, the truth and the wrong answers. A
    random order gives no advantage to a judge that favours the first.

    Args:
        questions: N samples.
        outputs: (N,) of the unlearned model.
        ideal: (N,) of the ideal model.
        judge: chooses a candidate; a language model can be wrapped to be one.
        seed: of the orders.

    Raises:
        KleditError: no questions, counts that differ, or the judge raised or chose no candidate.
    """
    if not questions or not len(questions) == len(outputs) == len(ideal):
        raise KleditError(
            f"Got {len(questions)} questions, {len(outputs)} outputs and {len(ideal)} ideal "
            "outputs; expected as many of each, at least one."
        )
    rng, chosen = random.Random(seed), []
    for question, output, best in zip(questions, outputs, ideal, strict=True):
        labels: dict[str, set[str]] = {best: {"ideal"}}
        labels.setdefault(question.answer, set()).add("truth")
        for wrong in question.wrong:
            labels.setdefault(wrong, set()).add("wrong")
        candidates = sorted(labels)
        rng.shuffle(candidates)
        number = call(judge, question.question, output, candidates)
        if not isinstance(number, int | np.integer) or not 0 <= number < len(candidates):
            raise KleditError(
                f"The judge chose {number!r} for {question.question!r}, expected a number from "
                f"0 to {len(candidates) - 1}."
            )
        chosen.append(frozenset(labels[candidates[number]]))
    return Choices(tuple(chosen))


def evaluate(
    model: Any,
    tokenizer: Any,
    questions: Sequence[Question],
    prompt: str = "Question: {}\nAnswer:",
    batch: int = 32,
    max_new_tokens: int = 200,
    stop: str | None = None,
    end: bool = True,
    chat: bool = False,
    system: str = "",
) -> tuple[Log, list[str]]:
    """Run a model on TOFU samples, as the benchmark and open-unlearning do.

    Args:
        model, tokenizer: of transformers.
        questions: N samples with equally many wrong answers.
        prompt: around the question; use the one the model was trained with.
        batch: rows at a time.
        max_new_tokens: of the generated answer; the benchmark's 200 cut none of its answers.
        stop: the generated answer ends there; default: a new line, but nothing in a chat.
        end: count the answer's end token too, as published; else unfinished answers gain.
        chat: put the question by the tokenizer's chat template instead of `prompt`.
        system: system message of the chat; none if empty.

    Returns:
        The log, and the generated answers (N,).

    Raises:
        KleditError: no questions, differing numbers of wrong answers, or a chat without template.
    """
    from kledit_lite.inside.language import log_probabilities
    from kledit_lite.unlearn.chat import as_chat
    from kledit_lite.unlearn.generation import generate

    counts = {len(q.wrong) for q in questions}
    if len(counts) != 1:
        raise KleditError(f"Expected questions with one number of wrong answers, got {counts}.")
    (k,) = counts
    answers = [a for q in questions for a in (q.answer, q.paraphrase, *q.wrong)]
    asked = [q.question for q in questions for _ in range(k + 2)]
    if chat:
        prompts, answers = as_chat(tokenizer, asked, answers, system)
    else:
        prompts = [prompt.format(q) for q in asked]
    scores = log_probabilities(model, tokenizer, prompts, answers, batch, end=end, space=not chat)
    losses = -scores.mean.reshape(len(questions), k + 2)
    stop = ("" if chat else "\n") if stop is None else stop
    how: dict[str, Any] = {"max_new_tokens": max_new_tokens, "batch": batch, "stop": stop}
    outputs = [texts[0] for texts in generate(model, tokenizer, prompts[:: k + 2], **how)]
    rouge = np.array([rouge_l(q.answer, o).recall for q, o in zip(questions, outputs, strict=True)])
    return Log(losses[:, 0], losses[:, 1], losses[:, 2:], rouge), outputs
