"""The rows that the benchmark changes. The decorators and managers are those packages' documented ways."""

from __future__ import annotations

import pghistory
from auditlog.registry import auditlog
from django.db import models
from simple_history.models import HistoricalRecords


class Thing(models.Model):
    """What is changed: a name, some text, a number."""

    name = models.CharField(max_length=100)
    text = models.TextField(default="")
    number = models.IntegerField(default=0)

    class Meta:
        abstract = True


class Plain(Thing):
    """Nobody watches it; ours is recorded by the caller."""


class Logged(Thing):
    """Watched by django-auditlog."""


class Historic(Thing):
    """Watched by django-simple-history."""

    history = HistoricalRecords()


@pghistory.track()
class Tracked(Thing):
    """Watched by django-pghistory: a trigger in the database."""


auditlog.register(Logged)
