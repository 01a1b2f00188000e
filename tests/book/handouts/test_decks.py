"""A deck opened from its folder in a real browser: every slide fits, and nothing is fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kledit_lite.book.cache import Cache
from kledit_lite.book.discover import choose, discover, find_root
from kledit_lite.book.handouts import decks
from kledit_lite.core.errors import KleditError, UnknownNameError

ROOT = find_root(Path(__file__).parent)
IMAGE = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='900' height='2000'/>"
CHAPTER = """# 01 · A good talk

> **The question.** Does $x$ fit?

:::{admonition} In this chapter you will
- see $\\alpha$ and `code`.
:::

First.

```{code-cell} ipython3
from kledit_lite.book import record, say
say(share="81%")
record("good", {"r2": 0.9})
```

## A section

The share is {glue:text}`share`, and

$$
y = \\sum_i x_i
$$

:::{dropdown} Predict: more or less?
More.
:::

```{code-cell} ipython3
from IPython.display import HTML
HTML('<figure class="kl-viz"><img alt="" src="IMAGE"><figcaption>Tall.</figcaption></figure>')
```

A table of many rows.

```{code-cell} ipython3
rows = "".join(f"<tr><th>row {k}</th>" + "<td>" + "word " * 9 + "</td></tr>" for k in range(40))
HTML(f"<table><thead><tr><th></th><th>b</th></tr></thead><tbody>{rows}</tbody></table>")
```

```{code-cell} ipython3
wide = "".join(f"<td>{'m' * 12}{k}</td>" for k in range(14))
HTML(f"<table><tbody><tr>{wide}</tr></tbody></table>")
```

## Where it breaks

- Everywhere.
""".replace("IMAGE", IMAGE.replace("'", "%22"))
LOOK_AT = """() => {
    const slide = Reveal.getCurrentSlide();
    const small = [...slide.querySelectorAll('*')].filter(each =>
        !each.closest('.notes, svg, mjx-container, script, style, .kl-bar')
        && [...each.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
        && parseFloat(getComputedStyle(each).fontSize) < 24);
    const boxes = [...slide.querySelectorAll(':scope > *, table, img')]
        .filter(each => !each.matches('.notes')).map(each => each.getBoundingClientRect());
    return {
        over: slide.scrollHeight > slide.clientHeight || slide.scrollWidth > slide.clientWidth
            || boxes.some(box => box.bottom > innerHeight + 1 || box.right > innerWidth + 1),
        small: small.map(each => each.outerHTML.slice(0, 80)),
        text: slide.innerText,
        fragments: [...slide.querySelectorAll('.fragment')]
            .map(each => getComputedStyle(each).visibility),
        figures: [...slide.querySelectorAll('figure img')].map(each => each.clientHeight),
    };
}"""


def through(page):
    """What each key shows, from the first slide to the last."""
    seen = [page.evaluate(LOOK_AT)]
    ended = "Reveal.isLastSlide() && !Reveal.availableFragments().next"
    while not page.evaluate(ended):
        page.keyboard.press("ArrowRight")
        seen.append(page.evaluate(LOOK_AT))
        assert len(seen) < 200
    return seen


@pytest.fixture
def opened(browser):
    """Open a deck from its file; the page, and what it asked for and complained of."""
    context = browser.new_context(
        offline=True, viewport={"width": 1280, "height": 720}, reduced_motion="reduce"
    )
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)

    def show(path):
        page.goto(path.as_uri())
        page.wait_for_function("window.Reveal && Reveal.isReady()", timeout=120_000)
        return page, asked, errors

    yield show
    context.close()


@pytest.fixture(scope="module")
def vendored():
    return ROOT / decks.VENDOR


@pytest.fixture
def deck(checkout, add, vendored, tmp_path):
    """The made-up chapter executed, and its deck."""
    add("01-good", CHAPTER)
    shutil.copytree(vendored, checkout / decks.VENDOR)
    results = decks.slides(checkout, "lite", tmp_path / "out", ["good"], say=lambda text: None)
    return tmp_path / "out", results


@pytest.mark.slow
def test_every_slide_fits_and_nothing_is_fetched(deck, opened):
    folder, results = deck
    page, asked, errors = opened(folder / "01-good.html")
    seen = through(page)
    assert errors == []
    assert asked and all(u.startswith((folder.as_uri(), "data:", "blob:")) for u in asked)
    assert [s["text"][:30] for s in seen if s["over"] or s["small"]] == []
    text = "\n".join(s["text"] for s in seen)
    assert "The share is 81%" in text and "{" not in text
    assert all(text.count(f"row {k}\n") + text.count(f"row {k}\t") == 1 for k in range(40))
    assert "more columns" in text and page.locator("mjx-container").count() >= 3
    (tall,) = [s["figures"] for s in seen if s["figures"]]
    assert 400 < tall[0] < 720
    hidden = [s["fragments"] for s in seen if s["fragments"]]
    assert hidden == [["hidden"], ["visible"]]
    assert results.figures["decks"] == 1 and results.figures["slides"] == 8
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
    assert {"index.html", "vendor/reveal/LICENSE", "vendor/mathjax/LICENSE"} <= files
    page.goto((folder / "index.html").as_uri())
    page.click("text=A good talk")
    assert page.url.endswith("01-good.html") and results.figures["mb"] < 4


def test_a_deck_that_overflows_is_seen(tmp_path, vendored, opened):
    """One slide whose words cannot fit at any size, without a list or table to divide."""
    slide = decks.Slide("Too much", "word " * 2000, first=True)
    (tmp_path / "deck.html").write_text(decks.page("Deck", [slide]))
    for name in ("deck.css", "deck.js"):
        shutil.copyfile(decks.LOOK / name, tmp_path / name)
    shutil.copytree(vendored, tmp_path / "vendor")
    assert through(opened(tmp_path / "deck.html")[0])[0]["over"]


@pytest.mark.slow
@pytest.mark.parametrize("slug", ["influence", "painted-world"])
def test_a_real_chapter_fits(slug, opened, tmp_path, missing):
    chapters = choose(discover(ROOT), [slug])
    if Cache(ROOT, "lite").get(chapters[0]) is None:
        pytest.skip(f"no run of {slug} is in the cache: run `kledit run {slug}`")
    decks.slides(ROOT, "lite", tmp_path / "out", [slug], say=lambda text: None)
    page, asked, errors = opened(tmp_path / "out" / f"{chapters[0].stem}.html")
    seen = through(page)
    assert errors == [] and all(u.startswith(("file:", "data:", "blob:")) for u in asked)
    assert [s["text"][:40] for s in seen if s["over"] or s["small"]] == []
    assert len(seen) > 10 and "Exercises" in seen[-1]["text"]


def test_bad_input_is_one_sentence(checkout, add, text, tmp_path):
    add("01-good", text.GOOD)
    out = tmp_path / "out"
    with pytest.raises(UnknownNameError, match="Unknown chapter 'x'"):
        decks.slides(checkout, "lite", out, ["x"])
    with pytest.raises(KleditError, match=r"reveal is missing"):
        decks.slides(checkout, "lite", out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    with pytest.raises(KleditError, match="not an empty folder"):
        decks.slides(checkout, "lite", tmp_path / "full")
    assert not out.exists()


def test_a_chapter_that_fails_has_no_slides(checkout, add, text, vendored, tmp_path):
    add("01-bad", text.FAILING)
    shutil.copytree(vendored, checkout / decks.VENDOR)
    with pytest.raises(KleditError, match="no slides of a chapter that failed: .*01-bad"):
        decks.slides(checkout, "lite", tmp_path / "out", say=lambda said: None)
    assert not (tmp_path / "out").exists()
