"""Options of the longer commands; imports nothing heavy, so that ``kledit --help`` is quick."""

from __future__ import annotations

import argparse
from pathlib import Path


def positive(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def edit_options(
    edit: argparse.ArgumentParser,
    apply: argparse.ArgumentParser,
    unedit: argparse.ArgumentParser,
) -> None:
    """Options of ``kledit edit``, ``apply`` and ``unedit``."""
    for each in (edit, apply, unedit):
        each.add_argument(
            "--model",
            required=True,
            metavar="DIR_OR_ID",
            help="a shipped name, a pipeline folder or a Hub id",
        )
        words = (
            "CSV or JSON: source, target (subject, target_subject, concept)"
            if each is edit
            else "prompts to show, one per line or as for edit"
        )
        each.add_argument("--prompts", type=Path, required=each is edit, metavar="FILE", help=words)
        each.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
        for name, kind, value in (
            ("pictures", positive, 4),
            ("seed", int, 0),
            ("steps", positive, 20),
            ("guidance", float, 3.0),
        ):
            each.add_argument(f"--{name}", type=kind, default=value, help=f"(default: {value})")
    edit.add_argument("--method", default="locoedit", help="locoedit, diffquickfix, uce or time")
    edit.add_argument(
        "--preset", default="published", help="published or repaired (default: published)"
    )
    edit.add_argument("--layers", type=int, nargs="+", metavar="L", help="in execution order")
    edit.add_argument("--tokens", help="last-subject, to-end, to-padding or aligned")
    edit.add_argument("--strength", type=float, metavar="X", help="lambda of the ridge")
    edit.add_argument("--keep", type=Path, metavar="FILE", help="prompts to keep, one per line")
    edit.add_argument("--keep-tokens", help="of those: last or all")
    edit.add_argument(
        "--keep-weight",
        type=float,
        default=1.0,
        metavar="X",
        help="importance of those (default: 1)",
    )
    edit.add_argument("--encoder", help="text_encoder or text_encoder_2 (default: all)")
    edit.add_argument("--subject", metavar="WORDS", help="the concept's words in every source")
    edit.add_argument("--target-subject", metavar="WORDS", help="the same in every target")
    edit.add_argument(
        "--test",
        type=Path,
        metavar="FILE",
        help="pairs to judge the edit on (default: some of --prompts)",
    )
    edit.add_argument(
        "--judge",
        metavar="FACTOR:SOURCE:TARGET",
        help="judge a painted-world model, such as style:mondrian:photo",
    )
    edit.add_argument("--clip", metavar="ID", help="to judge with (default: the profile's)")
    edit.add_argument("--write-model", action="store_true", help="write model and undo file too")
    apply.add_argument(
        "--edit",
        type=Path,
        metavar="FILE",
        required=True,
        help="the edit.safetensors of kledit edit",
    )
    unedit.add_argument(
        "--undo",
        type=Path,
        metavar="FILE",
        required=True,
        help="the undo.safetensors written beside the edited model",
    )


def restor_options(restor: argparse.ArgumentParser) -> None:
    """The options of ``kledit restor`` that have defaults; those stand in `public.Options`."""
    for name, kind, words in (
        ("documents", str, "corruption set: mix_a0 to mix_a5 (k), squad_v7_dset, ..."),
        ("retain", Path, "texts to keep, .json or one per line (default: the model's own words)"),
        ("each", int, "documents per corrupted subject; 0 takes all"),
        ("facts", int, "facts of corrupted subjects; 0 asks all"),
        ("untouched", int, "facts of others; 0 asks all"),
        ("later", int, "facts taught after exposure and asked; 0 teaches none"),
        ("samples", int, "answers per question, the majority counts"),
        ("temperature", float, "of the answers"),
        ("validation", float, "share of the facts that tunes rates and strengths"),
        ("epochs", float, "passes over what is learned"),
        ("unlearn-epochs", float, "passes of a method"),
        ("lr", float, "learning rate of learning"),
        ("rank", int, "rank of the adapters"),
        ("seed", int, "of every draw"),
    ):
        shown = {int: "N", float: "X", str: "NAME", Path: "FILE"}[kind]
        restor.add_argument(f"--{name}", type=kind, metavar=shown, help=words)
    restor.add_argument("--methods", nargs="+", metavar="NAME", help="e.g. ga kl npo graddiff rmu")
    restor.add_argument(
        "--rates", type=float, nargs="+", metavar="X", help="learning rates tried for each method"
    )
    restor.add_argument(
        "--strengths",
        type=float,
        nargs="+",
        metavar="X",
        help="alphas tried for model state arithmetic",
    )
    restor.add_argument("--record", type=Path, metavar="FILE", help="record the run for a page")


def tofu_options(tofu: argparse.ArgumentParser) -> None:
    """The options of ``kledit tofu``."""
    for name, words in (
        ("model", "a shipped name, package:NAME, a model's folder or a hub id"),
        ("prompt", "text with {} for the question (default: the chat template, if any)"),
        ("system", "system message of the chat"),
    ):
        tofu.add_argument(
            f"--{name}", metavar="TEXT", help=words, default="" if name == "system" else None
        )
    for name, words in (
        ("log", "evaluation by TOFU or open-unlearning, instead of a model"),
        ("forget", "questions of the forget set, with perturbed answers"),
        ("retain", "questions of the retain set"),
        ("real", "questions about real authors"),
        ("world", "questions about the world"),
        ("ideal", "evaluation of a model that never saw the forget set"),
        ("out", "file for the model's evaluation, in TOFU's form"),
    ):
        tofu.add_argument(f"--{name}", type=Path, metavar="FILE", help=words)
    tofu.add_argument(
        "--batch", type=positive, default=16, metavar="N", help="rows at a time (default: 16)"
    )
