"""The inline policy that cuts off sessions from before a change of trust (APPLY.md "Older sessions"). Pure."""

from __future__ import annotations

from typing import Final

NAME: Final = "portal-deny-older-sessions"
