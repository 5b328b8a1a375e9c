"""The stylesheet's colours keep WCAG 2.2 contrast in both themes. The ratios are computed from the file itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLESHEET = Path(__file__).parents[3] / "iamroles/web/static/iamroles/roledesk.css"
TOKEN = re.compile(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
TONES = ("ok", "warn", "bad", "info", "pending", "neutral", "add", "del")
GROUNDS = ("bg", "bg-sub", "bg-raised", "bg-inset", "page")

# What is written on what, in roledesk.css.
TEXT_PAIRS = (
    *((text, ground) for text in ("text", "text-muted", "accent") for ground in GROUNDS),
    *(("accent-hover", ground) for ground in GROUNDS),
    *((tone, f"{tone}-bg") for tone in TONES),
    *(("text", f"{tone}-bg") for tone in TONES),
    *((tone, ground) for tone in ("ok", "warn", "bad", "info") for ground in ("bg-raised", "bg-inset", "page")),
    ("text-muted", "info-bg"),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("on-accent", "danger"),
    ("bad-bg", "bad"),
    ("bg", "text"),
)
SHAPE_PAIRS = tuple((part, ground) for part in ("control", "focus") for ground in ("bg", "bg-sub", "bg-raised", "page"))


def tokens() -> dict[str, tuple[str, str]]:
    return {name: (light, dark) for name, light, dark in TOKEN.findall(STYLESHEET.read_text(encoding="utf-8"))}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_ratio_is_the_one_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_is_readable(text: str, ground: str, theme: int) -> None:
    known = tokens()
    assert contrast(known[text][theme], known[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("part", "ground"), SHAPE_PAIRS)
def test_borders_of_controls_and_focus_are_visible(part: str, ground: str, theme: int) -> None:
    known = tokens()
    assert contrast(known[part][theme], known[ground][theme]) >= 3


def test_no_colour_stands_outside_the_tokens() -> None:
    """A colour elsewhere would escape the computation above."""
    text = STYLESHEET.read_text(encoding="utf-8")
    rules = re.sub(r":root \{.*?\n\}", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL), count=1, flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)|rgba?\(|hsla?\(", rules) == []


def test_every_token_in_use_is_defined() -> None:
    text = STYLESHEET.read_text(encoding="utf-8")
    assert set(re.findall(r"var\(--([a-z0-9-]+)", text)) - set(re.findall(r"--([a-z0-9-]+):", text)) == set()
