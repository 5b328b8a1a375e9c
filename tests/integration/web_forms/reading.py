"""Reads pages as a person does: titles, summaries, messages at fields, answers that are kept."""

from __future__ import annotations

import html
import re
from typing import Any


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def title_of(response: Any) -> str:
    found = re.search(r"<title>(.*?)</title>", text_of(response), flags=re.DOTALL)
    assert found
    return " ".join(found.group(1).split())


def _words(markup: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", "", markup).split()))


def summary_of(response: Any) -> list[tuple[str, str]]:
    """Returns the error summary: the id that each problem leads to, and its words."""
    box = re.search(r'id="error-summary".*?</ul>', text_of(response), flags=re.DOTALL)
    return re.findall(r'<a href="#([^"]+)">(.*?)</a>', box.group(0)) if box else []


def field_errors(response: Any) -> dict[str, list[str]]:
    """Returns the messages that stand at fields, by the field's id."""
    lists = re.findall(r'<ul class="error" id="(\w+)_error">(.*?)</ul>', response.content.decode(), flags=re.DOTALL)
    return {
        name: [_words(item).removeprefix("Error: ") for item in re.findall(r"<li>(.*?)</li>", body, flags=re.DOTALL)]
        for name, body in lists
    }


def value_of(response: Any, field: str) -> str:
    """Returns what an input or text area holds."""
    markup = response.content.decode()
    area = re.search(rf'<textarea name="{field}"[^>]*>\n?(.*?)</textarea>', markup, flags=re.DOTALL)
    if area:
        return html.unescape(area.group(1)).replace("\r\n", "\n")
    one = re.search(rf'<input[^>]*name="{field}"[^>]*>', markup)
    assert one, field
    value = re.search(r'value="([^"]*)"', one.group(0))
    return html.unescape(value.group(1)) if value else ""
