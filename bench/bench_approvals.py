"""The approval queue and the review page at 100 and at 100,000 requests, and deciding with 16 approvers at once.

On PostgreSQL: the empty database that DATABASE_URL names, or a throwaway server from local binaries. REQUESTS (default
100000) is the larger size; 100 of them wait for approval, the others are decided. At the end, all of them wait.
"""

# ruff: noqa: PLC0415  (Django is set up first, for the database)

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.figures import Figure

SMALL = 100
LARGE = int(os.environ.get("REQUESTS", "100000"))
WAITING = 100
ROUNDS = 40
APPROVERS = 16


def measure() -> Iterator[Figure]:
    """Yields the figures; raises RuntimeError when query counts differ or an approval is counted twice."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roledesk-bench-")))
        folder.chmod(0o755)
        if not os.environ.get("DATABASE_URL"):
            from tests.services import postgres

            os.environ["DATABASE_URL"] = stack.enter_context(postgres(folder))
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings.test"
        os.environ["ROLEDESK_VAR"] = str(folder)
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield from _measure(folder)
        from django.db import connections

        connections.close_all()


def _measure(folder: Path) -> Iterator[Figure]:
    from django.conf import settings

    from tests.integration.engine.keys import write_keys
    from tests.integration.web_review import world

    settings.ROLEDESK_SIGNING_KEY_FILE, settings.ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE = write_keys(folder)
    settings.ALLOWED_HOSTS = ["*"]
    here = world.build()
    first = world.in_review(here.people["rosa"], world.facts_for(here.staging))
    copy(first.pk, SMALL - 1, waiting=SMALL - 1)
    client = signed_in(here.people["amara"])
    pages = {"queue": "/approvals/", "queue, all": "/approvals/?tab=all", "review": f"/approvals/{first.reference}/"}
    small = {name: looked(client, name, path, SMALL) for name, path in pages.items()}
    yield from (figure for figure, _ in small.values())
    copy(first.pk, LARGE - SMALL, waiting=0)
    yield from compared(client, pages, small, f"{LARGE:,} requests")
    yield from deciding(first.pk)
    from iamroles.models import Decision, Request

    Request.objects.filter(state="closed").update(state="in_review", outcome="", closed_at=None)
    Decision.objects.update(ended_by="taken_back")
    analyse()
    yield from compared(client, pages, small, f"{LARGE:,} that all wait")


def compared(client: Any, pages: dict[str, str], small: dict[str, tuple[Figure, int]], what: str) -> Iterator[Figure]:
    """Yields each page again, beside the small size. Raises RuntimeError for another number of queries."""
    for name, path in pages.items():
        before, queries = small[name]
        figure, now = looked(client, name, path, 0)
        if now != queries:
            raise RuntimeError(f"{name}: {queries} queries at {SMALL} requests, {now} at {what}")
        ratio = figure.percentile(0.95) / before.percentile(0.95)
        yield replace(figure, name=f"{name}, {what}: p95 {ratio:.2f} ×", against=before)


def looked(client: Any, name: str, path: str, size: int) -> tuple[Figure, int]:
    """Returns how long a page takes, and its number of queries."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    queries = len(captured)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answers {answer.status_code}")
    seconds = tuple(timed(lambda: client.get(path)) for _ in range(ROUNDS))
    return Figure(f"{name}, {size} requests, {queries} queries", seconds), queries


def timed(act: Callable[[], object]) -> float:
    """Returns the seconds that it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def signed_in(user: Any) -> Any:
    """Returns a client of somebody who has just signed in."""
    from django.test import Client

    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


def copy(request_id: int, count: int, *, waiting: int) -> list[int]:
    """Makes so many requests like one: `waiting` in review with an approval taken back, the others applied."""
    from iamroles.models import AskedGroup, Decision, Proposal, Request, Revision, User

    model = Request.objects.get(pk=request_id)
    proposal = model.current_proposal()
    assert proposal is not None
    amara = User.objects.get(username="amara")
    made: list[int] = []
    risks = ("low", "medium", "high")
    stored = [field for field in Request._meta.concrete_fields if not field.generated]
    for start in range(0, count, 5000):
        size = min(5000, count - start)
        requests = []
        for number in range(start, start + size):
            values = {field.attname: getattr(model, field.attname) for field in stored}
            waits = number < waiting
            at = model.submitted_at + timedelta(milliseconds=number)
            values |= {"id": None, "submitted_at": at, "risk": risks[number % 3]}
            values |= {} if waits else {"state": "closed", "outcome": "applied", "closed_at": at}
            requests.append(Request(**values))
        rows = Request.objects.bulk_create(requests)
        revisions = Revision.objects.bulk_create(
            [again(proposal.revision, request=row) for row in rows], batch_size=5000
        )
        proposals = Proposal.objects.bulk_create(
            [again(proposal, revision=revision) for revision in revisions], batch_size=1000
        )
        AskedGroup.objects.bulk_create([AskedGroup(proposal=row, group="approvers") for row in proposals])
        Decision.objects.bulk_create(
            [
                Decision(
                    request=row,
                    revision=revision,
                    proposal_digest=proposal.digest,
                    approver=amara,
                    decision="approve",
                    groups=["approvers"],
                    at=row.submitted_at,
                    signed_in_at=row.submitted_at,
                    ended_by="" if row.state == "closed" else "taken_back",
                )
                for row, revision in zip(rows, revisions, strict=True)
            ]
        )
        made += [row.pk for row in rows]
    analyse()
    return made


def again(row: Any, **changes: Any) -> Any:
    """Returns an unsaved copy of a row."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    for name in changes:
        del values[f"{name}_id"]
    return type(row)(**{**values, "id": None, **changes})


def analyse() -> None:
    """Lets PostgreSQL see what is there and forget what was there, as its autovacuum would."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def deciding(request_id: int) -> Iterator[Figure]:
    """One approver after the other, then 16 at once: on requests of their own, then all on the same one."""
    from django.contrib.auth.models import Group

    from iamroles.models import Decision, Proposal, User
    from iamroles.workflow import memberships

    long_ago = datetime.now(UTC) - timedelta(days=365)
    people = []
    for number in range(APPROVERS):
        user = User.objects.create_user(f"approver{number}", f"approver{number}@example.org")
        memberships.join(user, Group.objects.get(name="approvers"), long_ago)
        people.append(signed_in(user))
    digest = Proposal.objects.filter(revision__request=request_id)[0].digest
    rounds = 4
    made = copy(request_id, APPROVERS * (rounds + 1) + 1, waiting=LARGE)
    alone = [decided(people[0], digest, made.pop()) for _ in range(APPROVERS)]
    if {code for code, _ in alone} != {303}:
        raise RuntimeError(f"deciding answers {sorted({code for code, _ in alone})}")
    one = Figure("decide, one approver", tuple(took for _, took in alone))
    yield one
    seconds: list[float] = []
    with ThreadPoolExecutor(APPROVERS) as pool:
        for _ in range(rounds):
            pairs = [(client, made.pop()) for client in people]
            answers = list(pool.map(lambda pair: decided(pair[0], digest, pair[1]), pairs))
            if {code for code, _ in answers} != {303}:
                raise RuntimeError(f"deciding at once answers {sorted({code for code, _ in answers})}")
            seconds += [took for _, took in answers]
        last = made.pop()
        race = list(pool.map(lambda client: decided(client, digest, last), people))
        list(pool.map(lambda _: close(), people))
    yield Figure(f"decide, {APPROVERS} at once, each another", tuple(seconds), against=one)
    stored = Decision.objects.filter(request=last, ended_by="").count()
    codes = sorted(code for code, _ in race)
    if stored != 1 or codes != [303, *[409] * (APPROVERS - 1)]:
        raise RuntimeError(f"{APPROVERS} on the same request: {stored} approvals stored, answers {codes}")
    yield Figure(f"decide, {APPROVERS} at once, all the same", tuple(took for _, took in race), against=one)


def decided(client: Any, digest: str, request_id: int) -> tuple[int, float]:
    """Posts an approval; returns the status and the seconds that it took."""
    given = {"decision": "approve", "proposal_digest": digest, "reason": ""}
    began = time.perf_counter()
    answer = client.post(f"/approvals/REQ-{request_id:06d}/decide/", given)
    return answer.status_code, time.perf_counter() - began


def close() -> None:
    """Closes the connection of the calling thread."""
    from django.db import connection

    connection.close()
