from __future__ import annotations

import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.locate import ATTRIBUTES, Probe, fact_probe, mixed_probe, object_probe, style_probe
from kledit_lite.world import TOWNS, caption


def test_targets_differ_only_in_the_attribute():
    probe = style_probe("van gogh", 4)
    assert all(
        "van gogh" in s and "van gogh" not in t
        for s, t in zip(probe.sources, probe.targets, strict=True)
    )
    for scene, source in zip(probe.scenes, probe.sources, strict=True):
        assert source == caption(scene)
        assert scene.object in source and scene.place.rstrip("s") in source.replace(
            "mountains", "mountain"
        )


def test_objects_become_objects():
    probe = object_probe("boat", 6, seed=3)
    assert all("boat" in s for s in probe.sources)
    assert all(" object " in t and "boat" not in t for t in probe.targets)
    assert len({s.place for s in probe.scenes}) > 2


def test_a_fact_is_scored_against_the_new_one():
    probe = fact_probe("velmora", 2, instead="brindle")
    assert probe.scored == probe.targets and probe.sign == 1
    assert probe.truth[0] == ("object", TOWNS["brindle"].object)
    assert style_probe("durer", 1).scored == style_probe("durer", 1).sources


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_mixed_probes_go_through_all_values(attribute):
    probe = mixed_probe(attribute, 6, seed=1)
    assert len(probe) == 6 and len({t for t in probe.truth}) > 3
    assert len(set(probe.seeds)) == 6
    assert probe.first(2).sources == probe.sources[:2]


def test_bad_probes():
    with pytest.raises(KleditError, match="2 source and 1 target"):
        Probe("style", ("a", "b"), ("c",), (0, 1))
    with pytest.raises(UnknownNameError, match="style"):
        Probe("mood", ("a",), ("b",), (0,))  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="velmora"):
        fact_probe("london", 1)
