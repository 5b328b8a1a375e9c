"""The texts of standards and guardrails: strictly read, one digest for one meaning, and readable again."""

from __future__ import annotations

import json

import pytest

from iamroles.blueprints import AccountFacts
from iamroles.iam import trust
from iamroles.iam.documents import DocumentError
from iamroles.rules import account_rules, standard
from iamroles.rules.account_rules import AccountRules

RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}]}
TRUST = trust.codedeploy_trust("111122223333").as_mapping()
ACCOUNT = AccountFacts("111122223333", "orders")


def test_one_document_is_a_list_of_one_and_reads_back() -> None:
    one = account_rules.read("guardrail", json.dumps(RIGHTS))
    assert one == account_rules.read("guardrail", json.dumps([RIGHTS]))
    assert account_rules.read("guardrail", account_rules.write(one)) == one
    assert account_rules.read("guardrail", "[]") == ()


def test_the_digest_is_that_of_the_meaning() -> None:
    other = {**RIGHTS, "Statement": {**RIGHTS["Statement"][0], "Action": ["ECS:*"]}}  # type: ignore[dict-item]
    digests = [account_rules.digest_of(account_rules.read("guardrail", json.dumps(one))) for one in (RIGHTS, other)]
    assert digests[0] == digests[1] is not None
    assert account_rules.digest_of(()) is None


@pytest.mark.parametrize(
    ("kind", "text", "code"),
    [
        ("guardrail", json.dumps(TRUST), "bad_document"),
        ("trust_guardrail", json.dumps(RIGHTS), "bad_document"),
        ("boundary", json.dumps([RIGHTS, TRUST]), "bad_document"),
        ("standard", '"x"', "bad_json"),
        ("standard", "7", "bad_document"),
        ("standard", "[[]]", "bad_document"),
        ("standard", '{"Version": "2012-10-17", "Version": "2012-10-17"}', "duplicate_key"),
        ("standard", '[{"Statement": []}]', "bad_document"),
        ("standard", "[" * 40 + "]" * 40, "too_deep"),
    ],
)
def test_what_is_no_list_of_such_documents_is_refused(kind: str, text: str, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        account_rules.read(kind, text)
    assert refused.value.code == code


def test_a_standard_takes_rights_and_trust_and_stands_alone() -> None:
    listed = account_rules.read("standard", json.dumps([RIGHTS, TRUST]))
    rules = AccountRules(standard=listed)
    assert [one.kind for one in listed] == ["identity", "trust"]
    assert standard.standard_documents(ACCOUNT, trust.ECS, rules) == listed
    assert standard.standard_documents(ACCOUNT) != listed


def test_a_proposal_is_bound_to_each_of_them() -> None:
    rights = account_rules.read("guardrail", json.dumps(RIGHTS))
    starting = standard.digests(ACCOUNT, trust.CODEDEPLOY, AccountRules())
    assert [kind for kind, digest in starting.items() if digest] == ["standard"]
    for kind in account_rules.KINDS:
        changed = standard.digests(ACCOUNT, trust.CODEDEPLOY, AccountRules(**{kind: rights}))
        assert [name for name in changed if changed[name] != starting[name]] == [kind]
