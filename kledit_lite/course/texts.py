"""The words of exercises: a Markdown file for each chapter, beside the module with its checkers.

    ## alignment-a · The aligner's bias

    easy, 10 minutes

    What to do, in Markdown; a list in it has stars, since hyphens are for hints.

    - A first hint, which may go on
      in a second line.
    - Nearly the answer.

A heading has the exercise's id and its title; what stands before the first one is for authors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Id of each exercise -> its title, difficulty, minutes, prompt and hints.

    Args:
        path: a file as the module's docstring shows it.

    Raises:
        KleditError: a part is missing, or an id stands twice; it names the file and the heading.
    """
    found: dict[str, dict[str, Any]] = {}
    for section in re.split("^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        effort, _, rest = rest.strip().partition("\n")
        prompt, *hints = re.split("^- ", rest.strip(), flags=re.MULTILINE)
        id, _, title = heading.partition(" · ")
        difficulty, _, minutes = effort.removesuffix(" minutes").partition(", ")
        effort_said = difficulty in ("easy", "medium", "hard") and minutes.isdigit()
        needed = {
            "an id and a title, such as alignment-a · The aligner's bias": title,
            "an id that no other exercise has": id not in found,
            "a line such as easy, 10 minutes": effort_said,
            "a prompt": prompt,
            "hints, each after a hyphen": hints,
        }
        for part, there in needed.items():
            if not there:
                raise KleditError(f"{path}: the exercise under '## {heading}' needs {part}.")
        found[id] = dict(title=title, difficulty=difficulty, minutes=int(minutes))
        found[id] |= dict(prompt=prompt.strip(), hints=tuple(" ".join(h.split()) for h in hints))
    return found
