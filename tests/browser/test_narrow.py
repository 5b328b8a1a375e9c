"""On a narrow screen, also without scripts: the tab of the open page is in view, and no page scrolls sideways."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

NewPage = Callable[..., Page]
SEEN = """() => {
    const { left, right } = document.querySelector(".tabs [aria-current]").getBoundingClientRect();
    return left >= 0 && right <= innerWidth && document.documentElement.scrollWidth <= innerWidth;
}"""


def test_the_open_tab_is_in_view(new_page: NewPage) -> None:
    page = new_page("operator", viewport={"width": 380, "height": 800}, java_script_enabled=False)
    for start in ("/settings/", "/ops/"):
        page.goto(start)
        tabs = page.locator(".tabs a").evaluate_all("tabs => tabs.map(tab => tab.getAttribute('href'))")
        assert len(tabs) > 4
        for tab in tabs:
            page.goto(tab)
            assert page.evaluate(SEEN), tab
