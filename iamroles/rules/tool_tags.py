"""Which other tool manages a role, as the role's tags say. Which tags mean which tool is configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

USUAL: Final = (
    "CloudFormation/aws:cloudformation:stack-id,CloudFormation/aws:cloudformation:stack-name,"
    "Terraform/terraform=true,Terraform/managed-by=terraform,Terraform/managed_by=terraform,"
    "Terraform/managedby=terraform,Terraform/provisioner=terraform,Terraform/iac=terraform"
)


@dataclass(frozen=True)
class ToolTag:
    """A tag that means that `tool` manages what carries it; an empty `value` means any. Case does not matter."""

    tool: str
    key: str
    value: str = ""


@dataclass(frozen=True)
class Owner:
    """The tool that manages a role, and the tag that says so, as it stands on the role."""

    tool: str
    tag: str

    def as_mapping(self) -> dict[str, str]:
        """Returns the JSON-able form that a proposal stores."""
        return {"tool": self.tool, "tag": self.tag}


def read_tool_tags(text: str) -> tuple[ToolTag, ...]:
    """Returns the tags of a list like "Terraform/managed-by=terraform,CloudFormation/aws:cloudformation:stack-name".

    Raises ValueError for a part without tool or key.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        tool, _, tag = part.partition("/")
        key, _, value = tag.partition("=")
        if not tool.strip() or not key.strip():
            raise ValueError(f"{part!r} names no tool and tag. Write Tool/key or Tool/key=value.")
        found.append(ToolTag(tool.strip(), key.strip(), value.strip()))
    return tuple(found)


def owner_of(tags: Mapping[str, str], marks: Iterable[ToolTag]) -> Owner | None:
    """Returns the tool that manages a role with these tags, or None. The first of `marks` that fits decides."""
    for mark in marks:
        for key, value in sorted(tags.items()):
            fits = mark.value == "" or value.casefold() == mark.value.casefold()
            if key.casefold() == mark.key.casefold() and fits:
                return Owner(mark.tool, f"{key} = {value}" if value else key)
    return None
