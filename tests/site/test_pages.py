"""Every page: whole, offline, described, legible, and in one column on a telephone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NARROW = (390, 844)

# WCAG contrast of the text that is shown in `selector`, against what is painted behind it.
CONTRAST = """selector => {
    const parse = c => {
        const n = (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
        if (c.startsWith('color(srgb')) { n[0] *= 255; n[1] *= 255; n[2] *= 255; }
        return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1];
    };
    const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = c => {
        const [r, g, b] = c.map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = element => {
        const layers = [];
        for (let e = element; e; e = e.parentElement) {
            layers.push(parse(getComputedStyle(e).backgroundColor));
            if (layers[layers.length - 1][3] === 1) { break; }
        }
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const found = [];
    document.querySelectorAll(selector).forEach(root => {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
            const box = element.getBoundingClientRect();
            if (!text || !element.checkVisibility({ visibilityProperty: true }) || !box.width ||
                element.closest('script, style, svg, mjx-container, .headerlink, .visually-hidden')
            ) { continue; }
            const style = getComputedStyle(element), paper = behind(element);
            const ink = over(parse(style.color), paper);
            const [a, b] = [light(ink), light(paper)];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
            found.push([text.slice(0, 40), +ratio.toFixed(2), large ? 3 : 4.5, element.className]);
        }
    });
    return found;
}"""


def test_page_loads_from_disk_with_no_network(open_page, page_name):
    with open_page(page_name) as (page, heard):
        assert page.title()
        assert heard.failed == []
        assert heard.external == []
        assert heard.errors == []


def test_pictures_are_described(open_page, page_name):
    with open_page(page_name) as (page, _):
        bad = page.evaluate(
            """() => [...document.querySelectorAll('img')]
                .filter(i => !i.closest('.navbar-brand') && !(i.alt || '').trim())
                .map(i => i.src.slice(0, 80))"""
        )
        assert bad == []
        file_names = page.evaluate(
            """() => [...document.querySelectorAll('.bd-article img')].map(i => i.alt)
                .filter(a => /^[^ ]*\\.(png|svg|jpe?g|webp)$/.test(a) || /_images\\//.test(a))"""
        )
        assert file_names == [], "a file name is no description"
        broken = page.evaluate(
            """async () => {
                const images = [...document.querySelectorAll('img')];
                images.forEach(i => { i.loading = 'eager'; });
                await Promise.all(images.map(i => i.decode().catch(() => null)));
                return images.filter(i => !i.naturalWidth).map(i => i.src.slice(0, 80));
            }"""
        )
        assert broken == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(open_page, text_page, scheme):
    with open_page(text_page, scheme=scheme) as (page, _):
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        shown = page.evaluate(CONTRAST, ".bd-article, .bd-sidebar-primary, .bd-sidebar-secondary")
        assert shown
        assert [s for s in shown if s[1] < s[2]] == []


def test_light_and_dark_differ_and_the_button_switches(open_page):
    with open_page("book/welcome.html", scheme="light") as (page, _):
        background = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(background)
        for _ in range(3):
            page.locator("button.theme-switch-button:visible").first.click()
            if page.evaluate("document.documentElement.dataset.theme") == "dark":
                break
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate(background) != before


def test_a_telephone_needs_no_sideways_scrolling(open_page, page_name):
    with open_page(page_name, size=NARROW) as (page, _):
        width = page.evaluate(
            "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
        )
        assert width <= NARROW[0], page.evaluate(
            """() => [...document.querySelectorAll('.bd-main *')]
                .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                .slice(0, 8).map(e => e.tagName + '.' + e.className)"""
        )


def test_headings_are_in_order(open_page, text_page):
    with open_page(text_page) as (page, _):
        levels = page.evaluate(
            """() => [...document.querySelectorAll(
                '.bd-article :is(h1,h2,h3,h4,h5,h6)')].map(h => +h.tagName[1])"""
        )
        assert levels.count(1) == 1 and levels[0] == 1
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), levels


def test_links_within_the_site_lead_somewhere(site, open_page, page_name):
    with open_page(page_name) as (page, _):
        links = page.evaluate(
            """() => [...document.querySelectorAll('a[href]')].map(a => a.href)
                .filter(h => h.startsWith('file:')).map(h => h.split('#')[0].split('?')[0])"""
        )
        missing = {h for h in links if not Path(h.removeprefix("file://")).is_file()}
        missing = {h for h in missing if h.rstrip("/") != (site / page_name).parent.as_uri()}
        assert not missing


def test_formulas_are_set(open_page, text_page):
    with open_page(text_page) as (page, _):
        sources = page.locator(".bd-article .math").count()
        drawn = page.locator(".bd-article mjx-container svg").count()
        assert drawn >= sources
        assert page.locator(".bd-article mjx-merror, .bd-article [data-mjx-error]").count() == 0
        text = page.locator(".bd-article").inner_text()
        assert "\\(" not in text and "\\[" not in text


def test_search_finds_a_word(open_page):
    with open_page("search.html") as (page, heard):
        page.goto(page.url + "?q=alignment")
        page.wait_for_selector("#search-results li", timeout=10_000)
        assert page.locator("#search-results li").count() >= 2
        assert heard.failed == [] and heard.external == [] and heard.errors == []


def test_launch_buttons_open_the_notebook(open_page, text_page):
    with open_page(text_page) as (page, _):
        links = page.evaluate(
            "[...document.querySelectorAll('.dropdown-launch-buttons a')].map(a => a.href)"
        )
        if not text_page.startswith("notebooks/"):
            assert links == []
            return
        stem = Path(text_page).stem
        assert {h.split("/")[2] for h in links} >= {"mybinder.org", "colab.research.google.com"}
        assert all(h.endswith(f"notebooks/{stem}.ipynb") for h in links), links


def test_a_page_can_be_read_without_scripts(open_page, text_page):
    with open_page(text_page, scripts=False) as (page, heard):
        assert page.locator(".bd-article h1").is_visible()
        assert heard.failed == [] and heard.external == []
        stages = page.locator(".kl-stage")
        for i in range(stages.count()):
            assert stages.nth(i).locator("img").first.is_visible()


def test_no_page_names_a_script_or_style_from_elsewhere(site, page_name):
    text = (site / page_name).read_text(encoding="utf-8")
    for tag in ("<script", "<link", "<img", "<iframe", "<video", "<source"):
        for piece in text.split(tag)[1:]:
            head = piece.split(">")[0]
            if tag == "<link" and 'rel="canonical"' in head:
                continue
            for attribute in ("src=", "href="):
                if attribute in head:
                    value = head.split(attribute)[1].strip("\"'")
                    assert not value.startswith(("http:", "https:", "//")), json.dumps(head[:200])
