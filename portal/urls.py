"""The addresses of the product: health for machines, allauth for signing in, and `iamroles.web` for people."""

from __future__ import annotations

from allauth.mfa.base.views import index
from django.urls import include, path, re_path

from portal import health, metrics, own_sessions, second_factor, signin, single_sign_on

handler400 = "iamroles.web.views.errors.bad_request"
handler403 = "iamroles.web.views.errors.forbidden"
handler404 = "iamroles.web.views.errors.not_found"
handler500 = "iamroles.web.views.errors.server_error"

urlpatterns = [
    path("health/live/", health.live, name="health_live"),
    path("health/ready/", health.ready, name="health_ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("accounts/email/", signin.keep_email, name="account_email"),
    re_path(r"^accounts/confirm-email/", signin.keep_email),
    path("accounts/password/set/", signin.set_password, name="account_set_password"),
    path("accounts/confirm/<str:provider>/", single_sign_on.confirm_at_provider, name="confirm_at_provider"),
    path("accounts/2fa/webauthn/", index, name="mfa_list_webauthn"),  # the page of second factors has the keys
    path("accounts/2fa/needed/", second_factor.needed, name="second_factor_needed"),
    path("accounts/invited/<uidb64>/<str:provider>/", single_sign_on.take_up, name="invited_at_provider"),
    path("accounts/sessions/", own_sessions.own_sessions, name="usersessions_list"),
    path("accounts/oidc/<str:provider_id>/login/", single_sign_on.login, name="openid_connect_login"),
    path("accounts/", include("allauth.urls")),
    path("", include("iamroles.web.urls")),
]
