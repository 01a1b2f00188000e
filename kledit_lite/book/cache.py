"""Executed chapters, kept for as long as what they used is unchanged.

A kept execution is valid while all of these are as they were when it started:

- the chapter's code, the constraints file, the profile with the slots that are overridden or
  available, and the versions of Python and of the libraries that are installed: the key;
- the files that its kernel and the kernel's workers opened, by content: modules of the library,
  weights and data, recorded runs, contracts of other chapters (its own is read anew).  The list is
  written beside the executed chapter (``used.json``); see `kledit_lite.core.uses`.

A file that is not on the list may change: a new way to unlearn does not run `alignment` again.
Nor do other words between the cells, or a cell that is now folded: the outputs of before get the
text of now.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from kledit_lite.book.discover import Chapter
from kledit_lite.book.execute import Failure, Run
from kledit_lite.book.sources import contents
from kledit_lite.book.sync import read_source
from kledit_lite.core.files import whole_folder, write_atomically
from kledit_lite.core.machine import versions

#: Executions kept per chapter and profile, so that going back to a branch is free.
KEEP = 3
#: Tags that say how a cell looks, not what it does.
_LOOK = re.compile("(hide|remove)-")
#: What reading an entry that is absent, cut short or of another version raises.
_DAMAGE = (OSError, ValueError, TypeError, KeyError)


class Cache:
    """``_build/cache/<profile>/<slug>/<entry>/`` and the last run of each chapter.

    What a file contained is looked at once, when the object is made: before anything is executed.

    Args:
        root: the checkout.
        profile: name of the profile.
        library: folder of the library's sources; default: that of the imported package.

    Example::

        cache = Cache(find_root(), "lite")
        cache.get(chapter)  # None, or the Run that used exactly these sources
    """

    def __init__(self, root: Path, profile: str, library: Path | None = None) -> None:
        import kledit_lite
        from kledit_lite.models import profiles

        self.root, self.profile = root, profile
        self.library = (library or Path(kledit_lite.__file__).parent).resolve()
        self._contents = contents(root, self.library)
        constraints = root / "constraints.txt"
        self._common = [
            constraints.read_text() if constraints.is_file() else "",
            profile,
            profiles.fingerprint(profile),  # overrides, and which models are available here
            json.dumps(versions()),
        ]

    def key(self, chapter: Chapter) -> str:
        """32 hexadecimal digits over what a result depends on, apart from the files opened."""
        parts = json.dumps([code(read_source(chapter)), *self._common])
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def get(self, chapter: Chapter) -> Run | None:
        """The successful run that used exactly these sources, or None."""
        for entry in self._valid(chapter):
            try:
                data = json.loads((entry / "run.json").read_text())
                kept = (entry / "notebook.ipynb").read_text(encoding="utf-8")
                return _run(data, reworded(kept, read_source(chapter)))
            except _DAMAGE:
                continue  # run the chapter again
        return None

    def last(self, chapter: Chapter) -> tuple[Run, bool] | None:
        """The chapter's latest run, successful or not, and whether the sources are still those."""
        try:
            data = json.loads(self._last_file(chapter).read_text())
            sources = {"key": data.pop("key"), "files": data.pop("files")}
            return _run(data, ""), self._unchanged(self.key(chapter), sources)
        except _DAMAGE:
            return None

    def put(self, chapter: Chapter, run: Run, key: str | None = None) -> None:
        """Keep a run: a successful one for `get`, any one for `last`.

        The notebook of a failed one goes to ``_build/failed/`` for reading.

        Args:
            chapter: the chapter that ran.
            run: what it gave.
            key: key of the chapter as it was when the run started; default: as it is now.
        """
        sources = {"key": key or self.key(chapter), "files": self._used(run)}
        meta = {k: v for k, v in asdict(run).items() if k != "notebook"}
        if run.ok:
            text = json.dumps(sources, sort_keys=True)
            folder = self._folder(chapter) / hashlib.sha256(text.encode()).hexdigest()[:32]
            with whole_folder(folder) as new:
                (new / "notebook.ipynb").write_text(run.notebook, encoding="utf-8")
                (new / "results.json").write_text(json.dumps(dict(run.figures), indent=1))
                (new / "run.json").write_text(json.dumps(meta, indent=1))
                (new / "used.json").write_text(json.dumps(sources, indent=1))
                shutil.rmtree(folder, ignore_errors=True)
            for old in self._entries(chapter)[KEEP:]:
                shutil.rmtree(old, ignore_errors=True)
        else:
            for entry in self._valid(chapter):
                shutil.rmtree(entry, ignore_errors=True)
            write_atomically(self.failed_file(chapter), run.notebook)
        write_atomically(self._last_file(chapter), json.dumps({**sources, **meta}, indent=1))

    def failed_file(self, chapter: Chapter) -> Path:
        """Where the notebook of a failed run is left, with its outputs up to the failing cell."""
        return self.root / "_build" / "failed" / self.profile / f"{chapter.stem}.ipynb"

    def _used(self, run: Run) -> dict[str, str]:
        """Name -> content, as it was before the run, of the files that count for it.

        Beside the card of a model lie its weights and its tokenizer, some of which are opened past
        Python: all of a folder counts whose card was read.
        """
        used = set(run.used) - {f"notebooks/contracts/{run.chapter}.yml"}  # see record.refreshed
        models = {path.parent for n in used if (path := PurePosixPath(n)).name == "card.json"}
        used |= {n for n in self._contents if PurePosixPath(n).parent in models}
        return {name: self._contents.get(name, "") for name in sorted(used)}

    def _unchanged(self, key: str, sources: Mapping[str, Any]) -> bool:
        files = sources["files"].items()
        same = all(self._contents.get(name, "") == digest for name, digest in files)
        return same and sources["key"] == key

    def _valid(self, chapter: Chapter) -> list[Path]:
        """The entries whose sources are those of now, the latest first."""
        valid, key = [], self.key(chapter)
        for entry in self._entries(chapter):
            with contextlib.suppress(*_DAMAGE):
                if self._unchanged(key, json.loads((entry / "used.json").read_text())):
                    valid.append(entry)
        return valid

    def _entries(self, chapter: Chapter) -> list[Path]:
        """All entries of a chapter, the latest first."""
        folder = self._folder(chapter)
        kept = [p for p in folder.glob("*") if p.is_dir() and p.name[0] != "."]
        return sorted(kept, key=lambda p: p.stat().st_mtime, reverse=True)

    def _folder(self, chapter: Chapter) -> Path:
        return self.root / "_build" / "cache" / self.profile / chapter.slug

    def _last_file(self, chapter: Chapter) -> Path:
        return self._folder(chapter) / "last.json"


def code(notebook: Any) -> list[tuple[str, list[str]]]:
    """What a kernel gets of a notebook: its code cells, with the tags that are not for the eye."""
    return [
        (cell.source, sorted(t for t in cell.metadata.get("tags", []) if not _LOOK.match(t)))
        for cell in _code_cells(notebook)
    ]


def _code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def reworded(kept: str, source: Any) -> str:
    """An executed notebook with the words and the tags of its source as they are now.

    Args:
        kept: the executed notebook, as text.
        source: the chapter as a notebook without outputs; with other code, `kept` stays as it is.
    """
    import nbformat

    executed = nbformat.reads(kept, as_version=nbformat.NO_CONVERT)
    if code(executed) != code(source):
        return kept
    for ran, cell in zip(_code_cells(executed), _code_cells(source), strict=True):
        cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    source.metadata = executed.metadata  # what the kernel said of itself
    return nbformat.writes(source, version=nbformat.NO_CONVERT, indent=1)


def _run(data: dict[str, Any], notebook: str) -> Run:
    failure = Failure(**data["failure"]) if data["failure"] else None
    return Run(**{**data, "used": tuple(data["used"]), "failure": failure, "notebook": notebook})
