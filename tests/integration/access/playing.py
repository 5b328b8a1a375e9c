"""The world of the table, made once for a class of tests, and its people's browsers: each cell is one request."""

from __future__ import annotations

import copy
import functools
import tempfile
import unittest.mock
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings
from django.core.cache import cache
from django.test import Client, TestCase, override_settings

from iamroles.audit import export, keys
from iamroles.audit.publish import FilePublisher
from iamroles.audit.seal import Sealer
from iamroles.models import User
from tests.integration.access import world
from tests.integration.access.calls import Call
from tests.integration.access.reading import COLUMNS
from tests.integration.access.watching import Seen, watch
from tests.integration.access.world import World
from tests.integration.web_review.world import now

ORIGIN = "table.example/audit/1"


class Played(TestCase):
    """Makes the world in the transaction of the class. It lies in `kept`, which Django does not copy for each test."""

    kept: ClassVar[dict[str, Any]] = {}
    things: ClassVar[bool] = True

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.enterClassContext(override_settings(**_keys(folder)))
        at_once = functools.partial(export.find_cut, wait=0.0)  # nobody seals meanwhile
        cls.enterClassContext(unittest.mock.patch.object(export, "find_cut", at_once))
        super().setUpClass()

    @classmethod
    def setUpTestData(cls) -> None:
        here = world.build(things=cls.things)
        key = keys.ensure(Path(settings.ROLEDESK_AUDIT_KEY_FILE), ORIGIN)
        published = FilePublisher(Path(settings.ROLEDESK_CHECKPOINT_DIR))
        Sealer(origin=ORIGIN, keys=[key], vkeys=[key.verifier], publishers=[published]).seal_all(at=now())
        if cls.things:
            world.add_exports(here)
        cls.kept["here"] = here
        cls.kept["clients"] = {column: browser(here.people.get(column)) for column in COLUMNS}

    @property
    def here(self) -> World:
        """The world."""
        found: World = self.kept["here"]
        return found

    def send(self, column: str, method: str, call: Call, *, strict: bool = False) -> Seen:
        """Sends one request as somebody; every change, the browser's cookies too, is undone. `strict` checks CSRF."""
        cache.clear()
        client: Client = self.kept["clients"][column]
        cookies = copy.deepcopy(client.cookies)
        client.handler.enforce_csrf_checks = strict

        def send() -> Any:
            if call.opened:
                client.get(call.opened)
            return client.post(call.path, call.form) if method == "POST" else client.generic(method, call.path)

        try:
            return watch(send)
        finally:
            client.cookies = cookies


def browser(user: User | None) -> Client:
    """A browser, signed in just now; as far as it says, it stays so however long the tests take."""
    client = Client(raise_request_exception=True)
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.session
        at = (now() + timedelta(hours=6)).timestamp()
        session["account_authentication_methods"] = [{"method": "password", "at": at, "username": user.username}]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
    return client


def _keys(folder: Path) -> dict[str, str]:
    """The keys of approvals and of the trail, and the settings that name them."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "approval.key", folder / "approval.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return {
        "ROLEDESK_SIGNING_KEY_FILE": str(private),
        "ROLEDESK_APPROVAL_PUBLIC_KEYS_FILE": str(public),
        "ROLEDESK_AUDIT_ORIGIN": ORIGIN,
        "ROLEDESK_AUDIT_KEY_FILE": str(folder / "audit.key"),
        "ROLEDESK_AUDIT_VKEYS_FILE": str(folder / "audit.vkeys"),
        "ROLEDESK_CHECKPOINT_DIR": str(folder / "kept"),
    }
