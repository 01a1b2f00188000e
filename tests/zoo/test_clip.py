"""clip-tiny: tokenizer, encoders and the transformers export agree with open_clip."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.world import balanced, vocabulary
from kledit_lite.zoo.measure import evaluate, factor_head, factor_hits
from kledit_lite.zoo.recipes.clip import build_tokenizer
from kledit_lite.zoo.tokenizer import (
    CONTEXT,
    UnknownWordWarning,
    load_tokenizer,
    tokenize,
    unknown_words,
)
from kledit_lite.zoo.untrained import untrained_clip

TEXTS = ["a red cat on the beach in the style of seurat", "pim", "a zebra", "the mascot of velmora"]


@pytest.fixture(scope="module")
def clip():
    return zoo.load_clip("clip-tiny")


def test_every_word_of_the_world_is_one_token(clip) -> None:
    tokenizer = load_tokenizer(clip.tokenizer)
    for text in vocabulary(pairs=True)[::50]:
        assert len(tokenizer(text)["input_ids"]) == len(text.split()) + 2


def test_the_tokenizer_is_rebuilt_to_the_same_files(clip, tmp_path: Path) -> None:
    build_tokenizer(vocabulary(pairs=True), tmp_path, CONTEXT)
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (clip.tokenizer / name).read_bytes()


def test_end_token_has_the_highest_id_and_fills_the_rest(clip) -> None:
    tokens = tokenize(TEXTS, clip.tokenizer, quiet=True)
    tokenizer = load_tokenizer(clip.tokenizer)
    assert tokens.shape == (4, CONTEXT)
    assert tokenizer.eos_token_id == len(tokenizer) - 1 == int(tokens.max())
    assert (tokens[:, 0] == tokenizer.bos_token_id).all()
    assert (tokens[:, -1] == tokenizer.eos_token_id).all()


def test_long_text_and_bare_string_are_refused(clip) -> None:
    with pytest.raises(KleditError, match=f"the encoder takes {CONTEXT}"):
        clip.encode_text(["a red cat " * 20])
    with pytest.raises(KleditError, match="list of texts"):
        clip.encode_text("a red cat")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a red creature beside a Vehicle", ["creature", "beside", "Vehicle"]),
        ("A café, a zebra and a zebra", ["café", "zebra"]),
        ("an x", ["x"]),
        ("A red Cat, on the beach.", []),
        ("", []),
    ],
)
def test_words_that_are_no_token_are_unknown(clip, text: str, words: list[str]) -> None:
    assert unknown_words([text], load_tokenizer(clip.tokenizer)) == [words]


def test_no_word_of_the_world_is_unknown(clip) -> None:
    found = unknown_words(vocabulary(), load_tokenizer(clip.tokenizer))
    assert not any(found)


def test_unknown_words_warn_by_name_once_per_text(clip) -> None:
    with pytest.warns(UnknownWordWarning) as said:
        clip.encode_text(["a creature", "a red cat", "a creature", "a vehicle"])
    messages = [str(warning.message) for warning in said]
    assert ["'creature'" in m for m in messages] == [True, False]
    assert ["'vehicle'" in m for m in messages] == [False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenize(["a creature"], clip.tokenizer, quiet=True)
        clip.encode_text(["a red cat on the beach in the style of seurat"])


def test_transformers_export_gives_identical_outputs(clip) -> None:
    exported = zoo.load_text_model("clip-tiny")
    tokens = tokenize(TEXTS, clip.tokenizer, quiet=True)
    model = clip.model
    with torch.inference_mode():
        ours = exported(input_ids=tokens)
        x = model.token_embedding(tokens) + model.positional_embedding
        hidden = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))
        pooled = model.encode_text(tokens)
    torch.testing.assert_close(ours.last_hidden_state, hidden, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(
        ours.pooler_output @ model.text_projection.detach(), pooled, atol=2e-5, rtol=1e-5
    )


def test_export_saves_and_loads_as_a_diffusers_text_encoder(clip, tmp_path: Path) -> None:
    from transformers import CLIPTextModel, CLIPTokenizer

    zoo.load_text_model("clip-tiny").save_pretrained(tmp_path / "text_encoder")
    load_tokenizer(clip.tokenizer).save_pretrained(tmp_path / "tokenizer")
    model = CLIPTextModel.from_pretrained(tmp_path / "text_encoder").eval()
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path / "tokenizer")
    ids = tokenizer(
        TEXTS, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt"
    ).input_ids
    assert torch.equal(ids, tokenize(TEXTS, clip.tokenizer, quiet=True))
    with torch.inference_mode():
        again = model(input_ids=ids).last_hidden_state
        first = zoo.load_text_model("clip-tiny")(input_ids=ids).last_hidden_state
    torch.testing.assert_close(again, first)


def test_batches_do_not_matter_and_rows_are_unit(clip) -> None:
    images = balanced(9, seed=3).images
    whole = clip.encode_image(images, normalise=True)
    np.testing.assert_allclose(whole, clip.encode_image(images, normalise=True, batch=4), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    assert whole.shape == (9, clip.dim) and clip.logit_scale > 1


@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 64, 64, 3)), np.zeros((64, 64, 3))]
)
def test_other_pictures_are_refused(clip, images: np.ndarray) -> None:
    with pytest.raises(KleditError, match=r"Expected pictures \(N, 64, 64, 3\) uint8"):
        clip.encode_image(images)


def test_head_rows_are_unit_and_ordered(clip) -> None:
    rows = clip.head(["a cat", "a boat"], ["{}", "a picture of {}"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    alone = clip.head(["a boat"], ["{}", "a picture of {}"])
    np.testing.assert_allclose(rows[1], alone[0], atol=1e-5)


def test_hits_are_the_nearest_words_where_there_is_something_to_see(clip) -> None:
    scenes = balanced(30, seed=4)
    rows = {f: factor_head(clip, f) for f in ("object", "colour")}
    told = np.where(scenes.shows_colour, scenes.factor("colour"), 0)
    true = rows["colour"][told]
    hits = factor_hits(clip, true, scenes)
    assert list(hits) == ["object", "place", "style", "colour"]
    assert not scenes.shows_colour.all() and scenes.shows_colour.any()
    assert (np.isnan(hits["colour"]) == ~scenes.shows_colour).all()
    assert np.nanmin(hits["colour"]) == 1  # a word is nearest to itself
    wrong = factor_hits(clip, np.roll(rows["object"], 1, axis=0)[scenes.factor("object")], scenes)
    assert wrong["object"].max() == 0


def test_the_untrained_clip_is_the_same_every_time_and_has_learnt_nothing(clip) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, other = untrained_clip(5), untrained_clip(5)
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(one.encode_text(["a red cat"]), other.encode_text(["a red cat"]))
    scenes = balanced(120, seed=4)
    right = [
        factor_hits(m, m.encode_image(scenes.images), scenes)["object"].mean() for m in (clip, one)
    ]
    assert right[0] > 0.8 and right[1] < 0.3


@pytest.mark.slow
def test_zero_shot_on_held_out_combinations_meets_the_targets() -> None:
    results = evaluate("clip-tiny")
    assert results.met, results.figures


def test_the_card_says_what_the_image_tower_was_told_first():
    from kledit_lite import zoo

    told = zoo.card("clip-tiny").trained_on
    assert "102,400 pictures labelled with object, colour, place and style" in told
    assert "captions" in told
