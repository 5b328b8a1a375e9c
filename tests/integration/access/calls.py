"""What each line of the table sends: the path of its thing, and a body that is valid, so that only rights decide."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from iamroles.models import Request
from iamroles.models.rules import current_rules
from iamroles.pages import together
from iamroles.rules import rule_text
from tests.integration.access.reading import Row
from tests.integration.access.world import FOREIGN, PASSWORD, ROLE_ANSWERS, SHARED, World

Form = dict[str, Any]
WHY: Final = "It is needed for the table"


@dataclass(frozen=True)
class Call:
    """One request: its path with the query, and its form."""

    path: str
    form: Form
    opened: str = ""  # what is opened before, where an address needs that


def call_of(row: Row, here: World) -> Call:
    """Returns what the line sends. The same for everybody."""
    thing = here.things.get(row.thing)
    if row.thing != "-" and thing is None:
        raise KeyError(f"line {row.line}: there is no {row.thing}")
    path = re.sub(r"<(\w+)>", lambda found: _part(found[1], row, thing, here), row.address)
    query = f"?{_QUERIES[row.sent](thing)}" if row.method == "GET" and row.sent in _QUERIES else ""
    form: Form = {}
    if row.method == "POST":
        made = _FORMS.get((row.address, row.sent)) or _FORMS.get((row.address, "*"), lambda *_: {})
        form = {"idempotency_key": str(uuid.uuid4()), **made(here, thing, row.sent)}
    if row.sent == "password":  # the token of a link moves into the session first
        return Call(path.rsplit("/", 2)[0] + "/password/", form, opened=path)
    return Call(path + query, form)


def _part(name: str, row: Row, thing: Any, here: World) -> str:
    if name == "number" and "run" in row.address:
        return "1"
    if name in ("act", "item", "provider", "provider_id"):
        return row.sent.split(".")[-1 if name == "act" else 0]
    if name in ("uidb64", "token"):
        return str(here.things["invitation/sent"]).strip("/").split("/")[1 if name == "uidb64" else 2]
    fixed = {
        "version": "1",
        "key": "abc",
        "uidb36": "1",
        "pk": "4711",
        "name": "approvers",
        "slug": "orders",
        "target": "approvers",
        "kind": "guardrail",
    }
    if name in fixed:
        return fixed[name]
    if name == "shape":
        return _shape(thing)
    return str(getattr(thing, {"request_id": "reference", "event_id": "reference", "job_id": "reference"}.get(name, "")
                       or {"number": "number"}.get(name, "pk")))  # fmt: skip


def _shape(row: Request) -> str:
    proposal = row.current_proposal()
    assert proposal is not None
    return together.shape_of(proposal, row.kind)


def _of_another_team() -> Request:
    rows = Request.objects.filter(team__slug="payments", account__number=SHARED, state="in_review")
    return rows.earliest("pk")


_QUERIES: Final[dict[str, Callable[[Any], str]]] = {
    "draft": lambda thing: f"draft={thing.reference}",
    "from": lambda thing: f"from={thing.reference}",
    "against.own": lambda thing: f"against={thing.reference}",
    "against.other": lambda _: f"against={_of_another_team().reference}",
    "against.none": lambda _: "against=REQ-999999",
    "csv": lambda _: "format=csv",
    "jsonl": lambda _: "format=jsonl",
    "bundle": lambda _: "format=bundle",
    "line": lambda _: "file=line",
    "all": lambda _: "all",
}


def _team(sent: str) -> dict[str, str]:
    """Whose answers they are: for the requester's team, another team, or a team and AWS account that are not theirs."""
    team = "orders" if sent == "own" else "payments"
    return {"team": team, "account": FOREIGN if sent == "other_account" else SHARED}


def _role(_here: World, _thing: Any, sent: str) -> Form:
    return {**ROLE_ANSWERS, **_team(sent), "role_name": "ecsCodeDeployRole-new", "tab": "t1"}


def _edit(_here: World, thing: Request, _sent: str) -> Form:
    return {**thing.answers, "draft": thing.reference, "tab": "t1", "answers_version": str(thing.answers_version)}


def _preview(here: World, thing: Any, sent: str) -> Form:
    return {"kind": "role", **(_edit(here, thing, sent) if thing else _role(here, thing, sent))}


def _grant(_here: World, _thing: Any, sent: str) -> Form:
    return {**_team(sent), "role_name": "ecsCodeDeployRole-new", "task_roles": "the-task", "reason": WHY}


def _infrastructure(_here: World, _thing: Any, sent: str) -> Form:
    return {**_team(sent), "role_name": "ecsInfrastructureRole-new", "reason": WHY}


def _deployer(_here: World, _thing: Any, sent: str) -> Form:
    facts = {"role_name": "pipeline", "application": "checkout", "cluster": "orders", "service": "checkout"}
    return {**_team(sent), **facts, "reason": WHY}


def _removal(here: World, _thing: Any, sent: str) -> Form:
    name = here.things[f"applied/{sent}"].role_name
    return {**_team(sent), "role_name": name, "policy_name": "", "confirm": name, "reason": WHY}


def _decide(_here: World, thing: Request, sent: str) -> Form:
    proposal = thing.current_proposal()
    digest = "0" * 64 if sent == "stale" else proposal.digest if proposal else ""
    decision = "approve" if sent == "stale" else sent
    return {"decision": decision, "proposal_digest": digest, "reason": "Seen", "acknowledged": []}


def _together(_here: World, thing: Request, _sent: str) -> Form:
    proposal = thing.current_proposal()
    assert proposal is not None
    return {"request": [thing.reference], f"digest_{thing.reference}": proposal.digest}


def _rules(_here: World, _thing: Any, _sent: str) -> Form:
    text = "\n".join(rule_text.write({**current_rules(), "life_days": 5}))
    return {"rules": text, "reason": WHY}


_RECORD: Final = {
    "environment": "staging",
    "owner": "orders-platform",
    "role_path": "/codedeploy/",
    "policy_path": "/",
    "boundary": "",
    "reason": WHY,
}
_GUARDRAIL: Final = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'
_NEW_PASSWORD: Final = {"password1": "a longer one still", "password2": "a longer one still"}

_FORMS: Final[dict[tuple[str, str], Callable[[World, Any, str], Form]]] = {
    ("/notices/read/", "*"): lambda *_: {"last": "999999999"},
    ("/requests/new/role/", "*"): _role,
    ("/requests/new/role/", "edit"): _edit,
    ("/requests/new/passrole/", "*"): _grant,
    ("/requests/new/infrastructure/", "*"): _infrastructure,
    ("/requests/new/deployer/", "*"): _deployer,
    ("/requests/new/removal/", "*"): _removal,
    ("/requests/preview/", "*"): _preview,
    ("/requests/<request_id>/withdraw/", "*"): lambda *_: {"reason": WHY},
    ("/requests/<request_id>/comment/", "*"): lambda *_: {"text": "Which service is this for?"},
    ("/requests/<request_id>/operate/<act>/", "*"): lambda *_: {"reason": WHY},
    ("/requests/<request_id>/resolve/", "*"): lambda _h, _t, sent: {"act": sent, "reason": WHY},
    ("/approvals/<request_id>/decide/", "*"): _decide,
    ("/approvals/<request_id>/viewed/", "*"): lambda *_: {"viewed": ["trust.0123456789abcdef"]},
    ("/approvals/together/<shape>/", "*"): _together,
    ("/inventory/check/", "*"): lambda _h, _t, sent: {**_team(sent), "role_name": "ecsCodeDeployRole"},
    ("/audit/<event_id>/erase/", "*"): lambda *_: {"reason": WHY},
    ("/exports/new/", "*"): lambda *_: {"format": "jsonl"},
    ("/ops/pause/", "*"): lambda _h, _t, sent: {"act": sent, "reason": WHY},
    ("/ops/accounts/<number>/pause/", "*"): lambda _h, _t, sent: {"act": sent, "reason": WHY},
    ("/ops/accounts/add/", "*"): lambda *_: {
        **_RECORD, "number": "123456789012", "name": "new-staging", "partition": "aws",
    },
    ("/ops/accounts/<number>/change/", "*"): lambda _h, thing, _s: {**_RECORD, "name": thing.name},
    ("/ops/accounts/<number>/rules/<kind>/", "*"): lambda *_: {"text": _GUARDRAIL, "reason": WHY},
    ("/ops/accounts/<number>/look/", "*"): lambda _h, _t, sent: {"kind": sent},
    ("/ops/rules/propose/", "*"): _rules,
    ("/ops/changes/<change_id>/decide/", "*"): lambda _h, thing, sent: {
        "decision": sent, "digest": thing.digest, "reason": WHY,
    },
    ("/ops/people/invite/", "*"): lambda *_: {"email": "new@example.org", "first_name": "Ned", "last_name": "Wu"},
    ("/ops/people/<person_id>/<act>/", "*"): lambda *_: {"reason": WHY},
    ("/ops/groups/<name>/", "*"): lambda *_: {"chosen": ["amara", "nils"], "reason": WHY},
    ("/ops/sign-on/<target>/", "*"): lambda *_: {"values": "iam-approvers", "reason": WHY},
    ("/ops/teams/<slug>/", "members"): lambda *_: {"part": "members", "members-chosen": ["rosa"]},
    ("/ops/teams/<slug>/", "accounts"): lambda *_: {
        "part": "accounts", "accounts-chosen": [SHARED, FOREIGN], "accounts-reason": WHY,
    },
    ("/ops/add-team/", "*"): lambda *_: {"name": "Search"},
    ("/invited/<uidb64>/<token>/", "password"): lambda *_: {
        "new_password1": "a longer one still", "new_password2": "a longer one still",
    },
    ("/setup/<item>/<act>/", "*"): lambda *_: {"reason": WHY},
    ("/settings/", "*"): lambda *_: {"time_zone": "Europe/Berlin", "single_keys": "on", "mail": "on"},
    ("/settings/theme/", "*"): lambda *_: {"theme": "dark"},
    ("/accounts/login/", "*"): lambda *_: {"login": "rosa", "password": PASSWORD},
    ("/accounts/login/", "wrong"): lambda *_: {"login": "rosa", "password": "wrong"},
    ("/accounts/signup/", "*"): lambda *_: {"username": "x", "email": "x@example.org", **_NEW_PASSWORD},
    ("/accounts/reauthenticate/", "*"): lambda *_: {"password": PASSWORD},
    ("/accounts/password/change/", "*"): lambda *_: {"oldpassword": PASSWORD, **_NEW_PASSWORD},
    ("/accounts/password/set/", "*"): lambda *_: _NEW_PASSWORD,
    ("/accounts/sessions/", "one"): lambda _h, thing, _s: {"session": str(thing.pk)},
    ("/accounts/password/reset/", "*"): lambda *_: {"email": "rosa@example.org"},
    ("/demo/continue/", "*"): lambda *_: {"login": "rosa"},
}  # fmt: skip
