"""Writes docs/configuration.md: `python -m portal.settings.reference > docs/configuration.md`.

Names, kinds, defaults and what is required are read from the calls of `env`; only what a setting means is said here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
NOT_PRODUCTION: Final = ("__init__.py", "demo.py", "test.py", "env.py", "reference.py")
HELPERS: Final = ("text", "secret", "flag", "number")
MEANINGS: Final = {
    "SECRET_KEY": "Signs sessions and forms; at least 50 characters.",
    "BASE_URL": "Where people open Roledesk; https, without a path.",
    "DATABASE_URL": "The app's database role: `postgresql://role:password@host:5432/name?sslmode=verify-full`.",
    "DATABASE_OWNER_URL": "The role that owns the tables: `ROLEDESK_PROCESS=owner` alone, which migrates and grants.",
    "DATABASE_SEALER_URL": "The role that alone extends the audit trail: tend, and the owner, who makes it.",
    "REDIS_URL": "The broker, a doorbell only: `redis://host:6379/0`, an instance of its own, `noeviction`.",
    "ROLEDESK_KEYS_DIR": "The folder of `approval.key` (web), `approval.pub` (worker), `audit.key` (tend).",
    "ROLEDESK_CHECKPOINT_DIR": "Where tend publishes checkpoints; best where no database administrator can write.",
    "ROLEDESK_PROCESS": "What this process is: `web`, `worker`, `tend`, `owner`, or `command` for a person's.",
    "ALLOW_SINGLE_DB_ROLE": "1: one database role may do everything. Health then says so.",
    "ROLEDESK_DATABASE_NAME": "Another database of the same server, to rehearse a restore; else the addresses' own.",
    "ROLEDESK_SIGNING_KEY_FILE": "The approval key, where it does not lie in `ROLEDESK_KEYS_DIR`. Web alone.",
    "ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": "Public halves of approval keys, PEM one after the other. Worker.",
    "ROLEDESK_AUDIT_KEY_FILE": "The audit key. Tend alone.",
    "ROLEDESK_AUDIT_VKEYS_FILE": "Verifier keys of the audit trail, the newest first.",
    "ROLEDESK_AUDIT_ORIGIN": "Names this audit trail in every checkpoint for ever.",
    "ROLEDESK_METRICS_TOKEN": "The bearer token of `/metrics`; without one there are none. Web.",
    "ROLEDESK_ENVIRONMENT": "Shown beside the name on every page.",
    "EXTRA_HOSTS": "Further names under which the portal answers, separated by commas.",
    "SECURE_SSL_REDIRECT": "0: plain HTTP is not sent to HTTPS (a proxy does).",
    "EMAIL_HOST": "The mail server.",
    "EMAIL_PORT": "Its port.",
    "EMAIL_USE_TLS": "1: STARTTLS.",
    "EMAIL_HOST_USER": "Who signs in there, if it wants that.",
    "EMAIL_HOST_PASSWORD": "The password for it.",
    "EMAIL_FROM": "The sender of mails.",
    "ROLEDESK_WEBHOOK_URL": "Where notices are posted too; https.",
    "ROLEDESK_WEBHOOK_SECRET": "Signs each (docs/architecture.md). Tend.",
    "ROLEDESK_MFA_GROUPS": "Groups whose people get nowhere without a second factor, separated by spaces. Web.",
    "ROLEDESK_PROXIES": "How many proxies append to `X-Forwarded-For`; 0 trusts the header of nobody. Web.",
    "ROLEDESK_CONTEXT_WORDS": "Names of the company and its products, which passwords must not lean on. Web.",
    "ROLEDESK_BREACHED_DIGESTS": "A file of SHA-1 digests of stolen passwords, sorted (docs/sign-on.md). Web.",
    "ROLEDESK_OIDC_ISSUER": "The OpenID Connect provider for single sign-on; https.",
    "ROLEDESK_OIDC_CLIENT_ID": "What the provider calls this portal.",
    "ROLEDESK_OIDC_CLIENT_SECRET": "The secret for it. Web.",
    "ROLEDESK_OIDC_NAME": "What the button at the door calls the provider.",
    "ROLEDESK_OIDC_GROUPS_CLAIM": "The claim that lists a person's groups.",
    "ROLEDESK_OIDC_SCOPES": "What is asked for.",
    "ROLEDESK_OIDC_CREATES_PEOPLE": "1: whoever is in a group there that fills one here comes in. 0: invited people.",
    "ROLEDESK_OIDC_MFA_VALUES": "Values of `amr` or `acr` that count as a second factor, separated by spaces.",
    "ROLEDESK_OIDC_MORE_ORIGINS": "Other origins that the provider leads through, separated by spaces.",
    "ROLEDESK_TOOL_TAGS": "By which tags of a role another tool manages it: `Tool/key=value,…`, or `none`.",
    "ROLEDESK_SWEEP_SECONDS": "How often workers and tend look for due work that no message told of.",
    "ROLEDESK_VERIFY_PAUSE_SECONDS": "Between two looks that must agree before a request is called applied.",
    "ROLEDESK_WRITES_PER_SECOND": "At most so many writing calls to one AWS account.",
    "ROLEDESK_LOOK_HOLDS_HOURS": "How old a look at AWS may be to approve by it; then it is made again first.",
    "ROLEDESK_SEAL_LAG_SECONDS": "From how late on sealing is an alarm.",
    "ROLEDESK_SEAL_PAUSE_SECONDS": "From how late on nothing that adds rights is applied.",
    "ROLEDESK_AWS_ENDPOINT": "Must be empty in production: it would point at a simulator.",
}


class Unexplained(Exception):
    """The code reads a setting that MEANINGS does not explain."""


@dataclass(frozen=True)
class Setting:
    """One environment variable. `default` is None where production refuses to start without it."""

    name: str
    secret: bool
    default: str | None


def settings() -> dict[str, Setting]:
    """Returns what production's settings read, by name. Raises Unexplained."""
    found: dict[str, Setting] = {}
    files = sorted(path for path in FOLDER.glob("*.py") if path.name not in NOT_PRODUCTION)
    # What production says counts more than what it shares with demo and tests.
    for path in sorted(files, key=lambda path: path.name == "production.py"):
        for setting in _read(ast.parse(path.read_text(encoding="utf-8"))):
            found[setting.name] = setting
    unexplained = sorted(set(found) - set(MEANINGS))
    if unexplained:
        raise Unexplained(f"{', '.join(unexplained)}: say in portal/settings/reference.py what it means.")
    return found


def _read(tree: ast.Module) -> Iterator[Setting]:
    constants = {
        node.target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    # databases.py reads its addresses by name out of a table.
    addresses = {str(name) for name in constants.values() if str(name).endswith("_URL")}
    yield from (Setting(name, secret=True, default=None) for name in sorted(addresses))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in HELPERS:
            continue
        if not isinstance(node.func.value, ast.Name) or node.func.value.id != "env":
            continue
        first = node.args[0]
        name = constants.get(first.id) if isinstance(first, ast.Name) else getattr(first, "value", None)
        if isinstance(name, str) and name not in addresses:
            yield Setting(name, node.func.attr == "secret", _default(node, node.func.attr))


def _default(call: ast.Call, helper: str) -> str | None:
    if len(call.args) < 2:
        return "0" if helper == "flag" else None
    try:
        value: Any = ast.literal_eval(call.args[1])
    except ValueError:
        return "as usual"  # computed: MEANINGS says from what
    return str(int(value)) if isinstance(value, bool) else str(value)


def written() -> str:
    """Returns the page."""
    found = settings()
    names = [name for name in MEANINGS if name in found]
    lines = [
        "# Configuration",
        "",
        "Every setting is an environment variable. This page is made of the settings' code by",
        "`python -m portal.settings.reference > docs/configuration.md`. A secret may also be given as a file, whose",
        "path is in the same variable with `_FILE` at its end; both at once are refused. `docker-compose.yml` sets",
        "most of them, and `.env` those that differ from host to host. A process refuses to start with the secrets",
        "of another one.",
        "",
        "## Required in production",
        "",
        *_table([found[name] for name in names if found[name].default is None]),
        "",
        "## Others",
        "",
        *_table([found[name] for name in names if found[name].default is not None]),
    ]
    return "\n".join(lines) + "\n"


def _table(rows: list[Setting]) -> Iterator[str]:
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    for row in rows:
        name = f"`{row.name}`" + (" or `…_FILE`" if row.secret else "")
        default = "" if row.default is None else f"`{row.default}`" if row.default else "none"
        yield f"| {name} | {default} | {MEANINGS[row.name]} |"


if __name__ == "__main__":
    sys.stdout.write(written())
