"""From a user's own table, or a folder of pictures and a model, to a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.failures.columns import from_frame
from kledit_lite.failures.command import PrimeOptions
from kledit_lite.failures.dilution import explain
from kledit_lite.failures.evaluate import generalisation, prime_groups, share_kept
from kledit_lite.failures.page import write_report
from kledit_lite.failures.read import read_table
from kledit_lite.failures.search import Modes, find_modes
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.tagging import Tagger

IMAGES = 20_000
"""Pictures of a folder that are looked at, at most."""


def prime(options: PrimeOptions) -> Results:
    """Find modes, write ``report.html``, ``modes.csv`` and ``notes.txt`` into ``options.out``.

    Raises:
        KleditError: bad input, as `from_frame` and `find_modes` say it.
    """
    start = time.perf_counter()
    if not 0 <= options.check < 1:
        raise KleditError(f"--check is {options.check}; expected a share of the rows below 1.")
    if not 0 < options.level < 1:
        raise KleditError(f"--level is {options.level}; expected a confidence such as 0.95.")
    check_folder(options.out)
    read = _from_folder if options.source.is_dir() else _from_file
    table, pictures = read(options)
    seen: np.ndarray = np.ones(len(table), bool)
    if options.check:
        seen = np.random.default_rng(options.seed).random(len(table)) >= options.check
        if seen.all() or not seen.any():
            raise KleditError(f"--check {options.check} leaves no rows on one side; change it.")
    own = table.subset(seen)
    wanted = {k: getattr(options, k) for k in ("l", "s", "a", "kind", "frequency", "level")}
    steps, longest = dict(enumerate(options.b, start=2)), options.max_seconds or None
    modes = find_modes(own, b=steps, max_seconds=longest, **wanted)
    drops = None
    if options.check:
        rest = table.subset(~seen)
        drops = generalisation(prime_groups(modes.table, own, rest), own, rest)
    shown = None if pictures is None else [pictures[i] for i in np.flatnonzero(seen)]
    by = explain(modes, own)["explained_by"]
    out, level = options.out, options.level
    title = f"{options.kind.capitalize()} modes of {options.source.name}"
    report = write_report(
        out / "report.html", modes, own, title=title, pictures=shown, unseen=drops, level=level
    )
    saved = write_atomically(out / "modes.csv", _as_csv(modes, drops, by, level))
    write_atomically(out / "notes.txt", "".join(f"{n}\n" for n in modes.notes))
    figures: dict[str, float] = {
        "modes": len(modes),
        "significant": len(modes.significant(1 - level)),
        "certain": len(modes.certain()),
        "explained_by_worse": sum(map(bool, by)),
        "images": len(own),
        "classes": len(own.classes),
        "tags": len(own.tags),
        "sets_searched": modes.searched,
        "search_seconds": modes.seconds,
    }
    if drops is not None:
        figures["kept_25_points_on_unseen"] = share_kept(drops)
    where = {"report": report, "table": saved, "notes": list(modes.notes)}
    seconds = time.perf_counter() - start
    return Results("prime", figures, {}, context(seed=options.seed, seconds=seconds), where)


def _as_csv(modes: Modes, drops: pd.DataFrame | None, by: pd.Series, level: float) -> str:
    flat = modes.table.copy()
    flat["significant"] = flat["p_corrected"] <= 1 - level
    flat["certain"] = modes.is_certain()
    flat["explained_by"] = by.map(" + ".join)
    flat["tags"] = flat["tags"].map(" + ".join)
    flat["without"] = ["; ".join(f"{t}: {v:.4f}" for t, v in w.items()) for w in flat["without"]]
    if drops is not None:
        flat = flat.join(drops[["unseen_images", "unseen_drop"]])
    return flat.to_csv(index=False)


def _from_file(options: PrimeOptions) -> tuple[TagTable, list[Path] | None]:
    label, correct = options.label, options.correct
    if label is None or correct is None:
        lacking = "label" if label is None else "correct"
        raise KleditError(f"A table needs --{lacking} COLUMN; see `kledit prime --help`.")
    if options.model is not None:
        raise KleditError("--model goes with a folder of pictures; a table says what was correct.")
    frame = read_table(options.source, options.sep, options.encoding)
    pictures = None
    if options.pictures is not None:
        if options.pictures not in frame.columns:
            raise KleditError(f"The table has no column {options.pictures!r} of pictures.")
        pictures = [options.source.parent / str(p) for p in frame.pop(options.pictures)]
    least = int(options.s) if options.s >= 1 else 1
    table = from_frame(frame, label, correct, options.tags, options.id, at_least=least)
    return table, pictures


def _from_folder(options: PrimeOptions) -> tuple[TagTable, Any]:
    """Pictures in one sub-folder per class: judged by the model, tagged by the profile's CLIP."""
    if options.model is None or options.vocabulary is None:
        raise KleditError(
            "A folder of pictures needs --model (zoo:NAME, package:NAME, timm:NAME or a "
            "TorchScript file) and --vocabulary FILE with one tag per line."
        )
    from kledit_lite.models import profiles
    from kledit_lite.models.image_folder import load_image_folder

    words = _words(options.vocabulary)
    for name in ("sep", "encoding", "label", "correct", "tags", "id", "pictures"):
        if getattr(options, name) is not None:
            raise KleditError(f"--{name} goes with a table; {options.source} is a folder.")
    clip = profiles.resolve("clip").model
    templates, warning = _templates(clip, words)
    size = 224 if warning is None else 64
    sample = load_image_folder(options.source, IMAGES, options.seed, size)
    correct = _verdicts(options.model, sample.images, sample.labels, sample.names)
    prompts = {w: [t.format(w) for t in templates] for w in words}
    features = clip.encode_image(sample.images)
    tagger = Tagger.from_text(clip.encode_text, prompts).calibrate_blind(features)
    notes = (
        "Tags are CLIP's guesses: each is given to images whose similarity lies a standard "
        "deviation above its mean. Look at the pictures before you believe a name.",
        *([warning] if warning else []),
    )
    has = tagger.tag(features)
    table = TagTable(sample.names, sample.labels, correct, tagger.names, has, notes)
    return table, sample.images


def _known(clip: Any, phrase: str) -> bool:
    """Whether clip-tiny learned every word of a phrase: it did if each is one token."""
    from kledit_lite.zoo.tokenizer import load_tokenizer

    tokens = load_tokenizer(clip.tokenizer).tokenize(phrase)
    return len(tokens) == len(phrase.split()) and all(len(t) > len("d</w>") for t in tokens)


def _templates(clip: Any, words: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """Sentences to put a word into; and what to say of a CLIP that knows the painted world only.

    Raises:
        KleditError: clip-tiny, and words that it never learned.
    """
    if getattr(clip, "name", "") != "clip-tiny":
        return ("{}", "a photo of {}", "an image with {}"), None
    strange = [w for w in words if not _known(clip, w)]
    if strange:
        shown = ", ".join(strange[:8]) + (", ..." if len(strange) > 8 else "")
        raise KleditError(
            f"clip-tiny, the CLIP of profile lite, knows the painted world only and never learned "
            f"{len(strange)} of the {len(words)} words: {shown}. Set KLEDIT_PROFILE=laptop, or put "
            "a CLIP into the slot with KLEDIT_SLOT_CLIP=open_clip:ARCH/TAG."
        )
    return ("{}", "a photo of {}"), (
        "These tags are clip-tiny's, which learned from painted pictures of 64 pixels; on "
        "photographs they mean nothing."
    )


def _words(path: Path) -> list[str]:
    if not path.is_file():
        raise KleditError(f"There is no file {path}; --vocabulary names a text, one tag per line.")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    words = list(dict.fromkeys(w for w in lines if w))
    if not words:
        raise KleditError(f"{path} has no words; write one tag per line.")
    return words


def _verdicts(model: str, images: Any, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(N,) whether the model names the folder's class."""
    scheme, _, rest = model.partition(":")
    if scheme == "zoo":
        from kledit_lite import zoo

        encoder = zoo.load_encoder(rest)
        if encoder.head is None:
            raise KleditError(f"{model} has no classifier; choose a model with classes.")
        guesses = [
            encoder.head.label_names[k] for k in encoder.head(encoder.encode(images)).argmax(1)
        ]
    elif Path(model).is_file():
        guesses = [names[k] for k in _torchscript(Path(model), images, len(names))]
    else:
        from kledit_lite.models.external import load_external_encoder

        guesses = [best[0][0] for best in load_external_encoder(model).classify(images, top=1)]
    known = {n.lower() for n in guesses}
    if not known & {n.lower() for n in names}:
        raise KleditError(
            f"{model} never answered with one of the folder's classes ({', '.join(names[:5])}, "
            f"...); it says such things as {', '.join(sorted(known)[:5])}. Name the folders as the "
            "model names its classes."
        )
    return np.array([g.lower() == names[y].lower() for g, y in zip(guesses, labels, strict=True)])


def _torchscript(path: Path, images: np.ndarray, classes: int) -> np.ndarray:
    """Classes by a TorchScript module (N, 3, H, W) float in [0, 1] to (N, C), C sorted folders."""
    import torch

    try:
        module = torch.jit.load(str(path)).eval()
    except RuntimeError as error:
        raise KleditError(
            f"{path} is no TorchScript file; save one with torch.jit.trace(model, example).save."
        ) from error
    found = []
    with torch.inference_mode():
        for i in range(0, len(images), 64):
            x = torch.from_numpy(images[i : i + 64]).permute(0, 3, 1, 2).float() / 255
            logits = module(x)
            if logits.shape != (len(x), classes):
                raise KleditError(
                    f"The model gives {tuple(logits.shape)} for {len(x)} pictures; expected "
                    f"({len(x)}, {classes}): one logit for each sub-folder, in alphabetical order."
                )
            found.append(logits.argmax(1).numpy())
    return np.concatenate(found)
