"""Keeps the simulated AWS alive across restarts: one file for each AWS account, written whole and renamed into place.

The file is a pickle of moto's own IAM objects, so RoleIds, versions, attachments, tags, inline policies, boundaries and
dates come back as they were. AWS managed policies are named, not copied (1,500 of them come with moto), sessions are
left out (clients assume again), and reading builds objects of the listed classes only.
"""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

from moto import __version__ as moto_version
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy, iam_backends

FORMAT = 1
_REBUILT_BY_MOTO = {
    "region_name",
    "account_id",
    "partition",
    "aws_managed_policies",
    "managed_policies",
    "policy_arn_regex",
    "account_summary",
    "access_keys",
}
_SESSION_KEY_PREFIX = "ASIA"
_ALLOWED_MODULES = {"moto.iam.models", "moto.utilities.tagging_service"}
_ALLOWED_NAMES = {
    ("datetime", "datetime"),
    ("datetime", "timezone"),
    ("datetime", "timedelta"),
    ("collections", "OrderedDict"),
    ("builtins", "set"),
}


class SnapshotUnreadable(Exception):
    """A saved AWS account cannot be read: another version of the simulator wrote it, or the file is damaged."""


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        if isinstance(obj, AWSManagedPolicy):
            return ("aws-managed", obj.arn)
        if isinstance(obj, IAMBackend):
            return ("backend", obj.partition)
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, account: str) -> None:
        super().__init__(file)
        self._account = account
        self._managed: dict[str, ManagedPolicy] = {}

    def persistent_load(self, pid: Any) -> Any:
        kind, name = pid
        if kind == "backend":
            return iam_backends[self._account][name]
        if name not in self._managed:
            backend = iam_backends[self._account][name.split(":")[1]]
            self._managed.update({policy.arn: policy for policy in backend.aws_managed_policies})
        return self._managed[name]

    def find_class(self, module: str, name: str) -> Any:
        if module in _ALLOWED_MODULES or (module, name) in _ALLOWED_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a saved AWS account")


def dump_account(account: str) -> bytes:
    """Returns the saved form of every partition of the account that holds anything."""
    # A list of the partitions that exist: indexing would make the others, each with its own 1,500 managed policies.
    states = {partition: _state(backend) for partition, backend in list(iam_backends[account].items())}
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump({"format": FORMAT, "moto": moto_version, "partitions": states})
    return buffer.getvalue()


def load_account(account: str, saved: bytes) -> None:
    """Puts a saved AWS account back. Raises `SnapshotUnreadable`."""
    try:
        content = _Unpickler(io.BytesIO(saved), account).load()
        if content["format"] != FORMAT or content["moto"] != moto_version:
            raise SnapshotUnreadable(f"written by format {content['format']}, moto {content['moto']}")
        for partition, state in content["partitions"].items():
            _restore(iam_backends[account][partition], state)
    except (pickle.UnpicklingError, EOFError, KeyError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise SnapshotUnreadable(str(error)) from error


def _state(backend: IAMBackend) -> dict[str, Any]:
    return {
        "attributes": {name: value for name, value in vars(backend).items() if name not in _REBUILT_BY_MOTO},
        "access_keys": {k: v for k, v in backend.access_keys.items() if not k.startswith(_SESSION_KEY_PREFIX)},
        "policies": {a: p for a, p in backend.managed_policies.items() if not isinstance(p, AWSManagedPolicy)},
        "aws_attachments": {p.arn: p.attachment_count for p in backend.aws_managed_policies if p.attachment_count},
    }


def _restore(backend: IAMBackend, state: dict[str, Any]) -> None:
    vars(backend).update(state["attributes"])
    backend.access_keys.update(state["access_keys"])
    backend.managed_policies.update(state["policies"])
    for policy in backend.aws_managed_policies:
        policy.attachment_count = state["aws_attachments"].get(policy.arn, 0)


class SnapshotFolder:
    """The folder that holds one `ACCOUNT.iam` for each AWS account."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, account: str) -> None:
        """Writes the account before the caller answers; a killed process leaves the old file or the new one.

        It is not flushed to the disk: the promise is to outlive the process, not a power cut.
        """
        target = self._folder / f"{account}.iam"
        new = target.with_suffix(".new")
        new.write_bytes(dump_account(account))
        os.replace(new, target)

    def save_all(self) -> None:
        """Writes every account that exists in the simulator."""
        for account in list(iam_backends):
            self.save(account)

    def load_all(self) -> list[str]:
        """Loads every saved account and returns their numbers. Raises `SnapshotUnreadable`, naming the file."""
        accounts = []
        for path in sorted(self._folder.glob("*.iam")):
            try:
                load_account(path.stem, path.read_bytes())
            except SnapshotUnreadable as error:
                raise SnapshotUnreadable(f"{path}: {error}") from error
            accounts.append(path.stem)
        return accounts
