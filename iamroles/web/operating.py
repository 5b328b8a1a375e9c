"""What the pages of operators' acts share: one POST of a reason or a form, every refusal with what was typed kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from iamroles.models import User
from iamroles.transitions import WrongState
from iamroles.web.caller import actor_of, signed_in_at, user_of
from iamroles.web.once import once
from iamroles.workflow import changes
from iamroles.workflow.verbs import Invalid, NotAllowed, SignInTooOld, StaleDigest

_KEPT = "typed_act"
_LONGEST = 2000  # of what is kept; the verb refuses longer reasons


@dataclass(frozen=True)
class Typed:
    """What an operator typed, so that no refusal loses it."""

    reason: str = ""
    newer: str = ""


def typed_on(request: HttpRequest, path: str) -> Typed:
    """Returns what was kept for the page at `path` while the person signed in again."""
    kept = request.session.get(_KEPT) or {}
    if kept.get("path") != path:
        return Typed()
    return Typed(str(kept.get("reason", "")), str(kept.get("newer", "")))


def act_once(
    request: HttpRequest,
    verb: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    done: str,
    back: str,
    again: Callable[[Typed, list[tuple[str, str]]], HttpResponse],
    page: str = "",
) -> HttpResponse:
    """Calls the verb once and answers 303 to `back` with the message `done`; 403, 409, 422 or to signing in again.

    `again` renders the page with what was typed and the problems; `page` is its address, if not the posted one.
    """
    user: User = user_of(request)
    typed = Typed(request.POST.get("reason", "")[:_LONGEST], request.POST.get("newer", "").strip()[:20])
    given = {**arguments, **({"newer": typed.newer} if typed.newer else {})}

    def produce() -> str:
        verb(
            user=user,
            reason=typed.reason,
            signed_in_at=signed_in_at(request),
            actor=actor_of(request),
            at=datetime.now(UTC),
            **given,
        )
        request.session.pop(_KEPT, None)
        messages.success(request, done)
        return back

    try:
        return once(request, user, produce, meanwhile=back)
    except SignInTooOld:
        return _sign_in_again(request, typed, page or request.path)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": back}, status=403)
    except Invalid as error:
        return again(typed, [(f"act-{error.field}" if error.field else "", str(error))])
    except WrongState as error:
        return render(request, "409.html", {"reason": str(error), "back": back}, status=409)


def form_typed_on(request: HttpRequest) -> QueryDict | None:
    """Returns what was kept of a form at this address while the person signed in again, once; else None."""
    kept = request.session.get(_KEPT) or {}
    if kept.get("path") != request.path or "form" not in kept:
        return None
    del request.session[_KEPT]
    return QueryDict(str(kept["form"]))


def form_once(
    request: HttpRequest,
    work: Callable[[], str],
    *,
    back: str,
    again: Callable[[Invalid], HttpResponse],
) -> HttpResponse:
    """Does the work of a valid form once and answers 303 to the address that it returns; else as `act_once`.

    `again` renders the form with what the verb said; the whole form is kept while the person signs in again.
    """
    try:
        return once(request, user_of(request), work, meanwhile=back)
    except SignInTooOld:
        form = request.POST.copy()
        for name in ("csrfmiddlewaretoken", "idempotency_key"):
            form.pop(name, None)
        return _ask_to_confirm(request, {"path": request.path, "form": form.urlencode()})
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": back}, status=403)
    except Invalid as error:
        return again(error)
    except (WrongState, StaleDigest) as error:
        return render(request, "409.html", {"reason": str(error), "back": back}, status=409)


def button_once(request: HttpRequest, work: Callable[[], str], *, back: str, reference: str = "") -> HttpResponse:
    """Does the work of a button that asks for nothing once and answers 303 to the address that it returns; 403, or 409
    for whatever else the verb says, both with the way `back`.
    """
    try:
        return once(request, user_of(request), work, meanwhile=back)
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": back}, status=403)
    except (Invalid, WrongState) as error:
        context = {"reason": str(error), "back": back, "reference": reference}
        return render(request, "409.html", context, status=409)


def propose(request: HttpRequest, subject: str, target: str, content: Any, reason: str) -> str:
    """Proposes a change for the signed-in person, says so, and returns the address of the change: work for `form_once`.

    Raises as `changes.propose`.
    """
    change = changes.propose(
        subject=subject,
        target=target,
        content=content,
        reason=reason,
        user=user_of(request),
        signed_in_at=signed_in_at(request),
        actor=actor_of(request),
        at=datetime.now(UTC),
    )
    messages.success(request, f"{change.reference} is proposed. It holds once another person confirms it.")
    return reverse("change_detail", args=[change.pk])


def _sign_in_again(request: HttpRequest, typed: Typed, page: str) -> HttpResponse:
    return _ask_to_confirm(request, {"path": page, "reason": typed.reason, "newer": typed.newer})


def _ask_to_confirm(request: HttpRequest, kept: dict[str, str]) -> HttpResponse:
    request.session[_KEPT] = kept
    page = kept["path"]
    messages.info(request, "What you typed is kept. Confirm that it is you, then send it.")
    return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': page})}")
