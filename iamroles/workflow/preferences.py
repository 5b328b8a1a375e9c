"""A person's own preferences that the portal stores: time zone and single keys. The theme is a cookie and no row."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import available_timezones

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.models import User
from iamroles.workflow.verbs import Invalid, verb


@verb("set_preferences")
def set_preferences(*, user: User, time_zone: str, single_keys: bool, actor: Actor, at: datetime) -> User:
    """Stores the person's own time zone and whether single keys act. Raises Invalid for a zone that does not exist."""
    if time_zone not in available_timezones():
        raise Invalid(f"There is no time zone {time_zone!r}. Enter a name such as Europe/Berlin.", "time_zone")
    before = {"time_zone": user.time_zone, "single_keys": user.single_keys}
    after = {"time_zone": time_zone, "single_keys": single_keys}
    changed = sorted(name for name in after if after[name] != before[name])
    if not changed:
        return user
    User.objects.filter(pk=user.pk).update(**after)
    user.time_zone, user.single_keys = time_zone, single_keys
    audit.record(
        "user.changed",
        actor=actor,
        subject=Subject("user", str(user.pk), user.display_name),
        at=at,
        data={"user": str(user.pk), "changes": changed},
    )
    return user
