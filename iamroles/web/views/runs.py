"""The page of one run and its polled part: 204 while nothing is new, no more polls at the end."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iamroles.models import Request, Run, Step
from iamroles.pages import runs as run_pages
from iamroles.pages.offers import Case, operators_buttons
from iamroles.web.caller import user_of
from iamroles.web.reading import load_request, may_look, refuse_look


@login_required
@require_safe
def run_detail(request: HttpRequest, request_id: int, number: int) -> HttpResponse:
    """Shows a run: live while it goes, with the four answers once it stopped."""
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_run", allowed, row)
    return render(request, "iamroles/run_detail.html", _context(request, row, _run(row, number)))


@login_required
@require_safe
def run_progress(request: HttpRequest, request_id: int, number: int) -> HttpResponse:
    """Answers the page's polls. The mark is keyed with the person: a 204 tells nothing to anybody else."""
    steps = list(Step.objects.select_related("run").filter(run__request_id=request_id, run__number=number))
    run = steps[0].run if steps else Run.objects.filter(request_id=request_id, number=number).first()
    if run is None:
        raise Http404("There is no such run.")
    if request.GET.get("since", "") == run_pages.marker_of(user_of(request), run, steps):
        return HttpResponse(status=204)
    row = load_request(request_id)
    allowed = may_look(request, row)
    if not allowed.allowed:
        return refuse_look(request, "view_run", allowed, row)
    polled = bool(request.htmx)  # type: ignore[attr-defined]
    template = "iamroles/run_progress.html" if polled else "iamroles/run_detail.html"
    return render(request, template, {**_context(request, row, _run(row, number)), "polled": polled})


def _run(row: Request, number: int) -> Run:
    run = row.runs.select_related("proposal__revision").filter(number=number).first()
    if run is None:
        raise Http404(f"{row.reference} has no run {number}.")
    return run


def _context(request: HttpRequest, row: Request, run: Run) -> dict[str, Any]:
    """The page, and the operators' acts beside the newest run of the current revision."""
    user, current = user_of(request), row.latest_run()
    latest = current is not None and current.pk == run.pk
    page = run_pages.run_page(row, run, list(run.steps.all()), user, latest=latest)
    return {"page": page, "buttons": operators_buttons(Case(row, current, user)) if latest else ()}
