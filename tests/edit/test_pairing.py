"""Which tokens stand for which: named, told by comparison, or refused; and always said."""

from typing import Any

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.edit import Concept, Edit, locoedit, neuron_scores, solve, token_pairs

SOURCE = "a red boat on the beach in the style of mondrian"
TARGET = "a photo of a red boat on the beach"


def words(edit: Edit) -> list[tuple[str, str, int]]:
    return [(p["source"], p["target"], p["prompts"]) for p in edit.paired]


@pytest.mark.parametrize("named", [(), ("mondrian",), ("mondrian", "photo")])
def test_without_names_the_words_that_differ_are_paired(pipe: Any, named: tuple[str, ...]) -> None:
    edit = locoedit(pipe, Concept((SOURCE,), (TARGET,), *named), [8])
    assert words(edit) == [("mondrian", "photo", 1)]  # not the target's last word, "beach"
    assert (
        str(edit)
        == repr(edit)
        == ("locoedit of 2 matrices; paired mondrian with photo (1 prompts)")
    )


def test_small_words_are_no_subjects(pipe: Any) -> None:
    edit = locoedit(pipe, Concept(("a cat by seurat",), ("a photo of a cat",)), [8])
    assert words(edit) == [("seurat", "photo", 1)]
    with pytest.raises(KleditError, match="name its target_subject"):
        locoedit(pipe, Concept(("a cat by seurat",), ("this is a cat",)), [8])


def test_words_of_several_tokens_are_compared_whole(pipe: Any) -> None:
    town, other = "a photo of the mascot of velmora {}", "a photo of the mascot of brindle {}"
    pairs = [(town.format(p), other.format(p)) for p in ("in the city", "on the moon")]
    concept = Concept(*map(tuple, zip(*pairs, strict=True)))
    named = Concept(concept.sources, concept.targets, "velmora", "brindle")
    for tokens in ("last-subject", "to-padding"):
        told, said = (token_pairs(pipe.tokenizer, [c], tokens, 20) for c in (concept, named))
        assert told == said


def test_nothing_to_tell_the_subject_by_is_refused(pipe: Any) -> None:
    concept = Concept((SOURCE,), ("a red boat on the beach",), "mondrian")
    with pytest.raises(KleditError, match="has no word that .* lacks.*name its target_subject"):
        locoedit(pipe, concept, [8])
    named = Concept(concept.sources, concept.targets, "mondrian", "boat")
    assert words(locoedit(pipe, named, [8])) == [("mondrian", "boat", 1)]


def test_what_follows_the_subjects_is_counted_from_the_end(pipe: Any) -> None:
    concept = Concept((SOURCE,), (TARGET,))
    pairs = token_pairs(pipe.tokenizer, [concept], "to-padding", 20)
    assert [(p.source, p.target) for p in pairs[:3]] == [(11, 2), (12, 10), (13, 11)]
    assert (pairs[-1].source, pairs[-1].target) == (19, 17)
    to_end = token_pairs(pipe.tokenizer, [concept], "to-end", 20)
    assert [(p.source, p.target) for p in to_end] == [(11, 2), (12, 10)]


def test_aligned_says_all_pairs_those_that_differ_first(pipe: Any) -> None:
    same = words(solve(pipe, Concept((SOURCE,), (TARGET,)), "time", layers=[8]))
    assert ("boat", "boat", 1) in same and all(a == b for a, b, _ in same)
    edit = solve(pipe, Concept(("a red boat", "a red cat"), ("a blue boat", "a blue cat")), "time")
    assert words(edit)[0] == ("red", "blue", 2) and ("cat", "cat", 1) in words(edit)


def test_pairs_survive_saving(pipe: Any, tmp_path: Any) -> None:
    edit = locoedit(pipe, Concept((SOURCE,), (TARGET,)), [8])
    assert words(Edit.load(edit.save(tmp_path / "e.safetensors"))) == words(edit)


def test_neuron_scores_say_which_tokens_they_read(pipe: Any) -> None:
    scores = neuron_scores(pipe, [SOURCE] * 2, [TARGET] * 2, [8])
    assert scores.read == ({"mondrian": 2}, {"beach": 2})
