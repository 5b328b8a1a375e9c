"""What `manage.py check --deploy --database default` asks the database itself: the triggers are there, and this process
could not rewrite the audit trail. `migrate` does not ask: it may be about to install them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from iamroles.audit import grants, guard


@register(Tags.database, deploy=True)
def check_trail(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Returns an error for missing triggers, and one for a role that could rewrite events where that is forbidden."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        lost = guard.missing(connections[alias])
        if lost:
            hint = "manage.py audit verify tells whether anything was changed; then migrate the database anew."
            found.append(Error(f"{alias}: triggers are missing: {', '.join(lost)}", hint, id="roledesk.E001"))
        if settings.ROLEDESK_DATABASE_ROLES == "apart" and grants.may_rewrite(alias):
            hint = "Run `manage.py audit grants --run` as the owner, and give this process the app's address."
            found.append(Error(f"{alias}: this role could rewrite the audit trail", hint, id="roledesk.E002"))
    return found
