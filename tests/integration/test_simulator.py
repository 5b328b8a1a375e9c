"""The demo's simulated AWS as a process: what it keeps over `kill -9`, what it refuses, what an old session is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from iamroles.aws.template import Record, trust

PROD = "111122223333"
STAGING = "444455556666"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
BOUNDARY = f"arn:aws:iam::{PROD}:policy/boundary/EcsCodeDeployBoundary"


def document(action: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


class SimulatorProcess:
    """A simulator on a port of its own that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "portal.demo.simulator", f"--port={self.port}", f"--folder={self.folder}"]
        give_up = time.monotonic() + 60
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.counts()
                return
            except OSError:
                assert time.monotonic() < give_up, "the simulator does not answer"
                time.sleep(0.1)
            # Somebody's outgoing connection may sit on the port for a moment.
            if self._process.poll() is not None:
                self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/_simulator/requests", timeout=5) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts

    def client(self, service: str, credentials: dict[str, Any] | None = None) -> BaseClient:
        keys = credentials or {"AccessKeyId": "AKIAIOSFODNN7HUBKEY", "SecretAccessKey": "hub", "SessionToken": None}
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def assume(self, account: str, role: str = "seed", **more: str) -> dict[str, Any]:
        arn = f"arn:aws:iam::{account}:role/{role}"
        answer = self.client("sts").assume_role(**{"RoleArn": arn, "RoleSessionName": "READ-1", **more})
        credentials: dict[str, Any] = answer["Credentials"]
        return credentials

    def iam(self, account: str) -> Any:
        return self.client("iam", self.assume(account))


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path / "simulator")
    yield process
    process.kill()


def picture(iam: Any) -> dict[str, Any]:
    """Everything that the account holds, in AWS's own words; without the answers' metadata."""
    roles = iam.list_roles()["Roles"]
    policies = iam.list_policies(Scope="Local")["Policies"]
    managed = iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited")["Policy"]
    return {
        "roles": [iam.get_role(RoleName=role["RoleName"])["Role"] for role in roles],
        "attached": {
            r["RoleName"]: iam.list_attached_role_policies(RoleName=r["RoleName"])["AttachedPolicies"] for r in roles
        },
        "inline": {
            r["RoleName"]: [
                iam.get_role_policy(RoleName=r["RoleName"], PolicyName=name)["PolicyDocument"]
                for name in iam.list_role_policies(RoleName=r["RoleName"])["PolicyNames"]
            ]
            for r in roles
        },
        "policies": [iam.get_policy(PolicyArn=policy["Arn"])["Policy"] for policy in policies],
        "versions": {p["Arn"]: iam.list_policy_versions(PolicyArn=p["Arn"])["Versions"] for p in policies},
        "managed_attachments": managed["AttachmentCount"],
    }


def fill(iam: Any) -> None:
    iam.create_role(
        RoleName="ecsCodeDeployRole",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="Rôle for blue/green",
        PermissionsBoundary=BOUNDARY,
        Tags=[{"Key": "team", "Value": "orders"}],
    )
    arn = iam.create_policy(
        PolicyName="PassRoles",
        Path="/codedeploy/role/",
        PolicyDocument=document("iam:PassRole"),
        Tags=[{"Key": "portal:request", "Value": "7"}],
    )["Policy"]["Arn"]
    for number in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(f"ecs:Act{number}"), SetAsDefault=number == 1)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.attach_role_policy(RoleName="ecsCodeDeployRole", PolicyArn=arn)
    iam.attach_role_policy(
        RoleName="ecsCodeDeployRole", PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
    )
    iam.put_role_policy(RoleName="ecsCodeDeployRole", PolicyName="mine", PolicyDocument=document("s3:GetObject"))
    iam.create_role(RoleName="old", Path="/codedeploy/", AssumeRolePolicyDocument=json.dumps(TRUST))


def test_an_account_survives_a_kill_whole_and_in_its_own_account(simulator: SimulatorProcess) -> None:
    fill(simulator.iam(PROD))
    simulator.iam(STAGING).create_role(RoleName="elsewhere", AssumeRolePolicyDocument=json.dumps(TRUST))
    before = {account: picture(simulator.iam(account)) for account in (PROD, STAGING)}
    simulator.restart()
    # RoleLastUsed is not set by these calls, so that two readings are equal to the last byte.
    assert {account: picture(simulator.iam(account)) for account in (PROD, STAGING)} == before
    assert [role["RoleName"] for role in before[STAGING]["roles"]] == ["elsewhere"]
    assert before[PROD]["managed_attachments"] == 1


def test_versions_go_on_counting_and_attached_policies_are_the_same_object(simulator: SimulatorProcess) -> None:
    fill(simulator.iam(PROD))
    simulator.restart()
    iam = simulator.iam(PROD)
    arn = f"arn:aws:iam::{PROD}:policy/codedeploy/role/PassRoles"
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("ecs:New"))["PolicyVersion"]
    assert version["VersionId"] == "v5"
    iam.detach_role_policy(RoleName="ecsCodeDeployRole", PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_role(RoleName="ecsCodeDeployRole")


def test_every_change_is_kept_the_moment_it_is_answered(simulator: SimulatorProcess) -> None:
    for number in range(5):
        simulator.iam(PROD).create_role(RoleName=f"role{number}", AssumeRolePolicyDocument=json.dumps(TRUST))
        simulator.restart()
    assert len(simulator.iam(PROD).list_roles()["Roles"]) == 5


def test_a_session_from_before_the_restart_has_expired(simulator: SimulatorProcess) -> None:
    old = simulator.iam(PROD)
    simulator.restart()
    with pytest.raises(ClientError) as refused:
        old.create_role(RoleName="lost", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert refused.value.response["Error"]["Code"] == "ExpiredToken"
    assert simulator.iam(PROD).list_roles()["Roles"] == []


class TestTrust:
    """The portal's role is assumed as its own trust policy says: by the hub, with the external id, under our names."""

    @pytest.fixture(autouse=True)
    def made(self, simulator: SimulatorProcess) -> None:
        hub = "arn:aws:iam::123456789012:role/roledesk-hub"
        record = Record(PROD, "aws", "0123456789abcdef", "portal/RoledeskWorker")
        simulator.iam(PROD).create_role(
            RoleName="RoledeskWorker", Path="/portal/", AssumeRolePolicyDocument=json.dumps(trust(record, hub))
        )
        simulator.iam(PROD).create_role(
            RoleName="other",
            AssumeRolePolicyDocument=json.dumps(trust(record, "arn:aws:iam::999988887777:role/roledesk-hub")),
        )

    @pytest.mark.parametrize("name", ["READ-1", "REQ-000001-r1"])
    def test_lets_in_with_the_right_one(self, simulator: SimulatorProcess, name: str) -> None:
        given = {"ExternalId": "0123456789abcdef", "RoleSessionName": name, "SourceIdentity": "approver-7"}
        credentials = simulator.assume(PROD, "portal/RoledeskWorker", **given)
        identity = simulator.client("sts", credentials).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{PROD}:assumed-role/RoledeskWorker/{name}"
        assert identity["Account"] == PROD

    @pytest.mark.parametrize(
        ("account", "role", "more"),
        [
            (PROD, "portal/RoledeskWorker", {}),
            (PROD, "portal/RoledeskWorker", {"ExternalId": "0123456789abcdeF"}),
            (PROD, "portal/RoledeskWorker", {"ExternalId": "0123456789abcdef", "RoleSessionName": "x-REQ-1"}),
            (STAGING, "portal/RoledeskWorker", {"ExternalId": "0123456789abcdef"}),
            (PROD, "other", {"ExternalId": "0123456789abcdef"}),
        ],
        ids=["without", "wrong", "another session name", "never made", "another hub"],
    )
    def test_refuses(self, simulator: SimulatorProcess, account: str, role: str, more: dict[str, str]) -> None:
        with pytest.raises(ClientError) as refused:
            simulator.assume(account, role, **more)
        arn = f"arn:aws:iam::{account}:role/{role}"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert refused.value.response["Error"] == {
            "Type": "Sender",
            "Code": "AccessDenied",
            "Message": f"Not authorized to perform: sts:AssumeRole on resource: {arn}",
        }


def test_refuses_what_was_taken_away_until_it_is_given_back(simulator: SimulatorProcess) -> None:
    iam = simulator.iam(STAGING)
    denied = simulator.folder / "denied.json"
    denied.write_text(json.dumps({STAGING: ["CreateRole"]}), encoding="utf-8")
    with pytest.raises(ClientError, match="AccessDenied"):
        iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    simulator.iam(PROD).create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    denied.unlink()
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))


def test_counts_each_call_with_its_status(simulator: SimulatorProcess) -> None:
    iam = simulator.iam(PROD)
    iam.create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))
    with pytest.raises(ClientError):
        iam.create_role(RoleName="one", AssumeRolePolicyDocument=json.dumps(TRUST))
    assert simulator.counts() == {"iam:CreateRole 200": 1, "iam:CreateRole 409": 1, "sts:AssumeRole 200": 1}


def test_a_damaged_file_is_named_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / f"{PROD}.iam").write_bytes(b"\x80\x05not a snapshot")
    command = [sys.executable, "-m", "portal.demo.simulator", "--port=0", f"--folder={tmp_path}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert ended.returncode == 2
    assert f"The simulated AWS cannot read {tmp_path}/{PROD}.iam" in ended.stderr
    assert "Start over: make demo-reset" in ended.stderr
    assert (tmp_path / f"{PROD}.iam").read_bytes() == b"\x80\x05not a snapshot"
