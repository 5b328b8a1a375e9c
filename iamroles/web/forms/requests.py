"""The forms of asking: from a person's texts to facts, with each problem at its field in its own words.

They save nothing and read nothing: what may be chosen comes in as `Choices`, the rules are those of
`blueprints.answers`. Wrong answers are kept as typed; an answer that is missing gets the default that the page shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms

from iamroles.blueprints import FieldProblem, answers
from iamroles.blueprints.facts import (
    DEFAULT_EXECUTION_ROLE,
    DEFAULT_INFRASTRUCTURE_ROLE,
    DEFAULT_ROLE_NAME,
    GRANT,
    INFRASTRUCTURE,
    REMOVAL,
    ROLE,
    AccountFacts,
    Facts,
    GrantFacts,
    InfrastructureFacts,
    RemovalFacts,
    RoleFacts,
    default_policy_description,
    default_policy_name,
)
from iamroles.pages.drafts import Choices, Removable

_NEEDED = ("team", "account", "role_name", "reason")
_PLACEHOLDER_ACCOUNT = AccountFacts(number="000000000000", name="this AWS account")


def _lines(*, rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"class": "mono short", "rows": rows, "spellcheck": "false", "autocapitalize": "off"})


def _name(**attributes: str) -> forms.TextInput:
    return forms.TextInput(
        attrs={"class": "mono", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off", **attributes}
    )


class RequestForm(forms.Form):
    """What all forms share. After `is_valid()`, `facts` holds the answers as facts.

    `with_reason` is False for previews: nobody is told off for a reason that is not written yet.
    """

    use_required_attribute = False
    kind: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = {}
    default_role_name: ClassVar[str] = DEFAULT_ROLE_NAME

    team = forms.CharField(label="Team", required=False, widget=forms.Select)
    account = forms.CharField(label="AWS account", required=False, widget=forms.Select)
    role_name = forms.CharField(label="Role name", required=False, strip=True, widget=_name())
    reason = forms.CharField(
        label="Reason and ticket",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "short"}),
        help_text="What the service is and why it needs this. Approvers read it first. At least 10 characters.",
    )

    def __init__(
        self, data: Any = None, *, choices: Choices, initial: Mapping[str, Any] | None = None, with_reason: bool = True
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.choices = choices
        self.with_reason = with_reason
        self.facts: Facts | None = None
        for name in _NEEDED:
            self.fields[name].needed = True  # type: ignore[attr-defined]  # our field group then leaves out "(optional)"
        self._fill_selects()

    def _fill_selects(self) -> None:
        teams = [(team.slug, team.name) for team in self.choices.teams]
        self.fields["team"].widget.choices = teams if len(teams) == 1 else [("", "Choose a team"), *teams]
        groups: dict[str, list[tuple[str, str]]] = {}
        for choice in self.choices.accounts:
            groups.setdefault(choice.row.environment.capitalize(), []).append((choice.row.number, choice.label))
        self.fields["account"].widget.choices = [("", "Choose an AWS account"), *groups.items()]

    def clean_team(self) -> str:
        slug = str(self.cleaned_data["team"]).strip()
        if not slug and len(self.choices.teams) == 1:
            return self.choices.teams[0].slug
        if not slug:
            raise forms.ValidationError("Choose the team that asks.")
        if self.choices.team(slug) is None:
            raise forms.ValidationError("You can ask only for a team that you belong to. Choose one of yours.")
        return slug

    def clean_account(self) -> str:
        number = answers.tidy_account_number(str(self.cleaned_data["account"]))
        if not number:
            raise forms.ValidationError("Choose the AWS account that the role is for.")
        team = self.choices.team(str(self.cleaned_data.get("team", "")))
        if team is not None and number not in self.choices.allowed[team.slug]:
            raise forms.ValidationError(
                f"{number} is not among the AWS accounts of {team.name}. Choose one of them, or ask an operator."
            )
        if self.choices.account(number) is None:
            raise forms.ValidationError(f"You may not ask for anything in AWS account {number}. Choose one of yours.")
        return number

    def clean_role_name(self) -> str:
        return answers.tidy_role_name(str(self.cleaned_data["role_name"])) or self.default_role_name

    def clean(self) -> dict[str, Any]:
        """Turns the answers into facts and puts every problem at its field."""
        super().clean()
        choice = self.choices.account(str(self.cleaned_data.get("account", "")))
        account = choice.facts if choice else _PLACEHOLDER_ACCOUNT
        facts, problems = self._read(account)
        typed = str(self["role_name"].value() or "")
        problems = [*answers.check_typed_role(typed, account), *problems, *answers.check(facts)]
        if choice is None:  # without its AWS account, a role's ARN cannot be judged
            judged = {"execution_roles", "task_roles"} | ({"role_name"} if typed.strip().startswith("arn:") else set())
            problems = [problem for problem in problems if problem.field not in judged]
        if self.with_reason:
            problems += answers.checked_reason(self.cleaned_data.get("reason", ""))
        self._report(problems)
        if not self.errors:
            self.facts = facts
        return self.cleaned_data

    def _report(self, problems: Iterable[FieldProblem]) -> None:
        found = list(problems)
        placeholders = {problem.field for problem in found if problem.id == "VA09"}
        said: set[tuple[str, str]] = set()
        for problem in found:
            if problem.field in placeholders and problem.id != "VA09":
                continue  # a placeholder left in says it all
            field = self.aliases.get(problem.field, problem.field)
            field = field if field in self.fields else "role_name"
            if (field, problem.message) not in said:
                said.add((field, problem.message))
                self.add_error(field, problem.message)

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        raise NotImplementedError

    def _text(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "").strip()

    def texts(self) -> dict[str, str]:
        """Returns the answers as typed, which a draft stores; a tick is "on"."""
        values = {name: self[name].value() for name in self.fields}
        return {name: "on" if value is True else str(value or "") for name, value in values.items()}


class PassingForm(RequestForm):
    """A form that also asks which roles CodeDeploy must be able to pass."""

    execution_roles = forms.CharField(
        label="Task execution roles",
        required=False,
        widget=_lines(rows=2),
        help_text="The roles that start your tasks: pull images, write logs. One name or ARN a line.",
    )
    task_roles = forms.CharField(
        label="Task roles",
        required=False,
        widget=_lines(rows=2),
        help_text="The roles your code runs as. One name or ARN a line.",
    )

    def _roles(self, account: AccountFacts) -> tuple[tuple[str, ...], tuple[str, ...], list[FieldProblem]]:
        execution, first = answers.read_roles(self._text("execution_roles"), account, "execution_roles")
        task, second = answers.read_roles(self._text("task_roles"), account, "task_roles")
        return execution, task, [*first, *second]


class RoleForm(PassingForm):
    """A CodeDeploy service role with the grants that Limited lacks (UX.md P3)."""

    kind = ROLE
    field_order = ("team", "account", "role_name", "managed_policy", "execution_roles", "task_roles", "reason")

    managed_policy = forms.CharField(label="Permissions", required=False, widget=forms.RadioSelect)
    policy_name = forms.CharField(label="PassRole policy name", required=False, widget=_name())
    policy_description = forms.CharField(
        label="Its description", required=False, help_text="IAM never lets a policy's description be changed."
    )
    description = forms.CharField(label="Description of the role", required=False)
    tags = forms.CharField(
        label="Tags", required=False, widget=_lines(rows=2), help_text="One key=value a line, for the role."
    )
    plain_trust = forms.BooleanField(
        label="Use the AWS guide's plain trust policy",
        required=False,
        help_text=(
            "Without it, only deployments of this AWS account may use the role (aws:SourceAccount). "
            "The plain form is a finding of medium risk."
        ),
    )

    def __init__(self, data: Any = None, **arguments: Any) -> None:
        super().__init__(data, **arguments)
        self.fields["managed_policy"].widget.choices = [("limited", "Limited"), ("full", "Full")]

    def clean_managed_policy(self) -> str:
        chosen = str(self.cleaned_data["managed_policy"]) or "limited"
        if chosen not in ("limited", "full"):
            raise forms.ValidationError("Choose Limited or Full.")
        return chosen

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        execution, task, problems = self._roles(account)
        tags, tag_problems = answers.read_tags(self._text("tags"))
        role_name = self._text("role_name") or DEFAULT_ROLE_NAME
        facts = RoleFacts(
            account=account,
            team=self._text("team"),
            role_name=role_name,
            managed_policy="full" if self._text("managed_policy") == "full" else "limited",
            execution_roles=execution,
            task_roles=task,
            description=self._text("description"),
            tags=tags,
            policy_name=self._text("policy_name") or default_policy_name(role_name),
            policy_description=self._text("policy_description") or default_policy_description(role_name),
            hardened=not self.cleaned_data.get("plain_trust"),
        )
        return facts, [*problems, *tag_problems]


class GrantForm(PassingForm):
    """PassRole grants for a CodeDeploy role that exists (UX.md P3b). `description` is the policy's."""

    kind = GRANT
    aliases = {"policy_name": "policy_name", "policy_description": "description"}
    field_order = ("team", "account", "role_name", "execution_roles", "task_roles", "reason")

    policy_name = forms.CharField(label="PassRole policy name", required=False, widget=_name())
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
        label="Tags", required=False, widget=_lines(rows=2), help_text="One key=value a line, for the role."
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
    """Taking away a role of the team, or one PassRole policy of it; the role's name is typed once more."""

    kind = REMOVAL
    default_role_name = ""
    field_order = ("team", "account", "role_name", "policy_name", "confirm", "reason")

    role_name = forms.CharField(label="Role", required=False, widget=forms.Select)
    policy_name = forms.CharField(label="What goes", required=False, widget=forms.Select)
    confirm = forms.CharField(
        label="Type the role's name",
        required=False,
        widget=_name(),
        help_text="So that nobody takes away the wrong role.",
    )

    def _fill_selects(self) -> None:
        super()._fill_selects()
        for name in ("policy_name", "confirm"):
            self.fields[name].needed = True  # type: ignore[attr-defined]
        roles: dict[str, list[tuple[str, str]]] = {}
        policies: dict[str, list[tuple[str, str]]] = {}
        for one in self.choices.removable:
            roles.setdefault(one.account_name, []).append((one.name, one.name))
            names = [arn.rsplit("/", 1)[-1] for arn in one.policies]
            policies.setdefault(f"Only a policy of {one.name}", []).extend((name, name) for name in names)
        self.fields["role_name"].widget.choices = [("", "Choose a role"), *roles.items()]
        kept = [(group, list(dict.fromkeys(listed))) for group, listed in policies.items() if listed]
        self.fields["policy_name"].widget.choices = [("", "The whole role"), *kept]

    def _chosen(self, account: AccountFacts) -> Removable | None:
        wanted = (self._text("team"), account.number, self._text("role_name").lower())
        rows = self.choices.removable
        return next((one for one in rows if (one.team, one.account, one.name.lower()) == wanted), None)

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        role = self._chosen(account)
        name, policy = self._text("role_name"), self._text("policy_name")
        if role is None:
            where = f"{name} is not managed for your team in {account.name}." if name else ""
            facts = RemovalFacts(account=account, team=self._text("team"), role_name=name or "none", role_arn="")
            return facts, [FieldProblem("role_name", "RM00", f"{where} Choose one of the roles listed.".strip())]
        chosen = tuple(arn for arn in role.policies if policy in ("", arn.rsplit("/", 1)[-1]))
        facts = RemovalFacts(
            account=account,
            team=self._text("team"),
            role_name=role.name,
            role_arn=role.arn,
            policies=chosen,
            whole=not policy,
        )
        problems = []
        if policy and not chosen:
            problems.append(FieldProblem("policy_name", "RM00", f"{policy} is no policy of {role.name}."))
        if self.with_reason and self._text("confirm") != role.name:
            problems.append(FieldProblem("confirm", "RM00", f"Type the role's name exactly: {role.name}."))
        return facts, problems


FORMS: Mapping[str, type[RequestForm]] = {
    ROLE: RoleForm,
    GRANT: GrantForm,
    INFRASTRUCTURE: InfrastructureForm,
    REMOVAL: RemovalForm,
}
STARTING_ANSWERS: Mapping[str, Mapping[str, str]] = {
    ROLE: {"managed_policy": "limited", "execution_roles": DEFAULT_EXECUTION_ROLE},
    GRANT: {},
    INFRASTRUCTURE: {},
    REMOVAL: {},
}


class CheckRoleForm(forms.Form):
    """Which role to look at. The name may be pasted as an ARN; its AWS account then fills the other answer."""

    use_required_attribute = False
    account = forms.CharField(label="AWS account", required=False, widget=forms.Select)
    role_name = forms.CharField(
        label="Role name",
        required=False,
        widget=_name(placeholder=DEFAULT_ROLE_NAME),
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
