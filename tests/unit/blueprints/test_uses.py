"""What deployments use as a policy: pieces make one document and come back, and none of them twice."""

from __future__ import annotations

import pytest

from iamroles.blueprints import uses
from iamroles.blueprints.grants import grant_document
from iamroles.iam import catalogue, documents
from tests.unit.blueprints.test_golden_documents import ACCOUNT, CASES

SCOPED = CASES["scoped"]
BUNDLE = "arn:aws:s3:::orders-releases/blue-green/*"


@pytest.mark.parametrize("name", ["scoped", "scoped_rules", "limited_uses", "limited_tagged"])
def test_a_document_reads_back_as_its_pieces(name: str) -> None:
    facts = CASES[name]
    assert facts.kind == "role"
    pieces = uses.scoped_pieces(facts)
    assert uses.pieces_of(uses.document(pieces)) == pieces


def test_order_and_spelling_do_not_matter() -> None:
    assert SCOPED.kind == "role"
    value = uses.document(uses.scoped_pieces(SCOPED)).as_mapping()
    value["Statement"] = [{**one, "Resource": list(one["Resource"])} for one in reversed(value["Statement"])]
    assert uses.pieces_of(documents.parse(value)) == uses.scoped_pieces(SCOPED)


@pytest.mark.parametrize(
    "document",
    [
        catalogue.managed_policy(catalogue.CODEDEPLOY_ECS).document,
        catalogue.managed_policy(catalogue.CODEDEPLOY_ECS_LIMITED).document,
        grant_document(["arn:aws:iam::111122223333:role/x"]),
        documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:aws:sns:r:1:t"},
                    {"Effect": "Allow", "Action": "sns:ListTopics", "Resource": "*"},
                ],
            }
        ),
        documents.parse(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Deny", "Action": "sns:Publish", "Resource": "arn:aws:sns:r:1:t"}],
            }
        ),
    ],
)
def test_a_foreign_document_is_none_of_ours(document: documents.Document) -> None:
    assert uses.pieces_of(document) is None


@pytest.mark.parametrize(
    ("pieces", "left"),
    [
        ({(uses.BUNDLE, BUNDLE), (uses.TAGGED_BUNDLE, BUNDLE)}, {(uses.BUNDLE, BUNDLE)}),
        ({(uses.BUNDLE, BUNDLE), (uses.BUNDLE, BUNDLE.replace("*", "a/*"))}, {(uses.BUNDLE, BUNDLE)}),
        ({(uses.RULE, "x/*"), (uses.RULE, "x/1"), (uses.RULE, "y/1")}, {(uses.RULE, "x/*"), (uses.RULE, "y/1")}),
        ({(uses.RULE, "x/*"), (uses.LISTENER, "x/1")}, {(uses.RULE, "x/*"), (uses.LISTENER, "x/1")}),
    ],
)
def test_what_another_piece_gives_is_left_out(pieces: set[uses.Piece], left: set[uses.Piece]) -> None:
    assert uses.normal(pieces) == left


def test_outside_the_named_partition_nothing_is_written() -> None:
    assert SCOPED.kind == "role"
    policy = uses.uses_policy(SCOPED, uses.scoped_pieces(SCOPED))
    assert policy.arn == f"arn:aws:iam::{ACCOUNT.number}:policy/ecsCodeDeployRole-Deployments"
    assert policy.description.endswith("Managed by Roledesk.")
