"""bard-tiny's recipe: tokenizer, packing, training with checkpoints, resume, loading."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world.people import corpus
from kledit_lite.zoo.bard import END, checkpoints, load_bard
from kledit_lite.zoo.recipes import bard
from kledit_lite.zoo.store import WEIGHTS

PICO = replace(bard.RECIPE, pool=64, samples=10 * 8, batch=8, warmup=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Ten steps of the recipe, written as the zoo writes them."""
    from kledit_lite.zoo.store import Card

    work, root = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("weights")
    model, info, states = bard.train_bard(PICO, work, root / "bard-pico", "cpu")
    card = Card("bard-pico", "Llama", "language", "texts", vars(PICO), training=info)
    return model, bard.save_bard(model, card, states, root), states, root


def test_every_text_survives_the_tokenizer(trained):
    tokenizer = load_bard("bard-pico", root=trained[3]).tokenizer
    for text in (*corpus(20, 5), "Zürich, 東京! & unheard-of words"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == 0


def test_rows_are_the_texts_one_after_another(trained):
    tokenizer = load_bard("bard-pico", root=trained[3]).tokenizer
    texts = corpus(60, 6)
    rows = bard.pack(texts, tokenizer, 8)
    assert rows.shape == (8, bard.LENGTH) and rows.dtype == np.int64
    assert tokenizer.decode(rows.ravel()).startswith(END + texts[0] + END + texts[1])
    with pytest.raises(KleditError, match="expected 1000"):
        bard.pack(texts, tokenizer, 1000)


def test_checkpoints_are_the_states_on_the_way(trained):
    model, card, states, root = trained
    assert card.training["steps"] == 10 and set(states) == set(card.training["checkpoints"])
    steps = checkpoints("bard-pico", root)
    assert len(steps) == len(bard.SHARES) and all(0 < s < 10 for s in steps)
    final = load_bard("bard-pico", root=root)
    for name, value in final.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name].half().float())
    early, late = (load_bard("bard-pico", s, root) for s in (steps[0], steps[-1]))
    assert early.name == f"bard-pico@{steps[0]}"

    def distance(a):
        pairs = zip(a.model.parameters(), final.model.parameters(), strict=True)
        return sum(float((p - q).detach().norm()) for p, q in pairs)

    assert distance(early) > distance(late) > 0


def test_damaged_and_unknown_checkpoints_are_refused(trained):
    root = trained[3]
    step = checkpoints("bard-pico", root)[0]
    with pytest.raises(UnknownNameError, match="checkpoint of bard-pico 999; choose one of: 1"):
        load_bard("bard-pico", 999, root)
    path = root / "bard-pico" / f"checkpoint-{step}.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(KleditError, match="damaged") as damaged:
        load_bard("bard-pico", step, root)
    for said in (
        path,
        sha256(data[:-1]).hexdigest(),
        trained[1].training["checkpoints"][str(step)],
    ):
        assert str(said) in str(damaged.value)
    path.unlink()
    with pytest.raises(KleditError, match="missing: expected .*checkpoint"):
        load_bard("bard-pico", step, root)
    path.write_bytes(data)
    with pytest.raises(UnknownNameError, match="language model 'bard-huge'"):
        zoo.load_writer("bard-huge")


def test_a_killed_training_ends_the_same(trained, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    real = torch.save

    def kill(state, path, *rest):
        if str(path).endswith(f"bard-{bard.SHARES[-1]:g}.pt"):
            raise Killed
        return real(state, path, *rest)

    plain = bard.fit
    monkeypatch.setattr(bard, "fit", lambda *a, **k: plain(*a, **{**k, "every": 3}))
    monkeypatch.setattr(torch, "save", kill)
    with pytest.raises(Killed):
        bard.train_bard(PICO, tmp_path, tmp_path / "tok", "cpu")
    monkeypatch.setattr(torch, "save", real)
    model, _, states = bard.train_bard(PICO, tmp_path, tmp_path / "tok", "cpu")
    for name, value in trained[0].state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    for step, state in trained[2].items():
        assert all(torch.equal(states[step][k], v) for k, v in state.items())


@pytest.mark.skipif(not (WEIGHTS / "bard-tiny" / "card.json").exists(), reason="not trained yet")
def test_the_shipped_model_loads_and_has_three_checkpoints():
    writer = zoo.load_writer()
    parameters = sum(p.numel() for p in writer.model.parameters())
    assert 1_000_000 <= parameters <= 3_000_000
    steps = checkpoints()
    assert len(steps) == 3
    zoo.load_writer(step=steps[0])
