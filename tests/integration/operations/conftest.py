"""One installation of production for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.operations.production import Installation, installed


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Migrated by its owner, with the roles of app and sealer; no password may be printed on the way."""
    with installed(tmp_path_factory.mktemp("installation")) as made:
        for words in (("migrate", "--no-input"), ("audit", "grants", "--run")):
            done = made.run("owner", *words)
            assert done.returncode == 0, done.stderr
            for name in ("database.url", "database-sealer.url"):
                password = (made.folder / "keys" / name).read_text().split(":")[2].split("@")[0]
                assert password not in done.stdout + done.stderr
        yield made
