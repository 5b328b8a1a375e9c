"""The words for what browsers call themselves."""

from __future__ import annotations

import pytest

from iamroles.browsers import browser_of

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/140.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} HeadlessChrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {_WEBKIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/139.0 Safari/537.36 OPR/124.0", "Opera on Linux"),
        (f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {_WEBKIT} Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 16181.61.0) {_WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on ChromeOS"),
        (
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                "Version/18.5 Safari/605.1.15"
            ),
            "Safari on macOS",
        ),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                "CriOS/140.0 Mobile/15E148 Safari/604.1"
            ),
            "Chrome on iPhone",
        ),
        ("something (Linux)", "An unknown browser on Linux"),
        ("curl/8.14.1", "An unknown browser"),
        ("", "An unknown browser"),
    ],
)
def test_says_which_browser_on_which_system(agent: str, words: str) -> None:
    assert browser_of(agent) == words
