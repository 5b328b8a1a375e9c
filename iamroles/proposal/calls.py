"""One AWS call as a value: what the plan is made of, what a step journals, what the gateway is asked to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """`api` is IAM's own operation name, `resource` the ARN it changes, `arguments` IAM's own request parameters.

    Documents inside `arguments` are minified JSON text, exactly as sent.
    """

    api: str
    resource: str
    arguments: Mapping[str, Any]

    def as_mapping(self) -> dict[str, Any]:
        """Returns the JSON-able form that the plan digest is made of."""
        return {"api": self.api, "resource": self.resource, "arguments": dict(self.arguments)}

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> Call:
        """Returns the call that `as_mapping` wrote."""
        return cls(api=value["api"], resource=value["resource"], arguments=dict(value["arguments"]))
