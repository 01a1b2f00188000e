"""What a chapter costs before it runs, held to what its rehearsal really took."""

from __future__ import annotations

import json
import os

import pytest

from kledit_lite.book import estimate as module
from kledit_lite.book.cache import Cache
from kledit_lite.book.costs import PAINTED, ROWS, Cost, cost
from kledit_lite.book.discover import discover, find_root
from kledit_lite.book.estimate import SIZES, estimate
from kledit_lite.cli import main
from kledit_lite.core.slots import PROFILES, current, use_profile

ROOT = find_root()
CHAPTERS = [c.slug for c in discover(ROOT)]


@pytest.fixture
def cli(monkeypatch, capsys):
    """The command's exit status, and what it prints: one JSON object, or a sentence."""
    monkeypatch.chdir(ROOT)

    def run(*words):
        code = main(["estimate", *words])
        out, err = capsys.readouterr()
        return code, out or err

    return run


@pytest.mark.notebooks
@pytest.mark.parametrize("chapter", PAINTED)
def test_a_rehearsal_took_what_was_estimated(chapter, missing):
    """Of the last rehearsal from the sources of now; `make test` rehearses before it tests."""
    (found,) = [c for c in discover(ROOT) if c.slug == chapter]
    run, now = Cache(ROOT, "rehearsal").last(found) or (None, False)
    if run is None or not now or not run.ok:
        missing(f"{chapter} has not been rehearsed since its sources changed: make test")
    rows = estimate(chapter, "rehearsal", 1).figures["unet_rows"]
    assert rows == pytest.approx(run.spent["unet_rows"], rel=0.05)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c not in PAINTED])
def test_every_chapter_has_a_cost_in_every_profile(chapter, profile):
    results = estimate(chapter, profile, rate=100)
    work = sum(results.extra["parts"].values())
    assert work > 0 and min(results.extra["parts"].values()) > 0
    assert results.figures["minutes"] == pytest.approx(work / 6000, abs=0.06)
    assert any(m["needed"] for m in results.extra["models"])
    small = estimate(chapter, "rehearsal", rate=100)
    assert profile == "rehearsal" or work > sum(small.extra["parts"].values())


def test_the_papers_models_have_sizes_and_lite_downloads_nothing():
    for name in ("laptop", "gpu"):
        ids = {i for s in PROFILES[name].slots for i in s.ids if s.loader != "images"}
        assert {i for i in ids if not i.startswith("zoo:")} <= SIZES.keys()
    found = estimate("locogen", "lite", 10)
    assert found.figures["download_mb"] == 0 and found.figures["memory_mb"] > 20


def test_a_chapter_on_the_papers_painter(monkeypatch):
    """Counted on a miniature with the painter's layers, and nothing stays changed."""
    monkeypatch.delenv("KLEDIT_SLOT_PAINTER", raising=False)
    before, environment = current().name, dict(os.environ)
    found = estimate("locogen", "gpu", rate=40)
    use_profile(before)
    assert {k for k in os.environ if k.startswith("KLEDIT_SLOT")} <= environment.keys()
    prompts, calls = 18 + 12 + 8, 2 * 21  # 20 steps of its scheduler are 21 calls
    assert found.extra["parts"]["windows of four"] == 13 * prompts * calls
    assert found.figures["download_mb"] == 5500 + 599
    # 2 bytes of 1,066 million, 4 of 150 million, and 16 pictures in the autoencoder
    assert found.figures["memory_mb"] == 2 * 1066 + 4 * 150 + 16 * 384


def test_more_of_everything_costs_more():
    use_profile("lite")
    lite = cost("causal-tracing")
    use_profile("laptop")
    assert cost("causal-tracing").total > 2 * lite.total and lite.unit == ROWS


@pytest.mark.parametrize(
    ("unit", "slot"),
    [
        (ROWS, "painter"),
        ("pictures", "clip"),
        ("tokens", "writer"),
        ("tokens", "seer"),
        ("tokens", "reader"),
    ],
)
def test_a_rate_is_measured_on_the_model_that_is_here(unit, slot, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.1)
    rate, whose = module._probed(Cost(unit, {"all": 100}, 1, slot))
    assert rate > 0 and whose.startswith(f"{current().slot(slot).ids[0]} on ")
    assert "miniature" not in whose


def test_a_miniature_that_stands_in_is_named(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.1)
    found = estimate("restor", "gpu")
    assert found.figures["rate"] > 0
    assert "miniature:llama-3.2-1b" in found.extra["rate_of"]
    assert "its rate is not the model's" in found.extra["rate_of"]


def test_the_command_prints_one_object_or_a_table(cli):
    code, text = cli("restor", "--profile", "gpu", "--rate", "5000", "--json")
    said = json.loads(text)
    assert code == 0 and said["name"] == "estimate restor" and said["met"]
    assert said["context"]["profile"] == "gpu" and said["rate_of"] == "as given"
    assert said["figures"]["minutes"] == pytest.approx(said["figures"]["tokens"] / 3e5, abs=0.06)
    number = next(c.number for c in discover(ROOT) if c.slug == "restor")
    code, table = cli(number, "--profile", "gpu", "--rate", "5000")
    assert code == 0 and f"work       {said['figures']['tokens']:,} tokens" in table
    assert "writer-8b" in table and "optional, not counted" in table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no-such-chapter"], "Unknown chapter 'no-such-chapter'"),
        (["restor", "--profile", "moon"], "Unknown profile 'moon'"),
        (["restor", "--rate", "-2"], "Expected a rate above zero"),
        (["restor", "--rate", "nan"], "Expected a rate above zero"),
    ],
)
def test_bad_input_is_one_sentence(cli, words, says):
    code, text = cli(*words)
    assert code == 2 and text.startswith(f"kledit: {says}") and text.count("\n") == 1
