"""A sample of a folder of images with one sub-folder a class, such as ImageNet's ``val``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError

SUFFIXES = {".jpeg", ".jpg", ".png", ".webp"}


class FolderImages:
    """Image files that look like an array uint8 (N, size, size, 3) and are read when indexed.

    ``images[10:20]`` reads ten files; `select` makes a smaller sample and reads none;
    ``np.asarray(images)`` reads them all.

    Example:
        >>> FolderImages([Path("a.png"), Path("b.png")], 64).select([1]).shape
        (1, 64, 64, 3)
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files, self.size = tuple(files), size

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, size, size, 3)."""
        return (len(self.files), self.size, self.size, 3)

    def __len__(self) -> int:
        return len(self.files)

    def select(self, rows: Any) -> FolderImages:
        """The files of some rows, unread."""
        return FolderImages([self.files[i] for i in np.arange(len(self))[rows]], self.size)

    def read(self) -> np.ndarray:
        """Every file, as an array."""
        out = np.empty(self.shape, np.uint8)
        for i, file in enumerate(self.files):
            out[i] = _square(file, self.size)
        return out

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, (int, np.integer)):
            return _square(self.files[rows], self.size)
        return self.select(rows).read()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.read() if dtype is None else self.read().astype(dtype)


@dataclass(frozen=True)
class ImageSample:
    """Images and their labels.

    Attributes:
        images: uint8 (N, size, size, 3), read from disk when indexed.
        labels: int64 (N,), indices into ``names``.
        names: of the classes; WordNet ids such as ``n02123045`` are put into words.
    """

    images: FolderImages
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def load_image_folder(
    path: Path | str, n: int, seed: int = 0, size: int = 256, classes: int | None = None
) -> ImageSample:
    """Draw ``n`` images, as evenly over the classes as they allow, centre-cropped to squares.

    Args:
        path: folder with one sub-folder a class.
        n: how many images to draw; all of them when there are fewer.
        seed: of the draw.
        size: side of the squares, pixels.
        classes: how many of the classes to draw from, the same whatever the seed; default all.

    Raises:
        KleditError: no such folder, or no images in its sub-folders.

    Cost: listing the folder; an image is read each time it is asked for, and none is kept.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "cat").mkdir()
        >>> Image.new("RGB", (80, 60)).save(folder / "cat" / "1.png")
        >>> load_image_folder(folder, n=1000, size=32).images.shape
        (1, 32, 32, 3)
    """
    folder = Path(path)
    if not folder.is_dir():
        raise KleditError(f"{folder} is not a folder; expected one sub-folder of images a class.")
    rng = np.random.default_rng(seed)
    folders = sorted(p for p in folder.iterdir() if p.is_dir())
    if classes is not None and classes < len(folders):
        kept = np.random.default_rng(0).choice(len(folders), classes, replace=False)
        folders = [folders[i] for i in np.sort(kept)]
    queue = []
    for label, directory in enumerate(folders):
        files = sorted(f for f in directory.rglob("*") if f.suffix.lower() in SUFFIXES)
        order = enumerate(rng.permutation(len(files)))
        queue += [(turn, rng.random(), label, files[i]) for turn, i in order]
    if not queue:
        raise KleditError(f"{folder} has no images in sub-folders; expected one a class.")
    chosen = sorted(queue, key=lambda entry: entry[:2])[:n]
    return ImageSample(
        FolderImages([file for *_, file in chosen], size),
        np.array([label for *_, label, _ in chosen], dtype=np.int64),
        _in_words([d.name for d in folders]),
    )


def _square(file: Path, size: int) -> np.ndarray:
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square, dtype=np.uint8)


def _in_words(folders: list[str]) -> tuple[str, ...]:
    if not all(name[:1] == "n" and name[1:].isdigit() for name in folders):
        return tuple(folders)
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    known = set(info.label_names())
    return tuple(info.label_name_to_description(n) if n in known else n for n in folders)
