"""Frame viewers: pictures behind a slider that work on a static page, without a kernel.

`frames` is plain HTML: a range input, a line of words and one picture a frame, with a small
script that knows only its own viewer. It works from ``file://``, with the keyboard, with a screen
reader, in light and dark; without scripts the first frame stands. Where a kernel runs, `live`
computes its pictures instead.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import alt as alt_of
from kledit_lite.viz.pixels import as_images, data_uri

MAX_FRAMES = 20
MAX_PAGE_BYTES = 500_000

STYLE = (
    "<style>"
    # The site's dark theme puts cell output on a light sheet and dims pictures: undo it for ours.
    "html[data-theme=dark] .cell_output .text_html:has(.kl-viz){background:none!important;"
    "color:var(--pst-color-text-base)!important;padding:0!important}"
    ".kl-viz{margin:1rem 0;color:inherit;text-align:left;max-width:100%}"
    ".kl-viz img{background:none!important;padding:0!important;max-width:100%;height:auto;"
    "filter:none!important;border-radius:6px;margin:0;display:block}"
    ".kl-viz figcaption{font-size:.9em;line-height:1.45;margin:.5rem 0 0;"
    "color:var(--pst-color-text-muted,inherit);text-align:left;width:auto}"
    ".kl-stage{display:grid;justify-items:start}.kl-stage>img{grid-area:1/1}"
    ".kl-stage>img[hidden]{display:block;visibility:hidden}"
    ".kl-stage>img.kl-art{image-rendering:pixelated}"
    ".kl-bar{display:flex;flex-wrap:wrap;gap:.4rem .75rem;align-items:center;margin:.6rem 0 0}"
    ".kl-bar[hidden],.kl-bar [hidden]{display:none}"
    ".kl-bar label{flex:1 1 12rem;max-width:26rem;display:flex;gap:.6rem;align-items:center;"
    "margin:0;font-size:.9em}"
    ".kl-bar input{flex:1;min-width:6rem;height:1.75rem;margin:0;cursor:pointer;"
    "accent-color:var(--pst-color-primary,#0b6aa8)}"
    ".kl-bar output{font-weight:600;font-variant-numeric:tabular-nums;flex:1 1 8rem}"
    ".kl-bar button{font:inherit;font-size:.9em;color:inherit;background:none;cursor:pointer;"
    "border:1px solid var(--pst-color-border,currentColor);border-radius:4px;"
    "padding:.15rem .7rem;min-height:1.75rem;min-width:4.6rem}"
    ".kl-bar button:hover{border-color:currentColor}"
    ".kl-bar :focus-visible{outline:2px solid var(--pst-color-primary,#0b6aa8);outline-offset:2px}"
    "</style>"
)

# Runs once for each viewer of this name that it has not yet set up; leaves nothing behind.
SCRIPT = """
(function () {
  document.querySelectorAll('[data-kl-frames=NAME]:not([data-kl-ready])').forEach(function (root) {
    root.setAttribute('data-kl-ready', '');
    var labels = LABELS, images = root.querySelectorAll('.kl-stage > img');
    var range = root.querySelector('input'), words = root.querySelector('output');
    var play = root.querySelector('button'), timer = null;
    function show(i) {
      images.forEach(function (image, k) { image.hidden = k !== i; });
      range.value = i;
      range.setAttribute('aria-valuetext', labels[i]);
      words.textContent = labels[i];
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      if (play) { play.textContent = 'Play'; play.setAttribute('aria-label', 'Play the frames'); }
    }
    range.addEventListener('input', function () { stop(); show(Number(range.value)); });
    if (play) {
      var calm = window.matchMedia('(prefers-reduced-motion: reduce)');
      var settle = function () { play.hidden = calm.matches; if (calm.matches) { stop(); } };
      if (calm.addEventListener) { calm.addEventListener('change', settle); }
      settle();
      play.addEventListener('click', function () {
        if (timer) { stop(); return; }
        if (Number(range.value) === images.length - 1) { show(0); }
        play.textContent = 'Pause';
        play.setAttribute('aria-label', 'Pause the frames');
        timer = setInterval(function () {
          var next = Number(range.value) + 1;
          if (next < images.length && root.isConnected) { show(next); }
          if (next >= images.length - 1 || !root.isConnected) { stop(); }
        }, 1100);
      });
    }
    root.querySelector('.kl-still').remove();
    root.querySelector('.kl-bar').hidden = false;
    show(Number(range.value) || 0);
  });
})();
"""

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
        return f"{self.caption or self.name} [{len(self.frames)} frames: " + (
            "; ".join(f.label for f in self.frames) + "]"
        )

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """The viewer as one self-contained piece of HTML."""
        say = html.escape
        images = "".join(
            f'<img class="dark-light{" kl-art" if f.art else ""}" src="{f.uri}" '
            f'width="{f.width}" height="{f.height}" alt="{say(f.alt)}"{" hidden" * (i > 0)}>'
            for i, f in enumerate(self.frames)
        )
        first, last = self.frames[0].label, len(self.frames) - 1
        play = '<button type="button" aria-label="Play the frames">Play</button>' * self.play
        labels = json.dumps([f.label for f in self.frames]).replace("<", "\\u003c")
        script = SCRIPT.replace("LABELS", labels).replace("NAME", f'"{self.name}"')
        below = f"<figcaption>{say(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'{STYLE}<figure class="kl-viz" data-kl-frames="{self.name}">'
            f'<div class="kl-stage">{images}</div>'
            f'<div class="kl-bar" hidden>{play}<label><span>{say(self.what)}</span>'
            f'<input type="range" min="0" max="{last}" step="1" value="0" autocomplete="off" '
            f'aria-valuetext="{say(first)}"></label><output aria-live="off">{say(first)}</output>'
            f'</div><p class="kl-still">The slider needs JavaScript; this is the first of '
            f"{last + 1} frames, {say(first)}.</p>{below}</figure>"
            f"<script>{script}</script>"
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


__all__ = ["Frames", "frames", "new_page"]
