"""The rows of a CSV or JSON file that a user gives: prompts, pairs, concepts."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from kledit_lite.core.errors import KleditError


def read_rows(
    path: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Rows of a CSV file with a header, or of a JSON list of objects, as stripped text.

    Args:
        path: ``.json`` is read as JSON, all else as CSV.
        required: Fields that every row must fill in.
        optional: Further fields to return; empty where a row lacks them. Others are ignored.

    Returns:
        At least one row, each with exactly the fields asked for. O(size of the file).

    Raises:
        KleditError: no such file, not readable, no rows, a row without a required field.
    """
    path = Path(path)
    wanted = " and a ".join(required)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            rows = json.loads(text)
        else:
            rows = list(csv.DictReader(text.splitlines(), skipinitialspace=True))
    except (OSError, ValueError) as error:
        raise KleditError(f"Cannot read prompts from {path}: {error}.") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise KleditError(f"{path} holds no prompts; expected rows with a {wanted}.")
    found = []
    for i, row in enumerate(rows, 1):
        said = {k: str(row.get(k) or "").strip() for k in (*required, *optional)}
        if not all(said[k] for k in required):
            given = ", ".join(str(k) for k, v in row.items() if v) or "none"
            raise KleditError(f"{path}, row {i}: expected a {wanted}, got the fields {given}.")
        found.append(said)
    return found
