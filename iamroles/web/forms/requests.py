"""The forms of asking: from a person's texts to facts, with each problem at its field in its own words.

They save nothing and read nothing: what may be chosen comes in as `Choices`, the rules are those of
`blueprints.answers`. Wrong answers are kept as typed; an answer that is missing gets the default that the page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from iamroles.blueprints import FieldProblem, answers
from iamroles.blueprints.facts import (
    DEFAULT_EXECUTION_ROLE,
    DEFAULT_INFRASTRUCTURE_ROLE,
    DEFAULT_ROLE_NAME,
    DEPLOYER,
    GRANT,
    INFRASTRUCTURE,
    REMOVAL,
    ROLE,
    AccountFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    RemovalFacts,
    default_policy_description,
    default_policy_name,
)
from iamroles.blueprints.problems import tidy
from iamroles.iam import limits
from iamroles.pages.drafts import Choices, Removable
from iamroles.web.forms.base import PassingForm, RequestForm
from iamroles.web.forms.deployer import DeployerForm
from iamroles.web.forms.deployments import STARTING_USES
from iamroles.web.forms.role import RoleForm
from iamroles.web.forms.widgets import name_input, name_lines


class GrantForm(PassingForm):
    """PassRole grants for a CodeDeploy role that exists (UX.md P3b). `description` is the policy's."""

    kind = GRANT
    aliases = {"policy_name": "policy_name", "policy_description": "description"}
    field_order = ("team", "account", "role_name", "execution_roles", "task_roles", "reason")

    policy_name = forms.CharField(label="PassRole policy name", required=False, widget=name_input())
    description = forms.CharField(
        label="Its description", required=False, help_text="IAM never lets a policy's description be changed."
    )
    anyway = forms.BooleanField(
        label="Add it anyway",
        required=False,
        help_text="The grant survives a later move to Limited. Say in the reason why you want it.",
    )

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        execution, task, problems = self._roles(account)
        role_name = self._text("role_name") or DEFAULT_ROLE_NAME
        facts = GrantFacts(
            account=account,
            team=self._text("team"),
            role_name=role_name,
            execution_roles=execution,
            task_roles=task,
            policy_name=self._text("policy_name") or default_policy_name(role_name),
            policy_description=self._text("description") or default_policy_description(role_name),
            anyway=bool(self.cleaned_data.get("anyway")),
        )
        return facts, problems


class InfrastructureForm(RequestForm):
    """The role that Amazon ECS needs to move traffic itself (UX.md P3c)."""

    kind = INFRASTRUCTURE
    default_role_name = DEFAULT_INFRASTRUCTURE_ROLE
    field_order = ("team", "account", "role_name", "reason")

    description = forms.CharField(label="Description of the role", required=False)
    tags = forms.CharField(
        label="Tags", required=False, widget=name_lines(rows=2), help_text="One key=value a line, for the role."
    )

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        tags, problems = answers.read_tags(self._text("tags"))
        facts = InfrastructureFacts(
            account=account,
            team=self._text("team"),
            role_name=self._text("role_name") or self.default_role_name,
            description=self._text("description"),
            tags=tags,
        )
        return facts, list(problems)


class RemovalForm(RequestForm):
    """Taking away a role of the team, one PassRole policy of it, or a deployer policy; its name is typed once more."""

    kind = REMOVAL
    default_role_name = ""
    field_order = ("team", "account", "role_name", "policy_name", "confirm", "reason")

    role_name = forms.CharField(label="Role or deployer policy", required=False, widget=forms.Select)
    policy_name = forms.CharField(label="What goes", required=False, widget=forms.Select)
    confirm = forms.CharField(
        label="Type its name",
        required=False,
        widget=name_input(),
        help_text="The role's, or the deployer policy's, so that nobody takes away the wrong one.",
    )

    def _fill_selects(self) -> None:
        super()._fill_selects()
        for name in ("policy_name", "confirm"):
            self.fields[name].needed = True  # type: ignore[attr-defined]
        roles: dict[str, list[tuple[str, str]]] = {}
        policies: dict[str, list[tuple[str, str]]] = {}
        for one in self.choices.removable:
            group = f"Deployer policies in {one.account_name}" if one.is_policy else one.account_name
            roles.setdefault(group, []).append((one.key, one.name))
            if one.is_policy:
                continue
            names = [arn.rsplit("/", 1)[-1] for arn in one.policies]
            policies.setdefault(f"Only a policy of {one.name}", []).extend((name, name) for name in names)
        self.fields["role_name"].widget.choices = [("", "Choose what goes"), *roles.items()]
        kept = [(group, list(dict.fromkeys(listed))) for group, listed in policies.items() if listed]
        self.fields["policy_name"].widget.choices = [("", "All of it"), *kept]

    def _chosen(self, account: AccountFacts) -> Removable | None:
        wanted = (self._text("team"), account.number, self._text("role_name").lower())
        rows = self.choices.removable
        return next((one for one in rows if (one.team, one.account, one.key.lower()) == wanted), None)

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        role = self._chosen(account)
        name, policy = self._text("role_name").rsplit("/", 1)[-1], self._text("policy_name")
        if role is None:
            where = f"{name} is not managed for your team in {account.name}." if name else ""
            facts = RemovalFacts(account=account, team=self._text("team"), role_name=name or "none", role_arn="")
            return facts, [FieldProblem("role_name", "RM00", f"{where} Choose one of those listed.".strip())]
        chosen = tuple(arn for arn in role.policies if policy in ("", arn.rsplit("/", 1)[-1]))
        facts = RemovalFacts(
            account=account,
            team=self._text("team"),
            role_name=role.holder or role.name,
            role_arn=None if role.is_policy else role.arn,
            policies=chosen,
            whole=not (policy or role.is_policy),
        )
        problems, kind = [], "policy" if role.is_policy else "role"
        if policy and not chosen:
            problems.append(FieldProblem("policy_name", "RM00", f"{policy} is no policy of {role.name}."))
        if self.with_reason and self._text("confirm") != role.name:
            problems.append(FieldProblem("confirm", "RM00", f"Type the {kind}'s name exactly: {role.name}."))
        return facts, problems


FORMS: Mapping[str, type[RequestForm]] = {
    ROLE: RoleForm,
    GRANT: GrantForm,
    INFRASTRUCTURE: InfrastructureForm,
    DEPLOYER: DeployerForm,
    REMOVAL: RemovalForm,
}
STARTING_ANSWERS: Mapping[str, Mapping[str, str]] = {
    ROLE: {"managed_policy": "limited", "execution_roles": DEFAULT_EXECUTION_ROLE, **STARTING_USES},
    GRANT: {},
    INFRASTRUCTURE: {},
    DEPLOYER: {"scope": "scoped", "codedeploy_role": DEFAULT_ROLE_NAME},
    REMOVAL: {},
}


class CheckRoleForm(forms.Form):
    """Which role to look at. The name may be pasted as an ARN; its AWS account then fills the other answer."""

    use_required_attribute = False
    account = forms.CharField(label="AWS account", required=False, widget=forms.Select)
    role_name = forms.CharField(
        label="Role name",
        required=False,
        widget=name_input(placeholder=DEFAULT_ROLE_NAME),
        help_text="Its name or its ARN. Nothing is requested and nothing is changed.",
    )

    def __init__(self, data: Any = None, *, choices: Choices, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.choices = choices
        for field in self.fields.values():
            field.needed = True  # type: ignore[attr-defined]
        accounts = [(choice.row.number, choice.label) for choice in choices.accounts]
        self.fields["account"].widget.choices = accounts

    def clean_account(self) -> str:
        number = answers.tidy_account_number(str(self.cleaned_data["account"]))
        if not number:
            raise forms.ValidationError("Choose the AWS account to look in.")
        if self.choices.account(number) is None:
            raise forms.ValidationError(f"AWS account {number} is not among those of your teams. Choose one of them.")
        return number

    def clean_role_name(self) -> str:
        name = answers.tidy_role_name(str(self.cleaned_data["role_name"]))
        if not name:
            raise forms.ValidationError(f"Enter the role's name, for example {DEFAULT_ROLE_NAME}.")
        return name

    def clean(self) -> dict[str, Any]:
        """Refuses an ARN of another AWS account: the role of the same name here would answer in its place."""
        super().clean()
        choice, typed = self.choices.account(self.cleaned_data.get("account", "")), tidy(self._typed())
        if choice is not None and typed.startswith("arn:"):
            for problem in limits.check_role_arn_in(typed, choice.facts.partition, choice.facts.number):
                self.add_error("role_name", problem.message)
        return self.cleaned_data

    def _typed(self) -> str:
        return str(self["role_name"].value() or "")
