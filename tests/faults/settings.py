"""Settings of worker processes in tests: a file-system broker, AWS at an endpoint, shortened limits."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from portal.settings import env
from portal.settings.test import *  # noqa: F403  (the settings under test, plus what a worker process needs)

_BROKER = Path(env.text("ROLEDESK_TEST_BROKER"))
if env.text("REDIS_URL", ""):
    CELERY_BROKER_TRANSPORT_OPTIONS = REDIS_TRANSPORT_OPTIONS  # noqa: F405  (production's own)
else:
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_BROKER),
        "data_folder_out": str(_BROKER),
        "control_folder": str(_BROKER / "control"),
        "polling_interval": 0.05,
    }
ROLEDESK_AWS_ENDPOINT = env.text("ROLEDESK_AWS_ENDPOINT")
ROLEDESK_SWEEP_SECONDS = env.number("ROLEDESK_SWEEP_SECONDS", 0.3)
ROLEDESK_VERIFY_PAUSE_SECONDS = env.number("ROLEDESK_VERIFY_PAUSE_SECONDS", 0.02)
ROLEDESK_WRITES_PER_SECOND = env.number("ROLEDESK_WRITES_PER_SECOND", 1000)
ROLEDESK_ENGINE_LIMITS = json.loads(env.text("ROLEDESK_ENGINE_LIMITS", "{}"))

# A line for each event is a second witness in production; here it would hide the verdict.
logging.getLogger("iamroles.audit.leaf").setLevel(logging.WARNING)
# No sealer runs beside the matrix: a late trail would hold up every cell.
ROLEDESK_SEAL_PAUSE_SECONDS = 1e9
