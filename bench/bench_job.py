"""How long the main job takes in an idle demo: sent to in review, approve click to applied, over HTTP like a browser.

It starts a demo of its own in a temporary folder; each AWS call is 50 ms on its way. The baseline is the same plan sent
to the simulated AWS by a script: the naive calls, then one read of the role.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import requests

from bench.bench_demo import wait_until_ready
from bench.figures import Figure
from portal.demo.places import ROOT
from portal.demo.ports import free_port
from portal.demo.simulated import administrator

ROUNDS = 20
PATIENCE = 60.0
STAGING = "444455556666"


class Person:
    """One of the demo's people with a session of their own."""

    def __init__(self, url: str, login: str) -> None:
        self.url = url.rstrip("/")
        self.session = requests.Session()
        page = self.session.get(f"{self.url}/accounts/login/", timeout=30).text
        self._post("/demo/continue/", {"login": login}, page)

    def get(self, path: str) -> str:
        """Returns a page's text."""
        answer = self.session.get(self.url + path, timeout=30)
        answer.raise_for_status()
        return answer.text

    def post(self, path: str, values: dict[str, str], page: str) -> requests.Response:
        """Posts a form that stood on `page`, with its own token and a fresh key."""
        return self._post(path, {**values, "idempotency_key": str(uuid.uuid4())}, page)

    def _post(self, path: str, values: dict[str, str], page: str) -> requests.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if found is None:
            raise RuntimeError(f"{path}: the page before it has no form")
        answer = self.session.post(self.url + path, {**values, "csrfmiddlewaretoken": found[1]}, timeout=30)
        answer.raise_for_status()
        return answer


def measure() -> Iterator[Figure]:
    """Yields the baseline script, sent to in review, and approve click to applied."""
    with tempfile.TemporaryDirectory(prefix="roledesk-bench-") as folder:
        environment = {
            **os.environ,
            "ROLEDESK_VAR": str(Path(folder) / "var"),
            "PORT": str(free_port()),
            "ROLEDESK_DEMO_AWS_LATENCY": "0.05",
        }
        command = [sys.executable, "-m", "portal.demo.supervisor"]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
            try:
                wait_until_ready(demo, time.monotonic() + PATIENCE * 2)
                yield from _rounds(json.loads((Path(folder) / "var" / "demo.json").read_text()))
            finally:
                demo.terminate()
                demo.communicate()


def _rounds(summary: dict[str, str]) -> Iterator[Figure]:
    script = Figure("the same calls by a script", tuple(_script(summary["aws_endpoint"], n) for n in range(ROUNDS)))
    yield script
    requester, approver = Person(summary["url"], "rosa"), Person(summary["url"], "amara")
    looked, applied = [], []
    for number in range(ROUNDS):
        reference = _ask(requester, f"ecsCodeDeployRole-bench{number}")
        looked.append(_until(requester, reference, "In review"))
        applied.append(_approve(approver, reference))
    yield Figure("sent to in review", tuple(looked), against=script)
    yield Figure("approve click to applied", tuple(applied), against=script)


def _script(endpoint: str, number: int) -> float:
    iam = administrator(endpoint, STAGING)
    name = f"script-{number}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    grant = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": f"arn:aws:iam::{STAGING}:role/orders-api-task",
                "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            }
        ],
    }
    began = time.monotonic()
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    policy = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(grant))["Policy"]["Arn"]
    for arn in ("arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited", policy):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.get_role(RoleName=name)
    return time.monotonic() - began


def _ask(requester: Person, role: str) -> str:
    page = requester.get("/requests/new/role/")
    answers = {
        "team": "orders",
        "account": STAGING,
        "role_name": role,
        "managed_policy": "limited",
        "execution_roles": "ecsTaskExecutionRole",
        "task_roles": "orders-api-task",
        "description": "",
        "tags": "",
        "reason": "Measuring the way from here to applied",
    }
    check = requester.post("/requests/new/role/", answers, page)
    found = re.search(r"REQ-\d{6}", check.url)
    if found is None:
        raise RuntimeError(f"The form was not accepted: {check.url}")
    requester.post(f"/requests/{found[0]}/check/", {}, check.text)
    return found[0]


def _approve(approver: Person, reference: str) -> float:
    page = approver.get(f"/approvals/{reference}/")
    digest = re.search(r'name="proposal_digest" value="([0-9a-f]{64})"', page)
    if digest is None:
        raise RuntimeError(f"{reference} cannot be decided: no form on its page")
    began = time.monotonic()
    approver.post(
        f"/approvals/{reference}/decide/", {"decision": "approve", "proposal_digest": digest[1], "reason": ""}, page
    )
    _until(approver, reference, "Applied")
    return time.monotonic() - began


def _until(person: Person, reference: str, word: str) -> float:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        status = re.search(r'class="status[^"]*".*?</span>', person.get(f"/requests/{reference}/"), re.DOTALL)
        if status and word in status[0]:
            return time.monotonic() - began
        time.sleep(0.05)
    raise RuntimeError(f"{reference} did not become {word} within {PATIENCE:.0f} s")
