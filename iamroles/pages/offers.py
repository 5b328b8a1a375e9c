"""Who is offered what on a request: the table of the request page, out of which its buttons are made.

A row is the page's one word for the status, a column what the person is to the request. `_WHEN` holds what a status
does not tell. The verbs in `workflow` decide again.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from iamroles import notices, permissions
from iamroles.blueprints.facts import DEPLOYER
from iamroles.models import Request, Run, User
from iamroles.pages import status
from iamroles.rules import states

REQUESTER, DECIDER, GIVER, OPERATOR = "requester", "may decide", "approved it", "operator"
CHECK: Final = "check"  # holding AWS against the request, and from there marking it resolved

_BEFORE_FIRST_STEP = {REQUESTER: "withdraw", GIVER: "take-back"}
_STOPPED = "renew-plan abandon check"
_DONE = {REQUESTER: "ask-change ask-removal", OPERATOR: "retry-follow-up check"}
_ENDED = {REQUESTER: "copy"}
TABLE: Final[dict[str, dict[str, str]]] = {
    "draft": {REQUESTER: "continue discard"},
    "submitted": {REQUESTER: "withdraw", OPERATOR: "look-again"},
    "in-review": {
        REQUESTER: "look-first edit remind withdraw",
        DECIDER: "look-first review",
        GIVER: "look-first take-back",
    },
    "changes-requested": {REQUESTER: "resend withdraw"},
    "approved": _BEFORE_FIRST_STEP,
    "applying": _BEFORE_FIRST_STEP,
    "waiting": {**_BEFORE_FIRST_STEP, OPERATOR: "try-now"},
    "blocked": {**_BEFORE_FIRST_STEP, REQUESTER: "ask-retry withdraw", OPERATOR: f"retry {_STOPPED}"},
    "quarantined": {**_BEFORE_FIRST_STEP, REQUESTER: "ask-retry withdraw", OPERATOR: f"release {_STOPPED}"},
    "conflict": {**_BEFORE_FIRST_STEP, REQUESTER: "see-difference withdraw", OPERATOR: _STOPPED},
    "invalid": {**_BEFORE_FIRST_STEP, REQUESTER: "copy withdraw", OPERATOR: "abandon"},
    "applied": _DONE,
    "resolved": _DONE,
    "already-right": _DONE,
    "handed-over": _DONE,
    "rejected": _ENDED,
    "withdrawn": _ENDED,
    "expired": _ENDED,
    "abandoned": _ENDED,
    "superseded": _ENDED,
}


@dataclass(frozen=True)
class Case:
    """A request with its current run, the person, and what only the page has read.

    `decides`, `gave`: the person's decision may count; an approval of theirs stands. `begun`: an AWS call was intended.
    `old`: the look is too old to approve by. `involved`: the requests that the person asked for or approved, where a
    list has read them.
    """

    request: Request
    run: Run | None
    user: User
    begun: bool = False
    decides: bool = False
    gave: bool = False
    old: bool = False
    involved: Container[int] | None = None

    def is_involved(self) -> bool:
        """Returns whether another operator must do what is not for those who asked or approved. One query at most."""
        known = self.involved
        return self.request.pk in (permissions.involved_in(self.user, [self.request.pk]) if known is None else known)


def _may_remind(case: Case) -> bool:
    """True once those who can decide were told long enough ago."""
    allowed_at = notices.next_reminder(case.request)
    return allowed_at is None or allowed_at <= datetime.now(UTC)


def _may_check(case: Case) -> bool:
    return case.request.state == states.CLOSED or not case.is_involved()


def _may_ask_again(case: Case) -> bool:
    return case.request.state == states.CLOSED and case.request.kind != "removal"


_WHEN: Final[dict[str, Callable[[Case], bool]]] = {
    "withdraw": lambda case: not case.begun,
    "take-back": lambda case: not case.begun,
    "look-first": lambda case: case.old and case.request.next_try_at is None,
    "review": lambda case: not case.gave,
    "remind": _may_remind,
    "look-again": lambda case: case.request.next_try_at is None,
    "release": lambda case: not case.is_involved(),
    CHECK: _may_check,
    "ask-change": _may_ask_again,
    "ask-removal": lambda case: _may_ask_again(case) and case.request.outcome != "handed_over",
    "retry-follow-up": lambda case: case.request.stopped_follow_up() is not None,
}


def slugs_for(case: Case, columns: Container[str] = (REQUESTER, DECIDER, GIVER, OPERATOR)) -> tuple[str, ...]:
    """Returns what the person is offered, in the order of the page, by these columns of the table."""
    person = {
        REQUESTER: lambda: permissions.may_edit(case.user, case.request).allowed,
        DECIDER: lambda: case.decides,
        GIVER: lambda: case.gave,
        OPERATOR: lambda: permissions.may_operate(case.user).allowed,
    }
    row = TABLE[status.status_of(case.request, case.run).slug]
    listed = dict.fromkeys(
        slug for column, slugs in row.items() if column in columns and person[column]() for slug in slugs.split()
    )
    return tuple(slug for slug in listed if slug not in _WHEN or _WHEN[slug](case))


@dataclass(frozen=True)
class Button:
    """A link, or a form of one button where it `posts`. The first of the urgent ones on a page is its primary."""

    slug: str
    name: str
    address: str
    posts: bool = False
    primary: bool = False


def buttons(case: Case, removable: str) -> tuple[Button, ...]:
    """Returns the page's buttons; `removable` is how the removal form names what the request made."""
    slugs = slugs_for(case)
    primary = next((slug for slug in slugs if slug in _URGENT), "")
    return tuple(_button(slug, case, removable, primary=slug == primary) for slug in slugs)


_URGENT: Final = ("continue", "look-first", "resend", "review", "retry", "release", "try-now", "look-again")
_POSTS: Final = {
    "look-first": ("Look again first", "request_look"),
    "take-back": ("Take back my approval", "approval_take_back"),
    "remind": ("Remind who can decide", "request_remind"),
    "discard": ("Discard draft", "request_discard"),
}
_FORMS: Final = {
    "continue": ("Continue", "draft"),
    "edit": ("Edit (a new revision; approvals start again)", "draft"),
    "resend": ("Edit and resend", "draft"),
    "copy": ("Copy as new", "from"),
    "ask-change": ("Request a change", "from"),
}
OPERATING: Final = {
    "look-again": "Look again",
    "try-now": "Try now",
    "retry": "Retry",
    "release": "Release from quarantine",
    "renew-plan": "Renew plan",
    "abandon": "Abandon",
    "retry-follow-up": "Try the follow-up again",
    "force-lease": "Force lease",
}


def _button(slug: str, case: Case, removable: str, *, primary: bool) -> Button:
    request = case.request
    here = [request.pk]
    if slug in _POSTS:
        name, url = _POSTS[slug]
        return Button(slug, name, reverse(url, args=here), posts=True, primary=primary)
    if slug in _FORMS:
        name, key = _FORMS[slug]
        name = "Request a change (a new policy)" if (slug, request.kind) == ("ask-change", DEPLOYER) else name
        return Button(slug, name, f"{_form(request.kind)}?{urlencode({key: request.reference})}", primary=primary)
    if slug in (*OPERATING, CHECK):
        return _operating(slug, request, primary=primary)
    name, address = _LINKS[slug](case, removable)
    return Button(slug, name, address, primary=primary)


def operators_buttons(case: Case) -> tuple[Button, ...]:
    """Returns the operators' column alone, for their pages."""
    slugs = slugs_for(case, (OPERATOR,))
    primary = next((slug for slug in slugs if slug in _URGENT), "")
    return tuple(_operating(slug, case.request, primary=slug == primary) for slug in slugs)


def _operating(slug: str, request: Request, *, primary: bool) -> Button:
    if slug == CHECK:
        name = "Check against AWS" if request.state == states.CLOSED else "Mark resolved"
        return Button(slug, name, reverse("request_against_aws", args=[request.pk]), primary=primary)
    return Button(slug, OPERATING[slug], reverse("request_act", args=[request.pk, slug]), primary=primary)


def _form(kind: str) -> str:
    return reverse(f"{kind}_request_new")


def _run(case: Case) -> str:
    return reverse("run_detail", args=[case.request.pk, case.run.number if case.run else 0])


def _removal(request: Request, removable: str) -> str:
    team, account = request.team, request.account
    answers = {"team": team.slug if team else "", "account": account.number if account else ""}
    return urlencode({**answers, "role_name": removable})


_LINKS: Final[dict[str, Callable[[Case, str], tuple[str, str]]]] = {
    "review": lambda case, _: (f"Review {case.request.reference}", reverse("approval_review", args=[case.request.pk])),
    "withdraw": lambda case, _: ("Withdraw", reverse("request_withdraw", args=[case.request.pk])),
    "ask-retry": lambda *_: ("Ask for a retry in a comment", "#comment-text"),
    "see-difference": lambda case, _: ("See the difference", f"{_run(case)}#meaning"),
    "ask-removal": lambda case, name: ("Ask for removal", f"{_form('removal')}?{_removal(case.request, name)}"),
}
