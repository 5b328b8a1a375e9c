"""What all forms of asking share: team, AWS account, role name, reason, and how problems reach their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.core.validators import MaxLengthValidator

from iamroles.blueprints import FieldProblem, answers
from iamroles.blueprints.facts import DEFAULT_ROLE_NAME, AccountFacts, Facts
from iamroles.pages.drafts import Choices
from iamroles.web.forms.widgets import name_input, name_lines

LONGEST: Final = 20_000  # characters; a hundred ARNs have 15,000
_TOO_LONG: Final = f"An answer can have {LONGEST:,} characters. This one has %(show_value)d."
_PLACEHOLDER_ACCOUNT = AccountFacts(number="000000000000", name="this AWS account")


class RequestForm(forms.Form):
    """What all forms share. After `is_valid()`, `facts` holds the answers as facts.

    `with_reason` is False for previews: nobody is told off for a reason that is not written yet.
    """

    use_required_attribute = False
    kind: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = {}
    default_role_name: ClassVar[str] = DEFAULT_ROLE_NAME
    needed: ClassVar[tuple[str, ...]] = ("team", "account", "role_name", "reason")
    uncopied: ClassVar[tuple[str, ...]] = ("reason", "why_full", "tab")  # what a copy of a request leaves out

    team = forms.CharField(label="Team", required=False, widget=forms.Select)
    account = forms.CharField(label="AWS account", required=False, widget=forms.Select)
    role_name = forms.CharField(label="Role name", required=False, strip=True, widget=name_input())
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
        for field in self.fields.values():
            if isinstance(field, forms.CharField):
                field.validators.append(MaxLengthValidator(LONGEST, _TOO_LONG))
        for name in self.needed:
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
        problems = [*self._typed_problems(account), *problems, *answers.check(facts)]
        if choice is None:  # without its AWS account, an ARN cannot be judged
            judged = {"execution_roles", "task_roles", "codedeploy_role"}
            judged |= {"services", "listeners", "hooks", "topics", "sources"}
            judged |= {"role_name"} if typed.strip().startswith("arn:") else set()
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

    def _typed_problems(self, account: AccountFacts) -> tuple[FieldProblem, ...]:
        return answers.check_typed_role(str(self["role_name"].value() or ""), account)

    def _read(self, account: AccountFacts) -> tuple[Facts, list[FieldProblem]]:
        raise NotImplementedError

    def _text(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "").strip()

    def texts(self) -> dict[str, str]:
        """Returns the answers as typed, which a draft stores, up to LONGEST characters each; a tick is "on"."""
        values = {name: self[name].value() for name in self.fields}
        return {name: "on" if value is True else str(value or "")[:LONGEST] for name, value in values.items()}


class PassingForm(RequestForm):
    """A form that also asks which roles CodeDeploy must be able to pass."""

    execution_roles = forms.CharField(
        label="Task execution roles",
        required=False,
        widget=name_lines(rows=2),
        help_text="The roles that start your tasks: pull images, write logs. One name or ARN a line.",
    )
    task_roles = forms.CharField(
        label="Task roles",
        required=False,
        widget=name_lines(rows=2),
        help_text="The roles your code runs as. One name or ARN a line.",
    )

    def _roles(self, account: AccountFacts) -> tuple[tuple[str, ...], tuple[str, ...], list[FieldProblem]]:
        execution, first = answers.read_roles(self._text("execution_roles"), account, "execution_roles")
        task, second = answers.read_roles(self._text("task_roles"), account, "task_roles")
        return execution, task, [*first, *second]
