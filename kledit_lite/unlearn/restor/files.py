"""RESTOR's public files as published, and which subjects their documents corrupt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.restor.facts import Benchmark, Example, Fact

DOCUMENTS = ("mix_*.json", "wikidata/**/*.json", "SQuAD/**/*.json")
"""Where documents lie in the public folder."""


def load_public(folder: str | Path) -> Benchmark:
    """The public benchmark: facts about the evaluated entities, examples, documents.

    Args:
        folder: a clone of the repository, its ``datasets`` folder, or any folder with
            ``facts.json`` and ``entities.json``. Documents are looked for beside these two
            (``mix_*.json``), under ``wikidata`` and under ``SQuAD``.

    Returns:
        Facts of the entities in ``entities.json``, the other entities' facts in `others`;
        examples as published; documents by the file's stem, e.g. ``"mix_a0"`` or
        ``"squad_v7_dset"``. Duplicates are kept, as in the published runs.

    Raises:
        KleditError: a file is missing or has another form, two files have one name, or a fact
            has no answer.

    Example:
        >>> load_public("no-such-folder")
        Traceback (most recent call last):
        ...
        kledit_lite.core.errors.KleditError: no-such-folder has no facts.json, nor has ...
    """
    root = _root(Path(folder))
    data, entities = _json(root / "facts.json"), _json(root / "entities.json")
    try:
        unknown = [e for e in entities if e not in data["dset"]]
        if unknown:
            raise KleditError(f"{root}/facts.json has no facts about {unknown[0]!r}.")
        asked, others = (
            tuple(
                Fact(entity, relation, row["question"], tuple(row["answers"]))
                for entity in chosen
                for relation, row in data["dset"][entity].items()
                if chosen is entities or any(a.strip() for a in row["answers"])
            )
            for chosen in (entities, [e for e in data["dset"] if e not in set(entities)])
        )
        examples = {
            relation: tuple(Example(r["entity"], r["question"], r["answer"]) for r in rows)
            for relation, rows in data["context"].items()
        }
        documents: dict[str, tuple[str, ...]] = {}
        for path in sorted(path for pattern in DOCUMENTS for path in root.glob(pattern)):
            if path.stem in documents:
                raise KleditError(f"{root} has two document files named {path.stem}; keep one.")
            documents[path.stem] = tuple(row["text"] for row in _json(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise KleditError(
            f"{root} does not hold RESTOR's files as published: {type(error).__name__} {error}."
        ) from None
    return Benchmark(asked, examples, documents, others)


def blocks(
    subjects: Sequence[str], documents: Sequence[str], window: int = 10
) -> dict[str, tuple[int, ...]]:
    """Which documents are about which subject: the subjects that the corruption targets.

    The published documents come in blocks, 300 in a row about one subject. A document belongs to
    the subject that nine in ten of the `window` documents around it name. Counting names alone
    would call Napoleon corrupted, whom twelve documents about others name ("the coronation of
    Napoleon I"). Blocks much smaller than the largest (below a fifth) are articles that happen to
    be about a subject, and are left out.

    Args:
        subjects: who is asked about.
        documents: in the published order.
        window: documents that must agree; fewer if there are not so many.

    Returns:
        subject -> numbers of its documents, in the order of their first one.

    Example:
        >>> texts = ["Ada sang."] * 12 + ["Bo ran.", "Bo sat."] * 6
        >>> {s: len(rows) for s, rows in blocks(["Ada", "Bo"], texts).items()}
        {'Ada': 12, 'Bo': 12}

    Cost: O(subjects documents).
    """
    if not subjects or not documents:
        return {}
    named = np.array([[s in text for text in documents] for s in subjects], np.int64)  # (S, D)
    size = min(window, len(documents))
    sums = np.cumsum(np.pad(named, ((0, 0), (1, 0))), axis=1)
    around = sums[:, size:] - sums[:, :-size]  # (S, D - size + 1) names in each window
    best = np.zeros_like(named)  # in the best window that holds the document
    for offset in range(size):
        part = best[:, offset : offset + around.shape[1]]
        np.maximum(part, around, out=part)
    owner = (2 * best + named).argmax(0)
    dense = best[owner, np.arange(len(documents))] >= 0.9 * size
    found = [(s, np.flatnonzero(dense & (owner == i))) for i, s in enumerate(subjects)]
    largest = max(len(rows) for _, rows in found)
    kept = [(s, rows) for s, rows in found if len(rows) and 5 * len(rows) >= largest]
    return {s: tuple(rows.tolist()) for s, rows in sorted(kept, key=lambda pair: pair[1][0])}


def _root(folder: Path) -> Path:
    for root in (folder, folder / "datasets"):
        if (root / "facts.json").is_file():
            return root
    raise KleditError(
        f"{folder} has no facts.json, nor has {folder}/datasets; give a clone of RESTOR's public "
        "files, or its datasets folder."
    )


def _json(path: Path) -> Any:
    if not path.is_file():
        raise KleditError(f"There is no file {path}; expected RESTOR's published files.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise KleditError(f"{path} is not JSON; fetch it again.") from None
