"""Subjects, their tokens and the end of a prompt."""

from __future__ import annotations

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import end_position, last_subject_position, subject_positions, words_of

PROMPT = "a red cat in the style of van gogh"


def test_van_gogh_is_two_tokens(tiny_tokenizer):
    assert words_of(tiny_tokenizer, PROMPT)[1:-1] == PROMPT.split()
    assert subject_positions(tiny_tokenizer, PROMPT, "van gogh") == [8, 9]
    assert last_subject_position(tiny_tokenizer, PROMPT, "van gogh") == 9
    assert last_subject_position(tiny_tokenizer, PROMPT) == 9


def test_the_end_is_found_by_id_whatever_the_padding(tiny_tokenizer, sd1_pipe):
    same = sd1_pipe.tokenizer
    assert same.pad_token_id == same.eos_token_id
    padded = same(PROMPT, padding="max_length")["input_ids"]
    assert padded.count(same.eos_token_id) > 1
    assert end_position(same, PROMPT) == end_position(tiny_tokenizer, PROMPT) == 10


def test_a_subject_that_is_not_there_lists_the_tokens(tiny_tokenizer):
    with pytest.raises(KleditError, match="'seurat' is not in the prompt .*'van', 'gogh'"):
        subject_positions(tiny_tokenizer, PROMPT, "seurat")
    with pytest.raises(KleditError, match="not in the prompt"):
        subject_positions(tiny_tokenizer, PROMPT, "")


def test_a_prompt_that_is_too_long(tiny_tokenizer):
    with pytest.raises(KleditError, match="the text encoder takes 28"):
        end_position(tiny_tokenizer, "red " * 30)


def test_the_last_mention_counts(tiny_tokenizer):
    assert (
        subject_positions(tiny_tokenizer, "a cat and a cat", "cat")[-1]
        == len(words_of(tiny_tokenizer, "a cat and a cat")) - 2
    )
