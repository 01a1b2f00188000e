"""Swaps fire once a step, touch only their rows, and are gone afterwards."""

from __future__ import annotations

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import copy_between_lanes, cross_attention_sites, discover, text_at_sites


def forward(unet, rows=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 4, 8, 8, generator=generator)
    text = torch.randn(rows, 5, 32, generator=generator)
    with torch.no_grad():
        return unet(x, 7, text).sample


def test_copying_changes_the_chosen_lane_only(sd2_pipe):
    unet = sd2_pipe.unet
    site = discover(unet, "resnet")[3]
    before = forward(unet)
    with copy_between_lanes(unet, [site], torch.tensor([0]), [torch.tensor([2])]) as fired:
        inside = forward(unet)
    fired.expect(1)
    assert torch.equal(inside[:2], before[:2]) and not torch.equal(inside[2], before[2])
    assert torch.equal(forward(unet), before)
    assert not any(m._forward_hooks for m in unet.modules())


def test_every_hook_fires_once_a_forward_pass_and_goes_after_an_error(sd2_pipe):
    unet = sd2_pipe.unet
    sites = discover(unet)
    rows = [torch.tensor([1])] * len(sites)
    with pytest.raises(RuntimeError, match="stop"):
        with copy_between_lanes(unet, sites, torch.tensor([0]), rows) as fired:
            for _ in range(2):
                forward(unet, 2)
            fired.expect(2)
            raise RuntimeError("stop")
    assert set(fired.count.values()) == {2}
    assert not any(m._forward_hooks for m in unet.modules())


def test_text_at_sites_checks_its_rows(sd2_pipe):
    sites = cross_attention_sites(sd2_pipe.unet)
    bank = torch.zeros(1, 5, 32)
    with pytest.raises(KleditError, match="for each of 16 layers"):
        with text_at_sites(sd2_pipe.unet, sites, bank, torch.zeros(3, 2, dtype=torch.long)):
            pass
    with text_at_sites(sd2_pipe.unet, sites, bank, torch.zeros(16, 2, dtype=torch.long)):
        with pytest.raises(KleditError, match="received 3 rows, the choices are for 2"):
            forward(sd2_pipe.unet)


def test_rows_must_be_a_multiple(sd2_pipe):
    site = discover(sd2_pipe.unet, "resnet")[:1]
    with pytest.raises(KleditError, match="3 rows cannot be filled from 2"):
        with copy_between_lanes(
            sd2_pipe.unet, site, torch.tensor([0, 1]), [torch.tensor([2, 3, 4])]
        ):
            pass
