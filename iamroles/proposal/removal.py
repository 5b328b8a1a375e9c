"""Taking rights away: what goes in words, what that breaks, and the proof that nothing is added on the way.

A removal always needs a second person, but it goes on while additions to an AWS account are held up: only if it is
proved to add nothing on any prefix of its plan (invariant 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from iamroles.blueprints import uses
from iamroles.blueprints.facts import DeployerFacts, RemovalFacts
from iamroles.blueprints.grants import granted_roles
from iamroles.blueprints.state import PolicyState, State
from iamroles.iam import arns, catalogue, coverage, wording
from iamroles.iam.documents import Document
from iamroles.proposal.calls import Call
from iamroles.proposal.context import Context
from iamroles.proposal.lay_over import Target
from iamroles.proposal.wording import listed
from iamroles.rules.findings import SEVERITIES, Finding

_ONLY_DELETES: Final = frozenset({"DeleteRole", "DeletePolicy", "DeletePolicyVersion"})
_USUAL: Final = frozenset(
    {catalogue.CODEDEPLOY_ECS, catalogue.CODEDEPLOY_ECS_LIMITED, catalogue.ECS_INFRASTRUCTURE_LB}
)  # what this portal itself attaches; anything else on the role is somebody else's


def not_ours(facts: DeployerFacts | RemovalFacts) -> str:
    """Returns why what the inventory does not hold for the team cannot be removed, or taken over, here."""
    if isinstance(facts, DeployerFacts):
        return f"{facts.policy_name} exists in {facts.account.name} and was not made for your team. Enter another name."
    if facts.role_arn is None:
        names = listed([arn.rsplit("/", 1)[-1] for arn in facts.policies])
        return f"{names} in {facts.account.name} is not the deployer policy that is managed for your team."
    return f"{facts.role_name} in {facts.account.name} is not the role that is managed for your team."


def adds_nothing(plan: Sequence[Call], base: State, context: Context) -> bool:
    """Returns True when no prefix of the plan can allow anything that the base does not.

    Detaching takes its Allows away; with a Deny in the document, or a document that was not seen, that is no proof.
    """
    return bool(plan) and all(_only_takes(call, base, context) for call in plan)


def _only_takes(call: Call, base: State, context: Context) -> bool:
    if call.api in _ONLY_DELETES:
        return True
    document: Document | None = None
    if call.api == "DetachRolePolicy":
        arn = str(call.arguments["PolicyArn"])
        own, managed = base.policies.get(arn), context.managed.get(arn)
        document = own.document if own else managed.document if managed else None
    elif call.api == "DeleteRolePolicy" and base.role is not None:
        document = base.role.inline.get(str(call.arguments["PolicyName"]))
    return document is not None and all(statement.effect == "Allow" for statement in document.statements)


def foreign_parts(base: State) -> tuple[str, ...]:
    """Returns the names of what others put on the role: policies that the portal neither made nor attaches, inline."""
    if base.role is None:
        return ()
    attached = [arn.rsplit("/", 1)[-1] for arn in sorted(base.role.attached - base.policies.keys())]
    return (*(name for name in attached if name not in _USUAL), *sorted(base.role.inline))


def findings(facts: RemovalFacts, base: State, target: Target, remaining: Sequence[Document]) -> tuple[Finding, ...]:
    """Returns what approvers must weigh; `remaining` are the documents that the role holds afterwards."""
    found = [Finding("PL01", "forbidden", clash, "Ask its team.", "in-aws", True) for clash in target.clashes]
    if base.role is not None and facts.whole:
        message = (
            f"Every deployment that still uses {facts.role_name} will fail; nothing here can see whether one does."
        )
        found.append(Finding("RM01", "medium", message, "Make sure that no deployment uses it.", "going"))
        foreign = foreign_parts(base)
        if foreign:
            message = f"Others put {listed(foreign)} on the role; that goes with it."
            found.append(Finding("RM02", "medium", message, "Ask them first.", "going"))
    if base.role is not None and not facts.whole:
        found += _lost(base, remaining)
    if base.role_arn is None and any(base.policies.values()) and not target.clashes:
        message = "It is attached to nothing now: nobody loses rights that are in use."
        found.append(Finding("RM04", "note", message, "Nothing to do.", "going"))
    return tuple(sorted(found, key=lambda f: (SEVERITIES.index(f.severity), f.id)))


def _lost(base: State, remaining: Sequence[Document]) -> list[Finding]:
    found = _lost_uses(base, remaining)
    passed = [arn for policy in _going(base) for arn in granted_roles(policy.document) or ()]
    lost = [arns.role_name_of(arn) for arn in passed if not coverage.covers_passrole(remaining, arn)]
    if lost:
        message = f"Deployments with {listed(lost)} will fail: CodeDeploy can no longer hand them to ECS tasks."
        found.append(Finding("RM03", "medium", message, "Make sure that no task definition names them.", "going"))
    elif passed:
        message = "What stays on the role still covers every role that this policy passes."
        found.append(Finding("RM04", "note", message, "Nothing to do.", "going"))
    return found


def _lost_uses(base: State, remaining: Sequence[Document]) -> list[Finding]:
    """RM05 for a policy of what deployments use, unless the rest of the role gives all of it."""
    lost = [
        policy.name
        for policy in _going(base)
        if uses.pieces_of(policy.document) and not coverage.covers(coverage.Need(policy.document), remaining)
    ]
    if not lost:
        return []
    message = f"Deployments that use what {listed(lost)} gives will fail: nothing else on the role gives it."
    return [Finding("RM05", "medium", message, "Make sure that no deployment uses it.", "going")]


def _going(base: State) -> list[PolicyState]:
    """The policies of this removal that the role holds now."""
    attached = base.role.attached if base.role else frozenset()
    return [policy for arn, policy in sorted(base.policies.items()) if policy and arn in attached]


def sentences(facts: RemovalFacts, base: State, target: Target) -> tuple[str, ...]:
    """Returns one sentence for each thing that goes, then what stays."""
    if target.clashes:
        return target.clashes
    said: list[str] = []
    if facts.whole and base.role is not None:
        said.append(f"Deletes the role {facts.role_name} in {facts.account.name} ({facts.account.number}).")
        said += [f"No longer: {sentence}" for sentence in wording.sentences(base.role.trust)]
        others = [arn.rsplit("/", 1)[-1] for arn in sorted(base.role.attached - base.policies.keys())]
        said += [f"Detaches {name}; the policy itself stays in AWS." for name in others]
        said += [f"Deletes the inline policy {name}." for name in sorted(base.role.inline)]
    for arn, policy in sorted(base.policies.items()):
        if policy is not None:
            said += _policy_sentences(policy, stays=target.state.policies.get(arn) is not None)
    if not facts.whole and target.state.role is not None:
        said.append(f"The role {facts.role_name} stays with its trust, its tags and its other policies.")
    return tuple(said) or ("Changes nothing: AWS has none of it any more.",)


def _policy_sentences(policy: PolicyState, *, stays: bool) -> list[str]:
    start = (
        f"Detaches the policy {policy.name}, which others use too and which stays"
        if stays
        else (f"Deletes the policy {policy.name}")
    )
    names = [arns.role_name_of(arn) for arn in granted_roles(policy.document) or ()]
    if not names:
        return [f"{start}."]
    return [f"{start}: by it, CodeDeploy could hand {listed(names)} to ECS tasks."]
