"""The addresses of the product: health for machines, allauth for signing in, and `iamroles.web` for people."""

from __future__ import annotations

from django.urls import include, path

from portal import health

handler400 = "iamroles.web.views.errors.bad_request"
handler403 = "iamroles.web.views.errors.forbidden"
handler404 = "iamroles.web.views.errors.not_found"
handler500 = "iamroles.web.views.errors.server_error"

urlpatterns = [
    path("health/live/", health.live, name="health_live"),
    path("health/ready/", health.ready, name="health_ready"),
    path("accounts/", include("allauth.urls")),
    path("", include("iamroles.web.urls")),
]
