"""Opening pipelines in the ways people have them, and refusing early what cannot be used."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from diffusers import DiffusionPipeline, EulerAncestralDiscreteScheduler

from kledit_lite.core import slots
from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Sampling, paint
from kledit_lite.models import pipelines
from kledit_lite.models.pipelines import open_pipeline
from kledit_lite.models.scorer import open_both


@pytest.fixture
def untouched(monkeypatch):
    """No weights may be read."""

    def never(*args, **kwargs):
        raise AssertionError("weights were read")

    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", never)


def index(folder, **parts):
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(parts))


@pytest.mark.parametrize("name", ["FluxPipeline", "StableDiffusion3Pipeline"])
def test_transformers_are_refused_by_their_index(tmp_path, untouched, name):
    parts = {"transformer": ["diffusers", "T"], "text_encoder": ["transformers", "CLIPTextModel"]}
    index(tmp_path, _class_name=name, _diffusers_version="0.30.0", **parts)
    with pytest.raises(KleditError, match=f"is a {name}; expected one with a UNet"):
        open_pipeline(str(tmp_path))


@pytest.fixture
def saved(sd2_pipe, tmp_path):
    sd2_pipe.save_pretrained(tmp_path / "pipe")
    return tmp_path / "pipe"


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_inpainting_is_refused_by_its_configuration(saved, untouched):
    edit(saved / "unet" / "config.json", in_channels=9)
    with pytest.raises(KleditError, match="takes 9 channels where its autoencoder makes 4"):
        open_pipeline(str(saved))


def test_the_toy_clip_is_refused_before_weights_are_read(saved, untouched, monkeypatch):
    monkeypatch.setattr(slots, "_chosen", "lite")
    edit(saved / "unet" / "config.json", sample_size=64)
    for clip in (None, "clip-tiny", "zoo:clip-tiny"):
        with pytest.raises(KleditError, match="cannot score pictures of 512 pixels.*--clip"):
            open_both(str(saved), clip)


def test_a_folder_of_half_precision_files(sd2_pipe, tmp_path):
    half = copy.copy(sd2_pipe)
    sd2_pipe.save_pretrained(half_folder := tmp_path / "half", variant="fp16")
    assert not (half_folder / "unet" / "diffusion_pytorch_model.safetensors").exists()
    opened = open_pipeline(str(half_folder), device="cpu")
    for a, b in zip(opened.unet.parameters(), half.unet.parameters(), strict=True):
        assert torch.equal(a, b)
    assert open_pipeline(str(half_folder), "cpu", "bfloat16").unet.dtype == torch.bfloat16


def test_another_scheduler_opens_an_ancestral_folder(sd2_pipe, tmp_path):
    pipe = copy.copy(sd2_pipe)
    pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.save_pretrained(tmp_path)
    with pytest.raises(KleditError, match="--scheduler ddim"):
        paint(open_pipeline(str(tmp_path), "cpu"), ["a cat"], how=Sampling(steps=2))
    for name in pipelines.SCHEDULERS:
        opened = open_pipeline(str(tmp_path), "cpu", scheduler=name)
        assert type(opened.scheduler).__name__ == pipelines.SCHEDULERS[name]
        assert opened.scheduler.config.prediction_type == "v_prediction"
        assert paint(opened, ["a cat"], how=Sampling(steps=2)).shape == (1, 64, 64, 3)


@pytest.mark.parametrize(
    ("kind", "name"), [("v1", "StableDiffusionPipeline"), ("xl_base", "StableDiffusionXLPipeline")]
)
def test_one_file(sd2_pipe, tmp_path, monkeypatch, kind, name):
    import diffusers
    from diffusers.loaders import single_file_utils as utils

    asked = []
    file = tmp_path / "model.safetensors"
    file.touch()
    monkeypatch.setattr(utils, "load_single_file_checkpoint", lambda path: {"path": path})
    monkeypatch.setattr(utils, "infer_diffusers_model_type", lambda checkpoint: kind)
    monkeypatch.setattr(
        getattr(diffusers, name),
        "from_single_file",
        lambda path, **more: asked.append((path, more)) or sd2_pipe,
    )
    assert open_pipeline(str(file), "cpu", config=tmp_path / "like") is sd2_pipe
    assert asked == [(str(file), {"torch_dtype": torch.float32, "config": str(tmp_path / "like")})]
    monkeypatch.setattr(utils, "infer_diffusers_model_type", lambda checkpoint: "flux-dev")
    with pytest.raises(KleditError, match="checkpoint of the kind 'flux-dev'"):
        open_pipeline(str(file), "cpu")


def test_names_that_are_not_there():
    with pytest.raises(KleditError, match="Unknown dtype 'int8'; choose one of: float32"):
        open_pipeline("paint-tiny", dtype="int8")
    with pytest.raises(KleditError, match="Unknown scheduler 'lcm'; choose one of: ddim"):
        open_pipeline("paint-tiny", scheduler="lcm")
