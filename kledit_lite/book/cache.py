"""Executed chapters, kept under a key that covers everything they depend on.

The key is a SHA-256 over the chapter's text and the recorded runs that it names; every file of the
library (sources, weights and data alike); the constraints file; the profile with the slots that are
overridden or available; and the versions of Python and of the libraries that are installed. Change
any of them and the chapter runs again; change nothing and it does not.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kledit_lite.book.discover import Chapter
from kledit_lite.book.execute import Failure, Run
from kledit_lite.core.files import whole_folder, write_atomically
from kledit_lite.core.machine import versions

#: Executions kept per chapter and profile, so that going back to a branch is free.
KEEP = 3
#: What reading an entry that is absent, cut short or of another version raises.
_DAMAGE = (OSError, ValueError, TypeError, KeyError)


def tree_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files under ``folder``.

    Byte-code, hidden files and build leftovers are left out.  Cost: O(bytes), ~1 s a gigabyte.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        skip = path.suffix == ".pyc" or any(
            part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info")
            for part in relative.parts
        )
        if skip or not path.is_file():
            continue
        digest.update(f"{relative.as_posix()}\0".encode())
        with path.open("rb") as file:
            digest.update(_file_digest(file))
    return digest.hexdigest()


class Cache:
    """``_build/cache/<profile>/<slug>/<key>/`` and the last run of each chapter.

    Args:
        root: the checkout.
        profile: name of the profile.
        library: folder of the library's sources; default: that of the imported package.

    Example::

        cache = Cache(find_root(), "lite")
        cache.get(chapter)  # None, or the Run of exactly these sources
    """

    def __init__(self, root: Path, profile: str, library: Path | None = None) -> None:
        import kledit_lite

        self.root, self.profile = root, profile
        library = library or Path(kledit_lite.__file__).parent
        constraints = root / "constraints.txt"
        self._common = [
            tree_digest(library),
            constraints.read_text() if constraints.is_file() else "",
            profile,
            _slots(profile),
            json.dumps(versions()),
        ]

    def key(self, chapter: Chapter) -> str:
        """32 hexadecimal digits that change when the chapter's result may."""
        folder = chapter.source.parent / "recorded"
        recorded = [p.read_text() for p in sorted(folder.glob("*.json")) if p.name in chapter.text]
        parts = json.dumps([chapter.text, recorded, *self._common])
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def get(self, chapter: Chapter) -> Run | None:
        """The successful run of exactly these sources, or None."""
        return self._read(self._folder(chapter) / self.key(chapter))

    def last(self, chapter: Chapter) -> tuple[Run, bool] | None:
        """The chapter's latest run, successful or not, and whether the sources are still those."""
        try:
            data = json.loads(self._last_file(chapter).read_text())
            key = data.pop("key")
            return _run(data, ""), key == self.key(chapter)
        except _DAMAGE:
            return None

    def put(self, chapter: Chapter, run: Run, key: str | None = None) -> None:
        """Keep a run: a successful one for `get`, any one for `last`.

        The notebook of a failed one goes to ``_build/failed/`` for reading.

        Args:
            chapter: that ran.
            run: what it gave.
            key: of the sources as they were when it started; default: as they are now.
        """
        key = key or self.key(chapter)
        meta = {k: v for k, v in asdict(run).items() if k != "notebook"}
        if run.ok:
            folder = self._folder(chapter) / key
            with whole_folder(folder) as new:
                (new / "notebook.ipynb").write_text(run.notebook, encoding="utf-8")
                (new / "results.json").write_text(json.dumps(dict(run.figures), indent=1))
                (new / "run.json").write_text(json.dumps(meta, indent=1))
                shutil.rmtree(folder, ignore_errors=True)
            self._prune(chapter)
        else:
            shutil.rmtree(self._folder(chapter) / key, ignore_errors=True)
            write_atomically(self.failed_file(chapter), run.notebook)
        write_atomically(self._last_file(chapter), json.dumps({"key": key, **meta}, indent=1))

    def failed_file(self, chapter: Chapter) -> Path:
        """Where the notebook of a failed run is left, with its outputs up to the failing cell."""
        return self.root / "_build" / "failed" / self.profile / f"{chapter.stem}.ipynb"

    def _folder(self, chapter: Chapter) -> Path:
        return self.root / "_build" / "cache" / self.profile / chapter.slug

    def _last_file(self, chapter: Chapter) -> Path:
        return self._folder(chapter) / "last.json"

    def _read(self, folder: Path) -> Run | None:
        try:
            data = json.loads((folder / "run.json").read_text())
            return _run(data, (folder / "notebook.ipynb").read_text(encoding="utf-8"))
        except _DAMAGE:
            return None  # run the chapter again

    def _prune(self, chapter: Chapter) -> None:
        kept = [p for p in self._folder(chapter).iterdir() if p.is_dir() and p.name[0] != "."]
        for old in sorted(kept, key=lambda p: p.stat().st_mtime, reverse=True)[KEEP:]:
            shutil.rmtree(old, ignore_errors=True)


def _run(data: dict[str, Any], notebook: str) -> Run:
    failure = data.pop("failure")
    return Run(**data, failure=Failure(**failure) if failure else None, notebook=notebook)


def _slots(profile: str) -> str:
    """What fills the profile's slots here: overrides, and which sources are at hand."""
    from kledit_lite.models import profiles

    return profiles.fingerprint(profile)


def _file_digest(file: Any) -> bytes:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.digest()
