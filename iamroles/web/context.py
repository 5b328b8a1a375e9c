"""What every page's frame shows: navigation by rights, the waiting count, environment, theme, version."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from iamroles.pages import frame

THEMES = ("light", "dark")


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Returns the frame's values: `nav` for a signed-in person, `theme` ("" follows the system), `demo`."""
    theme = request.COOKIES.get("theme", "")
    user = getattr(request, "user", None)
    return {
        "theme": theme if theme in THEMES else "",
        "environment": settings.ROLEDESK_ENVIRONMENT,
        "demo": settings.ROLEDESK_DEMO,
        "nav": frame.navigation_for(user) if user is not None and user.is_authenticated else None,
    }
