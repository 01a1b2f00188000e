"""Verdicts on albums too large to paint while one reads.

The paper searches 5,200 images of each class. As many pictures of the painted world take ten
minutes of one core, but they need to be painted once only: a search looks at tags and verdicts, not
at pixels. So what two classifiers say of two albums is shipped: 60,000 scenes to search in, and
60,000 that the search never sees. Scenes come from a seed, and with them the tags; the files have
the answers, and the checksums of whatever they depend on. Make them again with::

    python -m kledit_lite.failures.album --processes 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.files import write_atomically
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.tagging import scene_tags
from kledit_lite.world import OBJECTS, Scene, render_many, sample_scenes

MODELS = ("flawed-tiny", "sound-tiny")
SEEDS = {"seen": 311, "unseen": 312}
"""Album -> seed of its scenes."""
SIZES = {"seen": 60_000, "unseen": 60_000}
FOLDER = Path(__file__).parent / "albums"
BLOCK = 2000
"""Pictures in memory at a time."""


@dataclass(frozen=True, eq=False)
class Album:
    """Scenes, and what each model says they show.

    Attributes:
        scenes: N scenes.
        guesses: Model -> (N,) int64, indices into `OBJECTS`.
    """

    scenes: tuple[Scene, ...]
    guesses: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.scenes)

    def table(self, model: str, first: int | None = None) -> TagTable:
        """Labels, verdicts and true tags, of the first scenes only if asked for. O(N T).

        Raises:
            UnknownNameError: a model without guesses.
        """
        if model not in self.guesses:
            raise unknown("model", model, self.guesses)
        scenes = self.scenes[:first]
        truth = np.array([OBJECTS.index(s.object) for s in scenes])
        return TagTable(OBJECTS, truth, self.guesses[model][:first] == truth, *scene_tags(scenes))


def scenes_digest(scenes: Sequence[Scene]) -> str:
    """SHA-256 over all that decides the pictures.

    Example:
        >>> scenes_digest([Scene("cat", "red", "city")])[:8]
        '4893af29'
    """
    rows = "\n".join(
        f"{s.object},{s.colour},{s.place},{s.style},{s.count},{s.seed}" for s in scenes
    )
    return hashlib.sha256(rows.encode()).hexdigest()


def guesses_of(scenes: Sequence[Scene], processes: int = 1) -> dict[str, np.ndarray]:
    """Paint scenes, ask `MODELS`, keep no pictures: model -> (N,) uint8. O(N) time."""
    from kledit_lite import zoo

    models = {name: zoo.load_encoder(name) for name in MODELS}
    found: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
    for start in range(0, len(scenes), BLOCK):
        images = render_many(scenes[start : start + BLOCK], processes)
        for name, model in models.items():
            assert model.head is not None
            found[name].append(model.head(model.encode(images)).argmax(axis=1).astype(np.uint8))
        print(f"album: {start + len(images)} of {len(scenes)}", file=sys.stderr, flush=True)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def make_album(name: str, n: int | None = None, processes: int = 1, folder: Path = FOLDER) -> Path:
    """Paint an album, ask both models, and write their answers.

    Args:
        name: ``"seen"`` or ``"unseen"``.
        n: Scenes; default: as many as are shipped.
        processes: Worker processes for painting.
        folder: Where to write ``NAME.npz``.

    Returns:
        The file.
    """
    from kledit_lite.zoo.store import read_card

    if name not in SEEDS:
        raise unknown("album", name, SEEDS)
    n = SIZES[name] if n is None else n
    scenes = sample_scenes(n, SEEDS[name], "all")
    about = {
        "n": n,
        "seed": SEEDS[name],
        "scenes": scenes_digest(scenes),
        "weights": {model: read_card(model).sha256 for model in MODELS},
    }
    said = np.array(json.dumps(about, sort_keys=True))
    arrays: dict[str, Any] = {"about": said, **guesses_of(scenes, processes)}
    return write_atomically(folder / f"{name}.npz", lambda p: np.savez_compressed(p, **arrays))


def load_album(name: str, folder: Path = FOLDER) -> Album:
    """A shipped album: scenes drawn again from their seed, answers from the file. O(N), seconds.

    Raises:
        UnknownNameError: neither ``"seen"`` nor ``"unseen"``.
        KleditError: no such file, or one made from other scenes or by other weights.
    """
    from kledit_lite.zoo.store import read_card

    if name not in SEEDS:
        raise unknown("album", name, SEEDS)
    path = folder / f"{name}.npz"
    again = "make it again with `python -m kledit_lite.failures.album`"
    if not path.is_file():
        raise KleditError(f"There is no album {path}; {again}.")
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
        guesses = {model: file[model].astype(np.int64) for model in MODELS}
    for model in MODELS:
        made, now = about["weights"][model], read_card(model).sha256
        if made != now:
            raise KleditError(
                f"The album {path.name} has the answers of {model} with sha256 {made[:12]}..., but "
                f"the weights here have {now[:12]}...; {again}."
            )
    scenes = tuple(sample_scenes(about["n"], about["seed"], "all"))
    if scenes_digest(scenes) != about["scenes"]:
        raise KleditError(f"The album {path.name} was made from other scenes; {again}.")
    return Album(scenes, guesses)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m kledit_lite.failures.album``: paint both albums and write the answers."""
    parser = argparse.ArgumentParser(
        prog="python -m kledit_lite.failures.album",
        description="Paint both albums and write what the two classifiers say of them.",
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--size", type=int, metavar="N", help=f"scenes of each (default: {SIZES})")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    options = parser.parse_args(arguments)
    for name in SEEDS:
        print(make_album(name, options.size, options.processes, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
