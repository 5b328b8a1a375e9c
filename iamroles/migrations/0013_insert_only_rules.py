"""Makes versions of the approval rules, and of standards and guardrails, insert-only by triggers."""

from __future__ import annotations

from django.db import migrations

from iamroles.audit import guard


class Migration(migrations.Migration):
    dependencies = [("iamroles", "0012_sections_viewed")]

    operations = [migrations.RunPython(guard.install_by, migrations.RunPython.noop)]
