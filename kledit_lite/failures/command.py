"""``kledit prime``: a user's own table, or a folder of pictures and a model, to a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kledit_lite.errors import KleditError
from kledit_lite.failures.evaluate import generalisation, prime_groups, share_kept
from kledit_lite.failures.report import write_report
from kledit_lite.failures.search import Modes, find_modes
from kledit_lite.failures.table import TagTable, from_frame
from kledit_lite.failures.tagging import Tagger
from kledit_lite.results import Results, context, write_atomically

READERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
IMAGES = 20_000
"""Pictures of a folder that are looked at, at most."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for; see ``kledit prime --help``."""

    source: Path
    out: Path
    label: str | None = None
    correct: str | None = None
    tags: Sequence[str] | None = None
    id: str | None = None
    pictures: str | None = None
    model: str | None = None
    vocabulary: Path | None = None
    l: int = 4  # noqa: E741
    s: float = 30
    a: float = 0.30
    kind: str = "failure"
    check: float = 0.0
    max_seconds: float | None = 120.0
    seed: int = 0


def read_table(path: Path) -> pd.DataFrame:
    """A CSV, TSV or Parquet file.

    Raises:
        KleditError: no such file, another ending, or a file that cannot be read as what it says.
    """
    if not path.is_file():
        raise KleditError(f"There is no file {path}; give a .csv, .tsv or .parquet file.")
    suffix = path.suffix.lower()
    if suffix not in (*READERS, ".parquet"):
        raise KleditError(f"Cannot read {path.name}: expected .csv, .tsv or .parquet.")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep=READERS[suffix])
    except ImportError as error:
        raise KleditError(
            "Reading Parquet needs pyarrow: run `pip install pyarrow`, or save the table as CSV."
        ) from error
    except (ValueError, OSError, UnicodeDecodeError) as error:  # what pandas and pyarrow raise
        words = " ".join(str(error).split())
        raise KleditError(f"Cannot read {path.name} as a table: {words}.") from error


def run(options: Options) -> Results:
    """Find modes, write ``report.html``, ``modes.csv`` and ``notes.txt`` into ``options.out``.

    Raises:
        KleditError: bad input, as `from_frame` and `find_modes` say it.
    """
    start = time.perf_counter()
    if not 0 <= options.check < 1:
        raise KleditError(f"--check is {options.check}; expected a share of the rows below 1.")
    folder = options.source.is_dir()
    table, pictures = _from_folder(options) if folder else _from_file(options)
    seen = np.ones(len(table), bool)
    if options.check:
        seen = np.random.default_rng(options.seed).random(len(table)) >= options.check
        if seen.all() or not seen.any():
            raise KleditError(f"--check {options.check} leaves no rows on one side; change it.")
    own = table.subset(seen)
    modes = find_modes(
        own, options.l, options.s, options.a, kind=options.kind,  # type: ignore[arg-type]
        max_seconds=options.max_seconds,
    )  # fmt: skip
    drops = None
    if options.check:
        rest = table.subset(~seen)
        drops = generalisation(prime_groups(modes.table, own, rest), own, rest)
    shown = None if pictures is None else [pictures[i] for i in np.flatnonzero(seen)]
    report = write_report(
        options.out / "report.html", modes, own, unseen=drops, pictures=shown,
        title=f"{options.kind.capitalize()} modes of {options.source.name}",
    )  # fmt: skip
    saved = write_atomically(options.out / "modes.csv", _as_csv(modes, drops))
    write_atomically(options.out / "notes.txt", "".join(f"{n}\n" for n in modes.notes))
    figures: dict[str, float] = {
        "modes": len(modes), "significant": len(modes.significant()), "images": len(own),
        "classes": len(own.classes), "tags": len(own.tags), "sets_searched": modes.searched,
        "search_seconds": modes.seconds,
    }  # fmt: skip
    if drops is not None:
        figures["kept_25_points_on_unseen"] = share_kept(drops)
    where = {"report": report, "table": saved, "notes": list(modes.notes)}
    seconds = time.perf_counter() - start
    return Results(
        "prime",
        figures,
        {},
        context(seed=options.seed, seconds=seconds, engine=modes.engine),
        where,
    )


def _as_csv(modes: Modes, drops: pd.DataFrame | None) -> str:
    flat = modes.table.copy()
    flat["tags"] = [" + ".join(tags) for tags in flat["tags"]]
    flat["without"] = ["; ".join(f"{t}: {v:.4f}" for t, v in w.items()) for w in flat["without"]]
    if drops is not None:
        flat["unseen_images"] = drops["unseen_images"].to_numpy()
        flat["unseen_drop"] = drops["unseen_drop"].to_numpy()
    return flat.to_csv(index=False)


def _from_file(options: Options) -> tuple[TagTable, list[Path] | None]:
    for name in ("label", "correct"):
        if getattr(options, name) is None:
            raise KleditError(f"A table needs --{name} COLUMN; see `kledit prime --help`.")
    if options.model is not None:
        raise KleditError("--model goes with a folder of pictures; a table says what was correct.")
    frame = read_table(options.source)
    pictures = None
    if options.pictures is not None:
        if options.pictures not in frame.columns:
            raise KleditError(f"The table has no column {options.pictures!r} of pictures.")
        beside = options.source.parent
        pictures = [beside / str(p) for p in frame[options.pictures]]
        frame = frame.drop(columns=options.pictures)
    assert options.label is not None and options.correct is not None
    table = from_frame(frame, options.label, options.correct, options.tags, options.id)
    return table, pictures


def _from_folder(options: Options) -> tuple[TagTable, Any]:
    """Pictures in one sub-folder a class: judged by the model, tagged by the profile's CLIP."""
    if options.model is None or options.vocabulary is None:
        raise KleditError(
            "A folder of pictures needs --model (zoo:NAME, package:NAME, timm:NAME or a "
            "TorchScript file) and --vocabulary FILE with one tag a line."
        )
    from kledit_lite import profiles
    from kledit_lite.zoo.image_folder import load_image_folder

    words = _words(options.vocabulary)
    clip = profiles.resolve("clip").model
    size = 64 if getattr(clip, "name", "") == "clip-tiny" else 224
    sample = load_image_folder(options.source, IMAGES, options.seed, size)
    correct = _verdicts(options.model, sample.images, sample.labels, sample.names)
    prompts = {w: [f"{w}", f"a photo of {w}", f"an image with {w}"] for w in words}
    features = clip.encode_image(sample.images)
    tagger = Tagger.from_text(clip.encode_text, prompts).calibrate_blind(features)
    notes = (
        "Tags are CLIP's guesses: each is given to images whose similarity lies a standard "
        "deviation above its mean. Look at the pictures before you believe a name.",
    )
    table = TagTable(
        sample.names, sample.labels, correct, tagger.names, tagger.tag(features), notes
    )
    return table, sample.images


def _words(path: Path) -> list[str]:
    if not path.is_file():
        raise KleditError(f"There is no file {path}; --vocabulary names a text, one tag a line.")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    words = list(dict.fromkeys(w for w in lines if w))
    if not words:
        raise KleditError(f"{path} has no words; write one tag a line.")
    return words


def _verdicts(
    model: str, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> np.ndarray:
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
        from kledit_lite.zoo.external import load_external_encoder

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
