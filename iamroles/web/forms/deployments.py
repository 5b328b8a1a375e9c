"""The inputs for what deployments use besides roles: a tick opens a box, and only a ticked box counts.

Without scripts the stylesheet opens the boxes; without the stylesheet they are always open.
"""

from __future__ import annotations

from typing import Any

from django import forms

from iamroles.blueprints import FieldProblem, named
from iamroles.blueprints.facts import AccountFacts
from iamroles.web.forms.widgets import name_input, name_lines

HOOK_PREFIX = "CodeDeployHook_"  # what Limited demands of names (UX.md part 6)
TOPIC_PREFIX = "CodeDeployTopic_"
STARTING_USES = {"hooks": HOOK_PREFIX, "topics": TOPIC_PREFIX}


class DeploymentFields(forms.Form):
    """What deployments use; `uses()` gives it as facts."""

    uses_services = forms.BooleanField(label="Cluster, services and load balancer", required=False)
    services = forms.CharField(
        label="ECS services", required=False, widget=name_lines(rows=2), help_text="One cluster/service or ARN a line."
    )
    listeners = forms.CharField(
        label="Load balancer",
        required=False,
        widget=name_lines(rows=2),
        help_text=(
            "The ARN of the production listener and of the test listener, one a line; add rules if traffic moves by "
            "rule. Target groups tell approvers which; AWS has no right for a single one."
        ),
    )
    uses_hooks = forms.BooleanField(label="Lambda hooks", required=False)
    hooks = forms.CharField(
        label="Functions",
        required=False,
        widget=name_lines(rows=2),
        help_text="One name or ARN a line. Limited demands names that start with CodeDeployHook_, capitals matter.",
    )
    uses_topics = forms.BooleanField(label="Notifications", required=False)
    topics = forms.CharField(
        label="SNS topics",
        required=False,
        widget=name_lines(rows=2),
        help_text="One name or ARN a line. Limited demands names that start with CodeDeployTopic_, capitals matter.",
    )
    uses_bundles = forms.BooleanField(label="AppSpec files in S3", required=False)
    bundles = forms.CharField(
        label="Where they lie",
        required=False,
        widget=name_lines(rows=2),
        help_text="bucket/prefix/ or bucket/file, one a line.",
    )
    bundles_tagged = forms.BooleanField(
        label="Each file carries the tag UseWithCodeDeploy = true",
        required=False,
        help_text="Limited reads tagged files only. Unticked, a statement for exactly this place is added.",
    )
    region = forms.CharField(
        label="AWS Region",
        required=False,
        widget=name_input(),
        help_text="Where these are, for example eu-central-1. ARNs carry their own.",
    )

    def named_uses(self, account: AccountFacts, *, scoped: bool) -> tuple[dict[str, Any], list[FieldProblem]]:
        """Returns the facts of the ticked boxes, and the problems. Scoped needs services whether ticked or not."""
        region, problems = named.read_region(str(self.cleaned_data.get("region") or ""))
        found: dict[str, Any] = {"bundles_tagged": False}
        wrong = list(problems)
        for field, thing, prefix in (
            ("services", named.ECS_SERVICE, ""),
            ("listeners", named.LISTENER, ""),
            ("hooks", named.FUNCTION, HOOK_PREFIX),
            ("topics", named.TOPIC, TOPIC_PREFIX),
        ):
            text = self._ticked(field, scoped=scoped, prefix=prefix)
            found[field], more = named.read_named(text, thing, account, region, field)
            wrong += more if not problems else [one for one in more if one.field != "region"]
            if not text and field not in ("services", "listeners") and self.cleaned_data.get(f"uses_{field}"):
                wrong.append(FieldProblem(field, "EMPTY", f"Name each {thing.noun}, or take the tick away."))
        groups = tuple(arn for arn in found["listeners"] if ":targetgroup/" in arn)
        found["target_groups"] = groups
        found["listeners"] = tuple(arn for arn in found["listeners"] if arn not in groups)
        if self.cleaned_data.get("uses_bundles"):
            found["bundles"], more = named.read_bundles(self._ticked("bundles", scoped=False, prefix=""), account)
            found["bundles_tagged"] = bool(found["bundles"] and self.cleaned_data.get("bundles_tagged"))
            wrong += more
            if not found["bundles"] and not more:
                wrong.append(FieldProblem("bundles", "EMPTY", "Name where the files lie, or take the tick away."))
        return found, wrong

    def _ticked(self, field: str, *, scoped: bool, prefix: str) -> str:
        """The lines of a box that counts, without those that are only the prefix that the box opens with."""
        is_service = field in ("services", "listeners")
        ticked = self.cleaned_data.get("uses_services" if is_service else f"uses_{field}") or (is_service and scoped)
        text = str(self.cleaned_data.get(field) or "") if ticked else ""
        return "\n".join(line for line in named.lines_of(text) if line != prefix)
