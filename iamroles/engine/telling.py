"""What a notice says: the same few lines for mail and webhook, made from what the request is when it is sent.

No policy text, one plain link to a page, and nothing that decides by being opened: mail scanners open links.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html

from iamroles.blueprints import facts as facts_module
from iamroles.models import Notice, Proposal, ProposedChange, Request, Run, Step, changes, tally
from iamroles.models.notices import APPLIED, FAILED, SECURITY, WAITING
from iamroles.rules import states

_RISKS: Final = {"low": "Low", "medium": "Medium", "high": "High", "forbidden": "Forbidden"}
_LISTED: Final = 3  # sentences, reasons or ARNs in one message


@dataclass(frozen=True)
class Message:
    """A subject, paragraphs of one line each, and the one address."""

    subject: str
    lines: tuple[str, ...]
    url: str

    @property
    def text(self) -> str:
        """The mail as text: at most 15 lines."""
        return "\n".join((*self.lines, "", self.url, ""))

    @property
    def html(self) -> str:
        """The same words as HTML."""
        paragraphs = "".join(format_html("<p>{}</p>", line) for line in self.lines)
        return paragraphs + format_html('<p><a href="{}">{}</a></p>', self.url, self.url)

    def payload(self, notice: Notice) -> dict[str, Any]:
        """The webhook's JSON: Slack shows `text`; `metadata` is for machines."""
        about = {"event": notice.event, "kind": notice.kind, "url": self.url, "at": notice.at.isoformat()}
        about |= {"change": notice.change.reference} if notice.change else _facts(_request_of(notice))
        text = escape_slack("\n".join((self.subject, *self.lines)))
        return {"text": f"{text}\n{self.url}", "metadata": {"event_type": "roledesk_notice", "event_payload": about}}


def escape_slack(text: str) -> str:
    """Returns the text with the three characters escaped that would make mentions and links of what people typed."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def still_true(notice: Notice) -> bool:
    """Returns whether the notice still holds: nobody is called to decide what is decided."""
    if notice.kind != WAITING:
        return True
    if notice.change:
        return notice.change.state == changes.WAITING
    return _request_of(notice).state == states.IN_REVIEW


def message(notice: Notice) -> Message:
    """Returns what to say. Raises ProposalChanged for a proposal that was changed around the portal."""
    if notice.kind == SECURITY:
        return _of_signing_in(notice)
    if notice.change:
        return _of_change(notice, notice.change)
    request = _request_of(notice)
    proposal = request.current_proposal()
    where = f" in {request.account.name}" if request.account and request.account.name not in request.title else ""
    risk = f" ({_RISKS[request.risk]})" if request.risk else ""
    subject = f"[IAM] {request.reference} {notice.happened}: {request.title}{where}{risk}"
    lines = [_who(request), *_told(notice, proposal), _account(request)]
    name = "approval_review" if notice.kind == WAITING else "request_detail"
    url = settings.BASE_URL.rstrip("/") + reverse(name, args=[request.pk])
    return Message(_one_line(subject), tuple(_one_line(line) for line in lines if line), url)


def _request_of(notice: Notice) -> Request:
    if notice.request is None:  # those about changes and signing in
        raise AssertionError(notice.pk)
    return notice.request


def _facts(request: Request) -> dict[str, str]:
    account = request.account.number if request.account else ""
    return {"request": request.reference, "account": account, "risk": request.risk}


def _of_change(notice: Notice, change: ProposedChange) -> Message:
    lines = [f"{change.proposed_by.display_name} proposed: {change.title}.", f"“{change.reason}”"]
    if notice.kind == WAITING:
        lines.append("It holds once another person of operators or security has read and confirmed it.")
    elif change.decided_by:
        said = f" “{change.answer}”" if change.answer else ""
        lines.append(f"{change.decided_by.display_name} decided.{said}")
    url = settings.BASE_URL.rstrip("/") + reverse("change_detail", args=[change.pk])
    subject = f"[IAM] {change.reference} {notice.happened}: {change.title}"
    return Message(_one_line(subject), tuple(map(_one_line, lines)), url)


def _of_signing_in(notice: Notice) -> Message:
    detail = notice.detail or {}
    at = notice.at.astimezone(UTC)
    origin = [
        f"{name}: {detail[key]}." for key, name in (("browser", "Browser"), ("ip", "IP address")) if detail.get(key)
    ]
    lines = (
        f"{notice.happened}.",
        " ".join((f"When: {at.day} {at:%b %Y, %H:%M} UTC.", *origin)),
        "If it was you, there is nothing to do.",
        "If not: sign out your other sessions on the page below, change your password, and tell an operator.",
    )
    url = settings.BASE_URL.rstrip("/") + reverse("usersessions_list")
    return Message(_one_line(f"[IAM] {notice.happened}"), tuple(map(_one_line, lines)), url)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _who(request: Request) -> str:
    team = f" ({request.team.name})" if request.team else ""
    return f"{request.requester.display_name}{team} asked: {request.title}."


def _account(request: Request) -> str:
    return f"AWS account: {request.account.name}, {request.account.number}." if request.account else ""


def _told(notice: Notice, proposal: Proposal | None) -> list[str]:
    if notice.kind == WAITING:
        return _waiting(proposal)
    if notice.kind == APPLIED:
        return _applied(_request_of(notice), proposal)
    if notice.kind == FAILED:
        return _stopped(_request_of(notice))
    return _decided(_request_of(notice))


def _waiting(proposal: Proposal | None) -> list[str]:
    if proposal is None:
        return []
    counted = [f["message"] for f in proposal.findings if not f["standard"] and f["severity"] != "note"]
    risk = f"Risk: {_RISKS[proposal.rated]}." + ("" if counted else " Nothing goes beyond what is normal there.")
    return [*_shortened(proposal.sentences), risk, *_shortened(counted)]


def _shortened(texts: list[str]) -> list[str]:
    more = len(texts) - _LISTED
    return [f"- {text}" for text in texts[:_LISTED]] + ([f"- and {more} more"] if more > 0 else [])


def _decided(request: Request) -> list[str]:
    row = request.decisions.select_related("approver").order_by("-pk").first()
    if row is None:
        return []
    said = f" “{row.reason}”" if row.reason else ""
    return [f"{row.approver.display_name} decided.{said}"]


def _applied(request: Request, proposal: Proposal | None) -> list[str]:
    if proposal is None:
        return []
    facts = facts_module.read(proposal.revision.facts)
    arn = str(getattr(facts, "role_arn", ""))  # a deployer policy alone belongs to no role
    lines = [f"AWS reads back exactly what was approved{f': {arn}' if arn else '.'}"]
    if request.kind == "role":
        lines.append(
            "Next: aws deploy update-deployment-group --application-name APPLICATION "
            f"--current-deployment-group-name GROUP --service-role-arn {arn}"
        )
    return lines


def _stopped(request: Request) -> list[str]:
    runs = Run.objects.filter(request=request, proposal__revision__number=request.revision_number)
    run = runs.order_by("-number").first()
    if run is None:
        return []
    steps = Step.objects.filter(run__in=runs).order_by("run__number", "position")
    known = tally(steps)
    total = len(known.done) + len(known.not_done) + len(known.unknown)
    code = run.detail.get("code") or ""
    why = (
        f"{run.stop_reason.capitalize()}{f': {code}' if code else ''}. {len(known.done)} of {total} steps are in place."
    )
    places = list(dict.fromkeys(step.resource for step in known.done))
    return [why, *_shortened(places), "Next: an operator looks at it; the page says what can be done."]
