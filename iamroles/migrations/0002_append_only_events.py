"""Makes the audit trail append-only by triggers, on PostgreSQL and SQLite."""

from __future__ import annotations

from django.db import migrations

from iamroles.audit import guard


class Migration(migrations.Migration):
    dependencies = [("iamroles", "0001_initial")]

    operations = [migrations.RunPython(guard.install_by, guard.remove_by)]
