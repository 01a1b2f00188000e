"""Other ways to say where an answer comes from, and how an attribution is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.circuits.prompts import Laid, lay_out, with_answers
from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read
from kledit_lite.inside.language import scores_of_rows, token_log_probs

if TYPE_CHECKING:
    from jaxtyping import Float


def without_sentence(tokenizer: Any, laid: Laid, sentence: int) -> Laid:
    """The same prompt without one sentence.

    Args:
        tokenizer: Of transformers.
        laid: The prompt.
        sentence: Its number.

    Raises:
        KleditError: no such sentence.
    """
    if not 0 <= sentence < len(laid.sentences):
        raise KleditError(f"Sentences are numbered 0 to {len(laid.sentences) - 1}; got {sentence}.")
    rest = [s for i, s in enumerate(laid.sentences) if i != sentence]
    return lay_out(tokenizer, rest, laid.question, laid.form)


def log_probability(
    model: Any, tokenizer: Any, laid: Sequence[Laid], answers: Sequence[str], batch: int = 64
) -> Float[np.ndarray, " N"]:
    """log p of each answer after its prompt, the sum over its tokens, (N,).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        laid: N prompts.
        answers: N answers.
        batch: Prompts at a time.
    """
    return scores_of_rows(model, with_answers(tokenizer, laid, answers), batch).total


def leave_one_out(
    model: Any, tokenizer: Any, laid: Sequence[Laid], answers: Sequence[str]
) -> Float[np.ndarray, "N S"]:
    """``log p(R | C) - log p(R | C without s)`` of every sentence: (N, S).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        laid: N prompts of S sentences.
        answers: N answers.

    Returns:
        Positive where the sentence speaks for the answer. S + 1 forward passes.
    """
    whole = log_probability(model, tokenizer, laid, answers)
    found = [
        whole
        - log_probability(
            model, tokenizer, [without_sentence(tokenizer, p, s) for p in laid], answers
        )
        for s in range(len(laid[0].spans))
    ]
    return np.stack(found, 1)


def relative_change(left_out: Float[np.ndarray, "N S"], whole: Float[np.ndarray, " N"]) -> Any:
    """The published metric: ``|log p(R|C) - log p(R|C-S)| / |log p(R|C-S)|`` (11.18), (N, S).

    It hides in which direction the probability moved, and comes to 1 for every sentence that is
    needed at all where the answer was certain before: it says that a sentence matters, and hardly
    how much.

    Args:
        left_out: Of `leave_one_out`.
        whole: Of `log_probability`.
    """
    rest = whole[:, None] - left_out
    return np.abs(left_out) / np.maximum(np.abs(rest), 1e-12)


def gradient_norms(
    model: Any, tokenizer: Any, laid: Sequence[Laid], answers: Sequence[str]
) -> Float[np.ndarray, "N S"]:
    """Largest norm of the gradient of log p(answer) by an embedded token, per sentence, (N, S).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        laid: N prompts.
        answers: N answers.
    """
    import torch

    rows = with_answers(tokenizer, laid, answers).to(model.device)
    table = model.get_input_embeddings()
    with torch.enable_grad(), read(model, [table]) as seen:
        logits = model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).logits
        said = token_log_probs(logits, rows.labels)[0].sum()
        (grad,) = torch.autograd.grad(said, seen[table])
    size = grad.float().norm(dim=-1).cpu()
    return np.stack([[float(size[i, a:b].max()) for a, b in p.spans] for i, p in enumerate(laid)])


def similarity(
    model: Any, tokenizer: Any, laid: Sequence[Laid], answers: Sequence[str]
) -> Float[np.ndarray, "N S"]:
    """Cosine of each sentence with question and answer, both as mean embedded tokens: (N, S).

    Stands for the published self-attribution, where a model names its sentence in words and the
    most similar sentence counts; a small model names none.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        laid: N prompts.
        answers: N answers.
    """
    table = model.get_input_embeddings().weight.detach().float().cpu().numpy()
    table = table - table.mean(0)

    def embed(text: str) -> np.ndarray:
        return table[tokenizer(text, add_special_tokens=False)["input_ids"]].mean(0)

    found = []
    for p, answer in zip(laid, answers, strict=True):
        rows = unit_rows(np.stack([embed(s) for s in p.sentences]))
        found.append(rows @ unit_rows(embed(f"{p.question} {answer}")[None])[0])
    return np.stack(found)
