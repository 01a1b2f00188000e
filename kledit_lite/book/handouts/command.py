"""``kledit course slides`` and ``kledit course pdf``: what a class gets of the book."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import BARE, Command, Folder
from kledit_lite.core.results import Results
from kledit_lite.core.slots import current

Chapters = Annotated[tuple[str, ...], BARE, "CHAPTER"]


@dataclass(frozen=True, kw_only=True)
class SlidesOptions:
    """Of which chapters to make slides.

    Attributes:
        out: new folder for the decks
        chapters: slugs or numbers of chapters (default: every chapter)
    """

    out: Folder
    chapters: Chapters = ()


@dataclass(frozen=True, kw_only=True)
class PdfOptions:
    """Which chapters of the built site to print.

    Attributes:
        out: new folder for the PDF files
        chapters: slugs or numbers of chapters (default: every chapter, and the whole book)
    """

    out: Folder
    chapters: Chapters = ()


def slides(options: SlidesOptions) -> Results:
    """Write a deck for each chapter, executing those that changed."""
    from kledit_lite.book.discover import find_root
    from kledit_lite.book.handouts.decks import slides as write

    return write(find_root(), current().name, options.out, options.chapters)


def pdf(options: PdfOptions) -> Results:
    """Print the built site: a file for each chapter, and the whole book in one."""
    from kledit_lite.book.discover import find_root
    from kledit_lite.book.handouts.paper import print_book

    return print_book(find_root(), options.out, options.chapters)


def show(results: Results) -> None:
    """The figures, and what to open."""
    results.print()
    print(f"Open {results.extra['open']}")


GROUP = "assignments, slides and printed pages for a class"
COMMANDS = (
    Command("course slides", "write slides of the chapters", SlidesOptions, slides, show),
    Command("course pdf", "print the chapters and the book", PdfOptions, pdf, show),
)
