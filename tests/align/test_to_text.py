"""Decoders recover a planted phrase; the LM decoder equals its formula on a tiny model."""

import itertools

import numpy as np
import pytest

from kledit_lite.align import (
    CONTRASTS,
    AffineMap,
    class_patterns,
    class_vectors,
    contrast_text,
    decode_grammar,
    decode_lm,
)
from kledit_lite.core.errors import KleditError

COLOURS = ["red", "green", "blue"]
OBJECTS = ["cat", "boat", "house"]
PLACES = ["on the beach", "in the city"]
WORDS = COLOURS + OBJECTS + PLACES


class BagEncoder:
    """Each phrase of the vocabulary is a random direction; a text is the sum of its phrases."""

    def __init__(self, vocabulary, dim=24, seed=0) -> None:
        rng = np.random.default_rng(seed)
        self.table = {w: rng.normal(size=dim) for w in vocabulary}
        self.base = 0.1 * rng.normal(size=dim)
        self.texts: list[str] = []

    def __call__(self, texts):
        self.texts += texts
        rows = []
        for text in texts:
            padded = f" {text} "
            rows.append(self.base + sum(v for w, v in self.table.items() if f" {w} " in padded))
        return np.stack(rows)


def grammar(phrase: str) -> list[str]:
    if not phrase:
        return COLOURS + OBJECTS
    if phrase in COLOURS:
        return OBJECTS
    return PLACES if not any(p in phrase for p in PLACES) else []


@pytest.mark.parametrize("phrase", ["blue boat in the city", "red cat", "house on the beach"])
def test_grammar_recovers_a_planted_phrase(phrase: str) -> None:
    encode = BagEncoder(WORDS)
    vector = 7 * encode([phrase])[0]
    best = decode_grammar(vector, encode, grammar, prompt="", beam=6)[0]
    assert best.text == phrase
    assert best.score == pytest.approx(1.0)


def test_a_wide_beam_equals_trying_every_phrase() -> None:
    encode = BagEncoder(WORDS, dim=4)
    vector = np.random.default_rng(5).normal(size=4)
    heads = [*OBJECTS, *(f"{c} {o}" for c in COLOURS for o in OBJECTS)]
    phrases = COLOURS + heads + [f"{h} {p}" for h in heads for p in PLACES]
    embedded = encode([f"an image of a {p}" for p in phrases])
    scores = embedded @ vector / np.linalg.norm(embedded, axis=1) / np.linalg.norm(vector)
    found = decode_grammar(vector, encode, grammar, beam=100, limit=4)
    order = np.argsort(-scores)[:4]
    assert [d.text for d in found] == [phrases[i] for i in order]
    np.testing.assert_allclose([d.score for d in found], scores[order])


def test_grammar_embeds_with_the_prompt_and_accepts_words() -> None:
    encode = BagEncoder(WORDS)
    target = encode(["blue cat"])[0]
    encode.texts.clear()
    best = decode_grammar(target, encode, ["cat", "blue", "red"], beam=3, steps=3)[0]
    assert sorted(best.text.split()) == ["blue", "cat"]
    assert all(t.startswith("an image of a ") for t in encode.texts)
    assert len(encode.texts) == len(set(encode.texts))


# -- the language model decoder, on a tiny model made here


VOCABULARY = ["<end>", "Image", "of", "a", "cat", "boat", "red", "the", "house", "blue", ""]


class TinyTokenizer:
    """Whole words; "<end>" is special, the last token adds nothing visible."""

    all_special_ids = (0,)

    def __call__(self, text: str) -> dict:
        return {"input_ids": [VOCABULARY.index(w) for w in text.split()]}

    def decode(self, tokens, skip_special_tokens=False) -> str:
        kept = [t for t in tokens if not (skip_special_tokens and t in self.all_special_ids)]
        return " ".join(VOCABULARY[t] for t in kept)


@pytest.fixture(scope="module")
def model():
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=len(VOCABULARY),
            n_positions=16,
            n_embd=16,
            n_layer=1,
            n_head=2,
            bos_token_id=0,
            eos_token_id=0,
        )
        return GPT2LMHeadModel(config).eval()


def log_p(model, tokens):
    import torch

    with torch.no_grad():
        logits = model(input_ids=torch.tensor([tokens])).logits[0, -1]
    return torch.log_softmax(logits.double(), 0).numpy()


def slow_scores(model, encode, vector, tokens, guidance, temperature, usable):
    """s(w) for every usable token, one at a time."""
    row, tokenizer = log_p(model, tokens), TinyTokenizer()
    cosines = []
    for w in usable:
        e = encode([tokenizer.decode([*tokens, w])])[0]
        cosines.append(e @ vector / np.linalg.norm(e) / np.linalg.norm(vector))
    z = np.exp(np.array(cosines) / temperature)
    return {w: row[w] + guidance * np.log(z[i] / z.sum()) for i, w in enumerate(usable)}


def test_one_word_is_the_formula(model) -> None:
    encode = BagEncoder(VOCABULARY[4:10])
    vector = encode.table["boat"]
    usable = list(range(1, 10))
    expected = slow_scores(model, encode, vector, [1, 2, 3], 0.7, 0.2, usable)
    found = decode_lm(
        vector, encode, model, TinyTokenizer(), guidance=0.7, temperature=0.2, limit=9
    )
    order = sorted(usable, key=lambda w: -expected[w])
    assert [d.text for d in found] == [VOCABULARY[w] for w in order]
    np.testing.assert_allclose([d.score for d in found], [expected[w] for w in order], atol=1e-5)


def test_guidance_finds_the_planted_word_and_none_leaves_the_model(model) -> None:
    encode = BagEncoder(VOCABULARY[4:10])
    row = log_p(model, [1, 2, 3])
    for word in ("cat", "boat", "house"):
        found = decode_lm(encode.table[word], encode, model, TinyTokenizer())
        assert found[0].text == word
        alone = decode_lm(encode.table[word], encode, model, TinyTokenizer(), guidance=0.0)
        assert alone[0].text == VOCABULARY[1 + int(row[1:10].argmax())]


def test_two_words_with_a_full_beam_equal_trying_every_pair(model) -> None:
    encode = BagEncoder(VOCABULARY[4:10])
    vector = encode.table["boat"] + encode.table["red"]
    usable, total = list(range(1, 10)), {}
    first = slow_scores(model, encode, vector, [1, 2, 3], 1.0, 0.1, usable)
    for w in usable:
        second = slow_scores(model, encode, vector, [1, 2, 3, w], 1.0, 0.1, usable)
        total.update({(w, u): first[w] + second[u] for u in usable})
    best = sorted(total, key=lambda pair: -total[pair])[:3]
    found = decode_lm(
        vector, encode, model, TinyTokenizer(), steps=2, beam=9, guidance=1.0, temperature=0.1
    )
    assert [d.text for d in found[:3]] == [f"{VOCABULARY[a]} {VOCABULARY[b]}" for a, b in best]


def test_only_the_models_top_tokens_are_considered(model) -> None:
    encode = BagEncoder(VOCABULARY[4:10])
    row = log_p(model, [1, 2, 3])
    top = [VOCABULARY[w] for w in np.argsort(-row) if w not in (0, 10)][:3]
    for word in itertools.islice(VOCABULARY, 4, 10):
        found = decode_lm(encode.table[word], encode, model, TinyTokenizer(), top_k=3)
        assert {d.text for d in found} == set(top)


def test_bad_input_is_one_sentence(model) -> None:
    encode, tokenizer = BagEncoder(WORDS), TinyTokenizer()
    v = np.ones(24)
    cases = [
        (lambda: decode_grammar(v * 0, encode, WORDS), "is zero"),
        (lambda: decode_grammar(v[:3], encode, WORDS), "expected 3 features"),
        (lambda: decode_grammar(v, encode, lambda p: []), "no first piece"),
        (lambda: decode_grammar(v, encode, grammar, beam=0), "must be at least 1"),
        (lambda: decode_lm(v, encode, model, tokenizer, temperature=0), "temperature=0 above 0"),
        (lambda: decode_lm(v, encode, model, tokenizer, prompt=""), "no tokens"),
        (lambda: decode_grammar(v, lambda t: np.ones((1, 24)), WORDS), r"\(1, 24\) for 8 texts"),
    ]
    for call, message in cases:
        with pytest.raises(KleditError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_class_patterns_are_the_slow_sum_and_undo_a_filter() -> None:
    rng = np.random.default_rng(0)
    x, w, a = rng.normal(size=(80, 5)), rng.normal(size=(3, 5)), rng.normal(size=(5, 4))
    got = class_patterns(w, x, AffineMap(a, rng.normal(size=4)))
    centred = x - x.mean(0)
    for k in range(3):
        row = w[k] - w.mean(0)
        slow = sum((c @ row) * c for c in centred) / 79 @ a
        np.testing.assert_allclose(got[k], slow, rtol=1e-10)
    # A filter that reads a signal under correlated noise is not the signal; its pattern is.
    signal, disturbance = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    data = rng.normal(size=(20_000, 1)) * signal + 3 * rng.normal(size=(20_000, 1)) * disturbance
    rows = np.array([[1.0, -1.0], [-1.0, 1.0]])  # blind to the disturbance
    pattern = class_patterns(rows, data, AffineMap(np.eye(2), np.zeros(2)))[0]
    assert pattern @ signal / np.linalg.norm(pattern) > 0.95
    assert rows[0] @ signal / np.linalg.norm(rows[0]) < 0.75


def test_the_four_vectors_of_a_class() -> None:
    rng = np.random.default_rng(3)
    w, x, y = rng.normal(size=(3, 5)), rng.normal(size=(20, 5)), np.arange(20) % 3
    h = AffineMap(rng.normal(size=(5, 4)), rng.normal(size=4))
    got = class_vectors(w, x, y, h)
    for k in range(3):
        np.testing.assert_allclose(got["head row"][k], w[k] @ h.weight + h.bias)
        np.testing.assert_allclose(got["direction"][k], (w[k] - w.mean(0)) @ h.weight)
        np.testing.assert_allclose(got["mean feature"][k], x[y == k].mean(0) @ h.weight + h.bias)
    np.testing.assert_allclose(got["pattern"], class_patterns(w, x, h))
    assert set(CONTRASTS) < set(got)
    with pytest.raises(KleditError, match=r"classes \[2\]"):
        class_vectors(w, x, np.minimum(y, 1), h)


def test_contrast_text_takes_the_average_off() -> None:
    table = {"a": [3.0, 0.0], "b": [0.0, 1.0]}
    words = contrast_text(lambda texts: np.array([table[t] for t in texts]), ["a", "b"])
    np.testing.assert_allclose(words(["b", "a"]), [[-0.5, 0.5], [0.5, -0.5]])
    with pytest.raises(KleditError, match="texts is empty"):
        contrast_text(words, [])
