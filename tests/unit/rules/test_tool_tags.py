"""Tags of other tools: which count, and how the configuration is read."""

from __future__ import annotations

import pytest

from iamroles.rules.tool_tags import USUAL, Owner, ToolTag, owner_of, read_tool_tags

STACK = "aws:cloudformation:stack-id"


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({}, None),
        ({"team": "orders"}, None),
        ({"ManagedBy": "Terraform"}, Owner("Terraform", "ManagedBy = Terraform")),
        ({"managed-by": "terraform"}, Owner("Terraform", "managed-by = terraform")),
        ({"managed-by": "roledesk"}, None),
        ({"terraform": "false"}, None),
        ({"Terraform": "true"}, Owner("Terraform", "Terraform = true")),
        ({"aws:cloudformation:stack-name": "x"}, Owner("CloudFormation", "aws:cloudformation:stack-name = x")),
        ({"iac": "terraform", STACK: ""}, Owner("CloudFormation", STACK)),
    ],
)
def test_the_usual_tags(tags: dict[str, str], owner: Owner | None) -> None:
    assert owner_of(tags, read_tool_tags(USUAL)) == owner


def test_reads_a_configuration() -> None:
    assert read_tool_tags(" Pulumi/pulumi:project , Terraform/owner=iac/prod,") == (
        ToolTag("Pulumi", "pulumi:project"),
        ToolTag("Terraform", "owner", "iac/prod"),
    )
    assert read_tool_tags("") == ()


@pytest.mark.parametrize("text", ["terraform", "/key", "Terraform/", "Terraform/=true"])
def test_refuses_half_an_entry(text: str) -> None:
    with pytest.raises(ValueError, match="names no tool and tag"):
        read_tool_tags(text)
