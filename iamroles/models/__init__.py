"""The rows. Nothing here knows AWS, pages or verbs."""

from iamroles.models.aws_accounts import AccountRule, AwsAccount, KillSwitch
from iamroles.models.changes import ProposedChange
from iamroles.models.events import (
    AuditCheckpoint,
    AuditDisclosure,
    AuditEvent,
    AuditLeaf,
    AuditPending,
    AuditReceipt,
)
from iamroles.models.exports import ExportJob, ExportPart, VerificationOrder
from iamroles.models.inventory import ManagedPolicy, ManagedRole, ObservationOrder
from iamroles.models.looks import AccountLook
from iamroles.models.notices import Notice
from iamroles.models.people import CacheEntry, GroupMembership, Membership, ProviderGroup, ProviderWord, Team, User
from iamroles.models.requests import AskedGroup, Proposal, Request, Revision
from iamroles.models.reviews import Decision, Submission
from iamroles.models.rules import ApprovalRules, current_rules, rules_of
from iamroles.models.runs import Lease, Resolution, Run, Step, Tally, tally

__all__ = [
    "AccountLook",
    "AccountRule",
    "ApprovalRules",
    "AskedGroup",
    "AuditCheckpoint",
    "AuditDisclosure",
    "AuditEvent",
    "AuditLeaf",
    "AuditPending",
    "AuditReceipt",
    "AwsAccount",
    "CacheEntry",
    "Decision",
    "ExportJob",
    "ExportPart",
    "GroupMembership",
    "KillSwitch",
    "Lease",
    "ManagedPolicy",
    "ManagedRole",
    "Membership",
    "Notice",
    "ObservationOrder",
    "Proposal",
    "ProposedChange",
    "ProviderGroup",
    "ProviderWord",
    "Request",
    "Resolution",
    "Revision",
    "Run",
    "Step",
    "Submission",
    "Tally",
    "Team",
    "User",
    "VerificationOrder",
    "current_rules",
    "rules_of",
    "tally",
]
