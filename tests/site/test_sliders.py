"""Every slider, plain or widget, moves its picture, with the keyboard alone and without a kernel."""

from __future__ import annotations

import hashlib

import pytest


def picture(page, locator) -> str:
    """A digest of what is shown of an element."""
    page.wait_for_timeout(150)
    return hashlib.sha256(locator.screenshot(animations="disabled")).hexdigest()


def test_every_range_moves_its_frame(open_page, text_page):
    with open_page(text_page) as (page, heard):
        ranges = page.locator(".bd-article input[type=range]:not(.jupyter-widgets *)")
        for i in range(ranges.count()):
            slider = ranges.nth(i)
            viewer = slider.locator("xpath=ancestor::figure[1]")
            assert viewer.count() == 1, "a range input outside a frame viewer"
            stage = viewer.locator(".kl-stage")
            slider.scroll_into_view_if_needed()
            first, words = picture(page, stage), slider.get_attribute("aria-valuetext")
            slider.focus()
            page.keyboard.press("ArrowRight")
            second = picture(page, stage)
            assert second != first, "the picture did not change"
            assert slider.get_attribute("aria-valuetext") != words
            assert viewer.locator("output").inner_text() == slider.get_attribute("aria-valuetext")
            page.keyboard.press("ArrowLeft")
            assert picture(page, stage) == first
            page.keyboard.press("End")
            assert slider.input_value() == slider.get_attribute("max")
            page.keyboard.press("Home")
            assert slider.input_value() == "0"
        assert heard.errors == []


def test_every_frame_is_described(open_page, text_page):
    with open_page(text_page) as (page, _):
        for alts in page.evaluate(
            """() => [...document.querySelectorAll('.kl-stage')]
                .map(s => [...s.querySelectorAll('img')].map(i => i.alt))"""
        ):
            assert 2 <= len(alts) <= 20
            assert all(a.strip() for a in alts)


def test_every_widget_slider_moves_its_frame(open_page, text_page):
    with open_page(text_page) as (page, heard):
        areas = page.locator(".widget-subarea")
        for i in range(areas.count()):
            area = areas.nth(i)
            handles = area.locator(".noUi-handle[role=slider]")
            for k in range(handles.count()):
                handle = handles.nth(k)
                handle.scroll_into_view_if_needed()
                handle.focus()
                stack = area.locator(".widget-stack")
                shown = stack if stack.count() else area
                first = picture(page, shown)
                page.keyboard.press("ArrowRight")
                assert picture(page, shown) != first, "the widget did not change"
        assert heard.errors == []


def test_widget_player_is_loaded_only_where_there_are_widgets(open_page, text_page):
    with open_page(text_page) as (page, heard):
        player = any("vendor/widgets/embed.js" in url for url in heard.requests)
        scripts = 'script[type="application/vnd.jupyter.widget-view+json"]'
        assert player == (page.locator(scripts).count() > 0)


@pytest.mark.parametrize("limit", [500_000])
def test_frames_of_a_page_are_light(site, text_page, limit):
    text = (site / text_page).read_text(encoding="utf-8")
    inline = sum(len(p.split('"')[0]) for p in text.split('src="data:image/')[1:])
    assert inline <= limit
