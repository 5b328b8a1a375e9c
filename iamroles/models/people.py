"""People and teams: who may ask, and for which AWS accounts. Functional groups are Django's own `Group` rows.

Groups that the portal itself knows are in `rules/groups.py`. Deleting a person or a team changes no event.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group
from django.db import models


class User(AbstractUser):
    """A person who signs in. `time_zone` is an IANA name, `mail` whether notices are mailed.

    `invited_by` is the operator who made the sign-in; nobody for one that was made by command.
    """

    time_zone = models.CharField(max_length=64, default="UTC")
    single_keys = models.BooleanField(default=True)
    mail = models.BooleanField(default=True)
    invited_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    @property
    def display_name(self) -> str:
        """The name that pages and events show."""
        return self.get_full_name() or self.get_username()


class Team(models.Model):
    """An application team. Requests belong to a team; `accounts` are the AWS accounts it may use."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=40, unique=True)
    accounts = models.ManyToManyField("iamroles.AwsAccount", related_name="teams", blank=True)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", through_fields=("team", "user"), related_name="teams"
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one team, since when, and the operator who put them there; nobody where it was a command.

    `by_provider` says that the identity provider put the person there and takes them out.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    since = models.DateTimeField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_provider = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("team", "user"), name="one_membership_per_team"),)


class GroupMembership(models.Model):
    """Since when a person is in a functional group. Django's own table says who is in it.

    An approval counts for a group only with both rows, and only for revisions that are not older than `since`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="group_memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    since = models.DateTimeField()
    by_provider = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "group"), name="one_membership_per_group"),)


class ProviderGroup(models.Model):
    """One value of the identity provider's group claim, and what it fills: a group's name, or `team:` and a slug."""

    target = models.CharField(max_length=150)
    value = models.CharField(max_length=200)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("target", "value"), name="one_value_per_target"),)


class ProviderWord(models.Model):
    """What the identity provider said last about a person who signs in there: their groups there, and when."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="provider_word")
    values = models.JSONField(default=list)
    at = models.DateTimeField()


class CacheEntry(models.Model):
    """The table of Django's database cache: how often somebody tried to sign in. Only the cache reads and writes it."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)
