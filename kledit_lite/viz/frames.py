"""Frame viewers: pictures behind a slider that work on a static page, without a kernel.

`frames` is plain HTML: a range input, a line of words and one picture a frame, with a small
script that knows only its own viewer. It works from ``file://``, with the keyboard, with a screen
reader, in light and dark; without scripts the first frame stands. Where a kernel runs, `live`
computes its pictures instead.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import alt as alt_of
from kledit_lite.viz.parts import STYLE, caption_of, script
from kledit_lite.viz.pixels import as_images, data_uri

MAX_FRAMES = 20
MAX_PAGE_BYTES = 500_000

_used: dict[str, int] = {}


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        uri: its picture, as a data URI.
        width: in CSS pixels.
        height: in CSS pixels.
        label: what the slider says.
        alt: its alternative text.
        art: whether it is a small picture, shown with sharp pixels.
    """

    uri: str
    width: int
    height: int
    label: str
    alt: str
    art: bool

    def tag(self, *, hidden: bool = False) -> str:
        """The picture as an element of HTML."""
        return (
            f'<img class="dark-light{" kl-art" * self.art}" src="{self.uri}" width="{self.width}" '
            f'height="{self.height}" alt="{html.escape(self.alt)}"{" hidden" * hidden}>'
        )


class Frames:
    """A frame viewer; a notebook shows it as HTML, a terminal as its caption and labels.

    Args:
        frames: from first to last.
        caption: words below.
        name: lower-case words with hyphens, its own on the page.
        what: the name of what the slider changes.
        play: with a button that plays the frames.
    """

    def __init__(self, frames: list[Frame], caption: str, name: str, what: str, play: bool) -> None:
        self.frames, self.caption, self.name = frames, caption, name
        self.what, self.play = what, play

    def __repr__(self) -> str:
        labels = "; ".join(f.label for f in self.frames)
        return f"{self.caption or self.name} [{len(self.frames)} frames: {labels}]"

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """The viewer as one self-contained piece of HTML."""
        say = html.escape
        images = "".join(f.tag(hidden=i > 0) for i, f in enumerate(self.frames))
        first, last = say(self.frames[0].label), len(self.frames) - 1
        play = '<button type="button" aria-label="Play the frames">Play</button>' * self.play
        return (
            f'{STYLE}<figure class="kl-viz" data-kl-frames="{self.name}">'
            f'<div class="kl-stage">{images}</div>'
            f'<div class="kl-bar" hidden>{play}<label><span>{say(self.what)}</span>'
            f'<input type="range" min="0" max="{last}" step="1" value="0" autocomplete="off" '
            f'aria-valuetext="{first}"></label><output aria-live="off">{first}</output>'
            f'</div><p class="kl-still">The slider needs JavaScript; this is the first of '
            f"{last + 1} frames, {first}.</p>{caption_of(self.caption)}</figure>"
            f"{script('frames', self.name, [f.label for f in self.frames])}"
        )


def frames(
    items: Sequence[Any],
    labels: Sequence[object],
    alts: Sequence[str] | None = None,
    caption: str = "",
    name: str = "",
    *,
    what: str = "Frame",
    play: bool = True,
    width: int | None = None,
) -> Frames:
    """Pictures or figures behind a slider, for a page that has no kernel.

    Args:
        items: 2 to 20 figures, or pictures (H, W, 3) as in `as_images`; a figure is closed over
            as an image now, so later changes to it do not show.
        labels: one a frame, short: the slider's words and what a screen reader says.
        alts: one sentence a frame; None takes the sentence each figure has (`alt`).
        caption: words below.
        name: lower-case words with hyphens, its own on the page.
        what: the name of what the slider changes, e.g. "Noise".
        play: with a button that plays the frames (absent where the reader prefers less motion).
        width: CSS pixels of a picture; None shows figures at full width, small art at 256 pixels.

    Raises:
        KleditError: fewer than 2 or more than 20 frames; labels or alts missing; a name that is
            no name; or this page's viewers together above 500 kB, which says what each one takes.

    Example:
        >>> import numpy as np
        >>> pictures = np.zeros((2, 8, 8, 3), np.uint8)
        >>> frames(pictures, ["dark", "darker"], ["black", "black"], name="night")
        night [2 frames: dark; darker]
    """
    return viewer(frames_of(items, labels, alts, width), caption, name, what, play)


def viewer(made: list[Frame], caption: str, name: str, what: str, play: bool) -> Frames:
    """A viewer of frames that are made already, counted against the page's budget.

    Args:
        made: from first to last.
        caption: words below.
        name: lower-case words with hyphens, its own on the page.
        what: the name of what the slider changes.
        play: with a button that plays the frames.

    Raises:
        KleditError: a name that is no name, or a page above its budget.
    """
    check_name(name)
    found = Frames(made, caption, name, what, play)
    spend(name, len(found.html()))
    return found


def check_name(name: str) -> None:
    """Raise unless a viewer's name is lower-case words with hyphens.

    Args:
        name: of a viewer.

    Raises:
        KleditError: it is not.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise KleditError(
            f"Expected a name of lower-case words with hyphens, such as 'noise-levels', got "
            f"{name!r}; every viewer on a page needs its own."
        )


def frames_of(items: Any, labels: Any, alts: Any, width: int | None) -> list[Frame]:
    """The pictures of a viewer, encoded.

    Args:
        items: figures or pictures.
        labels: one a frame.
        alts: one sentence a frame, or None for the figures' own.
        width: CSS pixels, or None.

    Raises:
        KleditError: fewer than 2 or more than 20; labels or alts missing.
    """
    items = list(items)
    n = len(items)
    if not 2 <= n <= MAX_FRAMES:
        raise KleditError(
            f"Expected 2 to {MAX_FRAMES} frames, got {n}; "
            + ("keep every other one." if n > MAX_FRAMES else "show a single picture as a figure.")
        )
    alts = [alt_of(i) for i in items] if alts is None else list(alts)
    for words, kind in ((list(labels), "labels"), (alts, "alts")):
        empty = [i + 1 for i, w in enumerate(words) if not str(w).strip()]
        if len(words) != n or empty:
            raise KleditError(
                f"Expected {n} {kind}, one a frame and none empty, got {len(words)}"
                f"{f' with number {empty[0]} empty' if empty else ''}."
            )
    return [
        frame_of(item, str(label), str(alt), width)
        for item, label, alt in zip(items, labels, alts, strict=True)
    ]


def frame_of(
    item: Any, label: str, alt: str, width: int | None = None, *, quick: bool = False
) -> Frame:
    """A figure or picture as one frame, encoded by `data_uri`.

    Args:
        item: a figure or a picture.
        label: what the slider says.
        alt: its sentence.
        width: CSS pixels, or None.
        quick: spend little time on making it small.

    Example:
        >>> import numpy as np
        >>> frame_of(np.zeros((8, 8, 3), np.uint8), "dark", "A black square.").width
        256
    """
    uri, w, h = data_uri(item, width, quick=quick)
    art = not isinstance(item, Figure) and as_images(item).shape[2] <= 256
    return Frame(uri, w, h, label, alt, art)


def spend(name: str, size: int) -> None:
    """Count a viewer against the page's budget; the same name again replaces its first count.

    Args:
        name: of the viewer.
        size: of its HTML, in bytes.

    Raises:
        KleditError: the page is above its budget.
    """
    total = size + sum(v for k, v in _used.items() if k != name)
    if total > MAX_PAGE_BYTES:
        each = ", ".join(f"{k} {v // 1000} kB" for k, v in {**_used, name: size}.items())
        raise KleditError(
            f"Expected at most {MAX_PAGE_BYTES // 1000} kB of frames on a page, got "
            f"{total // 1000} kB ({each}); use fewer frames, a smaller width or smaller pictures."
        )
    _used[name] = size


def new_page() -> None:
    """Forget what earlier viewers took of the page's budget (a kernel counts as one page).

    Example:
        >>> new_page()
    """
    _used.clear()
