"""The preview with full analysis: the pure functions over a grid of facts, and the whole POST as the page sends it.

Baselines of the same run: the wanted documents without any analysis, and a page of the same frame without a preview.
It makes a database of its own: SQLite in a temporary folder, or the empty PostgreSQL database that DATABASE_URL names.
"""

# ruff: noqa: PLC0415  (Django is set up first, for a database in the temporary folder)

from __future__ import annotations

import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.figures import Figure

if TYPE_CHECKING:
    from iamroles.blueprints import RoleFacts

STEP = 13  # every 13th of the 2,600 combinations of the grid
POSTS = 100
NUMBER = "111122223333"


def measure() -> Iterator[Figure]:
    """Yields the figures, baselines first. The aim is a 95th percentile of 0.25 s."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings.test"
        os.environ["ROLEDESK_VAR"] = folder
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield from analysis()
        yield from posting()


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _facts(account_of: Callable[[int], str]) -> list[RoleFacts]:
    """Every STEP-th facts of the grid in a mixed order, each with names of its own."""
    from tests.unit.proposal.test_grid import grid

    found = list(itertools.islice(grid(), 0, None, STEP))
    random.Random("preview").shuffle(found)
    made = []
    for place, facts in enumerate(found):
        number = account_of(place)
        lists = ("execution_roles", "task_roles", "services", "listeners", "hooks", "topics")
        moved: dict[str, Any] = {
            name: tuple(arn.replace(NUMBER, number) for arn in getattr(facts, name)) for name in lists
        }
        account = replace(facts.account, number=number)
        name = f"role-{place}"
        made.append(
            replace(
                facts, account=account, role_name=name, policy_name=f"{name}-P", uses_policy_name=f"{name}-D", **moved
            )
        )
    return made


def analysis() -> Iterator[Figure]:
    """One person typing in one AWS account, and the worst: every preview in an account that was never seen."""
    from iamroles.blueprints import build_desired
    from iamroles.pages.preview import preview_of

    new = 10**11
    for name, first, step in (("one account", int(NUMBER), 0), ("new accounts", new, 1)):
        others = _facts(lambda place: f"{2 * new + place}")
        bare = Figure(f"documents alone, before {name}", tuple(_timed(lambda f=f: build_desired(f)) for f in others))  # type: ignore[misc]
        yield bare
        listed = _facts(lambda place, first=first, step=step: f"{first + step * place}")  # type: ignore[misc]
        yield Figure(f"preview_of, {name}", tuple(_timed(lambda f=f: preview_of(f)) for f in listed), bare)  # type: ignore[misc]


def posting() -> Iterator[Figure]:
    """The POST with its draft, each time with another role name, as somebody types."""
    from django.test import Client

    from tests.integration.engine.world import people

    client = Client()
    world = people()
    client.force_login(world.requester, backend="django.contrib.auth.backends.ModelBackend")
    answers = {
        "kind": "role",
        "team": "orders",
        "account": world.account.number,
        "managed_policy": "limited",
        "execution_roles": "ecsTaskExecutionRole",
        "uses_hooks": "on",
        "region": "eu-central-1",
        "tab": "bench",
    }

    def post(place: int) -> None:
        more = {"role_name": f"role-{place}", "task_roles": f"task-{place}", "hooks": f"hook-{place}"}
        answer = client.post("/requests/preview/", {**answers, **more}, headers={"HX-Request": "true"})
        if answer.status_code != 200 or f"hook-{place}" not in answer.content.decode():
            raise RuntimeError(f"The preview answered {answer.status_code}.")

    client.get("/help/")
    post(0)
    page = Figure("GET /help/", tuple(_timed(lambda: client.get("/help/")) for _ in range(POSTS)))
    yield page
    yield Figure("POST /requests/preview/", tuple(_timed(lambda n=n: post(n)) for n in range(1, POSTS + 1)), page)  # type: ignore[misc]
