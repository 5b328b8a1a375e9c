"""Every address of the product (docs/architecture.md has the list with its people). Demo addresses live elsewhere."""

from __future__ import annotations

from django.urls import path, register_converter

from iamroles.web.converters import EventReference, ExportReference, RequestReference
from iamroles.web.views import (
    accounts,
    acts,
    audit,
    drafts,
    errors,
    evidence,
    exports,
    home,
    inventory,
    operations,
    preferences,
    requests,
    review,
    runs,
    start,
)

register_converter(RequestReference, "ref")
register_converter(EventReference, "evt")
register_converter(ExportReference, "exp")

urlpatterns = [
    path("", home.home, name="home"),
    path("requests/new/", start.request_start, name="request_start"),
    path("requests/new/role/", drafts.role_request_new, name="role_request_new"),
    path("requests/new/passrole/", drafts.grant_request_new, name="grant_request_new"),
    path("requests/new/infrastructure/", drafts.infrastructure_request_new, name="infrastructure_request_new"),
    path("requests/new/removal/", drafts.removal_request_new, name="removal_request_new"),
    path("requests/preview/", drafts.request_preview, name="request_preview"),
    path("requests/", requests.request_list, name="request_list"),
    path("requests/<ref:request_id>/", requests.request_detail, name="request_detail"),
    path("requests/<ref:request_id>/check/", drafts.request_check, name="request_check"),
    path("requests/<ref:request_id>/discard/", drafts.request_discard, name="request_discard"),
    path("requests/<ref:request_id>/withdraw/", requests.request_withdraw, name="request_withdraw"),
    path("requests/<ref:request_id>/comment/", requests.request_comment, name="request_comment"),
    path("requests/<ref:request_id>/status/", requests.request_status, name="request_status"),
    path("requests/<ref:request_id>/run/<int:number>/", runs.run_detail, name="run_detail"),
    path("requests/<ref:request_id>/run/<int:number>/progress/", runs.run_progress, name="run_progress"),
    path("requests/<ref:request_id>/operate/<slug:act>/", acts.request_act, name="request_act"),
    path("requests/<ref:request_id>/against-aws/", acts.request_against_aws, name="request_against_aws"),
    path("requests/<ref:request_id>/resolve/", acts.request_resolve, name="request_resolve"),
    path("requests/<ref:request_id>/evidence/", evidence.request_evidence, name="request_evidence"),
    path("requests/<ref:request_id>/evidence.json", evidence.request_evidence_json, name="request_evidence_json"),
    path("approvals/", review.approval_queue, name="approval_queue"),
    path("approvals/<ref:request_id>/", review.approval_review, name="approval_review"),
    path("approvals/<ref:request_id>/decide/", review.approval_decide, name="approval_decide"),
    path("approvals/<ref:request_id>/take-back/", review.approval_take_back, name="approval_take_back"),
    path("inventory/", inventory.inventory_list, name="inventory_list"),
    path("inventory/<int:role_id>/", inventory.inventory_role, name="inventory_role"),
    path("inventory/check/", inventory.role_check, name="role_check"),
    path("inventory/check/<int:order_id>/", inventory.role_check_result, name="role_check_result"),
    path("audit/", audit.audit_history, name="audit_history"),
    path("audit/verify/", exports.audit_verify, name="audit_verify"),
    path("audit/verifications/<int:order_id>/", exports.audit_verification, name="audit_verification"),
    path("audit/<evt:event_id>/", audit.audit_event, name="audit_event"),
    path("audit/<evt:event_id>/proof/", audit.audit_event_proof, name="audit_event_proof"),
    path("exports/new/", exports.export_new, name="export_new"),
    path("exports/<exp:job_id>/", exports.export_detail, name="export_detail"),
    path("exports/<exp:job_id>/download/", exports.export_download, name="export_download"),
    path("ops/", operations.operations_health, name="operations_health"),
    path("ops/jobs/", operations.operations_jobs, name="operations_jobs"),
    path("ops/pause/", operations.pause_everything, name="pause_everything"),
    path("ops/accounts/<slug:number>/pause/", operations.pause_account, name="pause_account"),
    path("ops/accounts/", accounts.account_list, name="account_list"),
    path("ops/accounts/<number>/", accounts.account_detail, name="account_detail"),
    path("ops/accounts/<number>/look/", accounts.account_look, name="account_look"),
    path("settings/", preferences.preferences, name="preferences"),
    path("settings/theme/", preferences.theme, name="theme"),
    path("help/", preferences.help_page, name="help"),
    path("csp-report/", errors.csp_report, name="csp_report"),
]
