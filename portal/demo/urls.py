"""The demo's addresses: the product's and, before them, signing in as one of its people. No other settings use this."""

from __future__ import annotations

from django.urls import include, path

from portal import urls as product
from portal.demo import views

handler400 = product.handler400
handler403 = product.handler403
handler404 = product.handler404
handler500 = product.handler500

urlpatterns = [
    path("accounts/login/", views.sign_in, name="demo_sign_in"),
    path("accounts/reauthenticate/", views.confirm, name="demo_confirm"),
    path("demo/continue/", views.continue_as, name="demo_continue"),
    path("demo/mail/", views.mails, name="demo_mail"),
    path("demo/switch/", views.switch, name="demo_switch"),
    path("", include("portal.urls")),
]
