"""Miniatures: the published layers, genuine tokenizers, and no socket."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import torch

from kledit_lite.core import slots
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside import (
    Sampling,
    cross_attention_sites,
    decode,
    encode_prompts,
    latents_for,
    sample,
)
from kledit_lite.models import miniatures, profiles
from kledit_lite.models.external import load_external_clip, load_external_encoder
from kledit_lite.models.miniatures import painters, tokenizers
from kledit_lite.models.pipelines import check_index, open_pipeline
from kledit_lite.models.writers import open_writer


@pytest.fixture(autouse=True)
def unplugged(monkeypatch):
    """Whoever reaches for the network fails; the profile in force is put back."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "rehearsal")


@pytest.fixture(scope="module")
def pipes():
    """Each pipeline once."""
    return {name: open_pipeline(f"miniature:{name}", "cpu") for name in miniatures.PAINTERS}


#: Cross-attention layers, heads of each, and layers of the text encoders, as published.
LAYERS = {
    "sd-1.5": (16, {8}, [12]),
    "sd-2.1": (16, {5, 10, 20}, [23]),
    "sdxl": (70, {10, 20}, [12, 32]),
}


@pytest.mark.parametrize("name", miniatures.PAINTERS)
def test_pipelines_have_the_published_layers(pipes, name):
    pipe = pipes[name]
    count, heads, depths = LAYERS[name]
    assert len(cross_attention_sites(pipe.unet)) == count
    attentions = [m for n, m in pipe.unet.named_modules() if n.endswith("attn2")]
    assert len(attentions) == count and {m.heads for m in attentions} == heads
    texts = [pipe.text_encoder, getattr(pipe, "text_encoder_2", None)]
    texts = [t for t in texts if t is not None]
    assert [t.config.num_hidden_layers for t in texts] == depths
    assert pipe.unet.config.cross_attention_dim == sum(t.config.hidden_size for t in texts)
    assert pipe.scheduler.config.prediction_type == (
        "v_prediction" if name == "sd-2.1" else "epsilon"
    )


@pytest.mark.parametrize("name", miniatures.PAINTERS)
def test_pipelines_paint_at_an_odd_size_what_the_prompt_says(pipes, name):
    pipe, how = pipes[name], Sampling(steps=2, guidance=3.0, batch=4)
    assert check_index(f"miniature:{name}") == 72
    text = encode_prompts(pipe, ["a cat", "a boat", "a cat"])
    z = sample(pipe, text, latents_for(pipe, [0, 0, 0]), how)
    assert z.shape == (3, 4, 9, 9)
    apart, off = (float((z[0] - x).abs().max()) for x in (z[1], z[2]))
    assert off < 1e-3 and apart > 4 * off  # a row's sums depend on the batch in their last digits
    images = decode(pipe, z)
    assert images.shape == (3, 72, 72, 3) and images.dtype == np.uint8 and images.std() > 1


@pytest.mark.parametrize(
    ("name", "numbers", "side"),
    [("sd-1.5", 859_520_964, 64), ("sd-2.1", 865_910_724, 96), ("sdxl", 2_567_463_684, 128)],
)
def test_in_full_they_have_the_published_widths(name, numbers, side):
    with torch.device("meta"):
        unet = painters.unet(name, full=True)
    assert sum(p.numel() for p in unet.parameters()) == numbers
    assert unet.config.sample_size == side and len(cross_attention_sites(unet)) == LAYERS[name][0]


@pytest.mark.parametrize(
    ("kind", "numbers"), [("clip-l", 123_060_480), ("openclip-g", 694_659_840)]
)
def test_in_full_the_text_encoders_do_too(kind, numbers):
    with torch.device("meta"):
        encoder = painters._text(kind, full=True)
    assert sum(p.numel() for p in encoder.parameters()) == numbers


def test_weights_are_the_same_each_time_and_random_numbers_are_put_back(pipes):
    torch.manual_seed(7)
    again = open_pipeline("miniature:sd-1.5", "cpu").unet.state_dict()
    first = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(first, torch.rand(3))
    assert all(torch.equal(v, again[n]) for n, v in pipes["sd-1.5"].unet.state_dict().items())


def test_the_clip_tokenizer_is_the_genuine_one(pipes):
    from open_clip.tokenizer import SimpleTokenizer

    genuine = SimpleTokenizer()
    texts = ["a cat", "A photo of Vincent van Gogh's sunflowers, 1889.", "hokusai", "naïve café"]
    assert tokenizers.clip_tokenizer()("oh!")["input_ids"][1:-1] == genuine.encode("oh!")
    for tokenizer in (tokenizers.clip_tokenizer(), tokenizers.clip_tokenizer("!")):
        assert len(tokenizer) == 49408 and tokenizer.model_max_length == 77
        for text in texts:
            ids = tokenizer(text)["input_ids"]
            assert ids == [49406, *genuine.encode(text), 49407]
            back = tokenizer.decode(ids, skip_special_tokens=True)
            assert tokenizer(back)["input_ids"] == ids
    pads = [
        pipes["sd-1.5"].tokenizer,
        pipes["sd-2.1"].tokenizer,
        pipes["sdxl"].tokenizer,
        pipes["sdxl"].tokenizer_2,
    ]
    assert [t.pad_token_id for t in pads] == [49407, 0, 49407, 0]


def test_the_byte_tokenizer_goes_there_and_back():
    tokenizer = tokenizers.byte_tokenizer()
    assert len(tokenizer) == 258 and tokenizer.padding_side == "left"
    for text in ("Who was Käthe?", "北斎\n\tπ", "  two  spaces "):
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id and len(ids) == 1 + len(text.encode())
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


#: Layers, heads, key-value heads, tied embeddings, as published.
WRITERS = {
    "llama-3.2-1b": ("llama", 16, 32, 8, True),
    "olmo-2-1b": ("olmo2", 16, 16, 16, False),
    "llama-3-8b": ("llama", 32, 32, 8, False),
}


@pytest.mark.parametrize("name", miniatures.WRITERS)
def test_writers_have_the_published_layers(name):
    writer = open_writer(f"miniature:{name}", "cpu")
    model, c = writer.model, writer.model.config
    kind, depth, heads, groups, tied = WRITERS[name]
    assert (c.model_type, c.num_hidden_layers) == (kind, depth)
    assert (c.num_attention_heads, c.num_key_value_heads) == (heads, groups)
    same = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert same == tied and not model.training
    rows = writer.tokenizer(["Who?", "Where is it?"], return_tensors="pt", padding=True)
    with torch.no_grad():
        assert model(**rows).logits.shape[:2] == rows["input_ids"].shape


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("dino-vit-s", 12),
        ("vit-b", 12),
        ("deit-b", 12),
        ("swin-b", (2, 2, 18, 2)),
        ("resnet-50", (3, 4, 6, 3)),
        ("dino-resnet-50", (3, 4, 6, 3)),
    ],
)
def test_encoders_have_the_published_layers(name, depth):
    encoder = load_external_encoder(f"miniature:{name}", device="cpu")
    model = encoder.model
    if name.endswith("resnet-50"):
        blocks = [len(getattr(model, f"layer{i}")) for i in range(1, 5)]
        assert tuple(blocks) == depth
    elif name == "swin-b":
        assert tuple(len(layer.blocks) for layer in model.layers) == depth
    else:
        assert len(model.blocks) == depth
    own = name.startswith("dino")
    assert encoder.supervision == ("self-supervised" if own else "supervised")
    assert (encoder.head is None) == own
    images = np.random.default_rng(0).integers(0, 256, (2, 136, 151, 3), dtype=np.uint8)
    assert encoder.encode(images).shape == (2, encoder.dim)


def test_the_clip_has_the_published_layers():
    clip = load_external_clip("miniature:clip-vit-b-16", "cpu")
    visual = clip.model.visual
    assert len(visual.transformer.resblocks) == len(clip.model.transformer.resblocks) == 12
    assert visual.transformer.resblocks[0].attn.num_heads == 12
    assert clip.preprocess.size == 224 and clip.tokenizer(["a cat"]).shape == (1, 77)
    images = np.random.default_rng(0).integers(0, 256, (2, 136, 151, 3), dtype=np.uint8)
    assert clip.encode_image(images).shape == clip.encode_text(["a", "b"]).shape == (2, 32)


def test_the_profile_gives_them_all():
    profile, gpu = profiles.current(), profiles.get("gpu")
    assert profile.name == "rehearsal"
    assert [(s.name, s.loader, s.chapters) for s in profile.slots] == [
        (s.name, s.loader, s.chapters) for s in gpu.slots
    ]
    used = {s.ids[0].removeprefix("miniature:") for s in profile.slots}
    assert used == set(miniatures.names())
    for slot in profile.slots:
        assert slot.size_mb == 0 and profiles.why_missing(slot, slot.ids[0]) is None
    assert all(row["available"] for row in profiles.table(profile))
    filled, missing = profiles.resolve_encoders("alignment")
    assert {f.slot.name for f in filled} == set(miniatures.ENCODERS) and not missing
    assert profiles.resolve("writer").model.name == "miniature:llama-3.2-1b"
    assert len(cross_attention_sites(profiles.resolve("painter").model.unet)) == 16


def test_the_folder_has_pictures_of_odd_sizes():
    from PIL import Image

    folder = profiles.resolve("images").model
    files = sorted(folder.rglob("*.png"))
    sizes = set()
    for file in files:
        with Image.open(file) as image:
            sizes.add(image.size)
    assert len(files) == 192 and sizes == {(136, 136), (136, 151), (203, 136)}
    assert len({f.parent for f in files}) == 12


def test_names_that_are_none():
    with pytest.raises(UnknownNameError, match="Unknown miniature 'sd-3'; choose one of: sd-1.5"):
        open_pipeline("miniature:sd-3")
    with pytest.raises(KleditError, match="miniature:vit-b is of another kind; expected one of"):
        open_writer("miniature:vit-b")
    slot = slots.Slot("painter", "pipeline", ("miniature:sd-3",))
    assert profiles.why_missing(slot, slot.ids[0]) == "there is no miniature of this name"
