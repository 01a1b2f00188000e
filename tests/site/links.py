"""Visit every external link of the texts: `make links`, on demand and never in a test.

The texts are the front pages, the pages of the book, the chapters and the bibliography. A link is
an address that is written out, or a ``doi:`` or ``arXiv:`` number. An address that answers 404 or
410, or whose host does not exist, is broken, and makes the exit status 1. One that refuses
programs, or answers with another error or too late, is listed and decides nothing.
"""

from __future__ import annotations

import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    "*.md",
    "CITATION.cff",
    "book/*.md",
    "book/api/*.md",
    "book/references.bib",
    "notebooks/*.md",
)
ADDRESS = re.compile(r"https?://[^\s<>\"'`{}|\\^]+")
NUMBERS = (
    (re.compile(r"\bdoi:\s*(10\.\d{4,}/[^\s,;{}]+)", re.IGNORECASE), "https://doi.org/"),
    (re.compile(r"\barXiv:\s*(\d{4}\.\d{4,5})", re.IGNORECASE), "https://arxiv.org/abs/"),
)
SECONDS = 20


def links(text: str) -> list[str]:
    """The external addresses of a text, each once, in order, without what only surrounds them."""
    found = {match.start(): _bare(match.group()) for match in ADDRESS.finditer(text)}
    for number, host in NUMBERS:
        found |= {m.start(): host + m.group(1).rstrip(".)") for m in number.finditer(text)}
    return list(dict.fromkeys(found[place] for place in sorted(found)))


def _bare(address: str) -> str:
    """Without a fragment, and without the stop or bracket of the sentence around it."""
    address = address.split("#")[0]
    while address[-1] in ".,;:!?*_]" or (
        address[-1] == ")" and address.count("(") < address.count(")")
    ):
        address = address[:-1]
    return address


def collect(root: Path, places: Iterable[str] = PLACES) -> dict[str, list[str]]:
    """Address -> the files that name it."""
    where: dict[str, list[str]] = {}
    for place in places:
        for path in sorted(root.glob(place)):
            for address in links(path.read_text(encoding="utf-8")):
                where.setdefault(address, []).append(path.relative_to(root).as_posix())
    return where


def visit(address: str) -> str:
    """``"fine"``, or ``"broken: ..."``, or ``"undecided: ..."``."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return "fine"
    except urllib.error.HTTPError as error:
        return f"{'broken' if error.code in (404, 410) else 'undecided'}: {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        unknown = isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME
        return f"{'broken' if unknown else 'undecided'}: {reason}"


def report(where: dict[str, list[str]], answers: dict[str, str]) -> Iterator[str]:
    """A line for each address that is not fine, the broken ones first, then a sum."""
    for kind in ("broken", "undecided"):
        for address, answer in answers.items():
            if answer.startswith(kind):
                yield f"{answer}  {address}  ({', '.join(where[address])})"
    broken = sum(a.startswith("broken") for a in answers.values())
    undecided = sum(a.startswith("undecided") for a in answers.values())
    yield f"{len(answers)} links: {broken} broken, {undecided} undecided"


def main() -> int:
    """Visit all of them, eight at a time."""
    where = collect(ROOT)
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(where, pool.map(visit, where), strict=True))
    print(*report(where, answers), sep="\n")
    return int(any(a.startswith("broken") for a in answers.values()))


if __name__ == "__main__":
    sys.exit(main())
