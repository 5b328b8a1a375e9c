"""What a browser calls itself, in words for people: "Firefox on Linux". Whoever sends the header can write anything."""

from __future__ import annotations

import re
from typing import Final

# In this order: most browsers also name the ones whose pages they want.
_BROWSERS: Final = (
    (r"\bEdg(e|A|iOS)?/", "Edge"),
    (r"\bOPR/", "Opera"),
    (r"\b(Firefox|FxiOS)/", "Firefox"),
    (r"\b(Headless)?Chrom(e|ium)/|\bCriOS/", "Chrome"),
    (r"\bVersion/\S+ .*Safari/", "Safari"),
)
_SYSTEMS: Final = (
    (r"\bAndroid\b", "Android"),
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bWindows\b", "Windows"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bLinux\b", "Linux"),
)


def browser_of(agent: str) -> str:
    """Returns which browser on which system a User-Agent header names, "An unknown browser" where it names none."""
    browser = _first(_BROWSERS, agent) or "An unknown browser"
    system = _first(_SYSTEMS, agent)
    return f"{browser} on {system}" if system else browser


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((word for pattern, word in known if re.search(pattern, agent)), "")
