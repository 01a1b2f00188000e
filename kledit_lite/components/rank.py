"""A user's model, pictures and words, to a table of parts and maps of where they looked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.components.align import align_parts
from kledit_lite.components.score import directions, scores
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, read_lines, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.vision import Parts, vision_parts
from kledit_lite.inside.vision_tokens import token_maps
from kledit_lite.inside.vit import is_plain
from kledit_lite.zoo.pixels import to_tensor

if TYPE_CHECKING:
    import pandas as pd

    from kledit_lite.components.command import ComponentsOptions

SHOWN = 6
"""Pictures on the sheet of maps."""


def read_words(path: Path) -> dict[str, tuple[str, ...]]:
    """Properties and their words, from lines such as ``place: beach, forest, city``.

    Raises:
        KleditError: no such file, a line of another form, a property twice or with fewer than two
            words.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "words.txt"
        >>> _ = file.write_text("place: beach, city")
        >>> read_words(file)
        {'place': ('beach', 'city')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name, colon, rest = line.partition(":")
        words = tuple(w.strip() for w in rest.split(",") if w.strip())
        if not colon or len(words) < 2 or name.strip() in found:
            raise KleditError(
                f"{path}, line {number}: {line!r}; expected a property, new in this file, and two "
                "words or more, such as: place: beach, forest, city"
            )
        found[name.strip()] = words
    return found


def rank_parts(options: ComponentsOptions) -> Results:
    """Decompose the model on the pictures, score its parts by the words, write what was found.

    Writes ``scores.csv`` (parts by properties), ``scores.png``, and for a plain ViT ``maps.png``:
    where the best part of each property looked in the first pictures.

    Raises:
        KleditError: bad words or pictures; a model whose parts are not known.
    """
    import pandas as pd
    import torch

    from kledit_lite.models.image_folder import load_image_folder
    from kledit_lite.viz import png

    start = time.perf_counter()
    check_folder(options.out)
    words = read_words(options.words)
    tower, clip, prepared = _open(options)
    side = 256 if hasattr(clip, "preprocess") else 64  # shipped models read one size
    pictures = load_image_folder(options.images, options.pictures, options.seed, side).images
    if len(pictures) < 3:
        raise KleditError(f"{options.images} has {len(pictures)} pictures; three are needed.")
    blocks = [pictures[i : i + options.batch] for i in range(0, len(pictures), options.batch)]
    each = [vision_parts(tower, prepared(block)) for block in blocks]
    together = torch.cat([p.values for p in each], dim=1).float().cpu()
    parts = Parts(together, each[0].names, max(p.error for p in each))
    values = parts.values.numpy()
    figures: dict[str, float] = {"parts": len(parts.names), "pictures": len(pictures)}
    own = values.shape[2] == clip.dim and tower is getattr(clip.model, "visual", None)
    if not own:
        maps = align_parts(values, np.asarray(clip.encode_image(pictures)), seed=options.seed)
        values = maps(values)
        figures["distance"] = maps.distance
    bases = {name: directions(clip.encode_text(list(said))) for name, said in words.items()}
    table = pd.DataFrame(
        {name: scores(values, basis) for name, basis in bases.items()}, index=list(parts.names)
    )
    figures |= {f"best_{name.replace(' ', '_')}": float(table[name].max()) for name in words}
    figures["sum_error"] = parts.error
    where = {
        "table": write_atomically(options.out / "scores.csv", table.to_csv(index_label="part")),
        "figure": write_atomically(options.out / "scores.png", png(_figure(table))),
        "best": {name: str(table[name].idxmax()) for name in words},
    }
    if own and is_plain(tower):
        sheet = _sheet(tower, pictures[:SHOWN], prepared, table, words, clip)
        where["maps"] = write_atomically(options.out / "maps.png", sheet)
    seconds = time.perf_counter() - start
    return Results(
        "components",
        figures,
        {"sum_error": {"max": 1e-5}},
        context(seed=options.seed, seconds=seconds),
        where,
    )


def _open(options: ComponentsOptions) -> tuple[Any, Any, Any]:
    """The model's module, the CLIP that reads the words, and pictures -> the model's input."""
    from kledit_lite.models.external import load_external_clip, load_external_encoder
    from kledit_lite.models.profiles import resolve

    clips = ("open_clip:",)
    asked = options.clip or (options.model if (options.model or "").startswith(clips) else None)
    clip = load_external_clip(asked) if asked else resolve("clip").model
    if options.model in (None, asked):
        tower, owner = clip.model.visual, clip
    else:
        owner = load_external_encoder(str(options.model), head=False)
        tower = owner.model
    if not hasattr(owner, "preprocess"):  # a shipped model, on pictures of its own size
        return tower, clip, lambda block: to_tensor(np.asarray(block))
    return tower, clip, lambda block: owner.preprocess(np.asarray(block), owner.device)


def _figure(table: pd.DataFrame) -> Any:
    from kledit_lite.viz import heatmap

    return heatmap(
        table,
        "What each part follows",
        row_label="part",
        column_label="property",
        fmt="{:.2f}",
        limits=(-1, 1),
    )


def _sheet(
    tower: Any,
    pictures: Any,
    prepared: Any,
    table: pd.DataFrame,
    words: Mapping[str, tuple[str, ...]],
    clip: Any,
) -> bytes:
    """A row per property: where its best part looked for the first word, on each picture."""
    import torch
    from matplotlib import colormaps

    from kledit_lite.viz import contact_sheet, png

    x, shown = prepared(pictures), np.asarray(pictures)
    tiles, names = [*shown], ["picture"]
    for name, said in words.items():
        best = str(table[name].drop("bias").idxmax())
        texts = clip.encode_text(list(said))
        u = torch.from_numpy(np.asarray(texts[0] - texts.mean(0), np.float32))
        maps = token_maps(tower, x, u)
        grid = maps.grid([maps.names.index(best)])
        high = np.abs(grid).max() or 1.0
        colours = colormaps["RdBu_r"](0.5 + grid / high / 2)[..., :3]  # (n, side, side, 3)
        scale = -(-shown.shape[1] // grid.shape[1])
        big = np.kron(colours, np.ones((1, scale, scale, 1)))[:, : shown.shape[1], : shown.shape[2]]
        tiles += [*(0.35 * shown + 0.65 * 255 * big).astype(np.uint8)]
        names.append(f"{name}: {best}, {said[0]}")
    return png(contact_sheet(np.stack(tiles), rows=names))
