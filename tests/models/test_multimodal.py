"""What models that see read: spans, image tokens, files of questions; miniatures of two of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from kledit_lite.core import slots
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.contributions import contributions
from kledit_lite.inside.multimodal import answered, decoder
from kledit_lite.models import scenarios
from kledit_lite.models.multimodal import open_seer, picture
from kledit_lite.models.seers import DocentSeer, FolderSeer
from kledit_lite.models.vqa import ask, read_vqa
from kledit_lite.trace.multimodal import lanes, restored_alone
from kledit_lite.trace.seeing import Pair, SeeingSite, seeing_sites
from kledit_lite.zoo.docent import WORDS, Docent

#: Layers, query heads and value heads, as published, and image tokens.
SHAPES = {"llava-1.5-7b": (32, 32, 32, 121), "smolvlm-256m": (30, 9, 3, 25)}


@pytest.fixture(scope="module")
def docent():
    """A docent that knows nothing."""
    from kledit_lite import zoo

    return DocentSeer(Docent(seed=3).eval(), zoo.load_clip().model)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_miniature_has_the_published_shape_and_lanes_are_the_loop(name):
    seer = open_seer(f"miniature:{name}")
    layers, heads, shared, tokens = SHAPES[name]
    config = decoder(seer.model).config
    assert len(decoder(seer.model).layers) == config.num_hidden_layers == layers
    assert (config.num_attention_heads, config.num_key_value_heads) == (heads, shared)
    image = np.random.default_rng(0).integers(0, 256, (136, 203, 3), dtype=np.uint8)
    asked = ask("What river flows through this town?", ["this town"], "Olt")
    clean, replaced = seer.read([image] * 2, [asked, asked.replaced("Telber ab")])
    assert int(clean.image.sum()) == tokens
    assert "".join(clean.tokens[slice(*clean.spans[0])]).replace("Ġ", " ") == "this town"
    assert "".join(replaced.tokens[slice(*clean.spans[0])]).replace("Ġ", " ") == "Telber ab"
    assert (
        clean.answer.tolist()
        == seer.processor.tokenizer.encode(" Olt", add_special_tokens=False)[-4:]
    )
    # what it reads of a picture and words is what the whole model reads
    given = seer.processor(text=seer._prompt(asked.text), images=[image], return_tensors="pt")
    with torch.no_grad():
        whole = seer.model(**given).logits[0, -1]
    assert torch.allclose(answered(seer.model, [clean]).first[0], whole, atol=1e-5)
    sites = [
        SeeingSite("mlp", 0, "last constraint"),
        SeeingSite("attention", layers // 2, "last"),
        SeeingSite("layer", layers - 1, "all"),
    ]
    pair = Pair(clean, replaced)
    p = lanes(seer.model, pair, sites)[0]
    loop = restored_alone(seer.model, pair, sites)
    assert np.log(p[2:]) == pytest.approx(np.log(loop), abs=1e-3)
    assert np.log(p[4]) == pytest.approx(np.log(p[0]), abs=1e-3)
    assert contributions(seer.model, clean, [len(clean) - 1]).error < 1e-5


def test_docent_reads_words_and_pictures(docent):
    asked = ask("what goods does this town sell in spring ?", ["this town", "spring"], "wool")
    image = np.full((100, 80, 3), 99, np.uint8)  # any size
    (seen,) = docent.read([image], [asked])
    (heard,) = docent.read([None], [asked])
    assert int(seen.image.sum()) == 16 and int(heard.image.sum()) == 0
    assert [seen.tokens[slice(*s)] for s in seen.spans] == [("this", "town"), ("spring",)]
    assert [heard.tokens[slice(*s)] for s in heard.spans] == [("this", "town"), ("spring",)]
    assert WORDS[int(seen.answer[0])] == docent.say(int(seen.answer[0])) == "wool"
    patches = docent.patches(np.full((1, 64, 64, 3), 99, np.uint8))
    whole = docent.docent(docent.docent.tokenize([asked.text]), patches)[0, -1]
    assert torch.allclose(answered(docent.model, [seen]).first[0], whole, atol=1e-4)


def test_a_replacement_moves_the_constraints_behind_it():
    asked = ask("in this town what is sold in spring ?", ["this town", "spring"], "wool")
    longer = asked.replaced("the old town of Telber")
    assert [longer.words(k) for k in (0, 1)] == ["the old town of Telber", "spring"]
    assert asked.replaced("autumn", 1).text == "in this town what is sold in autumn ?"


def test_the_scenario_breaks_questions_in_the_ways_it_says():
    scenario = scenarios.asking()
    things = scenario.things[:3]
    clean = scenario.read("river", things)
    replaced = scenario.read("river", things, how="replacement")
    swapped = scenario.read("river", things, how="image swap")
    for c, r, s, thing in zip(clean, replaced, swapped, things, strict=True):
        assert Pair(c, r).first == c.spans[0][0] and Pair(c, s).first == 0
        assert c.tokens == s.tokens
        partner = scenario.partner(thing, "river")
        assert r.tokens[c.spans[0][0] + 1] == partner.lower()
        assert not torch.equal(s.embeds, c.embeds)
        other = scenario.read("river", [partner])[0]
        assert torch.equal(other.embeds[:16], s.embeds[:16])
        assert int(other.answer[0]) != int(c.answer[0])
    season = scenario.read("goods in spring", things[:1], how="replacement", constraint=1)[0]
    assert "autumn" in season.tokens and "this" in season.tokens
    changed = scenario.changed("river", things, 0)
    assert all(int(changed[t][0]) != int(c.answer[0]) for t, c in zip(things, clean, strict=True))
    noisy = scenario.read("river", things, noise=60.0)[0]
    assert not torch.equal(noisy.embeds, clean[0].embeds)
    assert bool(answered(scenario.model, clean).right.all())


def test_a_rehearsal_asks_a_miniature(monkeypatch):
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "rehearsal")
    scenario = scenarios.asking()
    assert scenario.seer.name == "miniature:smolvlm-256m" and not scenario.painted
    clean = scenario.read("colour", scenario.traced)
    assert bool(answered(scenario.model, clean).right.all())  # it is held to what it says
    replaced = scenario.read("colour", scenario.traced, how="replacement")
    assert all(len(c) == len(r) for c, r in zip(clean, replaced, strict=True))
    assert seeing_sites(scenario.model, ["mlp"])[-1].layer == 29


def entry(**more):
    """A question of a file."""
    return {
        "image": "a.png",
        "question": "what is in this town ?",
        "constraints": ["this town"],
        "answer": "a_mill",
        **more,
    }


@pytest.fixture
def file(tmp_path):
    """Write questions beside a picture."""
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")

    def write(content):
        path = tmp_path / "q.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_file_of_questions(file):
    other = {"new_answer": "x", "paraphrase": "this town , what is in it ?", "keep": False}
    spans = {"constraints": [[11, 20]], "replacements": ["town X"], "swap": "a.png"}
    listed = [entry(), entry(**spans), entry(**other)]
    rows = read_vqa(file(listed))
    assert [r.asked.words() for r in rows] == ["this town"] * 3
    assert rows[1].replacements == ("town X",) and rows[1].swap == rows[1].image
    assert rows[2].paraphrase.words() == "this town" and rows[0].paraphrase is None
    assert picture(rows[0].image).shape == (9, 9, 3)


BAD = [
    ("{", "not readable JSON"),
    ([], "no list of questions"),
    ([3], "Expected an object"),
    ([{"image": "a.png"}], "lacks 'question'"),
    ([entry(colour=1)], "has 'colour'"),
    ([entry(answer=7)], "expected text"),
    ([entry(constraints="this town")], "expected a list"),
    ([entry(constraints=["that town"])], "in the question 0 times"),
    ([entry(constraints=["i"])], "in the question 3 times"),
    ([entry(constraints=[[5, 99]])], "not in the question"),
    ([entry(constraints=[4])], "neither words nor two numbers"),
    ([entry(replacements=["a", "b"])], "1 constraints and 2 replacements"),
    ([entry(image="b.png")], "no picture"),
    ([entry(question=" ", constraints=[[0, 1]])], "is empty"),
]


@pytest.mark.parametrize(("content", "words"), BAD)
def test_a_bad_file_is_answered_with_one_sentence(file, content, words):
    with pytest.raises(KleditError, match=words) as raised:
        read_vqa(file(content))
    assert "\n" not in str(raised.value)


def test_bad_models_and_pictures(docent, tmp_path):
    with pytest.raises(KleditError, match=r"no config\.json"):
        open_seer(str(tmp_path))
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(KleditError, match="not a readable picture"):
        picture(tmp_path / "x.png")
    asked = ask("what is in this town ?", ["this town"], "wool")
    with pytest.raises(KleditError, match="1 pictures and 2 questions"):
        docent.read([None], [asked, asked])
    with pytest.raises(KleditError, match="float64 pixels"):
        docent.read([np.zeros((64, 64, 3))], [asked])
    with pytest.raises(KleditError, match="NaN"):
        docent.read([torch.full((16, 128), torch.nan)], [asked])
    seer = open_seer("miniature:smolvlm-256m")
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(KleditError, match="no image token"):
        FolderSeer(docent.model, seer.processor, "a Llama").read([image], [asked])
    seer.model.config.image_token_id = 3
    with pytest.raises(KleditError, match="puts no image tokens"):
        seer.read([image], [ask("? this", ["this"], "x")])


@pytest.mark.parametrize("name", SHAPES)
def test_a_folder_of_transformers_opens_and_reads_alike(name, tmp_path):
    made = open_seer(f"miniature:{name}")
    made.model.save_pretrained(tmp_path)
    made.processor.save_pretrained(tmp_path)
    opened = open_seer(str(tmp_path), "cpu", "float32")
    assert opened.name == str(tmp_path)
    image = np.random.default_rng(1).integers(0, 256, (136, 203, 3), dtype=np.uint8)
    asked = ask("What river flows through this town?", ["this town"], "Olt")
    (ours,), (theirs,) = made.read([image], [asked]), opened.read([image], [asked])
    assert ours.spans == theirs.spans and torch.equal(ours.answer, theirs.answer)
    assert torch.allclose(ours.embeds, theirs.embeds, atol=1e-5)
    (alone,) = opened.read([None], [asked])
    assert not alone.image.any()
    assert "".join(alone.tokens[slice(*alone.spans[0])]).replace("Ġ", " ") == "this town"
    with pytest.raises(KleditError, match="dtype"):
        open_seer(str(tmp_path), "cpu", "int8")
