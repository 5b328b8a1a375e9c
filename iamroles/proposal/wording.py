"""The sentences of a proposal: what the change does, in words a reviewer reads first. Documents are worded by `iam`."""

from __future__ import annotations

from collections.abc import Sequence

from iamroles.blueprints import uses
from iamroles.blueprints.facts import (
    INFRASTRUCTURE,
    DeployerFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    RemovalFacts,
    RoleFacts,
    passed_services,
    service_of,
)
from iamroles.blueprints.grants import granted_roles
from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import arns, catalogue, documents, wording
from iamroles.iam.phrases import services, short_name
from iamroles.proposal.lay_over import Target
from iamroles.rules.tool_tags import Owner

_LABELS = {
    "AWSCodeDeployRoleForECSLimited": "Limited (AWSCodeDeployRoleForECSLimited)",
    "AWSCodeDeployRoleForECS": "Full (AWSCodeDeployRoleForECS)",
}
_USES = {
    uses.SERVICE: "replace tasks and move traffic of {names} and of no other ECS service",
    uses.LISTENER: "change the load balancer listener{s} {names}",
    uses.RULE: "change the load balancer rules {names}",
    uses.HOOK: "call the Lambda function{s} {names}",
    uses.TOPIC: "publish to the SNS topic{s} {names}",
    uses.BUNDLE: "read {names} in S3",
    uses.TAGGED_BUNDLE: "read {names} in S3 if tagged UseWithCodeDeploy = true",
}
_HEADS = ("service/", "listener/", "listener-rule/")  # said by the sentence already


def policy_label(arn: str) -> str:
    """Returns our word beside AWS's name for a managed policy ARN."""
    name = arn.rsplit("/", 1)[-1]
    return _LABELS.get(name, name)


def standard_name(kind: str, *, own: bool = False) -> str:
    """Returns what the folded findings of a request of this kind come with; `own`: a standard was set."""
    if own:
        return "the standard of this AWS account"
    return "the infrastructure role as AWS documents it" if kind == INFRASTRUCTURE else "AWS’s Limited policy"


def short_title(facts: Facts) -> str:
    """Returns the one-line name of a request before anybody has looked at AWS."""
    where = facts.account.name
    if isinstance(facts, GrantFacts):
        return f"PassRole grant for {facts.role_name} in {where}"
    if isinstance(facts, DeployerFacts):
        return f"{facts.scope.capitalize()} deployer policy {facts.policy_name} for {facts.role_name} in {where}"
    if isinstance(facts, RemovalFacts):
        names = [arn.rsplit("/", 1)[-1] for arn in facts.policies]
        if facts.role_arn is None:
            return f"Remove deployer policy {listed(names)} of {facts.role_name} in {where}"
        return f"Remove {'role ' if facts.whole else f'{listed(names)} of '}{facts.role_name} in {where}"
    if isinstance(facts, InfrastructureFacts):
        return f"Infrastructure role {facts.role_name} in {where}"
    return f"{facts.managed_policy.capitalize()} role {facts.role_name} in {where}"


def title(facts: Facts, base: State, *, adopts: bool) -> str:
    """Returns the one-line name of a request once the base is known."""
    if base.role is None or not isinstance(facts, RoleFacts | InfrastructureFacts):
        return short_title(facts)
    return f"{'Adopt' if adopts else 'Repair'} role {facts.role_name} in {facts.account.name}"


def change_sentences(facts: Facts, base: State, target: Target) -> tuple[str, ...]:
    """Returns one sentence for each thing that will be different afterwards, then one for what is kept."""
    if isinstance(facts, DeployerFacts):
        return _deployer(facts, base, target)
    role = target.state.role
    if role is None:
        return target.clashes
    sentences: list[str] = list(target.clashes)
    if base.role is None:
        sentences.append(f"Creates the role {role.name} in {facts.account.name} ({facts.account.number}).")
        sentences += wording.sentences(role.trust)
    else:
        sentences += _trust_change(base.role, role)
    before = base.role.attached if base.role else frozenset()
    for arn in sorted(role.attached - before):
        if arn not in target.state.policies:
            sentences.append(f"Attaches {policy_label(arn)}.")
    for arn, policy in sorted(target.state.policies.items()):
        if policy is not None:
            live = base.policies.get(arn) if arn in before else None
            sentences += _grant_change(live, policy) + _uses_change(live, policy)
    if base.role:
        sentences += _small_changes(base.role, role)
    sentences += _kept(target, catalogue.service_words(service_of(facts)))
    return tuple(sentences) or ("Changes nothing: AWS reads as asked.",)


def _deployer(facts: DeployerFacts, base: State, target: Target) -> tuple[str, ...]:
    if target.clashes:
        return target.clashes
    said: list[str] = []
    for arn, policy in sorted(target.state.policies.items()):
        if policy is not None and base.policies.get(arn) is None:
            where = f"{facts.account.name} ({facts.account.number})"
            said.append(f"Creates the policy {policy.name} in {where}, for the role {facts.role_name} of {facts.team}.")
            said += deployer_sentences(facts, policy)
    return tuple(said) or ("Changes nothing: AWS reads as asked.",)


def deployer_sentences(facts: DeployerFacts, policy: PolicyState) -> tuple[str, ...]:
    """Returns what whoever holds the policy may do, and that attaching it is up to the team."""
    groups = f"its deployment group {facts.deployment_group}" if facts.deployment_group else "its deployment groups"
    what = f"deploy the application {facts.application} through {groups}"
    if facts.scope == "unscoped":
        what = "deploy, create and read every CodeDeploy application of the AWS account"
    said = [f"Whoever holds it can {what}, and stop or continue any deployment of the AWS account."]
    said.append(f"They can create and change the ECS service {facts.service} of the cluster {facts.cluster}.")
    receivers: dict[str, list[str]] = {}
    for arn, service in passed_services(facts).items():
        receivers.setdefault(service, []).append(arns.role_name_of(arn))
    said += [
        f"They can hand {listed(names)} to {services([to])} and to no other service." for to, names in receivers.items()
    ]
    if len(receivers) > 1:
        said.append("They can register task definitions, so they decide what runs with those task roles.")
    return (*said, f"Nothing is attached: {facts.team} attaches {policy.name} to {facts.role_name} itself.")


def owner_sentences(owner: Owner | None) -> tuple[str, ...]:
    """Returns what another tool's management of the role means, before what its text changes."""
    if owner is None:
        return ()
    return (
        f"{owner.tool} manages this role (tag {owner.tag}): Roledesk calls nothing that changes it.",
        f"Once approved, {owner.tool}’s repository gets the text of what follows, and AWS is watched for it.",
    )


def _trust_change(live: RoleState, wanted: RoleState) -> list[str]:
    if documents.equal(live.trust, wanted.trust):
        return []
    return [
        f"Replaces the trust policy of {live.name}.",
        *(f"No longer: {sentence}" for sentence in wording.sentences(live.trust)),
        *(f"Now: {sentence}" for sentence in wording.sentences(wanted.trust)),
    ]


def _grant_change(live: PolicyState | None, wanted: PolicyState) -> list[str]:
    before = set(granted_roles(live.document) or ()) if live else set()
    names = [arns.role_name_of(arn) for arn in granted_roles(wanted.document) or () if arn not in before]
    if not names:
        return []
    sentence = f"CodeDeploy can now hand {listed(names)} to ECS tasks (ecs-tasks.amazonaws.com) and to no other service"
    return [f"{sentence}, by the policy {wanted.name}."]


def _uses_change(live: PolicyState | None, wanted: PolicyState) -> list[str]:
    """One sentence for each kind of thing that deployments newly reach, in its own names."""
    before = (uses.pieces_of(live.document) if live else None) or frozenset()
    new = (uses.pieces_of(wanted.document) or frozenset()) - before
    sentences = []
    for kind, words in _USES.items():
        names = sorted(_plain_name(arn) for one, arn in new if one == kind)
        if names:
            act = words.format(names=listed(names), s="s" if len(names) > 1 else "")
            sentences.append(f"CodeDeploy can now {act}, by the policy {wanted.name}.")
    if any(kind == uses.SERVICE for kind, _ in new):
        sentences.append(
            "It can also read every alarm, listener, rule and target group: AWS has no narrower right. "
            f"{wanted.name} is not yet proved on AWS."
        )
    return sentences


def _plain_name(arn: str) -> str:
    name = short_name(arn)
    return name.removeprefix(next((head for head in _HEADS if name.startswith(head)), ""))


def _small_changes(live: RoleState, wanted: RoleState) -> list[str]:
    changes = []
    if wanted.boundary != live.boundary:
        changes.append(f"Sets the permissions boundary to {wanted.boundary}.")
    if wanted.max_session != live.max_session:
        changes.append(f"Sets the longest session to {wanted.max_session // 60} minutes.")
    for key, value in sorted(wanted.tags.items()):
        if live.tags.get(key) != value:
            changes.append(f"Tags the role {key} = {value}.")
    return changes


def _kept(target: Target, service: str) -> list[str]:
    parts = [policy_label(kept.name) for kept in target.kept if kept.kind in ("attached", "inline")]
    sentences = [f"Keeps what others attached to the role: {listed(parts)}."] if parts else []
    if any(kept.kind == "trust" for kept in target.kept):
        sentences.append(f"Keeps the live trust policy: it is narrower than ours and still lets {service} in.")
    return sentences


def listed(names: Sequence[str]) -> str:
    """Returns the names as people list them: "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
