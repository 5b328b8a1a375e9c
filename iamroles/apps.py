"""The one Django application of the product. Configuration lives in `portal/`, never here."""

from django.apps import AppConfig


class IamRolesConfig(AppConfig):
    """Registers the models of `iamroles.models` under the label `iamroles`, and records sign-ins as events."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "iamroles"
    verbose_name = "Roledesk"

    def ready(self) -> None:
        """Connects the receivers for signing in and out, and registers the checks of the database."""
        from iamroles.management import database_checks  # noqa: F401, PLC0415  (models must be loaded first)
        from iamroles.web import sessions  # noqa: PLC0415

        sessions.connect()
