"""gunicorn's access log without the tokens of links: a line must not let its reader become the invited person."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from portal.logs import hide_links


class AccessLog(Logger):  # type: ignore[misc,unused-ignore]
    """gunicorn's own logger; in every part of a line, as the request, the path and the referer, links are hidden."""

    def atoms(self, *given: Any) -> dict[str, Any]:
        """Returns the parts of a line by their letter, as gunicorn names them."""
        parts = super().atoms(*given)
        return {name: hide_links(value) if isinstance(value, str) else value for name, value in parts.items()}
