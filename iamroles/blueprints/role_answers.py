"""Problems of a role's facts beyond the guide's: what deployments use, Scoped, the trust's sources, the session."""

from __future__ import annotations

from iamroles.blueprints import named, uses
from iamroles.blueprints.facts import SESSION_SECONDS, Facts, RoleFacts, passed_roles
from iamroles.blueprints.grants import grant_document
from iamroles.blueprints.problems import FieldProblem, at
from iamroles.iam import limits, trust


def check(facts: RoleFacts) -> tuple[FieldProblem, ...]:
    """Returns the problems, each at its field."""
    return (*_named(facts), *_needed(facts), *_policy(facts), *_trust(facts), *_session(facts))


def read_seconds(text: str) -> tuple[int | None, tuple[FieldProblem, ...]]:
    """Returns the longest session in seconds or None for an empty text, and a problem when it is no whole number."""
    if not text:
        return None, ()
    if text.isascii() and text.isdigit() and len(text) <= 6:
        return int(text), ()
    return None, (FieldProblem("max_session", "VA00", f"{text[:40]} is no number of seconds, such as 3600."),)


def checked_why_full(facts: Facts) -> tuple[FieldProblem, ...]:
    """Returns a problem when Full is asked for without a word on why Limited is not enough (UX.md P3)."""
    if not isinstance(facts, RoleFacts) or facts.managed_policy != "full" or len(facts.why_full.strip()) >= 10:
        return ()
    message = "Say in at least 10 characters why Limited is not enough: what it does not cover."
    return (FieldProblem("why_full", "REASON", message),)


def _named(facts: RoleFacts) -> list[FieldProblem]:
    """ARNs that facts hold are judged again: facts may come from a command."""
    things = {
        "services": (named.ECS_SERVICE, facts.services),
        "listeners": (named.LISTENER, (*facts.listeners, *facts.target_groups)),
        "hooks": (named.FUNCTION, facts.hooks),
        "topics": (named.TOPIC, facts.topics),
        "sources": (named.STACK if facts.cloudformation else named.GROUP, facts.sources),
    }
    found = [
        problem
        for field, (thing, listed) in things.items()
        for arn in listed
        for problem in named.check_arn(arn, thing, facts.account, field)
    ]
    return [*found, *(p for arn in facts.bundles for p in named.read_bundles(arn, facts.account)[1])]


def _needed(facts: RoleFacts) -> list[FieldProblem]:
    if facts.managed_policy != "scoped":
        return []
    found = []
    if not facts.services:
        message = "Scoped is for named services. Enter each as cluster/service."
        found.append(FieldProblem("services", "EMPTY", message))
    if not any(":listener" in arn for arn in facts.listeners):
        message = "Scoped is for named listeners. Enter the ARN of the production listener, and of the test listener."
        found.append(FieldProblem("listeners", "EMPTY", message))
    return found


def _policy(facts: RoleFacts) -> list[FieldProblem]:
    pieces = uses.scoped_pieces(facts) if facts.managed_policy == "scoped" else uses.asked_pieces(facts)
    if not pieces:
        return []
    found = list(at("uses_policy_name", limits.check_policy_name(facts.uses_policy_name)))
    if facts.uses_policy_name.lower() == facts.policy_name.lower() and passed_roles(facts):
        message = f"{facts.policy_name} is the PassRole policy's name already. IAM takes each name once."
        found.append(FieldProblem("uses_policy_name", "VA07", message))
    largest = max(("services", "listeners", "hooks", "topics", "bundles"), key=lambda name: len(getattr(facts, name)))
    found += at(largest, limits.check_document_size(uses.document(pieces)))
    if passed_roles(facts):
        found += at("execution_roles", limits.check_document_size(grant_document(passed_roles(facts))))
    return found


def _trust(facts: RoleFacts) -> list[FieldProblem]:
    if not facts.sources:
        return []
    if not facts.hardened:
        message = "The plain form asks for no source. Leave it unticked, or name no deployment group or stack."
        return [FieldProblem("plain_trust", "TR03", message)]
    document = trust.codedeploy_trust(facts.account.number, source_arn=facts.sources)
    return list(at("sources", limits.check_document_size(document, "trust")))


def _session(facts: RoleFacts) -> list[FieldProblem]:
    shortest, longest = SESSION_SECONDS
    if facts.max_session is None or shortest <= facts.max_session <= longest:
        return []
    message = f"The longest session is {shortest:,} to {longest:,} seconds (1 to 12 hours)."
    return [FieldProblem("max_session", "VA00", message)]
