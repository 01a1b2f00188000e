"""``kledit edit``, ``apply`` and ``unedit``: an edit of one's own model, with pictures and a table.

``edit`` solves an edit, shows and judges what it does, and writes to a folder::

    edit.safetensors    the edit, which applies to any pipeline of the architecture
    before.png          pictures of the prompts without it
    after.png           the same prompts and seeds with it
    figure.png          both, side by side
    table.csv           a row for each matrix: norm, residuals, collateral change
    model/              the edited pipeline, if asked for
    undo.safetensors    with the model: its weights before the edit

``apply`` writes a saved edit into a model, ``unedit`` puts the weights of ``undo.safetensors`` back
into that model, bit for bit. Both show pictures only if given prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from kledit_lite.core.commands import Command, File, Folder, Name, Positive
from kledit_lite.core.results import Results
from kledit_lite.models.painting import Painting

Words = Annotated[str, "WORDS"]


@dataclass(frozen=True, kw_only=True)
class Showing(Painting):
    """How pictures before and after are shown.

    Attributes:
        pictures: prompts whose pictures are shown
    """

    pictures: Positive = 4
    batch: Positive = 8


@dataclass(frozen=True, kw_only=True)
class EditOptions(Showing):
    """What to edit, by which method, and how to judge it.

    Attributes:
        prompts: CSV or JSON: source, target (subject, target_subject, concept)
        method: locoedit, diffquickfix, uce or time
        preset: published or repaired
        layers: layers to edit, in execution order (default: the method's)
        tokens: tokens to pair: last-subject, to-end, to-padding or aligned (default: the preset's)
        strength: lambda of the ridge (default: the preset's)
        keep: prompts to keep, one per line
        keep_tokens: tokens of the prompts to keep: last or all (default: the preset's)
        keep_weight: importance of the prompts to keep
        encoder: text encoder to edit: text_encoder or text_encoder_2 (default: all)
        subject: the concept's words in every source
        target_subject: the concept's words in every target
        test: pairs to judge the edit on (default: some of --prompts)
        judge: judge a painted-world model, such as style:mondrian:photo
        clip: CLIP to judge with: clip-tiny, open_clip:ARCH/TAG, or a folder (default: clip-tiny
            for pictures of 64 pixels, else the profile's)
        write_model: write the edited model and an undo file, too
    """

    prompts: File
    method: Name = "locoedit"
    preset: Name = "published"
    layers: tuple[Annotated[int, "L"], ...] | None = None
    tokens: Annotated[str, "WHICH"] | None = None
    strength: float | None = None
    keep: File | None = None
    keep_tokens: Annotated[str, "WHICH"] | None = None
    keep_weight: float = 1.0
    encoder: Name | None = None
    subject: Words | None = None
    target_subject: Words | None = None
    test: File | None = None
    judge: Annotated[str, "FACTOR:SOURCE:TARGET"] | None = None
    clip: Annotated[str, "ID"] | None = None
    write_model: bool = False


@dataclass(frozen=True, kw_only=True)
class ApplyOptions(Showing):
    """Which saved edit to write into a model.

    Attributes:
        edit: the edit.safetensors of kledit edit
        prompts: prompts to show, one per line or as for edit (default: none)
    """

    edit: File
    prompts: File | None = None


@dataclass(frozen=True, kw_only=True)
class UneditOptions(Showing):
    """Which edit to undo.

    Attributes:
        undo: the undo.safetensors written beside the edited model
        prompts: prompts to show, one per line or as for edit (default: none)
    """

    undo: File
    prompts: File | None = None


@dataclass(frozen=True, kw_only=True)
class VlmEditOptions:
    """Which answers of which model that sees to change.

    Attributes:
        model: docent-tiny, or a folder of transformers, such as LLaVA's or SmolVLM's
        questions: JSON list of {image, question, constraints, answer, new_answer, paraphrase, keep}
        out: folder for edit.safetensors and answers.csv; new or empty
        layer: whose MLP is rewritten
        where: token whose key and value are taken: last or last-constraint
        keep_weight: importance of the questions to keep
        strength: how much the matrix clings to what it was
        steps: of the search for values
        dtype: float32, float16 or bfloat16 (default: bfloat16 on a GPU, else float32)
    """

    model: Annotated[str, "DIR"]
    questions: File
    out: Folder
    layer: int
    where: Literal["last", "last-constraint"] = "last"
    keep_weight: float = 1.0
    strength: float = 0.01
    steps: Positive = 25
    dtype: Name | None = None


def edit(options: EditOptions) -> Results:
    """Solve, show, judge and save an edit; see `edit.files.run_edit`."""
    from kledit_lite.edit import files

    return files.run_edit(options)


def apply(options: ApplyOptions) -> Results:
    """Write a saved edit into a model; see `edit.files.run_apply`."""
    from kledit_lite.edit import files

    return files.run_apply(options)


def unedit(options: UneditOptions) -> Results:
    """Put the weights back as they were; see `edit.files.run_unedit`."""
    from kledit_lite.edit import files

    return files.run_unedit(options)


def vlm_edit(options: VlmEditOptions) -> Results:
    """Change answers about pictures; see `edit.vlm.edit_file`."""
    from kledit_lite.edit.vlm import edit_file

    return edit_file(options)


COMMANDS = (
    Command("edit", "edit a text-to-image model in closed form", EditOptions, edit),
    Command("apply", "write a saved edit into a model", ApplyOptions, apply),
    Command("unedit", "undo an edit that was written into a model", UneditOptions, unedit),
    Command("vlm-edit", "change what a model that sees answers", VlmEditOptions, vlm_edit),
)
