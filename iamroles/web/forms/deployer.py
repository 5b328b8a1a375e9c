"""The form for a deployer policy (UX.md P3c): who deploys what, through which CodeDeploy role, with which tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms

from iamroles.blueprints import DeployerFacts, FieldProblem, answers
from iamroles.blueprints.facts import (
    DEFAULT_ROLE_NAME,
    DEPLOYER,
    AccountFacts,
    Facts,
    deployer_policy_description,
    deployer_policy_name,
)
from iamroles.web.forms.base import PassingForm
from iamroles.web.forms.widgets import name_input

SCOPES = ("scoped", "unscoped")


class DeployerForm(PassingForm):
    """`role_name` is the role that will hold the policy. Without a policy name the first free one is taken."""

    kind = DEPLOYER
    default_role_name = ""
    uncopied = (*PassingForm.uncopied, "policy_name", "policy_description")
    needed = (*PassingForm.needed, "application", "cluster", "service", "codedeploy_role")

    application = forms.CharField(
        label="CodeDeploy application", required=False, widget=name_input(), help_text="Its name, as in CodeDeploy."
    )
    deployment_group = forms.CharField(
        label="Deployment group",
        required=False,
        widget=name_input(),
        help_text="Empty: every group of the application.",
    )
    cluster = forms.CharField(label="ECS cluster", required=False, widget=name_input())
    service = forms.CharField(label="ECS service", required=False, widget=name_input())
    codedeploy_role = forms.CharField(
        label="CodeDeploy role",
        required=False,
        widget=name_input(),
        help_text="The role that CodeDeploy works with. Whoever deploys must be able to hand it to CodeDeploy.",
    )
    scope = forms.CharField(label="CodeDeploy rights", required=False, widget=forms.RadioSelect)
    policy_name = forms.CharField(
        label="Policy name",
        required=False,
        widget=name_input(),
        help_text="Empty: after the application. A change of a deployer policy is a new policy with a new name.",
    )
    policy_description = forms.CharField(
        label="Its description", required=False, help_text="IAM never lets a policy's description be changed."
    )
    region = forms.CharField(
        label="Region", required=False, widget=name_input(), help_text="For example eu-central-1. Empty: every Region."
    )

    def __init__(self, data: Any = None, **arguments: Any) -> None:
        super().__init__(data, **arguments)
        self.fields["role_name"].label = "Role that will hold it"
        self.fields[
            "role_name"
        ].help_text = "The role of your team, of its pipeline or of its permission set. A name or an ARN, never a user."
        self.fields[
            "execution_roles"
        ].help_text = (
            "Only if this role registers task definitions: the roles that start your tasks. One name or ARN a line."
        )
        self.fields["task_roles"].help_text = "Likewise the roles your code runs as. One name or ARN a line."
        self.fields["scope"].widget.choices = [(scope, scope.capitalize()) for scope in SCOPES]

    def clean_scope(self) -> str:
        chosen = str(self.cleaned_data["scope"]) or SCOPES[0]
        if chosen not in SCOPES:
            raise forms.ValidationError("Choose Scoped or Unscoped.")
        return chosen

    def _typed_problems(self, account: AccountFacts) -> tuple[FieldProblem, ...]:
        """The holder may lie at any path: `read_holder` judges it."""
        return ()

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        holder, problems = answers.read_holder(str(self["role_name"].value() or ""), account)
        named = self._text("codedeploy_role") or DEFAULT_ROLE_NAME
        codedeploy, more = answers.read_one_role(named, account, "codedeploy_role", account.role_path)
        execution, task, others = self._roles(account)
        taken = self.choices.policy_names.get(account.number, frozenset())
        facts = DeployerFacts(
            account=account,
            team=self._text("team"),
            holder=holder,
            application=self._text("application"),
            deployment_group=self._text("deployment_group"),
            cluster=self._text("cluster"),
            service=self._text("service"),
            codedeploy_role=codedeploy,
            execution_roles=execution,
            task_roles=task,
            scope="unscoped" if self._text("scope") == "unscoped" else "scoped",
            region=self._text("region"),
            policy_name=self._text("policy_name") or deployer_policy_name(self._text("application"), taken),
        )
        description = self._text("policy_description") or deployer_policy_description(facts)
        facts = replace(facts, policy_description=description)
        found = [*problems, *more, *others]
        if facts.policy_name.lower() in taken:
            free = deployer_policy_name(self._text("application"), taken)
            message = (
                f"{facts.policy_name} exists and a deployer policy is never changed. Enter {free}, or leave it empty."
            )
            found.append(FieldProblem("policy_name", "TAKEN", message))
        return facts, found
