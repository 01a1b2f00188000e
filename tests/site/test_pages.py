"""Every page: whole, offline, described, legible, in one column on a telephone.

A page is loaded once and asked everything, because loading is what takes the time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from kledit_lite.core.launch import launch

ROOT = Path(__file__).resolve().parents[2]
NARROW = {"width": 390, "height": 844}
TEXT = ".bd-article, .bd-sidebar-primary, .bd-sidebar-secondary, footer"
WIDGETS = 'script[type="application/vnd.jupyter.widget-view+json"]'

_here = Path(__file__).with_name("scripts.py")
_spec = importlib.util.spec_from_file_location("site_scripts", _here)
ask = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ask)


def test_page(site, open_page, page_name):
    """What holds for every page, those that Sphinx makes by itself included."""
    with open_page(page_name) as (page, heard):
        assert page.title()
        pictures = page.evaluate(ask.PICTURES)
        linked = {unquote(h.removeprefix("file://")) for h in page.evaluate(ask.LINKS)}
        lost = page.evaluate(ask.LOST_ANCHORS)
        faint = {"light": page.evaluate(ask.FAINT, TEXT)}
        page.add_style_tag(content="* { transition: none !important; }")
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        faint["dark"] = page.evaluate(ask.FAINT, TEXT)
        page.set_viewport_size(NARROW)
        page.wait_for_timeout(300)
        wide = page.evaluate(ask.TOO_WIDE)
    assert heard.failed == []
    assert heard.external == []
    assert heard.errors == []
    assert pictures == {"silent": [], "named": [], "broken": []}
    assert {h for h in linked if not Path(h).is_file()} <= {str(site), f"{site}/"}
    assert lost == []
    assert {mode: found["faint"] for mode, found in faint.items()} == {"light": [], "dark": []}
    assert wide == []


def test_prose(open_page, text_page):
    """What holds for every page that we wrote: headings, formulas, sliders, launch buttons."""
    with open_page(text_page) as (page, heard):
        levels = page.evaluate(ask.HEADINGS)
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), levels

        formulas = page.evaluate(ask.FORMULAS)
        assert formulas["drawn"] == formulas["written"]
        assert formulas["wrong"] == formulas["left"] == 0

        links = page.evaluate(ask.LAUNCH)
        if text_page.startswith("notebooks/") and launch(ROOT).repository:
            hosts = {h.split("/")[2] for h in links}
            assert hosts >= {"mybinder.org", "colab.research.google.com"}
            pair = f"notebooks/{Path(text_page).stem}.ipynb"
            assert all(h.endswith(pair) for h in links), links
        else:
            assert links == []

        player = any("vendor/widgets/embed.js" in url for url in heard.requests)
        assert player == (page.locator(WIDGETS).count() > 0)

        open_folds(page)
        move_ranges(page)
        move_widgets(page)
        assert heard.errors == []


def open_folds(page) -> None:
    """Every closer look, by a click, as a reader opens it."""
    for summary in page.locator("details.kl-closer > summary").all():
        summary.click()


def move_ranges(page) -> None:
    """Every plain slider moves its frame, by the keyboard alone."""
    ranges = page.locator(".bd-article input[type=range]")
    for i in range(ranges.count()):
        slider = ranges.nth(i)
        viewer = slider.locator("xpath=ancestor::figure[1]")
        assert viewer.count() == 1, "a range input outside a frame viewer"
        words, stage = viewer.locator("output"), viewer.locator(".kl-stage")
        last = int(slider.get_attribute("max"))
        assert viewer.evaluate(ask.SHOWN) == [0]
        before, said = digest(stage), words.inner_text()
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert viewer.evaluate(ask.SHOWN) == [1]
        assert digest(stage) != before, "the picture did not change"
        assert words.inner_text() == slider.get_attribute("aria-valuetext") != said
        page.keyboard.press("End")
        assert viewer.evaluate(ask.SHOWN) == [last]
        page.keyboard.press("Home")
        assert viewer.evaluate(ask.SHOWN) == [0]
        assert digest(stage) == before


def move_widgets(page) -> None:
    """Every slider of a Jupyter widget changes what its widget shows, without a kernel."""
    handles = page.locator(".widget-subarea .noUi-handle")
    for i in range(handles.count()):
        handle = handles.nth(i)
        area = handle.locator("xpath=ancestor::*[contains(@class, 'widget-subarea')][1]")
        before = area.evaluate(ask.BESIDE_SLIDERS)
        handle.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
        assert area.evaluate(ask.BESIDE_SLIDERS) != before, "a slider that is linked to nothing"


def digest(locator) -> str:
    """Of what is shown of an element."""
    return hashlib.sha256(locator.screenshot(animations="disabled")).hexdigest()


def test_frames_and_sources(site, text_page):
    """Without a browser: the frames are few, described and light, and nothing comes from afar."""
    text = (site / text_page).read_text(encoding="utf-8")
    for stage in re.findall(r'<div class="kl-stage">(.*?)</div>', text, flags=re.DOTALL):
        alts = re.findall(r'<img [^>]*alt="([^"]*)"', stage)
        assert 2 <= len(alts) == stage.count("<img") <= 20
        assert all(a.strip() for a in alts)
    viewers = re.findall(r'<figure class="kl-viz" data-kl-frames.*?</figure>', text, re.DOTALL)
    assert sum(map(len, viewers)) <= 520_000
    for tag in re.findall(r"<(?:script|link|img|iframe|video|source)\b[^>]*>", text):
        for value in re.findall(r'(?:src|href)="([^"]*)"', tag):
            assert not value.startswith(("http:", "https:", "//")), tag[:200]


@pytest.mark.slow
def test_a_chapter_can_be_read_without_scripts(open_page, site):
    """The text and the first frame of every viewer are there before any script ran."""
    for path in sorted(site.glob("notebooks/*.html")):
        with open_page(f"notebooks/{path.name}", scripts=False) as (page, heard):
            assert page.locator(".bd-article h1").is_visible()
            open_folds(page)
            stages = page.locator(".kl-stage")
            for i in range(stages.count()):
                assert stages.nth(i).locator("img").first.is_visible()
            assert heard.external == []


def test_the_front_door_leads_to_the_welcome_page(site, browser):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/book/welcome.html")
    page.close()


def test_a_closer_look_is_folded_until_asked_for(open_page, site):
    """Its heading stays in the page and in its contents; a click or a link opens what it heads."""
    folded = [
        p
        for p in sorted((site / "notebooks").glob("*.html"))
        if "kl-closer" in p.read_text(encoding="utf-8")
    ]
    assert folded, "no chapter has a closer look"
    with open_page(f"notebooks/{folded[0].name}") as (page, heard):
        fold = page.locator("details.kl-closer").first
        body, section = fold.locator(".kl-closer-body"), fold.locator("xpath=..")
        assert section.locator("h2, h3").first.inner_text().startswith("A closer look")
        name = section.get_attribute("id")
        assert page.locator(f'.bd-sidebar-secondary a[href="#{name}"]').count() == 1
        assert not body.is_visible()
        fold.locator("summary").first.click()
        assert body.is_visible() and heard.errors == []


def test_a_figure_on_a_narrow_screen_is_enlarged_by_a_tap_and_closed_again(open_page, site):
    chapter = next(p for p in (site / "notebooks").glob("*-locogen.html"))
    with open_page(f"notebooks/{chapter.name}") as (page, heard):
        assert page.locator("img[data-kl-large]").count() == 0, "a wide page has no need"
        page.set_viewport_size(NARROW)
        figures = page.locator("img[data-kl-large]")
        assert figures.count() >= 3
        figure = figures.first
        assert figure.bounding_box()["width"] <= NARROW["width"] and figure.get_attribute("alt")
        figure.click()
        large = page.locator("dialog.kl-large img")
        assert large.bounding_box()["width"] >= 900
        page.keyboard.press("Escape")
        assert page.locator("dialog").count() == 0
        assert page.evaluate("document.activeElement.dataset.klLarge") == ""
        page.keyboard.press("Enter")
        page.locator("dialog.kl-large button").click()
        assert page.locator("dialog").count() == 0 and heard.errors == []


def test_search_finds_a_word(open_page, site):
    with open_page("search.html") as (page, heard):
        page.goto((site / "search.html").as_uri() + "?q=alignment")
        page.wait_for_selector("#search-results li")
        assert page.locator("#search-results li").count() >= 2
        assert heard.failed == [] and heard.external == [] and heard.errors == []


def test_the_button_switches_light_and_dark(open_page):
    theme = "document.documentElement.dataset.theme"
    background = "getComputedStyle(document.body).backgroundColor"
    with open_page("book/welcome.html") as (page, _):
        seen = {page.evaluate(theme): page.evaluate(background)}
        for _ in range(3):
            page.locator("button.theme-switch-button:visible").first.click()
            page.wait_for_timeout(300)
            seen[page.evaluate(theme)] = page.evaluate(background)
        assert set(seen) == {"light", "dark"}
        assert seen["light"] != seen["dark"]


def test_a_term_says_what_it_means(open_page, site):
    """Under the mouse and under the keyboard; the first mention in a chapter, and only in one."""
    chapter = next(p for p in (site / "notebooks").glob("*-causal-tracing.html"))
    shown = "e => getComputedStyle(e, '::after').content"
    with open_page(f"notebooks/{chapter.name}") as (page, heard):
        terms = page.locator("a.kl-term")
        assert terms.count() >= 3
        first = terms.first
        assert page.evaluate(shown, first.element_handle()) == "none"
        first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        tip = first.get_attribute("data-tip")
        assert len(tip) > 30 and tip in page.evaluate(shown, first.element_handle())
        assert "glossary.html#term-" in first.get_attribute("href")
        anchors = [t.get_attribute("href") for t in terms.all() if " " in t.inner_text()]
        assert anchors and heard.errors == []


def test_keyboard_reaches_search_and_text(open_page):
    with open_page("book/welcome.html") as (page, _):
        page.keyboard.press("Control+K")
        page.wait_for_timeout(300)
        assert page.evaluate("document.activeElement.matches('input[type=search]')")
        page.keyboard.press("Escape")
        page.reload()
        page.keyboard.press("Tab")
        skip = page.evaluate("document.activeElement.getAttribute('href')")
        assert skip and skip.startswith("#"), "the first Tab skips to the text"


LONGEST, APART = 20, 4
"""Screens of a page, and from one prediction to the next."""


@pytest.mark.slow
def test_a_chapter_is_no_longer_than_a_sitting_and_asks_before_it_tells(open_page, site):
    """Screens of 1400 by 900; the exercises are the last thing asked, a fold asks nothing."""
    long, apart = {}, {}
    for path in sorted((site / "notebooks").glob("*.html")):
        slug = path.stem.partition("-")[2]
        with open_page(f"notebooks/{path.name}") as (page, _):
            found = page.evaluate(ask.SCREENS)
        if found["page"] > LONGEST:
            long[slug] = round(found["page"], 1)
        if found["apart"] > APART:
            apart[slug] = round(found["apart"], 1)
    assert (long, apart) == ({}, {})
