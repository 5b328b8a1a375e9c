"""The forms of operators: a person to invite, a team, an AWS account, and who or what belongs somewhere.

They only read texts; what is wrong with them, the verbs say, and `tell` puts it at its field.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms

from iamroles.iam import limits
from iamroles.web.forms.widgets import name_input
from iamroles.workflow.organisation import TAG_LISTS
from iamroles.workflow.verbs import Invalid


def _why() -> forms.CharField:
    """Returns the field of a change that another person confirms."""
    return forms.CharField(
        label="Why",
        max_length=2000,
        help_text="At least 10 characters. Whoever confirms reads it.",
        widget=forms.Textarea(attrs={"rows": 2, "class": "short"}),
    )


class OrganisationForm(forms.Form):
    """What these forms share: no `required` attributes, and the verb's answer at its field."""

    use_required_attribute = False

    def tell(self, error: Invalid) -> None:
        """Puts a verb's refusal at the field that it names, or above the form."""
        self.add_error(error.field if error.field in self.fields else None, str(error))


class InviteForm(OrganisationForm):
    """A person to invite."""

    email = forms.EmailField(
        label="E-mail address",
        help_text="The invitation goes there, and the person signs in with it.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    first_name = forms.CharField(label="First name", max_length=150)
    last_name = forms.CharField(label="Last name", max_length=150)
    teams = forms.MultipleChoiceField(
        label="Teams", required=False, widget=forms.CheckboxSelectMultiple, help_text="People of a team ask for roles."
    )

    def __init__(self, data: Any = None, *, teams: Iterable[tuple[str, str]]) -> None:
        super().__init__(data)
        self.fields["teams"].choices = list(teams)  # type: ignore[attr-defined]
        if not self.fields["teams"].choices:  # type: ignore[attr-defined]
            del self.fields["teams"]


class TeamForm(OrganisationForm):
    """A new team."""

    name = forms.CharField(label="Name", max_length=100, help_text="What pages call it, for example Orders.")


class RecordForm(OrganisationForm):
    """The record of an AWS account that is registered, as a change that another person confirms."""

    name = forms.CharField(label="Name", max_length=60, help_text="What pages call it, for example orders-prod.")
    environment = forms.CharField(
        label="Environment", max_length=20, help_text="One word, for example production or staging."
    )
    owner = forms.CharField(
        label="Owner",
        max_length=150,
        help_text="The group whose people answer for this AWS account.",
        widget=name_input(list="groups"),
    )
    is_production = forms.BooleanField(
        label="Counts as production", required=False, help_text="Medium risk is then high, and approval rules can ask."
    )
    role_path = forms.CharField(label="Role path", initial="/", max_length=512, widget=name_input())
    policy_path = forms.CharField(label="Policy path", initial="/", max_length=512, widget=name_input())
    boundary = forms.CharField(
        label="Permissions boundary",
        required=False,
        max_length=2048,
        help_text="ARN of the policy that every role must carry. Without one, IAM limits the portal less.",
        widget=name_input(),
    )
    tag_keys = forms.CharField(
        label="Tag keys",
        required=False,
        max_length=2000,
        help_text="The only ones that requests may give, with commas between; none that gives rights. Empty: any.",
        widget=name_input(),
    )
    required_tags = forms.CharField(
        label="Tags that each role must carry",
        required=False,
        max_length=2000,
        help_text="For example cost-center, owner.",
        widget=name_input(),
    )
    reason = _why()

    def record(self) -> dict[str, Any]:
        """Returns the record as `change_kinds` keeps it."""
        record = {name: value for name, value in self.cleaned_data.items() if name != "reason"}
        return record | {name: ", ".join(limits.listed_keys(record[name])) for name in TAG_LISTS}


class AccountForm(RecordForm):
    """A new AWS account. Everything but number, name, environment and owner has an answer already."""

    reason = None  # type: ignore[assignment]  # Django's way to leave an inherited field out
    field_order = ("number", "name", "environment", "owner", "is_production", "boundary", "role_path", "policy_path")

    number = forms.CharField(label="AWS account number", help_text="12 digits.", widget=name_input(inputmode="numeric"))
    partition = forms.ChoiceField(
        label="Partition", initial="aws", choices=[(name, name) for name in sorted(limits.PARTITIONS)]
    )

    def clean_number(self) -> str:
        """Returns the digits without the blanks and hyphens that people copy with them."""
        return str(self.cleaned_data["number"]).replace(" ", "").replace("-", "")


class ListForm(OrganisationForm):
    """What one field, `listed`, lists, as a change that another confirms. Nothing in it is an answer too."""

    listed: ClassVar[str]

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.fields[self.listed].needed = True  # type: ignore[attr-defined]

    def tell(self, error: Invalid) -> None:
        """Puts what is wrong with the reason there, everything else at the list."""
        self.add_error("reason" if error.field == "reason" else self.listed, str(error))


class ChosenForm(ListForm):
    """Members of a group or team, or AWS accounts of a team. Without `reason` it is no change that another confirms."""

    listed = "chosen"

    chosen = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    reason = _why()

    def __init__(
        self,
        data: Any = None,
        *,
        label: str,
        choices: Iterable[tuple[str, str]],
        stands: Iterable[str],
        reason: bool = True,
        prefix: str | None = None,
    ) -> None:
        super().__init__(data, initial={"chosen": list(stands)}, prefix=prefix)
        self.fields["chosen"].label = label
        self.fields["chosen"].choices = list(choices)  # type: ignore[attr-defined]
        if not reason:
            del self.fields["reason"]


class AccountRuleForm(ListForm):
    """The documents of an AWS account's standard or of one guardrail, as a change that another person confirms."""

    listed = "text"

    text = forms.CharField(
        label="Documents",
        required=False,
        max_length=200_000,
        help_text="JSON: one policy document, or a list of them. Empty takes it back.",
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )
    reason = _why()


class ProviderGroupsForm(ListForm):
    """The identity provider's groups that fill a group or a team, as a change that another person confirms."""

    listed = "values"

    values = forms.CharField(
        label="Groups there, one a line",
        required=False,
        help_text="Exactly as the provider sends them: a name, or an id. Empty: operators alone decide.",
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
    )
    reason = _why()

    def clean_values(self) -> list[str]:
        """Returns the lines, each once and in order."""
        return sorted({line.strip() for line in str(self.cleaned_data["values"]).splitlines() if line.strip()})
