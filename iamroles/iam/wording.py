"""Plain English for policy documents: one sentence for each statement, of permissions and of trust.

Sentences are templates over what the statement says; nothing is summarised away and an unknown action is quoted.
"""

from __future__ import annotations

from iamroles.iam import catalogue
from iamroles.iam.documents import Document
from iamroles.iam.phrases import conditions, deeds, listed, scope, services, short_name, verbs
from iamroles.iam.statements import Condition, Statement, ascii_lower

_PASSED_TO = "iam:passedtoservice"
_SOURCE_ACCOUNT = "aws:sourceaccount"


def sentences(document: Document) -> tuple[str, ...]:
    """Returns one sentence for each statement, in order. A trust policy says who may use "this role"."""
    if document.kind == "trust":
        return tuple(_trust_sentence(statement) for statement in document.statements)
    return tuple(_identity_sentence(statement) for statement in document.statements)


def _identity_sentence(statement: Statement) -> str:
    start = "May" if statement.effect == "Allow" else "Must never"
    passed = _pass_role(statement)
    if passed:
        return f"{start} {passed}."
    return f"{start} {_deeds(statement)}{conditions(statement.conditions)}."


def _deeds(statement: Statement) -> str:
    what = scope("resource", statement.resources, negated=statement.not_resources)
    if statement.not_actions:
        return f"do everything but {listed(statement.actions)} on {what}"
    if any(not action.strip("*") for action in statement.actions):
        return f"do everything on {what}"
    groups, unknown = deeds(statement.actions)
    texts = [
        f"{verbs(actions)} {scope(noun, statement.resources, negated=statement.not_resources)}"
        for noun, actions in groups
    ]
    if unknown:
        texts.append(f"use {listed(unknown)} on {what}")
    return "; ".join(texts)


def _pass_role(statement: Statement) -> str:
    """The words of a statement that is about iam:PassRole alone, limited to named services; '' for any other."""
    if statement.not_actions or {ascii_lower(a) for a in statement.actions} != {"iam:passrole"}:
        return ""
    limits = [c for c in statement.conditions if c.key == _PASSED_TO and _names_services(c)]
    others = [c for c in statement.conditions if c not in limits]
    roles = scope("role", statement.resources, negated=statement.not_resources)
    if len(limits) != 1:
        return f"pass {roles} to any service{conditions(statement.conditions)}"
    receivers = services(limits[0].values)
    tail = "no other service" if len(limits[0].values) == 1 else "to no other service"
    return f"pass {roles} to {receivers}, and to {tail.removeprefix('to ')}{conditions(others)}"


def _names_services(test: Condition) -> bool:
    operator = test.operator
    plain = not (operator.negated or operator.qualifier or operator.if_exists)
    exact = operator.base == "StringEquals" or not any(sign in value for value in test.values for sign in "*?$")
    return plain and operator.base in {"StringEquals", "StringLike"} and exact


def _trust_sentence(statement: Statement) -> str:
    use = "use this role"
    if {ascii_lower(a) for a in statement.actions} != {"sts:assumerole"} or statement.not_actions:
        negation = "everything but " if statement.not_actions else ""
        use = f"call {negation}{listed(statement.actions)} on this role"
    may = "may" if statement.effect == "Allow" else "must never"
    if statement.not_principals:
        return f"Everybody but {listed(_principals(statement))} {may} {use}{conditions(statement.conditions)}."
    account = _source_account(statement)
    who = listed(_principals(statement))
    if account and statement.effect == "Allow":
        others = [c for c in statement.conditions if c.key != _SOURCE_ACCOUNT]
        only = "only for that account's own deployments" if _is_codedeploy(statement) else "only for that account"
        return f"{who} in AWS account {account} {may} {use}, {only}{conditions(others)}."
    if not statement.conditions and statement.effect == "Allow" and _all_services(statement):
        return f"{who} {may} {use}, for any AWS account: nothing checks whom the service acts for."
    return f"{who} {may} {use}{conditions(statement.conditions)}."


def _principals(statement: Statement) -> list[str]:
    return [_principal(kind, name) for kind, name in statement.principals]


def _principal(kind: str, name: str) -> str:
    if kind == "Service":
        return catalogue.service_words(name)
    if kind == "AWS" and name == "*":
        return "anybody in any AWS account"
    if kind == "AWS" and (name.isdigit() or name.endswith(":root")):
        return f"whoever AWS account {name if name.isdigit() else name.split(':')[4]} allows"
    if kind == "AWS" and ":role/" in name:
        return f"the role {short_name(name)} of AWS account {name.split(':')[4]}"
    if kind == "AWS" and ":user/" in name:
        return f"the user {short_name(name)} of AWS account {name.split(':')[4]}"
    return f"{kind} {name}"


def _source_account(statement: Statement) -> str:
    """The one account that aws:SourceAccount demands, or ''."""
    tests = [c for c in statement.conditions if c.key == _SOURCE_ACCOUNT]
    if len(tests) != 1 or len(tests[0].values) != 1 or not _names_services(tests[0]):
        return ""
    return tests[0].values[0]


def _all_services(statement: Statement) -> bool:
    return all(kind == "Service" for kind, _ in statement.principals)


def _is_codedeploy(statement: Statement) -> bool:
    return all(name.startswith("codedeploy.") for _, name in statement.principals)
