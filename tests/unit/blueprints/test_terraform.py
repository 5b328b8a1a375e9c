"""Terraform text: golden files that a person can read, the escapes of HCL, and that the text reads back as the target.

Reading back uses a reader of its own, written here: it shares no code with the writer.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iamroles.blueprints import AccountFacts, Facts, RoleFacts, State, build_desired, terraform
from iamroles.iam import documents
from iamroles.proposal.lay_over import lay_over
from tests.unit.blueprints.test_golden_documents import CASES as DOCUMENTS

GOLDEN = Path(__file__).parent / "golden"
ACCOUNT = AccountFacts("111122223333", "orders-staging")
TASK = "arn:aws:iam::111122223333:role/apps/orders-api-task"
FACTS = RoleFacts(
    account=ACCOUNT,
    team="orders",
    execution_roles=("arn:aws:iam::111122223333:role/ecsTaskExecutionRole",),
    task_roles=(TASK,),
    policy_name="ecsCodeDeployRole-PassRole",
    policy_description="Lets ecsCodeDeployRole pass the named roles to ECS tasks. Managed by Roledesk.",
    tags={"cost-center": "4711", "team": "orders"},
)

DEPLOYER = DOCUMENTS["deployer_scoped"]

HERE = "eu-central-1:111122223333"
SCOPED = replace(
    FACTS,
    managed_policy="scoped",
    services=(f"arn:aws:ecs:{HERE}:service/shop/orders-api",),
    listeners=(f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",),
    hooks=(f"arn:aws:lambda:{HERE}:function:orders-check",),
    topics=(f"arn:aws:sns:{HERE}:orders-alerts",),
    bundles=("arn:aws:s3:::orders-releases/blue-green/*",),
    uses_policy_name="ecsCodeDeployRole-Deployments",
    sources=(f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/blue-green",),
    max_session=43200,
)


def target_of(facts: Facts) -> State:
    desired = build_desired(facts)
    return lay_over(State(desired.role_arn, None, dict.fromkeys(desired.policies)), desired).state


def awkward() -> State:
    """A live role with a path, a boundary, an inline policy with variables, and names that are no identifiers."""
    boundary = "arn:aws:iam::111122223333:policy/boundary/B"
    state = target_of(replace(FACTS, account=replace(ACCOUNT, role_path="/cd/", boundary=boundary)))
    assert state.role is not None
    inline = documents.parse(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}/${*}"},
                {
                    "Effect": "Deny",
                    "NotAction": ["s3:*"],
                    "Resource": "*",
                    "Condition": {"Bool": {"aws:SecureTransport": False}, "NumericLessThan": {"s3:max-keys": 10}},
                },
            ],
        }
    )
    role = replace(
        state.role,
        description='Says "hello" \\ ${name} %{if} $${twice}\nsecond line\té',
        max_session=7200,
        attached=state.role.attached | {"arn:aws:iam::111122223333:policy/a.b", "arn:aws:iam::111122223333:policy/a@b"},
        inline={"logs+more": inline},
        tags={"a:b": "${x}"},
        role_id="AROAEXAMPLE",
    )
    return replace(state, role=role)


CASES = {
    "role_new": (target_of(FACTS), None),
    "role_existing": (target_of(FACTS), target_of(FACTS)),
    "role_full": (target_of(replace(FACTS, managed_policy="full", hardened=False, tags={})), None),
    "role_scoped": (target_of(SCOPED), None),
    "role_limited_uses": (target_of(replace(SCOPED, managed_policy="limited")), None),
    "role_awkward": (awkward(), awkward()),
}
ALONE = target_of(DEPLOYER)
POLICY_CASES = {"deployer_new": (ALONE, None), "deployer_existing": (ALONE, ALONE)}


@pytest.mark.parametrize("name", [*CASES, *POLICY_CASES])
def test_reads_as_the_golden_file(name: str) -> None:
    target, existing = {**CASES, **POLICY_CASES}[name]
    assert terraform.render(target, existing) == (GOLDEN / f"{name}.tf").read_text()


def test_what_is_gone_has_no_text() -> None:
    assert terraform.render(State("arn:aws:iam::111122223333:role/gone", None, ALONE.policies)) == ""
    assert terraform.render(State(None, None, dict.fromkeys(ALONE.policies))) == ""


def test_a_deployer_policy_reads_back_alone() -> None:
    ((_, wanted),) = ALONE.policies.items()
    assert wanted is not None
    resources = read_resources(terraform.render(ALONE, ALONE))
    assert list(resources) == ["aws_iam_policy"]
    (made,) = resources["aws_iam_policy"].values()
    found = (made["name"], made["path"], made["description"], documents.parse(made["policy"]))
    assert found == (wanted.name, wanted.path, wanted.description, wanted.document)


@pytest.mark.parametrize(
    ("text", "hcl"),
    [
        ("plain", '"plain"'),
        ("${aws:username}", '"$${aws:username}"'),
        ("%{if}", '"%%{if}"'),
        ("$ {", '"$ {"'),
        ("$${x}", r'"\u0024$${x}"'),
        ('a"b\\c', r'"a\"b\\c"'),
        ("a\nb\tc\r\x07", r'"a\nb\tc\r\u0007"'),
    ],
)
def test_quotes_as_hcl_demands(text: str, hcl: str) -> None:
    assert terraform.quoted(text) == hcl
    assert unquote(hcl) == text


class TestImports:
    def test_only_what_exists_is_imported(self) -> None:
        target = target_of(FACTS)
        assert target.role is not None
        bare = replace(target, role=replace(target.role, attached=frozenset()), policies={})
        heads = [line for line in terraform.render(target, bare).splitlines() if line.startswith(("import", "  id"))]
        assert heads == ["import {", '  id = "ecsCodeDeployRole"']

    def test_labels_do_not_depend_on_the_order_of_facts(self) -> None:
        other = replace(FACTS, tags=dict(reversed(FACTS.tags.items())), task_roles=tuple(reversed(FACTS.task_roles)))
        assert terraform.render(target_of(other)) == terraform.render(target_of(FACTS))


@pytest.mark.parametrize("name", CASES)
def test_reads_back_as_the_target(name: str) -> None:
    target, existing = CASES[name]
    role = target.role
    assert role is not None
    resources = read_resources(terraform.render(target, existing))
    (made,) = resources["aws_iam_role"].values()
    assert (made["name"], made["path"], made.get("description", ""), made.get("permissions_boundary")) == (
        role.name,
        role.path,
        role.description,
        role.boundary,
    )
    assert (made.get("max_session_duration", 3600), made.get("tags", {})) == (role.max_session, dict(role.tags))
    assert documents.parse(made["assume_role_policy"], kind="trust") == role.trust
    policies = {
        f"aws_iam_policy.{label}.arn": (body["name"], body["path"], documents.parse(body["policy"]))
        for label, body in resources.get("aws_iam_policy", {}).items()
    }
    wanted = {p.arn: (p.name, p.path, p.document) for p in target.policies.values() if p}
    assert sorted(map(str, policies.values())) == sorted(map(str, wanted.values()))
    by_reference = {reference: arn for reference, made in policies.items() for arn, w in wanted.items() if w == made}
    attachments = resources["aws_iam_role_policy_attachment"].values()
    assert {by_reference.get(a["policy_arn"], a["policy_arn"]) for a in attachments} == role.attached
    inline = {b["name"]: documents.parse(b["policy"]) for b in resources.get("aws_iam_role_policy", {}).values()}
    assert inline == dict(role.inline)


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
@pytest.mark.parametrize("name", [*CASES, *POLICY_CASES])
def test_terraform_itself_would_not_format_it_otherwise(name: str) -> None:
    text = (GOLDEN / f"{name}.tf").read_text()
    done = subprocess.run(["terraform", "fmt", "-"], input=text, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == text


@pytest.mark.skipif("ROLEDESK_TERRAFORM_PLUGINS" not in os.environ, reason="no folder with the AWS provider is named")
@pytest.mark.parametrize("name", [*CASES, *POLICY_CASES])
def test_terraform_calls_it_valid(name: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text((GOLDEN / f"{name}.tf").read_text())
    plugins = os.environ["ROLEDESK_TERRAFORM_PLUGINS"]
    for command in (["init", "-backend=false", f"-plugin-dir={plugins}"], ["validate"]):
        done = subprocess.run(["terraform", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


# A small reader of the HCL that such text may hold: blocks, quoted strings, objects, lists, references, jsonencode.

_TOKEN = re.compile(r'\s*(?:("(?:\\.|[^"\\])*")|([A-Za-z_][\w.-]*)|(-?\d+)|([{}\[\](),=]))', re.ASCII)


def unquote(text: str) -> str:
    plain = re.sub(r"([$%])\1\{", r"\1{", text)
    return str(json.loads(plain))


def read_resources(text: str) -> dict[str, dict[str, dict[str, Any]]]:
    without_comments = re.sub(r"(?m)^#.*$", "", text)
    tokens = [next(filter(None, found)) for found in _TOKEN.findall(without_comments)]
    resources: dict[str, dict[str, dict[str, Any]]] = {}
    while tokens:
        head = tokens.pop(0)
        labels = []
        while tokens[0] != "{":
            labels.append(unquote(tokens.pop(0)))
        body = read_value(tokens)
        if head == "resource":
            assert labels[1] not in resources.setdefault(labels[0], {})
            resources[labels[0]][labels[1]] = body
    return resources


def read_value(tokens: list[str]) -> Any:
    token = tokens.pop(0)
    if token == "{":
        found = {}
        while tokens[0] != "}":
            key = tokens.pop(0)
            assert tokens.pop(0) == "="
            found[unquote(key) if key.startswith('"') else key] = read_value(tokens)
        tokens.pop(0)
        return found
    if token == "[":
        listed = []
        while tokens[0] != "]":
            listed.append(read_value(tokens))
            assert tokens.pop(0) == ","
        tokens.pop(0)
        return listed
    if token == "jsonencode":
        assert tokens.pop(0) == "("
        value = read_value(tokens)
        assert tokens.pop(0) == ")"
        return value
    if token.startswith('"'):
        return unquote(token)
    if token in ("true", "false"):
        return token == "true"
    return int(token) if token.lstrip("-").isdigit() else token
