"""The rules that IAM enforces and simulators do not (POLICY.md part 7), each answering in a person's words.

Limits are data with their source beside them; what `GetAccountSummary` says at run time overrides the quotas. A check
never raises for bad input: it says what is wrong and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from iamroles.iam import documents
from iamroles.iam._characters import describe, first_beyond, look_alike, tag_character
from iamroles.iam.arns import ArnError, parse_arn, split_role
from iamroles.iam.documents import Document
from iamroles.iam.json_text import texts

# SDK model of IAM (botocore 1.44.5), AWS.md part 3.
ROLE_NAME_LENGTH = 64
POLICY_NAME_LENGTH = 128
PATH_LENGTH = 512
# API references of CodeDeploy and Amazon ECS.
CODEDEPLOY_NAME_LENGTH = 100
ECS_NAME_LENGTH = 255
DESCRIPTION_LENGTH = 1000
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256
TAGS = 50
ARN_LENGTH = (20, 2048)
# IAM quotas, fixed or defaults of 2023 (AWS.md part 3); read GetAccountSummary at run time.
MANAGED_POLICY_SIZE = 6144
INLINE_POLICIES_SIZE = 10240
TRUST_POLICY_SIZE = 2048
MANAGED_POLICIES_PER_ROLE = 10
VERSIONS_PER_POLICY = 5

PARTITIONS = frozenset({"aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"})

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_ROLE_PATH = re.compile(r"/|/[\x21-\x7E]+/")
_POLICY_PATH = re.compile(r"((/[A-Za-z0-9.,+@=_-]+)*)/", re.ASCII)
_ROLE_DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7E\xA1-\xFF]*")
_ECS_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_PLACEHOLDER = re.compile(
    r"<[A-Za-z0-9_ .:-]{1,80}>|(?<!\$)\{[A-Za-z0-9_ .-]{1,80}\}"
    r"|\b(?i:replace|change|fill)_?(?i:me)\b|\bYOUR[_-][A-Z0-9_-]+|\bX{4,}\b",
    re.ASCII,
)
# AWS.md part 1 "Refused always", compared without case.
_PROTECTED_PATHS = ("/aws-service-role/", "/aws-reserved/")
_PROTECTED_NAMES = (
    "awsreservedsso_*",
    "awsservicerolefor*",
    "organizationaccountaccessrole",
    "awscontroltower*",
    "stacksets-exec-*",
    "cdk-*",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: its VA id (POLICY.md part 7) and a sentence that says what is wrong and what to do.

    `look_alike` marks a character that passes for another one: somebody may be meant to misread it.
    """

    id: str
    message: str
    look_alike: bool = False


Problems = tuple[Problem, ...]


def check_role_name(value: str) -> Problems:
    """Returns what IAM would refuse in a role name (VA01, VA10)."""
    return _check_name(value, "Role name", ROLE_NAME_LENGTH)


def check_policy_name(value: str) -> Problems:
    """Returns what IAM would refuse in the name of a managed or inline policy (VA01, VA10)."""
    return _check_name(value, "Policy name", POLICY_NAME_LENGTH)


def _check_name(value: str, what: str, longest: int) -> Problems:
    if not value:
        return (Problem("VA01", f"{what} is missing. Enter one."),)
    problems = []
    if len(value) > longest:
        problems.append(Problem("VA01", f"{what} can have {longest} characters. This one has {len(value)}."))
    strange = first_beyond(value, 0x7E)
    if strange:
        alike = look_alike(strange)
        text = f"{what} holds {describe(strange)}{alike}. Type it again."
        problems.append(Problem("VA10", text, look_alike=bool(alike)))
    elif not _NAME.fullmatch(value):
        bad = next(sign for sign in value if not _NAME.fullmatch(sign))
        shown = "a space" if bad == " " else describe(bad)
        problems.append(Problem("VA01", f"{what} can have letters, digits and _+=,.@- only. This one holds {shown}."))
    return tuple(problems)


def check_codedeploy_name(value: str, what: str) -> Problems:
    """Returns what CodeDeploy would refuse in the name of an application or a deployment group: 1 to 100 characters."""
    return _check_name(value, what, CODEDEPLOY_NAME_LENGTH)


def check_ecs_name(value: str, what: str) -> Problems:
    """Returns what Amazon ECS would refuse in the name of a cluster or service: 1 to 255 letters, digits, `_`, `-`."""
    problems = _check_name(value, what, ECS_NAME_LENGTH)
    if problems or _ECS_NAME.fullmatch(value):
        return problems
    return (Problem("VA01", f"{what} can have letters, digits, underscores and hyphens. This is {value}."),)


def check_role_path(value: str) -> Problems:
    """Returns what IAM would refuse in a role path (VA02)."""
    return _check_path(value, "Role path", _ROLE_PATH, "printable ASCII without spaces")


def check_policy_path(value: str) -> Problems:
    """Returns what IAM would refuse in a policy path (VA02)."""
    return _check_path(value, "Policy path", _POLICY_PATH, "letters, digits and .,+@=_- between single slashes")


def _check_path(value: str, what: str, allowed: re.Pattern[str], words: str) -> Problems:
    if len(value) > PATH_LENGTH:
        return (Problem("VA02", f"{what} can have {PATH_LENGTH} characters. This one has {len(value)}."),)
    if not (value.startswith("/") and value.endswith("/")):
        return (Problem("VA02", f"{what} must begin and end with a slash. Enter /{value.strip('/')}/."),)
    if not allowed.fullmatch(value):
        return (Problem("VA02", f"{what} can hold {words} only. {value!r} does not fit."),)
    return ()


def check_role_description(value: str) -> Problems:
    """Returns what IAM would refuse in a role description (VA03)."""
    problems = list(_check_description(value))
    if not _ROLE_DESCRIPTION.fullmatch(value):
        bad = next(sign for sign in value if not _ROLE_DESCRIPTION.fullmatch(sign))
        problems.append(Problem("VA03", f"IAM does not take {describe(bad)} in a description. Remove it."))
    return tuple(problems)


def check_policy_description(value: str) -> Problems:
    """Returns what IAM would refuse in a managed policy's description, which can never be changed (VA03)."""
    return _check_description(value)


def _check_description(value: str) -> Problems:
    if len(value) > DESCRIPTION_LENGTH:
        return (
            Problem("VA03", f"A description can have {DESCRIPTION_LENGTH:,} characters. This one has {len(value):,}."),
        )
    return ()


def check_tags(
    tags: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    reserved: Iterable[str] = ("portal:", "aws:"),
    allowed: Iterable[str] | None = None,
    abac: Iterable[str] = (),
) -> Problems:
    """Returns what is wrong with requested tags (VA04).

    `reserved` are prefixes nobody may ask for, `allowed` the account's list of keys (None: any), `abac` the keys that
    give rights in the account. All are compared without case.
    """
    pairs = list(tags.items()) if isinstance(tags, Mapping) else list(tags)
    problems: list[Problem] = []
    if len(pairs) > TAGS:
        problems.append(Problem("VA04", f"A role can have {TAGS} tags. These are {len(pairs)}."))
    listed = None if allowed is None else {key.casefold() for key in allowed}
    rights = {key.casefold() for key in abac}
    seen: dict[str, str] = {}
    for key, value in pairs:
        problems += _check_tag(key, value)
        folded = key.casefold()
        if folded in seen:
            problems.append(
                Problem("VA04", f"The tag keys {seen[folded]} and {key} are the same for IAM. Keep one of them.")
            )
        seen.setdefault(folded, key)
        prefix = next((one for one in reserved if folded.startswith(one.casefold())), None)
        if prefix:
            problems.append(Problem("VA04", f"Tag keys that begin with {prefix} are reserved. Rename {key}."))
        elif listed is not None and folded not in listed:
            problems.append(Problem("VA04", f"This AWS account does not take the tag key {key}. Remove it."))
        if folded in rights:
            problems.append(
                Problem("VA04", f"The tag {key} gives rights in this AWS account. An owner must set it elsewhere.")
            )
    return tuple(problems)


def listed_keys(text: str) -> tuple[str, ...]:
    """Returns the tag keys of a list with commas or line ends, each as first written, in order, once ignoring case."""
    found: dict[str, str] = {}
    for key in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
        found.setdefault(key.casefold(), key)
    return tuple(sorted(found.values(), key=str.casefold))


def check_tag_keys(keys: Iterable[str]) -> Problems:
    """Returns what is wrong with a list of tag keys that an AWS account allows or demands (VA04)."""
    return check_tags([(key, "") for key in keys])


def _check_tag(key: str, value: str) -> list[Problem]:
    problems = []
    if not 1 <= len(key) <= TAG_KEY_LENGTH:
        problems.append(Problem("VA04", f"A tag key has 1 to {TAG_KEY_LENGTH} characters. This one has {len(key)}."))
    if len(value) > TAG_VALUE_LENGTH:
        problems.append(
            Problem("VA04", f"A tag value can have {TAG_VALUE_LENGTH} characters. That of {key} has {len(value)}.")
        )
    for text, extra, what in ((key, "", f"The tag key {key}"), (value, "*", f"The value of the tag {key}")):
        bad = next((sign for sign in text if not tag_character(sign, extra)), None)
        if bad is not None:
            problems.append(
                Problem("VA04", f"{what} holds {describe(bad)}. Tags take letters, digits, spaces and _.:/=+-@.")
            )
    return problems


def check_document_size(document: Document, kind: str = "managed") -> Problems:
    """Returns a problem when a document exceeds IAM's quota (VA05). `kind` is managed, inline or trust."""
    quota, what = {
        "managed": (MANAGED_POLICY_SIZE, "A managed policy"),
        "identity": (MANAGED_POLICY_SIZE, "A managed policy"),
        "inline": (INLINE_POLICIES_SIZE, "All inline policies of a role together"),
        "trust": (TRUST_POLICY_SIZE, "A trust policy"),
    }[kind]
    counted = documents.size(document)
    if counted <= quota:
        return ()
    return (Problem("VA05", f"{what} can have {quota:,} characters. This one has {counted:,}. Split or merge."),)


def check_document_characters(document: Document) -> Problems:
    """Returns a problem for each character that IAM does not take in a document (VA10), each once, with its place."""
    found: dict[str, Problem] = {}
    for at, text in texts(document.as_mapping()):
        for place, sign in enumerate(text, 1):
            if sign in found or sign in "\t\n\r" or "\x20" <= sign <= "\xff":
                continue
            alike = look_alike(sign)
            message = f"IAM does not take {describe(sign)}{alike} in a policy. Type character {place} of {at} again."
            found[sign] = Problem("VA10", message, look_alike=bool(alike))
    return tuple(found.values())


def check_placeholders(text: str) -> Problems:
    """Returns one problem for each placeholder left in a text (VA09), such as the guide's `<aws_account_id>`."""
    found = dict.fromkeys(match.group() for match in _PLACEHOLDER.finditer(text))
    return tuple(Problem("VA09", f"{one} is a placeholder. Put the real value in its place.") for one in found)


def check_role_arn_in(arn: str, partition: str, account: str) -> Problems:
    """Returns what is wrong with a role's ARN that must lie in one AWS account (VA01, VA02, VA08, VA09)."""
    placeholders = check_placeholders(arn)
    if placeholders:
        return placeholders
    if not ARN_LENGTH[0] <= len(arn) <= ARN_LENGTH[1]:
        return (Problem("VA08", f"An ARN has {ARN_LENGTH[0]} to {ARN_LENGTH[1]:,} characters. This has {len(arn)}."),)
    try:
        parsed = parse_arn(arn)
        path, name = split_role(arn)
    except ArnError as error:
        return (
            Problem("VA08", f"{str(error).rstrip('.')}. A role's ARN looks like arn:aws:iam::{account}:role/name."),
        )
    problems = []
    if parsed.partition not in PARTITIONS:
        problems.append(Problem("VA08", f"There is no AWS partition {parsed.partition!r}. Enter arn:{partition}:…"))
    elif parsed.partition != partition:
        problems.append(
            Problem("VA08", f"This role is in the partition {parsed.partition}. Enter a role of {partition}.")
        )
    if parsed.region:
        problems.append(Problem("VA08", f"IAM ARNs have no region. Remove {parsed.region!r}."))
    if not _ACCOUNT.fullmatch(parsed.account):
        problems.append(
            Problem("VA08", f"{parsed.account or 'Nothing'} stands where 12 digits of an AWS account belong.")
        )
    elif parsed.account != account:
        problems.append(Problem("VA08", f"This role is in AWS account {parsed.account}. Enter a role of {account}."))
    return (*problems, *check_role_path(path), *check_role_name(name))


def check_protected(role_name: str, path: str, portal_path: str = "/portal/", extra: Iterable[str] = ()) -> Problems:
    """Returns a problem when the role is one that nobody may change through the portal (AWS.md part 1).

    `extra` are further names, a trailing `*` meaning any ending. All is compared without case.
    """
    folded_path, folded_name = path.lower(), role_name.lower()
    for prefix in (*_PROTECTED_PATHS, portal_path.lower()):
        if folded_path.startswith(prefix):
            return (Problem("PROTECTED", f"Roles below {prefix} are never changed here. Enter another role."),)
    for pattern in (*_PROTECTED_NAMES, *(one.lower() for one in extra)):
        hit = folded_name.startswith(pattern[:-1]) if pattern.endswith("*") else folded_name == pattern
        if hit:
            return (
                Problem("PROTECTED", f"{role_name} belongs to AWS or to your organisation. It is never changed here."),
            )
    return ()
