"""The form for a CodeDeploy service role (UX.md P3). The published fields alone make a complete request."""

from __future__ import annotations

from typing import Any

from django import forms

from iamroles.blueprints import FieldProblem, answers, named, role_answers
from iamroles.blueprints.facts import (
    DEFAULT_ROLE_NAME,
    ROLE,
    AccountFacts,
    Facts,
    RoleFacts,
    default_policy_description,
    default_policy_name,
    default_uses_policy_name,
)
from iamroles.web.forms.base import PassingForm
from iamroles.web.forms.deployments import DeploymentFields
from iamroles.web.forms.widgets import name_input, name_lines

_PERMISSIONS = ("limited", "full", "scoped")


class RoleForm(DeploymentFields, PassingForm):
    """A CodeDeploy service role with the grants and statements that its policy lacks (UX.md P3)."""

    kind = ROLE
    field_order = (
        "team",
        "account",
        "role_name",
        "managed_policy",
        "why_full",
        "execution_roles",
        "task_roles",
        "uses_services",
        "services",
        "listeners",
        "uses_hooks",
        "hooks",
        "uses_topics",
        "topics",
        "uses_bundles",
        "bundles",
        "bundles_tagged",
        "region",
        "reason",
    )

    managed_policy = forms.CharField(label="Permissions", required=False, widget=forms.RadioSelect)
    why_full = forms.CharField(
        label="Why is Limited not enough?",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "short"}),
        help_text="What it does not cover. Approvers see it beside the finding.",
    )
    policy_name = forms.CharField(label="PassRole policy name", required=False, widget=name_input())
    policy_description = forms.CharField(
        label="Its description", required=False, help_text="IAM never lets a policy's description be changed."
    )
    uses_policy_name = forms.CharField(
        label="Policy name for services, hooks, topics and files",
        required=False,
        widget=name_input(),
        help_text="Made only where the chosen policy does not cover them.",
    )
    description = forms.CharField(label="Description of the role", required=False)
    tags = forms.CharField(
        label="Tags", required=False, widget=name_lines(rows=2), help_text="One key=value a line, for the role."
    )
    cloudformation = forms.BooleanField(
        label="Blue/green deployments come from CloudFormation",
        required=False,
        help_text="CodeDeploy then acts for the stack: a deployment group in the trust policy would stop every one.",
    )
    sources = forms.CharField(
        label="Only these deployment groups or stacks may use the role",
        required=False,
        widget=name_lines(rows=2),
        help_text=(
            "One application/group, or with CloudFormation one stack name, a line, in the AWS Region above; or ARNs. "
            "Empty: every deployment of this AWS account (aws:SourceAccount)."
        ),
    )
    plain_trust = forms.BooleanField(
        label="Use the AWS guide's plain trust policy",
        required=False,
        help_text=(
            "Without it, only deployments of this AWS account may use the role (aws:SourceAccount). "
            "The plain form is a finding of medium risk."
        ),
    )
    max_session = forms.CharField(
        label="Longest role session in seconds",
        required=False,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text="3600 to 43200. Empty: 3600 for a new role, an existing one keeps its own.",
    )

    def __init__(self, data: Any = None, **arguments: Any) -> None:
        if data is not None and data.get("managed_policy") == "full" and "why_full" not in data:
            # A POST of the published fields alone: its reason says why Full is asked for.
            data = {**{name: data.get(name) for name in data}, "why_full": data.get("reason", "")}
        super().__init__(data, **arguments)
        for name in ("why_full", "services", "listeners", "hooks", "topics", "bundles"):
            self.fields[name].needed = True  # type: ignore[attr-defined]  # once its box is open
        self.fields["managed_policy"].widget.choices = [(one, one.capitalize()) for one in _PERMISSIONS]

    def clean_managed_policy(self) -> str:
        chosen = str(self.cleaned_data["managed_policy"]) or "limited"
        if chosen not in _PERMISSIONS:
            raise forms.ValidationError("Choose Limited, Full or Scoped.")
        return chosen

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        execution, task, problems = self._roles(account)
        tags, tag_problems = answers.read_tags(self._text("tags"))
        chosen: Any = self._text("managed_policy") or "limited"
        uses, use_problems = self.named_uses(account, scoped=chosen == "scoped")
        longest, session_problems = role_answers.read_seconds(self._text("max_session"))
        sources, source_problems = self._sources(account)
        role_name = self._text("role_name") or DEFAULT_ROLE_NAME
        facts = RoleFacts(
            account=account,
            team=self._text("team"),
            role_name=role_name,
            managed_policy=chosen,
            execution_roles=execution,
            task_roles=task,
            description=self._text("description"),
            tags=tags,
            policy_name=self._text("policy_name") or default_policy_name(role_name),
            policy_description=self._text("policy_description") or default_policy_description(role_name),
            hardened=not self.cleaned_data.get("plain_trust"),
            uses_policy_name=self._text("uses_policy_name") or default_uses_policy_name(role_name),
            sources=sources,
            cloudformation=bool(self.cleaned_data.get("cloudformation")),
            max_session=longest,
            why_full=self._text("why_full") if chosen == "full" else "",
            **uses,
        )
        problems += [*tag_problems, *use_problems, *session_problems, *source_problems]
        if self.with_reason:
            problems += role_answers.checked_why_full(facts)
        return facts, problems

    def _sources(self, account: AccountFacts) -> tuple[tuple[str, ...], tuple[FieldProblem, ...]]:
        thing = named.STACK if self.cleaned_data.get("cloudformation") else named.GROUP
        region, _ = named.read_region(self._text("region"))
        return named.read_named(self._text("sources"), thing, account, region, "sources")
