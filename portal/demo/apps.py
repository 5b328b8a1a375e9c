"""The demo as a Django application: its commands and the sign-in without passwords. Demo settings alone install it."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Registers `manage.py demo_fill`."""

    name = "portal.demo"
    label = "demo"
