"""Does what the audit trail is there to show: changes one stored event behind the portal's back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from iamroles.audit import guard

TRUE_NAME, FALSE_NAME = "Rosa", "Mona"


class Command(BaseCommand):
    """`manage.py demo_tamper`: run it again to put the event back as it was."""

    help = "Changes the actor's name in one sealed event by SQL, as a database administrator could. Again: undoes it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Lifts the triggers, changes one row, puts the triggers back, and says which event it was."""
        with transaction.atomic():
            guard.remove(connection)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT id, canon FROM audit_event WHERE action = 'request.submitted' ORDER BY id LIMIT 1"
                )
                row, canon = cursor.fetchone()
                old, new = (TRUE_NAME, FALSE_NAME) if TRUE_NAME in canon else (FALSE_NAME, TRUE_NAME)
                cursor.execute("UPDATE audit_event SET canon = %s WHERE id = %s", [canon.replace(old, new), row])
            guard.install(connection)
        self.stdout.write(f"Changed EVT-{row:07d}: {old} is now {new}. See: .venv/bin/python manage.py audit verify")
