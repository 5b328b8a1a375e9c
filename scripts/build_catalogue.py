"""Builds the files of `iamroles/iam/data/` from supplied exports: the same export, the same bytes; nothing is fetched.

`--policies` is one JSON object: policy name -> {"Path", "DefaultVersionId", "UpdateDate", "Document"}, as `aws iam
get-policy` and `get-policy-version` answer. `--reference` is one: service prefix -> the service's file of the AWS
Service Authorization Reference. It renews access levels and kinds of condition keys; selection and words are our own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from iamroles.iam import documents

NAMES = (
    "AWSCodeDeployRoleForECS",
    "AWSCodeDeployRoleForECSLimited",
    "AmazonECSTaskExecutionRolePolicy",
    "AmazonECSInfrastructureRolePolicyForLoadBalancers",
)
DATA = Path(__file__).parent.parent / "iamroles" / "iam" / "data"
POLICIES = DATA / "managed_policies.json"
ACTIONS = DATA / "actions.json"
# The reference marks an action with the first of these that holds; one without a mark reads.
_LEVELS = (
    ("IsPermissionManagement", "Permissions management"),
    ("IsTaggingOnly", "Tagging"),
    ("IsList", "List"),
    ("IsWrite", "Write"),
)


class Unknown(Exception):
    """The reference does not have an action that the catalogue carries; the message names it."""


def build_policies(export: Mapping[str, Any], read_on: str) -> str:
    """Returns the text of the managed policies. Raises KeyError for a missing one, `DocumentError` for a malformed."""
    policies = {}
    for name in NAMES:
        one = export[name]
        document = documents.parse(one["Document"])
        policies[name] = {
            "path": one["Path"],
            "version": one["DefaultVersionId"],
            "date": one["UpdateDate"][:10],
            "sha256": documents.digest(document),
            "document": one["Document"],
        }
    head = {
        "source": "AWS managed policies as answered by IAM GetPolicy and GetPolicyVersion; the CodeDeploy policies "
        "equal the Amazon ECS CodeDeploy IAM role guide",
        "licence": "Policy documents published by Amazon Web Services; facts, reproduced for comparison",
        "read_on": read_on,
    }
    return json.dumps({"about": head, "policies": policies}, indent=1) + "\n"


def build_actions(stored: Mapping[str, Any], reference: Mapping[str, Any], read_on: str) -> str:
    """Returns the text of the actions: those stored, with levels and key kinds as the reference has them.

    Services that the reference lacks, and the keys that all services share, stay as they are. Raises `Unknown`.
    """
    about = {**stored["about"], "date": read_on}
    actions = {name: {**one, "level": _level(name, one, reference)} for name, one in stored["actions"].items()}
    kinds = {
        kind: _of_kind(stored[kind], stored["keys"], reference, begins)
        for kind, begins in (("list_keys", "ArrayOf"), ("arn_keys", "ARN"))
    }
    return _text({**stored, "about": about, "actions": actions, **kinds})


def _level(name: str, stored: Mapping[str, str], reference: Mapping[str, Any]) -> str:
    service, _, action = name.partition(":")
    if service not in reference:
        return stored["level"]
    for one in reference[service]["Actions"]:
        if one["Name"] == action:
            marks = one["Annotations"]["Properties"]
            return next((level for mark, level in _LEVELS if marks.get(mark)), "Read")
    raise Unknown(f"The reference of {service} has no action {action}. Rename it or take it out of {ACTIONS.name}.")


def _of_kind(
    stored: Iterable[str], keys: Mapping[str, list[str]], reference: Mapping[str, Any], begins: str
) -> list[str]:
    """The keys of one kind: those stored of services without a reference, and what the others' references say."""
    kept = [key for key in stored if key.partition(":")[0] not in reference]
    for service, names in keys.items():
        types = {one["Name"]: one["Types"] for one in reference.get(service, {}).get("ConditionKeys", ())}
        found = (f"{service}:{name}" for name in names)
        kept += [key for key in found if any(kind.startswith(begins) for kind in types.get(key, ()))]
    return kept


def _text(value: Mapping[str, Any]) -> str:
    """The file's text: an action, a service or the keys of one a line, so that a change shows as one line."""
    blocks = []
    for name, part in value.items():
        if isinstance(part, dict):
            lines = ",\n".join(f"  {_line(key)}: {_line(one)}" for key, one in part.items())
            blocks.append(f" {_line(name)}: {{\n{lines}\n }}")
        else:
            blocks.append(f" {_line(name)}: {_line(part)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Reads the arguments and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=Path, help="the export of the managed policies")
    parser.add_argument("--reference", type=Path, help="the export of the Service Authorization Reference")
    parser.add_argument("--read-on", required=True, help="the day of the export, YYYY-MM-DD")
    given = parser.parse_args()
    if given.policies:
        POLICIES.write_text(build_policies(json.loads(given.policies.read_text()), given.read_on))
    if given.reference:
        reference = json.loads(given.reference.read_text())
        ACTIONS.write_text(build_actions(json.loads(ACTIONS.read_text()), reference, given.read_on))


if __name__ == "__main__":
    main()
