"""The one Django application of the product. Configuration lives in `portal/`, never here."""

from django.apps import AppConfig


class IamRolesConfig(AppConfig):
    """Registers the models of `iamroles.models` under the label `iamroles`."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "iamroles"
    verbose_name = "Roledesk"
