"""An identity provider of which only what crosses the network is made up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import jwt

CONFIGURATION = {
    "issuer": "https://id.example.test",
    "authorization_endpoint": "https://id.example.test/authorize",
    "token_endpoint": "https://id.example.test/token",
    "jwks_uri": "https://id.example.test/keys",
}


@dataclass
class Provider:
    """What the identity provider says in its next identity token."""

    claims: dict[str, Any] = field(default_factory=dict)

    def token(self, *_: Any, **__: Any) -> dict[str, str]:
        """The answer to a code."""
        common = {"iss": CONFIGURATION["issuer"], "aud": "roledesk", "exp": time.time() + 60, "iat": time.time()}
        return {
            "access_token": "opaque",
            "id_token": jwt.encode({**common, **self.claims}, "k" * 32, algorithm="HS256"),
        }
