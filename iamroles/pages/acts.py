"""What the confirm pages of the operators' acts say. To whom they are offered in which state is told in `offers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from iamroles.models import Request, Step, Tally, User, tally
from iamroles.pages import status
from iamroles.pages.offers import OPERATING, OPERATOR, Case, slugs_for
from iamroles.pages.status import Status


@dataclass(frozen=True)
class Act:
    """One act. `button` may hold {from_step}; `effects` are the sentences of the confirm page."""

    slug: str
    question: str
    button: str
    effects: tuple[str, ...]
    danger: bool = False
    lists_steps: bool = False
    asks_newer: bool = False

    @property
    def name(self) -> str:
        """What its button is called."""
        return OPERATING[self.slug]


_STAYS = "What is in place stays as it is; a worker looks at AWS first and goes on with what is not done."
_AS_APPROVED = "Only what was approved is applied. If AWS reads otherwise by now, the run stops again as a conflict."
ACTS: Final[dict[str, Act]] = {
    act.slug: act
    for act in (
        Act("retry", "Retry {ref}?", "Retry{from_step}", (_STAYS, _AS_APPROVED), lists_steps=True),
        Act(
            "release",
            "Release {ref} from quarantine?",
            "Release and retry{from_step}",
            ("It was held back after too many tries or worker deaths. The count starts at zero.", _STAYS, _AS_APPROVED),
            lists_steps=True,
        ),
        Act(
            "renew-plan",
            "Renew the plan of {ref}?",
            "Renew the plan of {ref}",
            (
                "A worker looks at AWS again and makes a new revision from the same answers, over what is live now.",
                "All approvals are void: the new plan needs its own. Nothing is changed in AWS before that.",
                "What is in place stays. A role that was begun counts as existing, so its AWS account's owner decides.",
            ),
            lists_steps=True,
        ),
        Act(
            "abandon",
            "Abandon {ref}?",
            "Abandon {ref}",
            (
                "The request is closed as it is. Nothing is undone: what is in place stays in AWS.",
                "The list below becomes part of the audit trail. It cannot be reopened; it can be asked for again.",
            ),
            danger=True,
            lists_steps=True,
            asks_newer=True,
        ),
        Act(
            "try-now",
            "Try {ref} now?",
            "Try {ref} now",
            (
                "The run would go on by itself at its time. This ends the wait; the next worker takes it.",
                "After a call whose outcome nobody knows, the worker still waits until it cannot land any more.",
            ),
        ),
        Act(
            "look-again",
            "Look at AWS again for {ref}?",
            "Look again for {ref}",
            (
                "The looks were given up. A worker starts over, with as many tries as at first.",
                "Nothing is changed in AWS.",
            ),
        ),
        Act(
            "retry-follow-up",
            "Try the follow-up of {ref} again?",
            "Try the follow-up again",
            (
                "A worker proves again that the plan is the approved one, then deletes the deny for older sessions.",
                "If it is still not proved, the follow-up stops again and nothing is changed in AWS.",
            ),
        ),
        Act(
            "force-lease",
            "Take the lease away for {ref}?",
            "Force the lease of {ref}",
            (
                "A worker that gives no sign still holds the role. Its session with AWS has a deadline.",
                "This is refused until 30 seconds after it, by the database’s clock and by AWS’s.",
                "Check against AWS first: that look reads AWS’s clock.",
            ),
            danger=True,
        ),
    )
}


@dataclass(frozen=True)
class ActPage:
    """The confirm page of one act. `offered` is False when the request is not in a state for it (any more)."""

    request: Request
    act: Act
    status: Status
    offered: bool
    known: Tally
    button: str
    question: str


def act_page(request: Request, act: Act, user: User) -> ActPage:
    """Returns the confirm page. The proposal is not read: an invalid one can still be abandoned."""
    run = request.latest_run()
    steps = Step.objects.filter(run__proposal=run.proposal) if run else Step.objects.none()
    known = tally(steps.order_by("run__number", "position"))
    first = next(iter(sorted(step.position for step in (*known.not_done, *known.unknown))), None)
    from_step = f" from step {first}" if first else ""
    return ActPage(
        request=request,
        act=act,
        status=status.status_of(request, run),
        offered=act.slug == "force-lease" or act.slug in slugs_for(Case(request, run, user), (OPERATOR,)),
        known=known,
        button=act.button.format(ref=request.reference, from_step=from_step),
        question=act.question.format(ref=request.reference),
    )
