"""An exam: the same prompts and noise before and after, and shares with their n."""

from typing import Any

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit import Concept, Exam, key_value_names, locoedit, pooled
from kledit_lite.inside import Sampling

STYLE, PHOTO = 3, 0


class Stub:
    """Reads a picture's mean: dark pictures show the style."""

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        dark = images.reshape(len(images), -1).mean(1) < 100
        return {
            "style": np.where(dark, STYLE, PHOTO),
            "object": np.ones(len(images), int),
            "place": np.arange(len(images)),
        }


@pytest.fixture
def exam(pipe: Any) -> Exam:
    prompts = [f"a {w} in the style of seurat" for w in ("cat", "boat", "house")]
    return Exam.of(pipe, Stub(), prompts, [4, 5, 6], Sampling(2, 2.0, 8))


def test_paints_the_same_without_and_other_pictures_with_an_edit(pipe: Any, exam: Exam) -> None:
    assert (exam.paint() == exam.images).all() and len(exam) == 3
    edit = locoedit(pipe, Concept(("a cat by seurat",), ("a photo of a cat",)), range(16))
    assert (exam.paint(edit) != exam.images).any()
    assert (exam.paint() == exam.images).all()  # undone
    part = exam.take([2, 0])
    assert part.prompts == (exam.prompts[2], exam.prompts[0]) and part.seeds == (6, 4)
    assert (part.images == exam.images[[2, 0]]).all()


def test_counts_only_what_was_there(exam: Exam) -> None:
    before = {"style": np.array([3, 3, 0]), "object": np.ones(3, int), "place": np.arange(3)}
    after = before | {"style": np.array([0, 5, 3]), "place": np.array([0, 1, 0])}
    exam.before.clear()
    exam.before.update(before)
    v = exam.verdict(after, "style", STYLE, PHOTO)
    assert [(s.k, s.n) for s in (v.removed, v.arrived, v.kept)] == [(2, 2), (1, 2), (2, 3)]
    assert exam.removed(after, "style", STYLE).tolist() == [True, True]
    assert exam.unchanged(after, ["object"]).k == 3 and exam.unchanged(after).k == 0
    assert [(s.k, s.n) for s in (pooled([v, v]).removed, pooled([v, v]).kept)] == [(4, 4), (4, 6)]
    with pytest.raises(KleditError, match="at least one verdict"):
        pooled([])
    unseen = exam.verdict(after, "style", 7, PHOTO)  # nothing showed it, so nothing is said
    assert (unseen.removed.n, unseen.arrived.n, unseen.kept.n) == (0, 0, 3)
    assert (pooled([v, unseen]).removed.k, pooled([unseen]).removed.n) == (2, 0)
    assert exam.take([]).unchanged({f: x[:0] for f, x in after.items()}).n == 0


def test_part_of_an_edit_is_the_edit_of_that_part(pipe: Any) -> None:
    concept = Concept(("a cat by seurat",), ("a photo of a cat",))
    names = key_value_names(pipe, [3, 9])
    part = locoedit(pipe, concept, range(16)).only(names)
    direct = locoedit(pipe, concept, [3, 9])
    assert list(part.changes) == list(direct.changes) == names
    for name in names:
        assert torch.equal(part.changes[name].delta(), direct.changes[name].delta())
    assert [r["name"] for r in part.rows] == names
    assert part.same(direct) and not part.same(locoedit(pipe, concept, [3, 8]))
    assert not part.same(locoedit(pipe, concept, [3, 9], strength=1.0))
    for wrong in (["unet.no.weight"], []):
        with pytest.raises(KleditError, match="The edit does not change"):
            part.only(wrong)
