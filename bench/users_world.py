"""Who the 200 people of `bench_users` are, what they do all day, and the program that makes them and their sessions."""

from __future__ import annotations

# `{}` is a request of the team. What stands twice is done twice as often.
ACTS = {
    "requester": ["/", "/requests/", "/requests/{}/", "/requests/{}/status/", "/requests/new/role/", "/inventory/"],
    "approver": ["/", "/approvals/", "/approvals/", "/approvals/{}/", "/requests/{}/", "decide"],
    "auditor": ["/audit/", "/audit/?action=approval.given", "/requests/{}/", "/inventory/"],
    "operator": ["/ops/", "/ops/jobs/", "/ops/accounts/", "/requests/?tab=all"],
}
JOBS = {"requester": 110, "approver": 60, "auditor": 15, "operator": 15}
WAITING = 600

PROGRAM = f"""
import json, time
import django
django.setup()
from datetime import timedelta
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group
from bench.bench_approvals import copy
from iamroles.models import Request
from iamroles.workflow import memberships, organisation
from tests.integration.web_review import world

Store = import_module(settings.SESSION_ENGINE).SessionStore
here = world.build()
long_ago = world.now() - timedelta(days=365)
groups = {{"approver": ("approvers", "orders-platform"), "auditor": ("auditors",), "operator": ("operators",)}}
people = []
for job, count in {JOBS!r}.items():
    for number in range(count):
        user = organisation.add_person(
            login=f"{{job}}{{number}}", first_name=job.title(), last_name=str(number), password=None,
            groups=(), teams=("orders",) if job == "requester" else (), actor=world.SYSTEM, at=world.now(),
        )
        for name in groups.get(job, ()):
            memberships.join(user, Group.objects.get(name=name), long_ago)
        session = Store()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session["account_authentication_methods"] = [{{"method": "password", "at": time.time()}}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.create()
        people.append({{"job": job, "cookies": {{settings.SESSION_COOKIE_NAME: session.session_key}}}})
first = world.in_review(here.people["rosa"], world.facts_for(here.staging))
made = [first.pk, *copy(first.pk, {WAITING} - 1, waiting={WAITING} - 1)]
shown = [first.reference, *(Request(pk=pk).reference for pk in copy(first.pk, 50, waiting=0))]
print(json.dumps({{"people": people, "waiting": [Request(pk=pk).reference for pk in made[1:]], "shown": shown}}))
"""
