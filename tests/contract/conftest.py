"""Both gateways under one name: each contract case runs over the fake and over boto3 against a simulated AWS."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from urllib.request import Request, urlopen

import pytest

from iamroles.aws.fake import FakeAccount, FakeSessions
from iamroles.aws.sessions import AwsSessions, Portal, Sessions
from iamroles.proposal.context import ManagedPolicyVersion
from tests.contract.simulated import moto_server

LIMITED = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
_numbers = itertools.count(111122223333)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def portal() -> Portal:
    """An AWS account of its own for each case: neither gateway needs a reset."""
    return Portal(number=str(next(_numbers)), partition="aws", external_id="0" * 32, role="portal/RoledeskWorker")


@pytest.fixture(params=["fake", "boto"])
def sessions(request: pytest.FixtureRequest, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    if request.param == "fake":
        from iamroles.iam import catalogue

        limited = catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED, "aws")
        account = FakeAccount(number=portal.number)
        account.managed[LIMITED] = ManagedPolicyVersion(LIMITED, "v3", limited.document)
        return FakeSessions(account)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hub")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hub")
    return AwsSessions(request.getfixturevalue("endpoint"))


@pytest.fixture
def reset(endpoint: str) -> Callable[[], None]:
    def do() -> None:
        with urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10):
            pass

    return do
