"""Inputs for names and ARNs: plain text without help from spelling or capitals."""

from __future__ import annotations

from django import forms


def name_lines(*, rows: int) -> forms.Textarea:
    """Returns a box for names, one a line."""
    return forms.Textarea(attrs={"class": "mono short", "rows": rows, "spellcheck": "false", "autocapitalize": "off"})


def name_input(**attributes: str) -> forms.TextInput:
    """Returns an input for one name; further attributes go to the element."""
    return forms.TextInput(
        attrs={"class": "mono", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off", **attributes}
    )
