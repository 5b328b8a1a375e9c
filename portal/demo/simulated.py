"""Puts the demo's roles and policies into the simulated AWS, as somebody with a console would have done before us."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from iamroles.aws import template
from iamroles.aws.template import Record
from portal.demo.accounts import ACCOUNTS, BOUNDARY_DOCUMENT, HUB_ROLE, ROLES, DemoRole, trust


def administrator(endpoint: str, number: str) -> Any:
    """Returns an IAM client of one simulated AWS account, as somebody with a console there would have."""
    keys = {"aws_access_key_id": "demo", "aws_secret_access_key": "demo", "region_name": "us-east-1"}
    sts = boto3.client("sts", endpoint_url=endpoint, **keys)
    answer = sts.assume_role(RoleArn=f"arn:aws:iam::{number}:role/console/Administrator", RoleSessionName="console")
    given = answer["Credentials"]
    return boto3.client(
        "iam",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def fill(endpoint: str, records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """Makes what is missing and returns the RoleId of each role by (AWS account number, role name).

    `records` are the registered AWS accounts: each gets the portal's role from its template, or gets it anew.
    """
    for record in records:
        _put_portal_role(administrator(endpoint, record.number), record)
    ids: dict[tuple[str, str], str] = {}
    for account in ACCOUNTS:
        iam = administrator(endpoint, account.number)
        if account.boundary:
            _unless_there(
                iam.create_policy,
                PolicyName=account.boundary,
                Path="/boundary/",
                PolicyDocument=json.dumps(BOUNDARY_DOCUMENT),
            )
        for role in ROLES:
            if role.account == account.number:
                ids[account.number, role.name] = _make_role(iam, role)
    return ids


def _put_portal_role(iam: Any, record: Record) -> None:
    path, name = f"/{record.portal_role}".rsplit("/", 1)
    trusting = json.dumps(template.trust(record, HUB_ROLE))
    made = _unless_there(iam.create_role, RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trusting)
    if not made:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusting)
    text = json.dumps(template.permissions(record)).replace(json.dumps({"Ref": "TagKeys"}), json.dumps("*"))
    iam.put_role_policy(RoleName=name, PolicyName="roledesk", PolicyDocument=text)


def _make_role(iam: Any, role: DemoRole) -> str:
    document = trust(role.service, role.account if role.hardened else None)
    made = _unless_there(
        iam.create_role,
        RoleName=role.name,
        AssumeRolePolicyDocument=json.dumps(document),
        Description=role.description,
    )
    if made:
        for arn in role.attached:
            iam.attach_role_policy(RoleName=role.name, PolicyArn=arn)
        for name, inline in (role.inline or {}).items():
            iam.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(inline))
    return str(iam.get_role(RoleName=role.name)["Role"]["RoleId"])


def _unless_there(call: Any, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise
        return False
    return True
