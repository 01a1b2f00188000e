"""Numbers follow ``_toc.yml``: a chapter's file name and title, and nothing else, carry one.

    insert, move or drop a chapter in _toc.yml  ->  kledit renumber  ->  NN-slug.md, "# NN · Title"

The other table of contents, ``myst.yml``, gets the new file names; its order is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kledit_lite.book.discover import find_root
from kledit_lite.book.sync import sync_ipynb
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically

_LISTED = re.compile(r"\bnotebooks/(\d\d-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
_TITLE = re.compile(r"^# \d\d · ", flags=re.MULTILINE)


def numbers(root: Path) -> dict[str, str]:
    """Slug -> two digits, the chapter's place in ``_toc.yml`` from 00."""
    text = (root / "_toc.yml").read_text(encoding="utf-8")
    slugs = [match[2] for match in _LISTED.finditer(text)]
    return {slug: f"{place:02d}" for place, slug in enumerate(dict.fromkeys(slugs))}


def renumber(root: Path | None = None) -> list[Path]:
    """Rename chapters and their pairs, and write their titles and both tables of contents anew.

    A chapter may be listed with another number, or with none: ``notebooks/locogen``.

    Args:
        root: the checkout; default: the one around the working directory.

    Returns:
        The sources that have got another name.

    Raises:
        KleditError: ``_toc.yml`` lists a chapter that has no file, before anything is renamed.
    """
    root = root or find_root()
    found = {p.stem[3:]: p for p in sorted((root / "notebooks").glob("[0-9][0-9]-*.md"))}
    place = numbers(root)
    if missing := set(place) - set(found):
        raise KleditError(f"_toc.yml lists {sorted(missing)}, and notebooks/ has no such file.")
    moved = []
    for slug, number in place.items():
        source, target = found[slug], found[slug].with_name(f"{number}-{slug}.md")
        text = source.read_text(encoding="utf-8")
        titled = _TITLE.sub(f"# {number} · ", text, count=1)
        if titled != text or source != target:
            write_atomically(target, titled)
        if source != target:
            source.unlink()
            source.with_suffix(".ipynb").unlink(missing_ok=True)
            moved.append(target)
    for name in ("_toc.yml", "myst.yml"):
        if (root / name).is_file():
            _relist(root / name, place)
    sync_ipynb(root)
    return moved


def _relist(path: Path, place: Mapping[str, str]) -> None:
    """Write the numbers into a table of contents."""
    text = path.read_text(encoding="utf-8")
    new = _LISTED.sub(lambda m: f"notebooks/{place[m[2]]}-{m[2]}" if m[2] in place else m[0], text)
    if new != text:
        write_atomically(path, new)
