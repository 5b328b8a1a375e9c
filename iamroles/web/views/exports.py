"""Exports and verifications that take long: the form, the page that waits, and the download of what was made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from iamroles import permissions
from iamroles.audit import EventFilter, export
from iamroles.audit.export import files
from iamroles.models import ExportJob, VerificationOrder
from iamroles.pages import exports as pages
from iamroles.web.caller import actor_of, user_of
from iamroles.web.once import once
from iamroles.web.reading import refuse_look
from iamroles.web.streaming import stream
from iamroles.workflow import exports as workflow
from iamroles.workflow.verbs import Invalid, NotAllowed

NO_CONTENT = 204
TYPES = {**export.CONTENT_TYPES, "bundle": "application/zip"}
ENDINGS = {"csv": "csv", "jsonl": "jsonl", "bundle": "zip"}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def export_new(request: HttpRequest) -> HttpResponse:
    """Says how many events the filter holds and offers the formats; a POST orders an export that a worker makes."""
    user = user_of(request)
    wanted, bad = EventFilter.from_query((request.POST if request.method == "POST" else request.GET).dict())
    problems = [("", problem.message) for problem in bad]
    try:
        if request.method == "POST" and not bad:
            return once(request, user, lambda: _order(request, wanted), meanwhile=reverse("audit_history"))
        form = pages.export_form(user, wanted)
    except export.NothingSealed as error:
        return render(request, "503.html", {"reason": str(error)}, status=503)
    except Invalid as error:
        problems.append(("", str(error)))
        form = pages.export_form(user, wanted)
    described = wanted.describe()
    context = {
        "form_page": form,
        "query": urlencode(described),
        "described": described,
        "problems": problems,
        "exports": pages.own_exports(user),
    }
    return render(request, "iamroles/export_form.html", context, status=422 if problems else 200)


def _order(request: HttpRequest, wanted: EventFilter) -> str:
    job = workflow.order_export(
        user=user_of(request),
        wanted=wanted,
        spelled=request.POST.get("format", ""),
        actor=actor_of(request),
        at=datetime.now(UTC),
    )
    return reverse("export_detail", args=[job.pk])


def _own(request: HttpRequest, job_id: int) -> ExportJob:
    job = get_object_or_404(ExportJob.objects.select_related("ordered_by"), pk=job_id)
    if not pages.may_see_export(user_of(request), job):
        raise Http404
    return job


@login_required
@require_safe
def export_detail(request: HttpRequest, job_id: int) -> HttpResponse:
    """The progress of an export, its digest and its file. Polled while it is made; 204 while nothing is new."""
    job = _own(request, job_id)
    page = pages.export_page(job)
    if not page.waits:
        workflow.mark_shown(job, datetime.now(UTC))
    if request.headers.get("HX-Request"):
        if page.waits and request.GET.get("seen") == str(job.parts):
            return HttpResponse(status=NO_CONTENT)
        return HttpResponse(render_to_string("iamroles/_export.html", {"page": page}))
    return render(request, "iamroles/export_detail.html", {"page": page})


@login_required
@require_safe
def export_download(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """Sends the file, or with `file=` what a verifier needs beside it: checkpoint, leaves or proofs."""
    job = _own(request, job_id)
    if not pages.export_page(job).ready:
        raise Http404
    allowed = pages.may_download(user_of(request), job)
    if not allowed.allowed:
        return refuse_look(request, "download_export", allowed)
    what = request.GET.get("file", "")
    name = f"roledesk-{job.reference}.{ENDINGS[job.spelled]}"
    if not what:
        workflow.record_download(job=job, actor=actor_of(request), at=datetime.now(UTC))
        response = stream(request, job.contents(), TYPES[job.spelled])
        response["Content-Length"] = str(job.length)
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response
    response = stream(request, _beside(job, what), "text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.{what}"'
    return response


def _beside(job: ExportJob, what: str) -> Iterator[bytes]:
    whole = pages.export_page(job).whole
    if what == "checkpoint":
        return iter([export.cut_at(job.size).note.encode()])
    if what == "leaves" and whole and job.spelled == "jsonl":
        return files.write_leaves(job.size)
    if what == "proofs" and not whole and job.spelled == "jsonl":
        return files.write_proofs(files.split_lines(job.contents()), job.size)
    raise Http404


@login_required
@require_POST
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Orders a verification of the database and leads to the page that waits for the answer."""
    user = user_of(request)

    def produce() -> str:
        order = workflow.order_verification(user=user, actor=actor_of(request), at=datetime.now(UTC))
        return reverse("audit_verification", args=[order.pk])

    try:
        return once(request, user, produce, meanwhile=reverse("audit_history"))
    except NotAllowed as error:
        return render(request, "403.html", {"reason": str(error), "back": reverse("audit_history")}, status=403)


@login_required
@require_safe
def audit_verification(request: HttpRequest, order_id: int) -> HttpResponse:
    """The answer of a verification, or the wait for it; waiting costs 204."""
    allowed = permissions.may_read_all_audit(user_of(request))
    if not allowed.allowed:
        return refuse_look(request, "view_verification", allowed)
    order = get_object_or_404(VerificationOrder.objects.select_related("ordered_by"), pk=order_id)
    page = pages.verification_page(order)
    if request.headers.get("HX-Request"):
        if page.waits and not page.given_up:
            return HttpResponse(status=NO_CONTENT)
        return HttpResponse(render_to_string("iamroles/_verification.html", {"page": page}))
    return render(request, "iamroles/audit_verification.html", {"page": page})
