"""Requests, their immutable revisions, and the proposals that a worker made from them.

A request's state is written by `iamroles.transitions` alone. Revisions and proposals are inserted, never changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models
from django.db.models import Case, Q, Value, When
from django.utils.functional import cached_property

from iamroles.rules import risk, states

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from iamroles.models.runs import Run


# the worst risk first; what has none yet comes last
_RANK: Final = Case(
    *(When(risk=word, then=Value(len(risk.ORDER) - place)) for place, word in enumerate(risk.ORDER)),
    default=Value(len(risk.ORDER) + 1),
)


class Request(models.Model):
    """What a team asks for. `answers` are the form's texts as typed; the current contents are `revision(…)`.

    `version` grows with every transition and is what compare-and-swap tests. `next_try_at`, `tries` and `last_code`
    belong to observing; a run has its own.
    """

    kind = models.CharField(max_length=30)
    state = models.CharField(max_length=30, default=states.DRAFT)
    outcome = models.CharField(max_length=30, blank=True, default="")
    version = models.PositiveIntegerField(default=0)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requests")
    team = models.ForeignKey("iamroles.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    account = models.ForeignKey(
        "iamroles.AwsAccount", null=True, blank=True, on_delete=models.PROTECT, related_name="requests"
    )
    role_name = models.CharField(max_length=64, blank=True, default="")
    answers = models.JSONField(default=dict)
    answers_version = models.PositiveIntegerField(default=0)
    revision_number = models.PositiveIntegerField(default=0)
    risk = models.CharField(max_length=12, blank=True, default="")
    risk_rank = models.GeneratedField(expression=_RANK, output_field=models.SmallIntegerField(), db_persist=True)
    title = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    last_code = models.CharField(max_length=80, blank=True, default="")

    if TYPE_CHECKING:
        runs: RelatedManager[Run]

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(state__in=states.REQUEST_STATES), name="request_state_known"),
            models.CheckConstraint(
                condition=Q(state=states.CLOSED, outcome__in=states.OUTCOMES) | ~Q(state=states.CLOSED) & Q(outcome=""),
                name="request_outcome_iff_closed",
            ),
        )
        indexes = (
            models.Index(fields=("state", "-id"), name="request_by_state"),
            models.Index(fields=("state", "risk_rank", "submitted_at", "id"), name="request_by_risk_and_age"),
            models.Index(fields=("requester", "-id"), name="request_by_requester"),
            models.Index(fields=("team", "-id"), name="request_by_team"),
        )

    @property
    def reference(self) -> str:
        """The permanent name, e.g. "REQ-000142"."""
        return f"REQ-{self.pk:06d}"

    def current_proposal(self) -> Proposal | None:
        """Returns the proposal of the current revision, or None while a worker has not made it."""
        rows = Proposal.objects.select_related("revision__created_by", "revision__request")
        return rows.filter(revision__request=self, revision__number=self.revision_number).first()

    def latest_run(self) -> Run | None:
        """Returns the newest run of the current revision that was not recalled, or None."""
        runs = self.runs.filter(proposal__revision__number=self.revision_number).exclude(stop_reason=states.RECALLED)
        return runs.select_related("request", "proposal").order_by("-number").first()

    def stopped_follow_up(self) -> Run | None:
        """Returns the newest follow-up, of whichever revision, that stopped and that no operator has seen to yet."""
        stopped = self.runs.filter(state=states.STOPPED, detail__follow_up=True)
        return stopped.select_related("request", "proposal").order_by("-number").first()

    def begun(self) -> bool:
        """Returns True once an AWS call of the current revision was intended: then nothing can be taken back."""
        runs = self.runs.filter(proposal__revision__number=self.revision_number)
        return runs.filter(steps__attempt__gt=0).exists()


class Revision(models.Model):
    """The numbered, immutable contents of a request. `facts` is canonical JSON text."""

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    facts = models.TextField()
    desired_digest = models.CharField(max_length=64)
    reason = models.TextField()
    cause = models.CharField(max_length=40, default="submitted")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("request", "number"), name="one_row_per_revision"),)


class ProposalChanged(Exception):
    """A stored proposal was changed around the portal: nobody may decide on it, nothing of it is applied."""


class Proposal(models.Model):
    """Everything that an approver approves. `canonical` is the text whose SHA-256 is `digest`; it is never re-encoded.

    What people read and decide by (`sentences`, `findings`, `requirements`, `rated`) comes out of that text. The
    columns beside it serve lists alone: `rules_digest` and `account_digest` tell which proposals must be made anew.
    """

    revision = models.OneToOneField(Revision, on_delete=models.PROTECT, related_name="proposal")
    canonical = models.TextField()
    digest = models.CharField(max_length=64)
    risk = models.CharField(max_length=12)
    adopts = models.BooleanField(default=False)
    observed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    rules_digest = models.CharField(max_length=64, blank=True, default="")
    account_digest = models.CharField(max_length=64, blank=True, default="")

    @property
    def intact(self) -> bool:
        """False when the text is not the one whose digest stands beside it."""
        return hashlib.sha256(self.canonical.encode()).hexdigest() == self.digest

    @cached_property
    def body(self) -> dict[str, Any]:
        """The approved content. Raises ProposalChanged when the text is not the one whose digest stands beside it."""
        if not self.intact:
            raise ProposalChanged(f"The proposal of {self.revision.request.reference} is not the one that was made.")
        body: dict[str, Any] = json.loads(self.canonical)
        return body

    @property
    def owned_by(self) -> dict[str, str] | None:
        """The other tool that manages the role, as {tool, tag}: then nothing is called, the target is handed over."""
        found: dict[str, str] | None = self.body.get("owned_by")
        return found

    @property
    def rated(self) -> str:
        """The risk that was found: low, medium, high or forbidden."""
        return str(self.body["risk"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings, worst first, as `rules.findings.Finding.as_mapping` writes them."""
        return list(self.body["findings"])

    @property
    def sentences(self) -> list[str]:
        """What will be different, in words."""
        return list(self.body["sentences"])

    @property
    def unattended(self) -> dict[str, Any] | None:
        """`version` and `why` of the rule by which it may go without a person, or None."""
        found: dict[str, Any] | None = self.body.get("unattended")
        return found

    @property
    def requirements(self) -> list[dict[str, Any]]:
        """Who must approve, as `rules.approval.Requirement.as_mapping` writes it."""
        return list(self.body["requirements"])


class AskedGroup(models.Model):
    """A group whose people a proposal asks: what lists filter by. What counts comes out of the proposal's text."""

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="asked")
    group = models.CharField(max_length=150)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("group", "proposal"), name="one_row_per_asked_group"),)
