"""A person's own preferences that the portal stores: time zone, single keys, mail. The theme is a cookie and no row."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import available_timezones

from iamroles import audit
from iamroles.audit import Actor, Subject
from iamroles.models import User
from iamroles.workflow.verbs import Invalid, verb


@verb("set_preferences")
def set_preferences(*, user: User, time_zone: str, single_keys: bool, mail: bool, actor: Actor, at: datetime) -> User:
    """Stores the person's own time zone, whether single keys act and notices are mailed.

    Raises Invalid for a zone that does not exist.
    """
    if time_zone not in available_timezones():
        raise Invalid(f"There is no time zone {time_zone!r}. Enter a name such as Europe/Berlin.", "time_zone")
    before = {"time_zone": user.time_zone, "single_keys": user.single_keys, "mail": user.mail}
    after = {"time_zone": time_zone, "single_keys": single_keys, "mail": mail}
    changed = sorted(name for name in after if after[name] != before[name])
    if not changed:
        return user
    User.objects.filter(pk=user.pk).update(**after)
    user.time_zone, user.single_keys, user.mail = time_zone, single_keys, mail
    audit.record(
        "user.changed",
        actor=actor,
        subject=Subject("user", str(user.pk), user.display_name),
        at=at,
        data={"user": str(user.pk), "changes": changed},
    )
    return user
