"""Which process holds which secret: the whole environment of each, so that a new variable has to be argued for here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portal.demo import processes
from portal.demo.places import ROOT
from portal.demo.processes import Place

PLACE = Place(var=Path("/v"), port=8000, simulator_port=5001)
COMMON = {"PATH": "/bin", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
AWS = {
    "ROLEDESK_AWS_ENDPOINT": "http://127.0.0.1:5001",
    "AWS_ACCESS_KEY_ID": "AKIADEMOWORKERHUBKEY",
    "AWS_SECRET_ACCESS_KEY": "only-known-to-the-simulator",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def django(process: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "portal.settings.demo",
        "ROLEDESK_VAR": "/v",
        "ROLEDESK_PROCESS": process,
        "BASE_URL": "http://127.0.0.1:8000",  # links in mails lead to where the demo runs
    }


@pytest.fixture(autouse=True)
def _a_person_with_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFAREALPERSON")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("DATABASE_URL", "postgresql://production/")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ROLEDESK_AUDIT_KEY_FILE", "/etc/roledesk/audit.key")


def test_only_the_web_server_can_sign_approvals() -> None:
    assert processes.web(PLACE).environment == (
        COMMON | django("web") | {"ROLEDESK_SIGNING_KEY_FILE": "/v/keys/approval.key"}
    )


def test_only_the_worker_holds_aws_credentials() -> None:
    public = {"ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": "/v/keys/approval.pub"}
    assert processes.worker(PLACE).environment == COMMON | django("worker") | AWS | public


def test_only_tend_can_seal_the_audit_trail() -> None:
    assert processes.tend(PLACE).environment == (
        COMMON | django("tend") | {"ROLEDESK_AUDIT_KEY_FILE": "/v/keys/audit.key"}
    )


def test_other_servers_reach_the_processes_of_django_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {"ROLEDESK_DEMO_DATABASE_URL": "postgresql://one/", "ROLEDESK_DEMO_REDIS_URL": "redis://two/"}
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    assert processes.prepare(PLACE).environment == COMMON | django("command") | servers
    assert processes.simulator(PLACE).environment == COMMON


def test_the_simulator_knows_no_settings() -> None:
    assert processes.simulator(PLACE).environment == COMMON


def test_the_short_processes_act_for_the_person_who_starts_the_demo() -> None:
    assert processes.prepare(PLACE).environment == COMMON | django("command")
    assert processes.fill(PLACE).environment == COMMON | django("command")
    assert processes.fill(PLACE).command[1:] == (
        "manage.py",
        "demo_fill",
        "--endpoint=http://127.0.0.1:5001",
        "--url=http://127.0.0.1:8000/",
        "--wait=30",
    )
