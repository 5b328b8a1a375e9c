"""The audit trail: the only writer and reader of events.

Verbs call `record` inside their transaction; pages call `find`, `get`, `neighbours` and `status`. How events are
hashed, sealed and verified is described in docs/audit-format.md.
"""

from iamroles.audit.disclose import Commitment, NothingDisclosed, commit, disclose, disclosed_of, erase
from iamroles.audit.find import (
    EventFilter,
    agents_of_sign_ins,
    auto_approved,
    correlation_of,
    ended_approvals,
    events_matching,
    find,
    get,
    neighbours,
    places_of,
    seq_of,
    status,
    was_answered,
)
from iamroles.audit.lag import halted_because, is_halted, lateness
from iamroles.audit.prove import NotSealed, prove
from iamroles.audit.record import record
from iamroles.audit.restore import Loss, declare, undeclared
from iamroles.audit.values import Actor, AwsCall, Change, Subject

__all__ = [
    "Actor",
    "AwsCall",
    "Change",
    "Commitment",
    "EventFilter",
    "Loss",
    "NotSealed",
    "NothingDisclosed",
    "Subject",
    "agents_of_sign_ins",
    "auto_approved",
    "commit",
    "correlation_of",
    "declare",
    "disclose",
    "disclosed_of",
    "ended_approvals",
    "erase",
    "events_matching",
    "find",
    "get",
    "halted_because",
    "is_halted",
    "lateness",
    "neighbours",
    "places_of",
    "prove",
    "record",
    "seq_of",
    "status",
    "undeclared",
    "was_answered",
]
