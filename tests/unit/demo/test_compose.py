"""The production processes as docker-compose.yml describes them. No engine runs here: this reads, it does not start."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from portal.demo.places import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
OURS = ("migrate", "web", "worker", "tend", "rotate")


def test_names_every_process_of_production() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


@pytest.mark.parametrize("name", OURS)
def test_our_processes_can_write_nothing_and_gain_nothing(name: str) -> None:
    hardening = {key: SERVICES[name][key] for key in ("read_only", "cap_drop", "security_opt")}
    assert hardening == {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate", "rotate"}))
def test_every_lasting_process_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_each_secret_reaches_one_process() -> None:
    held = {name: SERVICES[name].get("secrets", []) for name in OURS}
    assert held == {
        "migrate": [],
        "web": ["approval_key"],
        "worker": ["approval_public_keys"],
        "tend": [],
        "rotate": [],
    }
    variables = {name: SERVICES[name].get("environment", {}) for name in SERVICES}
    assert [name for name in SERVICES if "AWS_SECRET_ACCESS_KEY" in variables[name]] == ["worker"]


def test_every_process_says_what_it_is() -> None:
    named = {name: SERVICES[name]["environment"]["ROLEDESK_PROCESS"] for name in OURS}
    assert named == {"migrate": "command", "web": "web", "worker": "worker", "tend": "tend", "rotate": "tend"}


def test_the_audit_key_can_be_read_by_tend_alone_and_changed_only_by_rotating() -> None:
    folders = {name: [v for v in service.get("volumes", []) if "keys" in v] for name, service in SERVICES.items()}
    assert {name: found for name, found in folders.items() if found} == {
        "tend": ["./keys/audit:/keys:ro"],
        "rotate": ["./keys/audit:/keys"],
    }
    assert (SERVICES["rotate"]["profiles"], SERVICES["rotate"]["restart"]) == (["rotate"], "no")  # `up` starts it not
    assert SERVICES["rotate"]["command"] == ["python", "manage.py", "audit", "rotate"]
    for name in ("tend", "rotate"):
        environment = SERVICES[name]["environment"]
        assert [environment[f"ROLEDESK_{of}"] for of in ("AUDIT_KEY_FILE", "AUDIT_VKEYS_FILE", "CHECKPOINT_DIR")] == [
            "/keys/audit.key",
            "/keys/audit.vkeys",
            "/checkpoints",
        ]
    assert [name for name in SERVICES if "ROLEDESK_WEBHOOK_SECRET" in SERVICES[name].get("environment", {})] == ["tend"]


def test_redis_evicts_and_saves_nothing() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--save") + 1] == ""


def test_the_example_explains_every_variable_and_gives_no_secret() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert used - set(given) == set()
    assert {name for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY") if given[name]} == set()


def test_the_image_runs_as_nobody_and_without_the_demo() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert "RUN rm -rf portal/demo portal/settings/demo.py portal/settings/test.py" in lines
    assert [line for line in lines if "pip install" in line and "--require-hashes" not in line] == []
