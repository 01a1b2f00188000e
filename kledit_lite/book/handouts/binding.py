"""Printed pages bound into one PDF: numbered, with an outline, their links inside it as jumps."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kledit_lite.core.files import write_atomically

MM = 72 / 25.4
FOOT, EDGE, SIZE = 10 * MM, 18 * MM, 8
Places = dict[str, tuple[int, Any]]
"""Name of a place within a page -> its sheet in the whole, and how to look at it."""


@dataclass(frozen=True)
class Printed:
    """A page of the site on paper.

    Attributes:
        file: relative to the site, without its ending.
        part: of the book that it is in; may be empty.
        title: its heading.
        data: the PDF.
    """

    file: str
    part: str
    title: str
    data: bytes


def bind(printed: Sequence[Printed], path: Path, site: Path, beside: set[str]) -> int:
    """Write several pages of the site as one PDF; returns its number of sheets.

    A link to a page that is bound as well becomes a jump, one to a page that is printed `beside`
    this file a link to that file, and any other one to the site is taken out: it names a folder.

    Args:
        printed: in order.
        path: of the PDF.
        site: folder of the site they were printed from.
        beside: pages of the site that have a file of their own in the same folder.
    """
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    readers = [PdfReader(io.BytesIO(each.data)) for each in printed]
    starts = {}
    for each, reader in zip(printed, readers, strict=True):
        starts[each.file] = len(writer.pages)
        for sheet in reader.pages:
            writer.add_page(sheet)
    font, add = _font(writer), writer.add_outline_item
    parents: dict[str, Any] = {}
    for each, reader in zip(printed, readers, strict=True):
        first = starts[each.file]
        places = _places(reader, first)
        for k in range(first, first + len(reader.pages)):
            _link(writer, k, places, starts, site, beside)
            _number(writer, k, each.title if k > first else "", font)
        if each.part and len(printed) > 1 and each.part not in parents:
            parents[each.part] = add(title=each.part, page_number=first, bold=True)
        parent = parents.get(each.part)
        item = add(title=each.title, page_number=first, parent=parent)
        for title, n in _sections(reader):
            add(title=title, page_number=first + n, parent=item)
    writer.add_metadata({"/Title": printed[0].title})
    writer.compress_identical_objects()
    buffer = io.BytesIO()
    writer.write(buffer)
    write_atomically(path, buffer.getvalue())
    return len(writer.pages)


def _sections(reader: Any) -> Iterator[tuple[str, int]]:
    """Title and sheet of the headings below the page's own, as Chromium's outline has them."""
    below = [each for entry in reader.outline if isinstance(entry, list) for each in entry]
    for each in below:
        number = None if isinstance(each, list) else reader.get_destination_page_number(each)
        if number is not None and each.title:
            yield each.title.removesuffix("#"), number


def _places(reader: Any, first: int) -> Places:
    return {
        str(name).lstrip("/"): (first + number, place)
        for name, place in reader.named_destinations.items()
        if (number := reader.get_destination_page_number(place)) is not None
    }


def _link(
    writer: Any, k: int, places: Places, starts: dict[str, int], site: Path, beside: set[str]
) -> None:
    """Turn the links of a sheet into jumps within the whole, or take them out."""
    from pypdf.generic import ArrayObject, NameObject, NullObject, TextStringObject

    sheet = writer.pages[k]
    kept = ArrayObject()
    for reference in sheet.get("/Annots", []):
        note = reference.get_object()
        action = note.get("/A", {}).get_object() if "/A" in note else {}
        name, address = note.get("/Dest"), str(action.get("/URI", ""))
        target: int | None = None
        height: Any = NullObject()
        if name is not None and str(name).lstrip("/") in places:
            target, seen = places[str(name).lstrip("/")]
            height = seen.get("/Top", height)
        elif address.startswith("file:"):
            page = _page_of(address, site)
            if page in starts:
                target = starts[page]
            elif page in beside:
                action[NameObject("/URI")] = TextStringObject(f"{Path(page).name}.pdf")
            else:
                continue
        elif not address:
            continue
        if target is not None:
            note.pop("/A", None)
            place = writer.pages[target].indirect_reference
            how = [NameObject("/XYZ"), NullObject(), height, NullObject()]
            note[NameObject("/Dest")] = ArrayObject([place, *how])
        kept.append(reference)
    if "/Annots" in sheet:
        sheet[NameObject("/Annots")] = kept


def _page_of(address: str, site: Path) -> str:
    """The page of the site at a ``file:`` address, relative to the site and without its ending."""
    path = Path(unquote(urlsplit(address).path))
    inside = path.is_relative_to(site.resolve())
    return path.relative_to(site.resolve()).with_suffix("").as_posix() if inside else ""


def _font(writer: Any) -> Any:
    """Helvetica, which every reader of PDF has."""
    from pypdf.generic import DictionaryObject, NameObject

    font = dict(Type="Font", Subtype="Type1", BaseFont="Helvetica", Encoding="WinAnsiEncoding")
    entries = {NameObject(f"/{key}"): NameObject(f"/{value}") for key, value in font.items()}
    return writer._add_object(DictionaryObject(entries))


def _number(writer: Any, k: int, title: str, font: Any) -> None:
    """Write the title and the number at the foot of a sheet."""
    from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject

    sheet = writer.pages[k]
    number = str(k + 1)
    right = float(sheet.mediabox.width) - EDGE - 0.556 * SIZE * len(number)  # of Helvetica's digits
    text = b"0.31 0.36 0.41 rg BT /KlFoot %d Tf %.1f %.1f Td (%b) Tj ET\n"
    escaped = re.sub(rb"[\\()]", rb"\\\g<0>", title.encode("cp1252", "replace"))
    before, after = DecodedStreamObject(), DecodedStreamObject()
    before.set_data(b"q\n")
    foot = text % (SIZE, EDGE, FOOT, escaped) + text % (SIZE, right, FOOT, number.encode())
    after.set_data(b"\nQ\n" + foot)
    drawn = sheet.raw_get("/Contents")
    there = drawn.get_object()
    each = list(there) if isinstance(there, ArrayObject) else [drawn]
    sheet[NameObject("/Contents")] = ArrayObject(
        [writer._add_object(before), *each, writer._add_object(after)]
    )
    resources = sheet["/Resources"].get_object()
    fonts = resources.setdefault(NameObject("/Font"), DictionaryObject()).get_object()
    fonts[NameObject("/KlFoot")] = font
