"""`manage.py audit`: verifies, exports and seals the audit trail. It parses and prints; `iamroles.audit` does the work.

Only data goes to standard output; what is said about it goes to standard error, except for `verify`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from iamroles.audit import checkpoint, config, export, generations, grants, restore, rotate
from iamroles.audit import keys as audit_keys
from iamroles.audit.checkpoint import BadKey, VerifierKey
from iamroles.audit.continuity import Halted
from iamroles.audit.evidence.bundle import build_bundle, record_bundle
from iamroles.audit.export import files
from iamroles.audit.find import EventFilter
from iamroles.audit.publish import NotPublished
from iamroles.audit.reading import read_hashes, read_trail, snapshot
from iamroles.audit.record import record_alone
from iamroles.audit.report import CANNOT_TELL, TAMPERED, Report
from iamroles.audit.values import Actor, Subject
from iamroles.audit.verify import Limits, check_leaf_log, read_leaf_log, verify_database
from iamroles.audit.verify_files import verify_export, verify_proof, verify_selection
from iamroles.models import VerificationOrder

_FILTERS = ("from", "to", "actor", "action", "object", "request", "account", "outcome", "tab")


class Command(BaseCommand):
    """Verifies, exports and seals the audit trail."""

    help = "Verify, export or seal the audit trail."
    requires_system_checks: list[str] = []  # verifying must not depend on pages

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        _add_verify(verbs.add_parser("verify", help="exit 0: fine, 1: tampered, 2: cannot tell"))
        _add_export(verbs.add_parser("export", help="write events as CSV or JSON lines"))
        seal = verbs.add_parser("checkpoint", help="seal what waits, publish, print the newest checkpoint")
        seal.add_argument("--output", type=Path, help="also write the checkpoint to this file")
        seal.add_argument("--vkey", action="store_true", help="print the verifier keys instead")
        _add_bundle(verbs.add_parser("bundle", help="make a zip of evidence that verifies without the portal"))
        change = verbs.add_parser("rotate", help="change the audit key; the one before signs beside it for 30 days")
        change.add_argument("--revoke", action="store_true", help="others may hold the key: it signs nothing any more")
        change.add_argument("--last-size", type=int, help="with --revoke: the last checkpoint from before the theft")
        rights = verbs.add_parser("grants", help="print the SQL for the database roles of PostgreSQL")
        rights.add_argument("--run", action="store_true", help="run it, as the owner of the tables")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Does what the subcommand says and ends with its exit code."""
        code = getattr(self, f"_{verb}")(**options)
        if code:
            sys.exit(code)

    def _verify(self, **options: Any) -> int:
        try:
            keys = self._keys(options["key"])
            report = self._report(keys, options)
        except (BadKey, NotPublished, DatabaseError, OSError, ValueError) as error:
            why = " ".join(str(error).split())
            self.stderr.write(f"CANNOT TELL: {why}")
            _answer(options["order"], {"exit": CANNOT_TELL, "problems": [why]})
            return CANNOT_TELL
        self.stdout.write(report.as_json() if options["json"] else report.as_text())
        order = _answer(options["order"], json.loads(report.as_json()))
        if report.mode == "database" and not options["read_only"]:
            self._remember(report, order)
        return report.exit

    def _report(self, keys: Sequence[VerifierKey], options: dict[str, Any]) -> Report:
        if options["proof"]:
            lines = list(files.read_lines(_required(options, "export")))
            if len(lines) != 1:
                raise ValueError(f"a proof is of one event, but the export has {len(lines)} lines")
            return verify_proof(lines[0], _text(options["proof"]), keys=keys)
        if options["export"]:
            return _verify_files(keys, options)
        return self._verify_database(keys, options)

    def _verify_database(self, keys: Sequence[VerifierKey], options: dict[str, Any]) -> Report:
        publisher = config.file_publisher()
        kept = [_text(options[name]) for name in ("checkpoint", "older") if options[name]]
        if publisher is not None:
            kept += publisher.notes()
        limits = Limits(now=datetime.now(UTC), lag=timedelta(seconds=settings.ROLEDESK_SEAL_LAG_SECONDS))
        logged = read_leaf_log(_text(options["leaf_log"]).splitlines()) if options["leaf_log"] else {}
        with snapshot():
            report = verify_database(
                read_trail(fast=options["fast"]), keys=keys, origin=config.first_origin(), kept=kept, limits=limits
            )
            check_leaf_log(logged, read_hashes(sorted(logged)), report)
        return report

    def _remember(self, report: Report, order: VerificationOrder | None) -> None:
        """Records that somebody verified, and seals that at once if this process can."""
        asked = order.ordered_by if order else None
        owner = Actor(type="user", id=str(asked.pk), name=asked.display_name) if asked else None
        data: dict[str, object] = {
            "mode": report.mode,
            "size": report.size,
            "root": report.root.hex(),
            "exit": report.exit,
            "first_bad": str(report.first_bad) if report.first_bad else None,
        }
        try:
            record_alone(
                "verification.completed",
                actor=_actor(),
                subject=_TRAIL,
                at=datetime.now(UTC),
                data=data,
                on_behalf_of=owner,
            )
            self._seal_if_possible()
        except DatabaseError as error:
            self.stderr.write(f"That the database was verified could not be recorded: {error}")

    def _seal_if_possible(self) -> None:
        if not settings.ROLEDESK_AUDIT_KEY_FILE:
            return
        try:
            config.sealer().seal_all(at=datetime.now(UTC))
        except (BadKey, Halted) as error:
            self.stderr.write(f"Not sealed: {error}")

    def _export(self, **options: Any) -> int:
        wanted = _filter(options)
        self._seal_if_possible()
        cut = _cut(options["as_of"])
        started = export.begin(wanted, options["format"], actor=_actor(), cut=cut)
        if options["output"] == "-":
            for chunk in started:
                self.stdout.buffer.write(chunk)  # type: ignore[attr-defined]
        else:
            path = Path(options["output"])
            files.write_file(path, started)
            _write_beside(path, started, full=wanted == EventFilter(), evidence=options["format"] == "jsonl")
        self._seal_if_possible()
        self.stderr.write(f"{started.rows} rows, {started.bytes} bytes, SHA-256 {started.sha256}")
        return 0

    def _bundle(self, **options: Any) -> int:
        wanted, older = _filter(options), _older(options["older"])
        self._seal_if_possible()
        cut = _cut(options["as_of"])
        if older and older.size > cut.size:
            raise CommandError(f"--older: it covers {older.size} events, the newest checkpoint only {cut.size}")
        bundle = build_bundle(wanted, cut, older=older)
        files.write_file(options["output"], [bundle.content])
        record_bundle(bundle, wanted, actor=_actor(), at=datetime.now(UTC))
        self._seal_if_possible()
        self.stderr.write(f"{bundle.rows} rows, {len(bundle.content)} bytes, SHA-256 {bundle.sha256}")
        return 0

    def _checkpoint(self, *, output: Path | None, vkey: bool, **_: Any) -> int:
        try:
            if vkey:
                self.stdout.write("\n".join(map(str, _standing())))
                return 0
            done = config.sealer().seal_all(at=datetime.now(UTC))
        except BadKey as error:
            self.stderr.write(f"No key: {error}")
            return CANNOT_TELL
        except Halted as error:
            self.stderr.write(f"Inconsistent, nothing was signed: {error}")
            return TAMPERED
        if done.note is None:
            self.stderr.write("No event was recorded yet, so there is no checkpoint.")
            return CANNOT_TELL
        self.stdout.write(done.note, ending="")
        if output:
            files.write_file(output, [done.note.encode()])
        return 0

    def _rotate(self, *, revoke: bool, last_size: int | None, **_: Any) -> int:
        paths, at = (config.key_file, config.vkeys_file), datetime.now(UTC)
        try:
            path, vkeys = (find() for find in paths)
            if revoke:
                new = rotate.revoke(path, vkeys, last_size=last_size, actor=_actor(), at=at)
            else:
                new = rotate.rotate(path, vkeys, actor=_actor(), at=at)
        except (BadKey, OSError) as error:
            self.stderr.write(f"No key: {error}")
            return CANNOT_TELL
        except Halted as error:
            self.stderr.write(f"Inconsistent, nothing was changed: {error}")
            return TAMPERED
        self.stdout.write(str(new))
        self.stderr.write("Give this verifier key to the auditors by another channel than the checkpoints.")
        return 0

    def _grants(self, *, run: bool, **_: Any) -> int:
        if settings.ROLEDESK_DATABASE_ROLES == "one":
            self.stderr.write("One role has all rights (ALLOW_SINGLE_DB_ROLE): there is nothing to grant.")
            return 0
        try:
            statements = grants.statements(*config.database_roles())
        except grants.NoRoles as error:
            raise CommandError(str(error)) from error
        if run:
            grants.run(statements, passwords=config.database_passwords())
            self.stderr.write(f"{len(statements)} statements run.")
        else:
            self.stdout.write("\n".join(f"{statement};" for statement in statements))
        return 0

    def _keys(self, given: str | None) -> Sequence[VerifierKey]:
        if given is None:
            keys: Sequence[VerifierKey] = config.verifier_keys()
            self.stderr.write("The verifier key comes from the settings. An auditor brings it: --key VKEY|FILE.")
            return keys
        path = Path(given)
        return audit_keys.read_vkeys(_text(path) if path.is_file() else given)


_TRAIL = Subject("audit", "trail", "audit trail")


def _answer(order_id: int | None, report: dict[str, Any]) -> VerificationOrder | None:
    """Stores the report with the order of the page that waits for it, if any. Returns the order."""
    if order_id is None:
        return None
    order = VerificationOrder.objects.select_related("ordered_by").filter(pk=order_id).first()
    if order is not None:
        order.answered_at, order.next_try_at, order.report = datetime.now(UTC), None, report
        order.save(update_fields=("answered_at", "next_try_at", "report"))
    return order


def _add_verify(parser: CommandParser) -> None:
    parser.add_argument("--export", type=Path, help="a JSON lines export instead of the database")
    parser.add_argument("--checkpoint", type=Path, help="the signed checkpoint to hold it against")
    parser.add_argument("--older", type=Path, help="a checkpoint that you kept before")
    parser.add_argument("--proof", type=Path, help="the .tlog-proof of the one event in --export")
    parser.add_argument("--key", help="verifier key, or a file with one a line; else from the settings")
    parser.add_argument("--selection", action="store_true", help="the export is a selection with FILE.proofs")
    parser.add_argument("--leaf-log", type=Path, help="the collected log of the processes, which names each event")
    parser.add_argument("--fast", action="store_true", help="derive the columns of one event in 50 only")
    parser.add_argument("--order", type=int, help="the number of the page's order that this answers")
    parser.add_argument("--read-only", action="store_true", help="do not record that the database was verified")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _add_export(parser: CommandParser) -> None:
    parser.add_argument("--format", choices=export.FORMATS, required=True)
    parser.add_argument("--output", required=True, help="a file, or - for standard output")
    parser.add_argument("--as-of", type=Path, help="cut at this checkpoint instead of the newest")
    for name in _FILTERS:
        parser.add_argument(f"--{name}", dest=f"filter_{name}", default="", metavar=name.upper())


def _add_bundle(parser: CommandParser) -> None:
    parser.add_argument("--output", type=Path, required=True, help="the zip")
    parser.add_argument("--older", type=Path, help="a checkpoint that the auditor kept: adds the consistency proof")
    parser.add_argument("--as-of", type=Path, help="cut at this checkpoint instead of the newest")
    for name in _FILTERS:
        parser.add_argument(f"--{name}", dest=f"filter_{name}", default="", metavar=name.upper())


def _filter(options: dict[str, Any]) -> EventFilter:
    wanted, bad = EventFilter.from_query({name: options[f"filter_{name}"] for name in _FILTERS})
    if bad:
        raise CommandError(" ".join(f"--{each.name}: {each.message}" for each in bad))
    return wanted


def _older(path: Path | None) -> checkpoint.Checkpoint | None:
    try:
        return _on_line(_text(path)) if path else None
    except (OSError, ValueError) as error:
        raise CommandError(f"--older: {error}") from error


def _on_line(note: str) -> checkpoint.Checkpoint:
    """Returns what a checkpoint says that the trail still holds all events of. Raises ValueError."""
    said = checkpoint.verify(note, config.verifier_keys())
    if not generations.same_trail(said.origin, config.first_origin()):
        raise ValueError(f"the note is of {said.origin}, not of {config.origin()}")
    if restore.line().place(said) != "here":
        raise ValueError("it covers events that a declared restore from a backup lost")
    return said


def _standing() -> list[VerifierKey]:
    """Returns the keys that count, those of the generation that goes on first."""
    found = [key for key in config.verifier_keys() if key.last_size is None]
    now = [key for key in checkpoint.known_for(config.verifier_keys(), config.origin()) if key.last_size is None]
    return [*now, *(key for key in found if key not in now)]


def _verify_files(keys: Sequence[VerifierKey], options: dict[str, Any]) -> Report:
    path = _required(options, "export")
    proofs = files.beside(path, "proofs")
    if proofs.exists() and not options["selection"]:
        raise ValueError(f"{path} is a selection (there is {proofs.name}): verify it with --selection")
    try:
        return _verify_export(path, keys, options)
    except ValueError as error:
        mode = "selection" if options["selection"] else "export"
        report = Report(mode, key_ids=tuple(key.key_id.hex() for key in keys))
        report.tampered(f"something is not well formed ({' '.join(str(error).split())})")
        return report


def _verify_export(path: Path, keys: Sequence[VerifierKey], options: dict[str, Any]) -> Report:
    note = _text(options["checkpoint"] or files.beside(path, "checkpoint"))
    proofs, leaves = files.beside(path, "proofs"), files.beside(path, "leaves")
    if options["selection"]:
        places = files.read_proofs(_text(proofs))
        rows = zip(files.read_lines(path), places, strict=True)
        return verify_selection(((line, seq, hashes) for line, (seq, hashes) in rows), note, keys=keys)
    return verify_export(
        files.read_lines(path),
        note,
        keys=keys,
        leaves=files.read_leaves(_text(leaves)) if leaves.exists() else None,
        older=_text(options["older"]) if options["older"] else None,
    )


def _write_beside(path: Path, done: export.Export, *, full: bool, evidence: bool) -> None:
    if not evidence:
        return
    files.write_file(files.beside(path, "checkpoint"), [done.cut.note.encode()])
    if full:
        files.beside(path, "proofs").unlink(missing_ok=True)
        files.write_file(files.beside(path, "leaves"), files.write_leaves(done.cut.size))
    else:
        files.beside(path, "leaves").unlink(missing_ok=True)
        files.write_file(files.beside(path, "proofs"), files.write_proofs(files.read_lines(path), done.cut.size))


def _cut(as_of: Path | None) -> export.Cut:
    if as_of is None:
        try:
            return export.find_cut(wait=0 if settings.ROLEDESK_AUDIT_KEY_FILE else 2)
        except export.NothingSealed as error:
            raise CommandError(str(error)) from error
    try:
        note = _text(as_of)
        said = _on_line(note)
    except (OSError, ValueError) as error:
        raise CommandError(f"--as-of: {error}") from error
    return export.Cut(said.size, said.root, note)


def _actor() -> Actor:
    return Actor(type="system", id="command", name="Somebody at the command line", channel="command")


def _required(options: dict[str, Any], name: str) -> Path:
    if not options[name]:
        raise ValueError(f"--{name} is missing")
    return Path(options[name])


def _text(path: Path) -> str:
    return path.read_bytes().decode()
