"""Questions and answers as a tokenizer's chat template writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kledit_lite.core.errors import KleditError


def as_chat(
    tokenizer: Any, questions: Sequence[str], answers: Sequence[str], system: str = ""
) -> tuple[list[str], list[str]]:
    """Prompts up to where the assistant speaks, and what the template makes of each answer.

    The answer's part holds whatever the template writes behind it, its end token first of all,
    so that the two together are the whole chat and nothing is to be put between them.

    Args:
        tokenizer: of transformers, with a chat template.
        questions, answers: one answer per question.
        system: first message; none if empty.

    Raises:
        KleditError: the tokenizer has no chat template, or one that writes an answered question
            otherwise than an open one.

    Example:
        >>> class Plain:
        ...     chat_template = "some"
        ...     def apply_chat_template(self, chat, tokenize, add_generation_prompt=False):
        ...         text = "".join(f"<{m['role']}>{m['content']}</>" for m in chat)
        ...         return text + "<assistant>" * add_generation_prompt
        >>> as_chat(Plain(), ["Who?"], ["Ada."])
        (['<user>Who?</><assistant>'], ['Ada.</>'])
    """
    if not getattr(tokenizer, "chat_template", None):
        raise KleditError("The tokenizer has no chat template; give a prompt instead.")
    first = [{"role": "system", "content": system}] if system else []
    prompts, ends = [], []
    for question, answer in zip(questions, answers, strict=True):
        asked = [*first, {"role": "user", "content": question}]
        said = [*asked, {"role": "assistant", "content": answer}]
        prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(said, tokenize=False)
        if not whole.startswith(prompt):
            raise KleditError(
                "The chat template writes an answered question otherwise than an open one, so "
                "answers cannot be scored with it; give a prompt instead."
            )
        prompts.append(prompt)
        ends.append(whole[len(prompt) :])
    return prompts, ends
