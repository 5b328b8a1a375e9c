"""Dates the group memberships that exist, by the day the person was added, and lists the groups that proposals ask."""

from __future__ import annotations

import json
from typing import Any

from django.db import migrations


def fill(apps: Any, _editor: Any) -> None:
    user, membership = apps.get_model("iamroles", "User"), apps.get_model("iamroles", "GroupMembership")
    for person in user.objects.prefetch_related("groups"):
        for group in person.groups.all():
            membership.objects.get_or_create(user=person, group=group, defaults={"since": person.date_joined})
    proposal, asked = apps.get_model("iamroles", "Proposal"), apps.get_model("iamroles", "AskedGroup")
    for row in proposal.objects.order_by("pk").iterator(chunk_size=500):
        names = {needed["group"] for needed in json.loads(row.canonical).get("requirements", [])} or {"approvers"}
        asked.objects.bulk_create([asked(proposal=row, group=name) for name in sorted(names)])


def empty(apps: Any, _editor: Any) -> None:
    apps.get_model("iamroles", "GroupMembership").objects.all().delete()
    apps.get_model("iamroles", "AskedGroup").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("iamroles", "0007_who_may_approve")]

    operations = [migrations.RunPython(fill, empty)]
