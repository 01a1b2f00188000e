"""`kledit edit` and `kledit unedit` on a saved pipeline."""

import json

import pytest
import torch

from kledit_lite import cli
from kledit_lite.edit import Concept, Edit, files, locoedit
from kledit_lite.edit.command import EditOptions
from kledit_lite.edit.judging import ByClip
from kledit_lite.edit.sites import parameter
from kledit_lite.models.pipelines import open_pipeline
from kledit_lite.world import SceneSet

PAIRS = (
    "source,target,subject,target_subject\n"
    "a cat in the style of seurat,a cat in a photo,seurat,photo\n"
    "a house in the style of seurat,a house in a photo,seurat,photo\n"
)


@pytest.fixture
def kledit(pipe, tmp_path, capsys):
    """Run a command on a saved model: (status, the one JSON object or None, stderr)."""
    pipe.save_pretrained(tmp_path / "model")
    capsys.readouterr()
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "keep.txt").write_text("# others\na cat in the style of hokusai\n\na blue boat\n")

    def run(command, out, *more, model="model", prompts="pairs.csv"):
        paths = {"--model": model, "--prompts": prompts, "--out": out}
        given = [word for k, v in paths.items() if v for word in (k, str(tmp_path / v))]
        given = [command, *given, "--steps", "2", "--guidance", "2", "--json"]
        status = cli.main([*given, *more])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    run.folder = tmp_path
    return run


def test_edit_then_unedit_gives_the_model_back_bit_for_bit(pipe, kledit) -> None:
    folder = kledit.folder
    status, data, _ = kledit(
        "edit",
        "out/first",
        "--layers",
        "8",
        "9",
        "--write-model",
        "--pictures",
        "2",
        "--keep",
        str(folder / "keep.txt"),
    )
    assert data["name"] == "edit" and data["targets"] == {"arrived": {"min": 0.8}}
    assert status == (0 if data["met"] else 1)
    assert data["paired"] == [{"source": "seurat", "target": "photo", "prompts": 2}]
    assert data["files"] == [
        "after.png",
        "before.png",
        "edit.safetensors",
        "figure.png",
        "model",
        "table.csv",
        "undo.safetensors",
    ]
    figures = data["figures"]
    assert figures["matrices"] == 4 and figures["pixels_moved"] > 0 < figures["collateral"]
    lines = (folder / "out/first/table.csv").read_text().splitlines()
    assert lines[0].startswith("matrix,norm,relative_norm") and len(lines) == 33
    assert (folder / "out/first/figure.png").read_bytes()[1:4] == b"PNG"
    edited = open_pipeline(str(folder / "out/first/model"))
    with Edit.load(folder / "out/first/edit.safetensors").apply(pipe) as handle:
        for name in handle.edit.changes:
            assert torch.equal(parameter(edited, name), parameter(pipe, name))
    undo = ("--undo", str(folder / "out/first/undo.safetensors"))
    status, data, _ = kledit("unedit", "out/second", *undo, model="out/first/model")
    assert status == 0 and data["figures"]["matrices"] == 4 and data["figures"]["edit_norm"] > 0
    restored = open_pipeline(str(folder / "out/second/model"))
    for name, weight in pipe.unet.named_parameters():
        assert torch.equal(restored.unet.get_parameter(name), weight)
    status, data, _ = kledit("unedit", "out/bare", *undo, model="out/first/model", prompts=None)
    assert status == 0 and data["files"] == ["model", "table.csv"]  # no prompts, no pictures
    status, data, err = kledit("unedit", "out/third", *undo)
    assert (status, data) == (2, None) and "does not carry the edit" in err
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["bare", "first", "second"]


def test_apply_writes_a_saved_edit_and_unedit_takes_it_out(pipe, kledit) -> None:
    folder = kledit.folder
    edit = locoedit(pipe, Concept(("a cat by seurat",), ("a photo of a cat",)), [8])
    file = ("--edit", str(edit.save(folder / "saved.safetensors")))
    status, data, err = kledit("apply", "applied", *file, prompts=None)
    assert status == 0 and data["files"] == ["model", "table.csv", "undo.safetensors"]
    assert data["paired"] == [{"source": "seurat", "target": "photo", "prompts": 1}]
    assert "paired seurat with photo (1 prompts)" in err
    with edit.apply(pipe) as handle:
        applied = open_pipeline(str(folder / "applied/model"))
        for name in handle.edit.changes:
            assert torch.equal(parameter(applied, name), parameter(pipe, name))
    undo = ("--undo", str(folder / "applied/undo.safetensors"))
    status, data, _ = kledit("unedit", "back", *undo, model="applied/model", prompts="keep.txt")
    assert status == 0 and "figure.png" in data["files"] and data["figures"]["pixels_moved"] > 0
    restored = open_pipeline(str(folder / "back/model"))
    for name, weight in pipe.unet.named_parameters():
        assert torch.equal(restored.unet.get_parameter(name), weight)


def test_source_and_target_alone_pair_the_words_that_differ(kledit) -> None:
    (kledit.folder / "two.csv").write_text(
        "source,target\n"
        "a boat on the beach in the style of mondrian,a photo of a boat on the beach\n"
    )
    _, data, err = kledit("edit", "out", "--layers", "8", "--pictures", "1", prompts="two.csv")
    assert data["paired"] == [{"source": "mondrian", "target": "photo", "prompts": 1}]
    assert "paired mondrian with photo (1 prompts)" in err
    _, data, _ = kledit(
        "edit",
        "named",
        "--layers",
        "8",
        "--pictures",
        "1",
        "--target-subject",
        "beach",
        prompts="two.csv",
    )
    assert data["paired"] == [{"source": "mondrian", "target": "beach", "prompts": 1}]


def test_an_edit_that_fails_is_not_met(kledit, monkeypatch) -> None:
    import numpy as np

    from kledit_lite.zoo.judge import Judge

    def read(_judge, images):
        n = len(images)
        style = np.full(n, next(readings))
        return {"style": style, "object": np.ones(n, int), "place": np.ones(n, int)}

    names = SceneSet.names("style")
    seurat, photo = names.index("seurat"), names.index("photo")
    readings = iter([seurat, seurat, seurat, photo])  # before and after: it stays, then it goes
    monkeypatch.setattr(Judge, "read", read)
    judged = ("--layers", "8", "--judge", "style:seurat:photo")
    status, data, _ = kledit("edit", "bad", *judged)
    assert status == 1 and not data["met"] and data["judged_by"] == "judge-tiny"
    assert data["figures"]["removed"] == data["figures"]["arrived"] == 0
    assert data["figures"]["removed_n"] == 2 and data["figures"]["kept"] == 1
    status, data, _ = kledit("edit", "good", *judged)
    assert status == 0 and data["met"] and data["figures"]["arrived"] == 1


def test_clip_says_whether_pictures_reach_what_the_target_paints() -> None:
    import numpy as np

    class Clip:  # a picture's first pixel is its score with the target, its second with the source
        name = "stub"

    marker = ByClip(Clip(), "stub")
    scores = {"source": 1, "target": 0}

    def scored(_clip, images, texts):
        return images[:, 0, 0, scores[texts[0]]].astype(float)

    def pictures(*targets):
        images = np.full((len(targets), 1, 1, 3), 10, np.uint8)
        images[:, 0, 0, 0] = targets
        return images

    import kledit_lite.edit.judging as judging

    old, judging.clip_score = judging.clip_score, scored
    try:
        marks = marker.mark(
            pictures(10, 10, 10, 10), pictures(19, 14, 16, 30), pictures(20, 20, 20, 5),
            ["source"] * 4, ["target"] * 4,
        )  # fmt: skip
    finally:
        judging.clip_score = old
    assert marks == {"arrived": 2 / 3, "arrived_n": 3.0, "way": pytest.approx(19 / 30)}


def test_bad_input_exits_2_and_writes_nothing(kledit) -> None:
    folder = kledit.folder
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    (folder / "bad.csv").write_text("source,target,subject\na cat,a dog,bird\n")
    (folder / "empty.txt").write_text("# nothing\n")
    for arguments, more, words in [
        (("edit", "new"), {}, "name them, e.g. layers="),
        (("edit", "pairs.csv/new", "--layers", "8"), {}, "Cannot write to"),
        (("unedit", "pairs.csv/new", "--undo", "x"), {}, "Cannot write to"),
        (("edit", "new", "--layers", "8", "--preset", "best"), {}, "Unknown preset 'best'"),
        (("edit", "new", "--layers", "8", "--dtype", "half"), {}, "Unknown dtype 'half'"),
        (("unedit", "full", "--undo", "x"), {}, "is not an empty folder"),
        (("edit", "new", "--layers", "8", "--preset", "repaired"), {}, "pass some as keep"),
        (("edit", "new", "--layers", "8", "--subject", "seurat"), {}, "has a column subject"),
        (("edit", "new", "--layers", "8", "--judge", "style"), {}, "Expected FACTOR:SOURCE:TARGET"),
        (("edit", "new", "--layers", "8", "--judge", "style:seurat:x"), {}, "Unknown style 'x'"),
        (
            (
                "edit",
                "new",
                "--layers",
                "8",
                "--encoder",
                "text_encoder_2",
                "--method",
                "diffquickfix",
            ),
            {},
            "Unknown text encoder",
        ),
        (("apply", "new", "--edit", str(folder / "no")), {}, "There is no edit file"),
        (("edit", "full", "--layers", "8"), {}, "is not an empty folder"),
        (("edit", "new", "--method", "rome"), {}, "Unknown method 'rome'"),
        (("edit", "new", "--layers", "16"), {}, "do not exist"),
        (("edit", "new", "--layers", "8"), {"prompts": "bad.csv"}, "'bird' is not in the prompt"),
        (("edit", "new", "--layers", "8"), {"prompts": "no.csv"}, "Cannot read prompts"),
        (("edit", "new", "--layers", "8"), {"model": "no"}, "Cannot load the pipeline"),
        (("edit", "new", "--keep", str(folder / "empty.txt")), {}, "holds no line of text"),
        (("unedit", "new", "--undo", str(folder / "no")), {}, "There is no undo file"),
        (("unedit", "new", "--undo", str(folder / "bad.csv")), {}, "not a readable undo file"),
    ]:
        status, data, err = kledit(*arguments, **more)
        assert (status, data) == (2, None), arguments
        last = err.splitlines()[-1]  # what came before are progress bars
        assert last.startswith("kledit: ") and words in last, arguments
    assert not (folder / "new").exists() and not list(folder.glob(".*"))


def test_the_command_line_fills_in_a_request(monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(files, "run_edit", lambda r: seen.append(r) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(
            "edit --model m --prompts p --out o --layers 1 2 --method uce "
            "--keep-tokens all --keep-weight 2".split()
        )
    (request,) = seen
    assert isinstance(request, EditOptions) and request.layers == (1, 2) and request.method == "uce"
    assert request.keep_tokens == "all" and request.keep_weight == 2
