"""The production processes as docker-compose.yml describes them. No engine runs here: this reads, it does not start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal import first_env
from portal.demo.places import ROOT
from tests.unit.portal.test_production import start

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
OURS = ("migrate", "web", "worker", "tend", "rotate")


def test_names_every_process_of_production() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_process_is_nobody_who_can_write_nothing_and_gain_nothing(name: str) -> None:
    hardening = {key: SERVICES[name].get(key) for key in ("read_only", "cap_drop", "security_opt")}
    assert hardening == {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert SERVICES[name]["user"] == ("10001:10001" if name in OURS else "999:999")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate", "rotate"}))
def test_every_lasting_process_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_each_secret_reaches_the_processes_that_need_it() -> None:
    every = {"django.key", "email.password", "database.url"}
    assert {name: set(SERVICES[name].get("secrets", [])) for name in SERVICES} == {
        "migrate": {*every, "database-owner.url", "database-sealer.url"},
        "web": {*every, "approval.key", "metrics.token", "oidc.secret"},
        "worker": {*every, "approval.pub", "aws.credentials"},
        "tend": {*every, "database-sealer.url", "webhook.secret"},
        "rotate": {*every, "database-sealer.url"},
        "postgres": {"postgres.password"},
        "redis": set(),
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_is_in_an_environment(name: str) -> None:
    """`docker inspect` shows environments: what is secret is a file, and the file is one that the process is given."""
    environment: dict[str, str] = SERVICES[name].get("environment", {})
    secret = re.compile(r"SECRET|PASSWORD|TOKEN|DATABASE_\w*URL|ACCESS_KEY|SIGNING")
    assert [variable for variable in environment if secret.search(variable) and not variable.endswith("_FILE")] == []
    named = {value.removeprefix("/run/secrets/") for value in environment.values() if "/run/secrets/" in str(value)}
    assert named <= set(SERVICES[name].get("secrets", []))


def test_every_secret_is_a_file_that_the_first_step_writes() -> None:
    files = {secret["file"] for secret in COMPOSE["secrets"].values()}
    assert files <= {f"./keys/{name}" for name in first_env.keys("roles.corp.test")}
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", OURS)
def test_what_a_process_is_given_starts_it(name: str, tmp_path: Path) -> None:
    """The settings load from exactly the environment and the files that the service has."""
    first_env.write(tmp_path, "https://roles.corp.test")
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", (tmp_path / ".env").read_text(), re.MULTILINE))
    environment: dict[str, str | None] = dict.fromkeys(("SECRET_KEY", "DATABASE_URL"))  # what `start` would give
    for variable, value in SERVICES[name]["environment"].items():
        filled = re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda m: given.get(m[1]) or m[2] or "", str(value))
        filled = re.sub("^/run/secrets", str(tmp_path / "keys"), filled)
        environment[variable] = re.sub("^/keys", str(tmp_path / "keys/audit"), filled)
    answer = start("from django.conf import settings; print(settings.DATABASES['default']['USER'])", **environment)
    user = "roledesk_owner" if name == "migrate" else "roledesk_app"
    assert (answer.returncode, answer.stdout) == (0, f"{user}\n"), answer.stderr


def test_the_owner_migrates_and_makes_the_roles_before_anything_else_starts() -> None:
    assert SERVICES["migrate"]["command"] == [
        "sh",
        "-c",
        "python manage.py migrate --no-input && python manage.py audit grants --run",
    ]
    for name in ("web", "worker", "tend"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_process_says_what_it_is() -> None:
    named = {name: SERVICES[name]["environment"]["ROLEDESK_PROCESS"] for name in OURS}
    assert named == {"migrate": "owner", "web": "web", "worker": "worker", "tend": "tend", "rotate": "tend"}


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
        assert [environment[f"ROLEDESK_{of}"] for of in ("KEYS_DIR", "AUDIT_VKEYS_FILE", "CHECKPOINT_DIR")] == [
            "/keys",
            "/keys/audit.vkeys",
            "/checkpoints",
        ]


def test_redis_evicts_and_saves_nothing() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--save") + 1] == ""


def test_the_example_explains_every_variable_and_gives_no_secret() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert used == set(given)
    assert [name for name in given if re.search("SECRET|PASSWORD|_KEY", name)] == []


def test_the_image_runs_as_nobody_and_without_the_demo() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert "RUN rm -rf portal/demo portal/settings/demo.py portal/settings/test.py" in lines
    assert [line for line in lines if "pip install" in line and "--require-hashes" not in line] == []


def test_postgres_is_ready_when_it_answers_others() -> None:
    """Its image starts a server on the socket alone first: `migrate` would be refused, and is not tried again."""
    assert SERVICES["postgres"]["healthcheck"]["test"][1:4] == ["pg_isready", "-h", "127.0.0.1"]


def test_the_image_can_be_read_by_its_user_whatever_the_umask_of_the_host() -> None:
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert steps.index("COPY templates") < steps.index("RUN chmod -R a+rX /app") < steps.index("collectstatic")
