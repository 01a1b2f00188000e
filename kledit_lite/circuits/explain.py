"""A user's context and question, to an answer and the sentences that it comes from."""

from __future__ import annotations

import html as markup
import re
import time
from typing import TYPE_CHECKING, Any

from kledit_lite.circuits.attribute import Attribution, Head, attribute, choose_head, looks
from kledit_lite.circuits.prompts import lay_out
from kledit_lite.circuits.questions import Questions, ask
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import read_lines, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.residual import open_decoder

if TYPE_CHECKING:
    from kledit_lite.circuits.command import AttributeOptions
    from kledit_lite.models.scenarios.reading import Reading

CHOICE = 10
"""Questions on which the head is chosen."""


def explain(options: AttributeOptions) -> Results:
    """Answer a question from a context and rank the context's sentences.

    Raises:
        KleditError: no such model; an empty context, a sentence that stands twice, or more tokens
            than the model takes; a head that is not there.
    """
    start = time.perf_counter()
    sentences = read_lines(options.context)
    scenario = _open(options.model)
    model, tokenizer = scenario.model, scenario.tokenizer
    longest = getattr(model.config, "max_position_embeddings", None)
    laid = lay_out(tokenizer, sentences, options.question, scenario.form, longest)
    head = _named(options.head, model) if options.head else _chosen(scenario, options.seed)
    found = attribute(model, tokenizer, laid, head, options.answer, options.tokens)
    if options.html:
        write_atomically(options.html, page(found, options.question).encode())
    ranked = [found.scores[i] for i in found.order]
    figures = {
        "sentences": len(ranked),
        "highest": ranked[0],
        "margin": ranked[0] - (ranked[1] if len(ranked) > 1 else 0.0),
    }
    if not options.head:
        figures |= {"head_right": head.accuracy, "head_entropy": head.entropy}
    rows = [
        {"number": i + 1, "score": found.scores[i], "sentence": found.sentences[i]}
        for i in found.order
    ]
    return Results(
        "attribute",
        figures,
        {},
        context(seed=options.seed, seconds=time.perf_counter() - start),
        {
            "answer": found.answer,
            "head": f"{head.layer}.{head.head}",
            "sentences": rows,
            "model": scenario.source,
        },
    )


def _open(name: str | None) -> Reading:
    from kledit_lite.core.slots import current
    from kledit_lite.models.scenarios.reading import over, reading
    from kledit_lite.models.writers import open_writer

    if name is None:
        return reading()
    return over(open_writer(name), name, current().name)


def _named(text: str, model: Any) -> Head:
    opened = open_decoder(model)
    parts = re.fullmatch(r"(\d+)\.(\d+)", text)
    if not parts or int(parts[1]) >= len(opened.blocks) or int(parts[2]) >= opened.heads:
        raise KleditError(
            f"There is no head {text!r}; write LAYER.HEAD, from 0.0 to "
            f"{len(opened.blocks) - 1}.{opened.heads - 1} for this model."
        )
    return Head(int(parts[1]), int(parts[2]), float("nan"), float("nan"))


def _chosen(scenario: Reading, seed: int) -> Head:
    """The best head on questions whose passage states something new about nobody known."""
    import random

    rng = random.Random(seed)
    passages = [scenario.passage(rng, "new", None, False) for _ in range(4 * CHOICE)]
    laid, said = ask(scenario, passages)
    right = [i for i, p in enumerate(passages) if scenario.right(said[i], p.answer)][:CHOICE]
    if not right and scenario.learned:
        raise KleditError(
            f"The model answered none of {len(passages)} questions from their passage, so no head "
            "can be chosen; name one with --head."
        )
    rows = right or list(range(CHOICE))
    asked = Questions(tuple(passages), tuple(laid), len(right) / len(passages))[rows]
    seen = looks(scenario.model, scenario.tokenizer, asked.laid, asked.answers, "all")
    return choose_head(seen, asked.sources)


def page(found: Attribution, question: str) -> str:
    """The context as a page of its own, each sentence tinted by its score.

    Args:
        found: Of `kledit_lite.circuits.attribute.attribute`.
        question: What was asked.

    Example:
        >>> head = Head(0, 1, 1.0, 0.0)
        >>> "<mark" in page(Attribution("a <b>", ("Ada.",), (0.5,), head), "Who?")
        True
    """
    high = max(found.scores) or 1.0
    marks = "\n".join(
        f'<mark style="background: rgb(11 106 168 / {0.6 * score / high:.2f})" '
        f'title="{score:.3f}">{markup.escape(sentence)}</mark>'
        for sentence, score in zip(found.sentences, found.scores, strict=True)
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Attribution</title>\n'
        "<style>body{font:1rem/1.6 sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}"
        "mark{color:inherit;padding:.1em 0}</style>\n"
        f"<p>{markup.escape(question)}</p>\n<p><strong>{markup.escape(found.answer)}</strong></p>\n"
        f"<p>{marks}</p>\n<p><small>head {found.head.layer}.{found.head.head}</small></p>\n"
    )
