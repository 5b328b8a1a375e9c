"""Every address: who gets in, by a table written by hand. An address that is missing in the table fails.

Rows: URL name, arguments, then the status for nobody signed in, another team's requester, and the person it is for.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from iamroles.models import ExportJob, Request, User
from iamroles.web.urls import urlpatterns

pytestmark = pytest.mark.django_db

SIGN_IN = 302
# name: (kind of argument, method, anonymous, outsider, insider, who the insider is)
TABLE: dict[str, tuple[str, str, int, int, int, str]] = {
    "home": ("", "get", SIGN_IN, 200, 200, "requester"),
    "notices_read": ("", "get", SIGN_IN, 405, 405, "requester"),
    "request_start": ("", "get", SIGN_IN, 200, 200, "requester"),
    "role_request_new": ("", "get", SIGN_IN, 200, 200, "requester"),
    "grant_request_new": ("", "get", SIGN_IN, 200, 200, "requester"),
    "infrastructure_request_new": ("", "get", SIGN_IN, 200, 200, "requester"),
    "deployer_request_new": ("", "get", SIGN_IN, 200, 200, "requester"),
    "removal_request_new": ("", "get", SIGN_IN, 200, 200, "requester"),
    "request_preview": ("", "get", SIGN_IN, 405, 405, "requester"),
    "request_list": ("", "get", SIGN_IN, 200, 200, "requester"),
    "request_detail": ("request", "get", SIGN_IN, 403, 200, "requester"),
    "request_check": ("request", "get", SIGN_IN, 403, 302, "requester"),
    "request_discard": ("request", "get", SIGN_IN, 405, 405, "requester"),
    "request_remind": ("request", "get", SIGN_IN, 405, 405, "requester"),
    "request_withdraw": ("request", "get", SIGN_IN, 403, 200, "requester"),
    "request_comment": ("request", "get", SIGN_IN, 405, 405, "requester"),
    "request_status": ("request", "get", SIGN_IN, 403, 200, "requester"),
    "run_detail": ("run", "get", SIGN_IN, 403, 404, "requester"),
    "run_progress": ("run", "get", SIGN_IN, 404, 404, "requester"),
    "request_act": ("act", "get", SIGN_IN, 403, 200, "operator"),
    "request_against_aws": ("request", "get", SIGN_IN, 403, 200, "operator"),
    "request_resolve": ("request", "get", SIGN_IN, 405, 405, "operator"),
    "request_evidence": ("request", "get", SIGN_IN, 403, 200, "requester"),
    "request_evidence_json": ("request", "get", SIGN_IN, 403, 200, "auditor"),
    "approval_queue": ("", "get", SIGN_IN, 403, 200, "approver"),
    "approval_review": ("request", "get", SIGN_IN, 403, 200, "approver"),
    "approval_decide": ("request", "get", SIGN_IN, 405, 405, "approver"),
    "approvals_together": ("shape", "get", SIGN_IN, 403, 302, "approver"),
    "approval_viewed": ("request", "get", SIGN_IN, 405, 405, "approver"),
    "approval_take_back": ("request", "get", SIGN_IN, 405, 405, "approver"),
    "inventory_list": ("", "get", SIGN_IN, 200, 200, "requester"),
    "inventory_role": ("role", "get", SIGN_IN, 404, 404, "requester"),
    "role_check": ("", "get", SIGN_IN, 200, 200, "requester"),
    "role_check_result": ("order", "get", SIGN_IN, 404, 404, "requester"),
    "audit_history": ("", "get", SIGN_IN, 200, 200, "auditor"),
    "audit_event": ("event", "get", SIGN_IN, 403, 200, "auditor"),
    "audit_erase": ("event", "get", SIGN_IN, 403, 409, "operator"),
    "audit_event_proof": ("event", "get", SIGN_IN, 403, 503, "auditor"),
    "audit_verify": ("", "post", SIGN_IN, 403, 303, "auditor"),
    "audit_verification": ("order", "get", SIGN_IN, 403, 404, "auditor"),
    "export_new": ("", "get", SIGN_IN, 503, 503, "auditor"),
    "export_detail": ("export", "get", SIGN_IN, 404, 200, "auditor"),
    "export_download": ("export", "get", SIGN_IN, 404, 404, "auditor"),
    "operations_health": ("", "get", SIGN_IN, 403, 200, "operator"),
    "operations_jobs": ("", "get", SIGN_IN, 403, 200, "operator"),
    "pause_everything": ("", "get", SIGN_IN, 403, 200, "operator"),
    "pause_account": ("account", "get", SIGN_IN, 403, 200, "operator"),
    "account_list": ("", "get", SIGN_IN, 403, 200, "operator"),
    "account_detail": ("account", "get", SIGN_IN, 403, 200, "operator"),
    "account_look": ("account", "get", SIGN_IN, 405, 405, "operator"),
    "account_add": ("", "get", SIGN_IN, 403, 200, "operator"),
    "account_change": ("account", "get", SIGN_IN, 403, 200, "operator"),
    "person_list": ("", "get", SIGN_IN, 403, 200, "operator"),
    "person_invite": ("", "get", SIGN_IN, 403, 200, "operator"),
    "person_detail": ("person", "get", SIGN_IN, 403, 404, "operator"),
    "person_act": ("person_act", "get", SIGN_IN, 403, 404, "operator"),
    "group_list": ("", "get", SIGN_IN, 403, 200, "operator"),
    "group_detail": ("group", "get", SIGN_IN, 403, 200, "operator"),
    "team_list": ("", "get", SIGN_IN, 403, 200, "operator"),
    "team_new": ("", "get", SIGN_IN, 403, 200, "operator"),
    "team_detail": ("team", "get", SIGN_IN, 403, 200, "operator"),
    "invitation": ("invitation", "get", 200, 200, 200, "requester"),
    "setup": ("", "get", SIGN_IN, 403, 200, "operator"),
    "setup_say": ("setup", "get", SIGN_IN, 403, 200, "operator"),
    "setup_mail": ("", "get", SIGN_IN, 405, 405, "operator"),
    "rules": ("", "get", SIGN_IN, 403, 200, "operator"),
    "rules_version": ("version", "get", SIGN_IN, 403, 200, "operator"),
    "rules_propose": ("", "get", SIGN_IN, 403, 200, "operator"),
    "change_list": ("", "get", SIGN_IN, 403, 200, "operator"),
    "change_detail": ("change", "get", SIGN_IN, 403, 404, "operator"),
    "change_decide": ("change", "get", SIGN_IN, 405, 405, "operator"),
    "preferences": ("", "get", SIGN_IN, 200, 200, "requester"),
    "theme": ("", "get", 405, 405, 405, "requester"),
    "help": ("", "get", SIGN_IN, 200, 200, "requester"),
    "csp_report": ("", "get", 405, 405, 405, "requester"),
}


def test_the_table_has_every_address() -> None:
    names = {pattern.name for pattern in urlpatterns if isinstance(pattern, URLPattern)}
    assert names == set(TABLE)


def address(name: str, request: Request) -> str:
    kind = TABLE[name][0]
    arguments = {
        "": {},
        "version": {"version": 1},
        "shape": {"shape": "0" * 16},
        "change": {"change_id": 4711},
        "request": {"request_id": request.pk},
        "run": {"request_id": request.pk, "number": 1},
        "order": {"order_id": 4711},
        "person": {"person_id": 4711},
        "person_act": {"person_id": 4711, "act": "deactivate"},
        "group": {"name": "approvers"},
        "setup": {"item": "backup", "act": "done"},
        "team": {"slug": "orders"},
        "invitation": {"uidb64": "NDcxMQ", "token": "abc"},
        "event": {"event_id": 1},
        "role": {"role_id": 4711},
        "account": {"number": request.account.number},
        "export": {"job_id": 1},
        "act": {"request_id": request.pk, "act": "retry"},
    }[kind]
    return reverse(name, kwargs=arguments)


@pytest.fixture
def people(person: Callable[..., User], requester: User, approver: User, outsider: User) -> dict[str, User]:
    return {
        "requester": requester,
        "approver": approver,
        "outsider": outsider,
        "auditor": person("idris", "auditors"),
        "operator": person("oskar", "operators"),
    }


@pytest.mark.parametrize("name", sorted(TABLE))
def test_lets_in_whom_the_table_says(name: str, people: dict[str, User], in_review: Request) -> None:
    from iamroles.models import AuditEvent

    kind, method, anonymous, outsider, insider, who = TABLE[name]
    path = address(name, in_review)
    if kind == "event":
        first = AuditEvent.objects.order_by("id").values_list("id", flat=True)[0]
        path = reverse(name, kwargs={"event_id": first})
    if kind == "export":
        at = in_review.created_at
        ExportJob.objects.create(pk=1, spelled="csv", ordered_by=people[who], at=at, size=1, total=1)
    answers = []
    for user in (None, people["outsider"], people[who]):
        client = Client()
        if user is not None:
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        answers.append(getattr(client, method)(path).status_code)
    assert answers == [anonymous, outsider, insider]


POSTED = ["person_invite", "person_act", "group_detail", "team_new", "team_detail", "invitation", "account_add"]
POSTED += ["account_change", "setup_say", "setup_mail"]
POSTED += ["approval_decide", "request_discard", "request_comment", "theme", "request_act", "request_against_aws"]
POSTED += [
    "notices_read",
    "approvals_together",
    "request_remind",
    "approval_viewed",
    "request_resolve",
    "pause_everything",
    "pause_account",
    "audit_erase",
]


@pytest.mark.parametrize("name", POSTED)
def test_a_post_needs_its_token(name: str, people: dict[str, User], in_review: Request) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["approver"], backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(address(name, in_review), {"decision": "approve"}).status_code == 403
