"""What templates write again and again: shapes, times, identifiers, JSON blocks, hidden keys.

Nothing is read from the database here and nothing decides anything. Every tag returns markup without inline style or
script, as the content security policy demands.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import template
from django.forms import BaseForm, BoundField
from django.template import Context
from django.templatetags.static import static
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from iamroles.pages import frame

register = template.Library()

_WIDE_SHAPES = frozenset({"risk-high"})
_RISK_WORDS = {"low": "Low", "medium": "Medium", "high": "High", "forbidden": "Forbidden"}
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|([{}\[\],])')


@register.simple_tag
def icon(shape: str, css: str = "") -> SafeString:
    """Returns a shape of the sprite, hidden from screen readers: the word beside it says the same."""
    classes = " ".join(filter(None, ("icon", "icon-wide" if shape in _WIDE_SHAPES else "", css)))
    address = static("iamroles/shapes.svg")
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', classes, address, shape
    )


@register.simple_tag
def idempotency_key(key: str | None = None) -> SafeString:
    """Returns the hidden field that makes a second POST of the same form find the first one's result."""
    return format_html('<input type="hidden" name="idempotency_key" value="{}">', key or uuid.uuid4())


@register.filter
def risk_word(risk: str) -> str:
    """Returns the word for a risk."""
    return _RISK_WORDS.get(risk, risk)


@register.filter
def at_most_99(count: int) -> str:
    """Returns a count as pages show it: counting goes no further than "99+"."""
    return str(count) if count < frame.COUNTED else "99+"


@register.filter
def breakable(text: object) -> SafeString:
    """Returns an ARN or a path that may break after each colon and slash."""
    return mark_safe(re.sub(r"([:/])", r"\1<wbr>", escape(text)))  # noqa: S308  (escaped the line before)


@register.filter
def short_digest(digest: str) -> str:
    """Returns the first 12 characters of a digest."""
    return str(digest)[:12]


@register.filter
def account_number(number: str) -> str:
    """Returns 12 digits in groups of four."""
    text = str(number)
    return f"{text[:4]} {text[4:8]} {text[8:]}" if len(text) == 12 else text


@register.filter
def role_name(arn: str) -> str:
    """Returns the last part of a role's or policy's ARN."""
    return str(arn).rsplit("/", 1)[-1]


def _zone(context: Context) -> ZoneInfo | None:
    name = getattr(context.get("user"), "time_zone", "UTC")
    if not name or name == "UTC":
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


@register.simple_tag(takes_context=True)
def when(context: Context, at: datetime | None, seconds: bool = False) -> str:
    """Returns a `<time>` in UTC and, for people with another zone, in theirs too: "14:02 UTC (15:02 Berlin)"."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    clock = "%H:%M:%S" if seconds else "%H:%M"
    text = f"{utc.day} {utc:%b %Y}, {utc.strftime(clock)} UTC"
    shown = format_html('<time class="nowrap" datetime="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", text)
    zone = _zone(context)
    if zone is None:
        return shown
    place = zone.key.rsplit("/", 1)[-1].replace("_", " ")
    local = utc.astimezone(zone).strftime(clock)
    return format_html('{} <span class="nowrap muted">({} {})</span>', shown, local, place)


@register.filter
def age(at: datetime | None) -> str:
    """Returns how long ago something was: "just now", "4 min", "3 h", "12 days"."""
    if at is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    if seconds < 60:
        return "just now"
    for size, word in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount} {word}{'s' if word == 'day' and amount != 1 else ''}"
    raise AssertionError(seconds)


def _pretty(value: Any) -> str:
    if hasattr(value, "as_mapping"):
        value = value.as_mapping()
    if isinstance(value, str):
        value = json.loads(value)
    return json.dumps(value, indent=2, ensure_ascii=False)


def _colour(match: re.Match[str]) -> str:
    text, colon, mark = match.groups()
    if mark:
        return f'<span class="json-mark">{mark}</span>'
    if colon:
        return f'<span class="json-key">{escape(text)}</span>{colon}'
    return f'<span class="json-text">{breakable(text)}</span>'


def _coloured_line(line: str) -> str:
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(line):
        parts += (escape(line[end : match.start()]), _colour(match))
        end = match.end()
    parts.append(escape(line[end:]))
    depth = (len(line) - len(line.lstrip(" "))) // 2
    return f'<span class="json-line" data-depth="{depth}">{"".join(parts)}\n</span>'


@register.filter
def pretty_json(value: Any) -> str:
    """Returns a document, mapping or JSON text with two spaces of indent."""
    return _pretty(value)


@register.filter
def json_code(value: Any) -> SafeString:
    """Returns the same with keys, texts and marks in their own tones; without the markup it is still the JSON."""
    lines = _pretty(value).split("\n")
    return mark_safe("".join(map(_coloured_line, lines)))  # noqa: S308  (every part is escaped above)


@register.inclusion_tag("iamroles/_json_block.html")
def json_block(value: Any, label: str, block_id: str = "", note: str = "") -> dict[str, Any]:
    """Shows a document as a named, focusable, copyable region. `label` names it on the page and for screen readers."""
    return {"value": value, "label": label, "block_id": block_id or slugify(label), "note": note}


@register.inclusion_tag("iamroles/_id.html")
def identifier(value: str, name: str = "ARN", short: bool = False) -> dict[str, Any]:
    """Shows an ARN or digest in mono with its copy button; `short` shows the first 12 characters."""
    return {"value": value, "name": name, "short": short}


def _name_missing_answers(form: BaseForm) -> None:
    """Gives Django's "This field is required." the field's own name, once, for forms that are not ours."""
    for name, errors in form.errors.items():
        label = form.fields[name].label if name in form.fields else None
        for error in errors.as_data():
            if label and error.code == "required" and error.message == form.fields[name].error_messages["required"]:
                error.message = f"{label} is missing. Enter it."


@register.inclusion_tag("iamroles/_error_summary.html")
def error_summary(form: object) -> dict[str, Any]:
    """Lists a form's problems with the same words as at the fields, each a link to its field."""
    if not isinstance(form, BaseForm) or not form.is_bound:  # a page without a form gives the empty text
        return {"problems": []}
    _name_missing_answers(form)
    problems = [("", str(text)) for text in form.non_field_errors()]
    for field in form:
        problems += [(field_anchor(field), str(text)) for text in field.errors]
    return {"problems": problems}


@register.filter
def field_anchor(field: BoundField) -> str:
    """Returns the id of a field's first control, which the error summary links to."""
    if getattr(field.field.widget, "input_type", "") == "radio":
        return f"{field.auto_id}_0"
    return field.id_for_label or field.auto_id


@register.simple_tag
def field_groups(form: BaseForm) -> SafeString:
    """Returns all visible fields of a form with our field group, then the hidden ones; no `required` attributes."""
    form.use_required_attribute = False
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)
        if form.is_bound:  # the error summary has the focus
            field.widget.attrs.pop("autofocus", None)
    if form.is_bound:
        _name_missing_answers(form)
    visible = [field.as_field_group() for field in form.visible_fields()]
    hidden = [str(field) for field in form.hidden_fields()]
    return mark_safe("".join((*visible, *hidden)))  # noqa: S308  (Django's own rendering)
