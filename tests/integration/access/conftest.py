"""The same small organisation as the verbs' tests."""

from tests.integration.workflow.conftest import (
    account,
    approver,
    facts,
    in_review,
    keys,
    outsider,
    person,
    requester,
    security,
)

__all__ = ["account", "approver", "facts", "in_review", "keys", "outsider", "person", "requester", "security"]
