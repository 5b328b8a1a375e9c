"""The Django project: configuration and wiring. Nothing in `iamroles` imports it.

The Celery application is made here, so that every process that rings the doorbell knows the broker.
"""

from portal.celery import app as celery_app

__all__ = ("celery_app",)
