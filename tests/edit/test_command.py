"""`kledit edit` and `kledit unedit` on a saved pipeline."""

import json

import pytest
import torch

from kledit_lite import cli
from kledit_lite.edit import Edit
from kledit_lite.edit.command import Request, open_pipeline
from kledit_lite.edit.sites import parameter

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
        given = [word for k, v in paths.items() for word in (k, str(tmp_path / v))]
        given = [command, *given, "--steps", "2", "--guidance", "2", "--json"]
        status = cli.main([*given, *more])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    run.folder = tmp_path
    return run


def test_edit_then_unedit_gives_the_model_back_bit_for_bit(pipe, kledit) -> None:
    folder = kledit.folder
    status, data, _ = kledit(
        "edit", "out/first", "--layers", "8", "9", "--write-model", "--pictures", "2",
        "--keep", str(folder / "keep.txt"),
    )  # fmt: skip
    assert status == 0 and data["name"] == "edit" and data["met"]
    assert data["files"] == [
        "after.png", "before.png", "edit.safetensors", "figure.png", "model", "table.csv",
        "undo.safetensors",
    ]  # fmt: skip
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
    status, data, err = kledit("unedit", "out/third", *undo)
    assert (status, data) == (2, None) and "does not carry the edit" in err
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["first", "second"]


def test_bad_input_exits_2_and_writes_nothing(kledit) -> None:
    folder = kledit.folder
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()
    (folder / "bad.csv").write_text("source,target,subject\na cat,a dog,bird\n")
    (folder / "empty.txt").write_text("# nothing\n")
    for arguments, more, words in [
        (("edit", "new"), {}, "name them, e.g. layers="),
        (("edit", "full", "--layers", "8"), {}, "is not an empty folder"),
        (("edit", "new", "--method", "rome"), {}, "Unknown method 'rome'"),
        (("edit", "new", "--layers", "16"), {}, "do not exist"),
        (("edit", "new", "--layers", "8"), {"prompts": "bad.csv"}, "'bird' is not in the prompt"),
        (("edit", "new", "--layers", "8"), {"prompts": "no.csv"}, "Cannot read prompts"),
        (("edit", "new", "--layers", "8"), {"model": "no"}, "Cannot load the pipeline"),
        (("edit", "new", "--keep", str(folder / "empty.txt")), {}, "holds no prompts"),
        (("unedit", "new", "--undo", str(folder / "no")), {}, "There is no undo file"),
        (("unedit", "new", "--undo", str(folder / "bad.csv")), {}, "not a readable undo file"),
    ]:
        status, data, err = kledit(*arguments, **more)
        assert (status, data) == (2, None), arguments
        last = err.splitlines()[-1]  # what came before are progress bars
        assert last.startswith("kledit: ") and words in last, arguments
    assert not (folder / "new").exists() and not list(folder.glob(".*"))


def test_the_command_line_fills_in_a_request(monkeypatch) -> None:
    from kledit_lite.edit import command

    seen = []
    monkeypatch.setattr(command, "run_edit", lambda r: seen.append(r) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main("edit --model m --prompts p --out o --layers 1 2 --method uce".split())
    (request,) = seen
    assert isinstance(request, Request) and request.layers == [1, 2] and request.method == "uce"
