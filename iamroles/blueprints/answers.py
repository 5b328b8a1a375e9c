"""From a form's texts to facts, and every problem of facts with its field and a sentence for the person.

Domain rules live here and in `iam.limits`, not in the web forms: a command or a message meets the same ones.
"""

from __future__ import annotations

import re

from iamroles.blueprints import deployer_answers, role_answers
from iamroles.blueprints.facts import (
    AccountFacts,
    DeployerFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    PassingFacts,
    RemovalFacts,
    RoleFacts,
    passed_roles,
)
from iamroles.blueprints.problems import PORTAL_ROLE, FieldProblem, at, tidy
from iamroles.iam import arns, limits
from iamroles.iam.phrases import listed

_LINES_AT_MOST = 60  # PassRole ARNs that surely fit a managed policy of 6,144 characters (AWS.md 2.4)


def read_roles(
    text: str, account: AccountFacts, field: str, path: str = "/"
) -> tuple[tuple[str, ...], tuple[FieldProblem, ...]]:
    """Returns the ARNs of the roles named one a line (names or ARNs), and the problems found.

    A bare name gets the path "/": a role with a path must be given as an ARN or as path/name.
    """
    found: list[str] = []
    problems: list[FieldProblem] = []
    for line in filter(None, map(tidy, text.splitlines())):
        placeholder = limits.check_placeholders(line)
        if placeholder:
            problems.extend(FieldProblem(field, p.id, p.message) for p in placeholder)
        elif "*" in line or "?" in line:
            problems.append(
                FieldProblem(
                    field,
                    "PR01",
                    f"{line}: name each role. A grant for every role lets a deployment run with any role in the "
                    "AWS account.",
                )
            )
        elif line.startswith("arn:"):
            problems.extend(
                FieldProblem(field, p.id, p.message)
                for p in limits.check_role_arn_in(line, account.partition, account.number)
            )
            found.append(line)
        else:
            name = line.rsplit("/", 1)[-1]
            folder = "/" + line.strip("/").rsplit("/", 1)[0] + "/" if "/" in line.strip("/") else path
            problems.extend(FieldProblem(field, p.id, p.message) for p in limits.check_role_name(name))
            found.append(arns.role_arn(account.partition, account.number, name, folder))
    if len(found) > _LINES_AT_MOST:
        problems.append(
            FieldProblem(field, "VA05", f"{len(found)} roles do not fit one policy. Name at most {_LINES_AT_MOST}.")
        )
    return tuple(dict.fromkeys(found)), tuple(problems)


def read_tags(text: str) -> tuple[dict[str, str], tuple[FieldProblem, ...]]:
    """Returns the tags given one `key=value` a line, and the problems found, duplicates ignoring case included."""
    pairs: list[tuple[str, str]] = []
    problems: list[FieldProblem] = []
    for line in filter(None, (part.strip() for part in text.splitlines())):
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            problems.append(FieldProblem("tags", "VA04", f"{line}: write each tag as key=value, one a line."))
        else:
            pairs.append((key.strip(), value.strip()))
    problems.extend(FieldProblem("tags", p.id, p.message) for p in limits.check_tags(pairs))
    return dict(pairs), tuple(problems)


def read_one_role(text: str, account: AccountFacts, field: str, path: str) -> tuple[str, tuple[FieldProblem, ...]]:
    """Returns the ARN of the one role that is named; a bare name gets the path.

    With problems it may be a stand-in, so that the other answers can still be judged.
    """
    found, problems = read_roles(text, account, field, path)
    if len(found) > 1:
        problems = (*problems, FieldProblem(field, "VA01", "Name one role."))
    return (found[0] if found else _stand_in(account, field)), problems


def _stand_in(account: AccountFacts, field: str) -> str:
    return arns.role_arn(account.partition, account.number, f"no.{field}")


def read_holder(text: str, account: AccountFacts) -> tuple[str, tuple[FieldProblem, ...]]:
    """Returns the ARN of the role that will hold a deployer policy; a user, group or session is refused."""
    line, stand_in = tidy(text), _stand_in(account, "role_name")
    kind = line.split(":", 5)[-1].split("/", 1)[0].lower() if ":" in line or "/" in line else ""
    if kind in ("user", "group", "root"):
        message = "A deployer policy is for a role or a permission set, never for a user or a group. Name the role."
        return stand_in, (FieldProblem("role_name", "HOLDER", message),)
    if kind == "assumed-role":
        name = line.split("/")[1]
        return stand_in, (FieldProblem("role_name", "HOLDER", f"This is a session of {name}. Enter the role: {name}."),)
    if not line:
        message = "Name the role of your team, or of its permission set, that will hold the policy."
        return stand_in, (FieldProblem("role_name", "EMPTY", message),)
    return read_one_role(line, account, "role_name", "/")


def check(facts: Facts) -> tuple[FieldProblem, ...]:
    """Returns every problem of the facts themselves; an empty tuple means that the documents can be made and sent."""
    if isinstance(facts, DeployerFacts):
        return deployer_answers.check(facts)
    if isinstance(facts, RemovalFacts) and facts.role_arn is None:
        return ()  # nothing of the role that holds it is touched
    problems = [
        *at("role_name", limits.check_placeholders(facts.role_name)),
        *at("role_name", limits.check_role_name(facts.role_name)),
        *at("role_name", limits.check_protected(facts.role_name, facts.account.role_path, extra=(PORTAL_ROLE,))),
    ]
    if isinstance(facts, PassingFacts):
        problems += _check_passing(facts)
    if isinstance(facts, RoleFacts):
        problems += role_answers.check(facts)
    if isinstance(facts, RoleFacts | InfrastructureFacts):
        problems += at("description", limits.check_role_description(facts.description))
        problems += _check_tags(facts)
    return tuple(dict.fromkeys(problems))


def _check_tags(facts: RoleFacts | InfrastructureFacts) -> list[FieldProblem]:
    account = facts.account
    given = {key.casefold() for key in facts.tags}
    missing = [key for key in account.required_tags if key.casefold() not in given]
    problems = list(at("tags", limits.check_tags(list(facts.tags.items()), allowed=account.tag_keys or None)))
    if missing:
        words = f"Roles in {account.name} must carry the tag{'s' if len(missing) > 1 else ''} {listed(missing)}."
        problems.append(FieldProblem("tags", "VA04", f"{words} Add each as key=value, one a line."))
    return problems


def _check_passing(facts: PassingFacts) -> list[FieldProblem]:
    account = facts.account
    problems = [
        *at("policy_name", limits.check_policy_name(facts.policy_name)),
        *at("policy_description", limits.check_policy_description(facts.policy_description)),
    ]
    for field in ("execution_roles", "task_roles"):
        for arn in getattr(facts, field):
            problems += at(field, limits.check_role_arn_in(arn, account.partition, account.number))
    if facts.role_arn in passed_roles(facts):
        problems.append(
            FieldProblem(
                "execution_roles",
                "TR01",
                f"{facts.role_name} is the role for CodeDeploy. Your tasks need their own role: name that one.",
            )
        )
    if isinstance(facts, GrantFacts) and not passed_roles(facts):
        problems.append(
            FieldProblem("execution_roles", "EMPTY", "Name at least one role that CodeDeploy must be able to pass.")
        )
    return problems


def checked_reason(text: str) -> tuple[FieldProblem, ...]:
    """Returns the problems of a request's reason: at least 10 characters, at most 2,000."""
    length = len(text.strip())
    if length < 10:
        return (FieldProblem("reason", "REASON", "Say in at least 10 characters what the role is for, with a ticket."),)
    if length > 2000:
        return (FieldProblem("reason", "REASON", f"A reason can have 2,000 characters. This one has {length:,}."),)
    return ()


def tidy_account_number(text: str) -> str:
    """Returns a 12-digit number out of `1111-2222-3333` or `1111 2222 3333`; other text comes back as it was."""
    bare = re.sub(r"[\s-]", "", text)
    return bare if re.fullmatch(r"[0-9]{12}", bare) else text.strip()


def tidy_role_name(text: str) -> str:
    """Returns the name out of a role's ARN, or the text without surrounding spaces and quotes."""
    line = tidy(text)
    if line.startswith("arn:") and ":role/" in line:
        return line.rsplit("/", 1)[-1]
    return line


def check_typed_role(text: str, account: AccountFacts) -> tuple[FieldProblem, ...]:
    """Returns the problems of a role given as an ARN where its name is asked for: it must be the role meant here."""
    line = tidy(text)
    if not line.startswith("arn:"):
        return ()
    problems = at("role_name", limits.check_role_arn_in(line, account.partition, account.number))
    if problems:
        return problems
    path = arns.split_role(line)[0]
    if path != account.role_path:
        where = f"In {account.name} such roles are at {account.role_path}; this one is at {path}."
        return (FieldProblem("role_name", "VA02", f"{where} Enter the name alone."),)
    return ()
