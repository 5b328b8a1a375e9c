"""A state as Terraform text, for teams that keep a role in a repository of their own. The same state, the same text.

Every part of the state is written: role, own policies, attachments and inline policies. What exists already gets an
`import` block, so that the first plan of the repository changes nothing. The layout is that of `terraform fmt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from iamroles.blueprints import uses
from iamroles.blueprints.state import PolicyState, RoleState, State
from iamroles.iam import documents
from iamroles.iam.documents import Document

_CONTROL = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_SIGNS_BEFORE_BRACE = re.compile(r"([$%])(\1*)\{")
_UNPROVED = "# Not yet proved on AWS: try one deployment before you rely on this policy.\n"
_DEFAULT_SESSION = 3600  # seconds; what IAM and the provider take when nothing is said


@dataclass(frozen=True)
class _Raw:
    """An expression that is written as it is: a reference to another resource."""

    text: str


def quoted(text: str) -> str:
    """Returns the text as a quoted HCL string: `${` and `%{`, which policies use for variables, stay literal."""
    escaped = "".join(_CONTROL.get(c) or (c if ord(c) >= 0x20 else f"\\u{ord(c):04x}") for c in text)
    return '"' + _SIGNS_BEFORE_BRACE.sub(_literal_start, escaped) + '"'


def _literal_start(match: re.Match[str]) -> str:
    """Doubles the sign before a brace. Further signs before it are written by number: `$$${` has no agreed meaning."""
    sign, more = match[1], match[2]
    return f"\\u{ord(sign):04x}" * len(more) + sign * 2 + "{"


def render(target: State, existing: State | None = None) -> str:
    """Returns the text of a target; `existing` says which of its parts are there already and are to be imported.

    A role that is not there any more, or a policy alone that is not, leaves nothing that a repository could hold: "".
    """
    if target.role is None and target.role_arn is not None:
        return ""
    policies = {arn: policy for arn, policy in sorted(target.policies.items()) if policy is not None}
    labels = _labels(policies)
    blocks = _role_blocks(target.role, existing.role if existing else None) if target.role else []
    for arn, policy in policies.items():
        there = existing is not None and existing.policies.get(arn) is not None
        made = _with_import("aws_iam_policy", labels[arn], _policy(policy), arn if there else None)
        blocks += [_UNPROVED + made[0], *made[1:]] if uses.is_scoped(policy.document) else made
    if target.role:
        blocks += _part_blocks(target.role, existing.role if existing else None, labels)
    return "\n".join(blocks)


def _role_blocks(role: RoleState, before: RoleState | None) -> list[str]:
    return _with_import("aws_iam_role", _label(role), _role(role), role.name if before else None)


def _part_blocks(role: RoleState, before: RoleState | None, policies: Mapping[str, str]) -> list[str]:
    """Attachments and inline policies; `policies` are the labels of the policies that stand in the same text."""
    label, blocks = _label(role), []
    role_name = _Raw(f"aws_iam_role.{label}.name")
    for arn, name in _labels(sorted(role.attached), prefix=f"{label}_").items():
        reference = _Raw(f"aws_iam_policy.{policies[arn]}.arn") if arn in policies else arn
        known = f"{role.name}/{arn}" if before and arn in before.attached else None
        body = {"role": role_name, "policy_arn": reference}
        blocks += _with_import("aws_iam_role_policy_attachment", name, body, known)
    for inline, name in _labels(sorted(role.inline), prefix=f"{label}_").items():
        known = f"{role.name}:{inline}" if before and inline in before.inline else None
        text: dict[str, Any] = {"name": inline, "role": role_name, "policy": role.inline[inline]}
        blocks += _with_import("aws_iam_role_policy", name, text, known)
    return blocks


def _label(role: RoleState) -> str:
    return _labels([role.arn])[role.arn]


def hand_over(target: State, base: State) -> str:
    """Returns the text for a team that manages the role in a repository: what to delete there, then what it becomes."""
    gone = _gone(base, target)
    if not gone:
        return render(target, base)
    lines = ["Delete the blocks of these from the configuration. The plan must destroy exactly these:", *gone]
    return "\n".join(filter(None, ("".join(f"# {line}\n" for line in lines), render(target, base))))


def _gone(base: State, target: State) -> list[str]:
    """What exists and is not to exist afterwards, by the type of its block and the id that it is imported by."""
    before, after = base.role, target.role
    found: list[str] = []
    if before is not None:
        attached = before.attached - (after.attached if after else frozenset())
        inline = before.inline.keys() - (after.inline.keys() if after else set())
        found += [f"aws_iam_role {before.name}"] if after is None else []
        found += [f"aws_iam_role_policy_attachment {before.name}/{arn}" for arn in sorted(attached)]
        found += [f"aws_iam_role_policy {before.name}:{name}" for name in sorted(inline)]
    policies = sorted(arn for arn, policy in base.policies.items() if policy and target.policies.get(arn) is None)
    return found + [f"aws_iam_policy {arn}" for arn in policies]


def _role(role: RoleState) -> dict[str, Any]:
    return {
        "name": role.name,
        "path": role.path,
        **({"description": role.description} if role.description else {}),
        **({"permissions_boundary": role.boundary} if role.boundary else {}),
        **({"max_session_duration": role.max_session} if role.max_session != _DEFAULT_SESSION else {}),
        "assume_role_policy": role.trust,
        **({"tags": dict(sorted(role.tags.items()))} if role.tags else {}),
    }


def _policy(policy: PolicyState) -> dict[str, Any]:
    return {
        "name": policy.name,
        "path": policy.path,
        **({"description": policy.description} if policy.description else {}),
        "policy": policy.document,
    }


def _labels(names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """Returns a resource label for each name or ARN: its last part; where two would be the same, they are numbered."""
    found: dict[str, str] = {}
    for name in names:
        plain = prefix + re.sub(r"[^A-Za-z0-9_-]", "_", name.rsplit("/", 1)[-1])
        plain = plain if _IDENTIFIER.fullmatch(plain) else f"_{plain}"
        label, number = plain, 1
        while label in found.values():
            number += 1
            label = f"{plain}_{number}"
        found[name] = label
    return found


def _with_import(kind: str, label: str, body: Mapping[str, Any], known_id: str | None) -> list[str]:
    blocks = []
    if known_id is not None:
        blocks.append(_block("import", {"to": _Raw(f"{kind}.{label}"), "id": known_id}))
    return [*blocks, _block(f'resource "{kind}" "{label}"', body)]


def _block(head: str, body: Mapping[str, Any]) -> str:
    return f"{head} {{\n{_attributes(body, 1)}}}\n"


def _attributes(body: Mapping[str, Any], depth: int) -> str:
    """Attributes one below another: the `=` of neighbours on one line each stand in one column."""
    pad = "  " * depth
    lines: list[str] = []
    group: list[tuple[str, str]] = []

    def close() -> None:
        width = max((len(name) for name, _ in group), default=0)
        lines.extend(f"{pad}{name:<{width}} = {value}\n" for name, value in group)
        group.clear()

    for key, value in body.items():
        name, text = key if _IDENTIFIER.fullmatch(key) else quoted(key), _value(value, depth)
        if "\n" in text:
            close()
            lines.append(f"{pad}{name} = {text}\n")
        else:
            group.append((name, text))
    close()
    return "".join(lines)


def _value(value: Any, depth: int) -> str:
    if isinstance(value, _Raw):
        return value.text
    if isinstance(value, Document):
        return f"jsonencode({_value(json.loads(documents.pretty(value)), depth)})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return f"{{\n{_attributes(value, depth + 1)}{'  ' * depth}}}" if value else "{}"
    return _list(list(value), depth)


def _list(values: list[Any], depth: int) -> str:
    if not values:
        return "[]"
    pad = "  " * (depth + 1)
    inner = "".join(f"{pad}{_value(value, depth + 1)},\n" for value in values)
    return f"[\n{inner}{'  ' * depth}]"
