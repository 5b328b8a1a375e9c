"""What a bare machine may lack: each is one sentence with the command that mends it."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portal.demo import bootstrap


class TestRequirePython:
    def test_names_what_was_found_and_what_to_install(self) -> None:
        with pytest.raises(bootstrap.CannotStart) as refused:
            bootstrap.require_python((3, 8, 10))
        assert str(refused.value) == (
            "Python 3.11 or newer is needed; found 3.8. Install one: apt install python3.11 python3.11-venv"
            " (or point to it: make demo PYTHON=/path/to/python3)"
        )

    @pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 1), (4, 0, 0)])
    def test_accepts_newer_ones(self, version: tuple[int, ...]) -> None:
        bootstrap.require_python(version)


def test_an_old_python_can_read_the_file() -> None:
    source = Path(bootstrap.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source


def test_a_python_without_ensurepip_is_told_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else found(name))
    with pytest.raises(bootstrap.CannotStart) as refused:
        bootstrap.require_venv()
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert str(refused.value) == (
        f"This Python cannot make a virtual environment. Install what it lacks: apt install {package}"
    )


def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_self: Path, _content: bytes) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(bootstrap.CannotStart) as refused:
        bootstrap.require_writable(tmp_path)
    assert str(refused.value) == (
        f"Nothing can be written into {tmp_path} (Read-only file system). Copy it to a folder of yours:"
        f" cp -r {tmp_path} ~/roledesk && cd ~/roledesk"
    )


def test_a_writable_folder_is_left_as_it_was(tmp_path: Path) -> None:
    bootstrap.require_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


PROXY_OR_MIRROR = "behind a proxy: export HTTPS_PROXY=…; with a mirror: export PIP_INDEX_URL=…"
NO_NETWORK = """\
WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError(...)'
ERROR: No matching distribution found for amqp==5.4.2
"""


@pytest.mark.parametrize(
    ("output", "problem", "way_out"),
    [
        (
            NO_NETWORK,
            "The package index cannot be reached.",
            f"Check the network ({PROXY_OR_MIRROR}), then: make demo",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "A package is not the one that was pinned (its hash differs), so nothing was installed.",
            "Try: git checkout -- requirements",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "The disk is full.",
            "Make about 700 MB of room, then: make demo",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
            "The virtual environment cannot be written to.",
            "Make it anew: rm -rf .venv && make demo",
        ),
        ("E1\nERROR: No such wheel.\n\n", "The packages could not be installed:", "No such wheel."),
        ("", "The packages could not be installed:", "it said nothing."),
    ],
    ids=["no network", "other hash", "disk full", "not writable", "other", "silent"],
)
def test_says_why_pip_failed(output: str, problem: str, way_out: str) -> None:
    assert bootstrap.why_pip_failed(output) == f"{problem} {way_out}"


LOCK = "django==5.2.9 \\\n    --hash=sha256:aa\nz3-solver==5.4 ; python_version > '3' \\\n    --hash=sha256:bb\n"


class TestStamp:
    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "requirements").mkdir()
        (tmp_path / ".venv").mkdir()
        (tmp_path / "requirements/dev.txt").write_text(LOCK)
        (tmp_path / "requirements/demo.txt").write_text(LOCK.partition("z3")[0])
        monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
        return tmp_path

    def test_reads_the_pins(self, project: Path) -> None:
        assert bootstrap.pins(project / "requirements/dev.txt") == {"django==5.2.9", "z3-solver==5.4"}

    def test_the_larger_lock_covers_the_smaller(self, project: Path) -> None:
        bootstrap.stamp(project / ".venv", project / "requirements/dev.txt")
        assert bootstrap.is_installed(project / ".venv", project / "requirements/demo.txt") is True

    def test_the_smaller_lock_does_not_cover_the_larger(self, project: Path) -> None:
        bootstrap.stamp(project / ".venv", project / "requirements/demo.txt")
        assert bootstrap.is_installed(project / ".venv", project / "requirements/dev.txt") is False

    def test_a_changed_lock_is_installed_again(self, project: Path) -> None:
        bootstrap.stamp(project / ".venv", project / "requirements/dev.txt")
        (project / "requirements/dev.txt").write_text(LOCK.replace("5.2.9", "5.2.10"))
        assert bootstrap.is_installed(project / ".venv", project / "requirements/dev.txt") is False

    def test_a_damaged_stamp_counts_as_none(self, project: Path) -> None:
        (project / ".venv" / bootstrap.STAMP).write_text("{")
        assert bootstrap.is_installed(project / ".venv", project / "requirements/dev.txt") is False


class TestInstall:
    """A stand-in for the environment's Python: a script that answers as pip would."""

    @pytest.fixture
    def venv(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / ".venv/bin").mkdir(parents=True)
        (tmp_path / "requirements").mkdir()
        (tmp_path / "requirements/dev.txt").write_text(LOCK)
        monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
        return tmp_path / ".venv"

    def answers(self, venv: Path, script: str) -> None:
        program = bootstrap.interpreter(venv)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def test_a_failure_leaves_no_stamp_and_keeps_what_pip_said(self, venv: Path) -> None:
        self.answers(venv, "echo 'WARNING: Retrying (Retry(total=1)) after timed out'; exit 1")
        with pytest.raises(
            bootstrap.CannotStart, match=r"^The package index cannot be reached\..* \(all that pip said:"
        ):
            bootstrap.install(venv, venv.parent / "requirements/dev.txt")
        assert bootstrap.is_installed(venv, venv.parent / "requirements/dev.txt") is False
        assert (venv / "install.log").read_text() == "WARNING: Retrying (Retry(total=1)) after timed out\n"

    def test_demands_hashes_and_runs_once(self, venv: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.answers(venv, f'echo "$@" >> {venv}/calls')
        lock = venv.parent / "requirements/dev.txt"
        bootstrap.install(venv, lock)
        bootstrap.install(venv, lock)
        assert (venv / "calls").read_text() == (
            "-m pip install --quiet --no-input --disable-pip-version-check --progress-bar off --retries 2"
            f" --require-hashes -r {lock}\n"
        )
        assert capsys.readouterr().out == "Installing 2 packages into .venv (once)\n"
        assert json.loads((venv / bootstrap.STAMP).read_text()) == [bootstrap.digest(lock)]

    def test_an_environment_that_does_not_run_is_not_taken(self, venv: Path) -> None:
        assert bootstrap.works(venv) is False
        self.answers(venv, "exit 1")
        assert bootstrap.works(venv) is False


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_end_to_end(tmp_path: Path) -> None:
    copy = tmp_path / "portal" / "demo"
    copy.mkdir(parents=True)
    (copy / "bootstrap.py").write_bytes(Path(bootstrap.__file__).read_bytes())
    tmp_path.chmod(0o555)
    ended = subprocess.run([sys.executable, copy / "bootstrap.py", "demo"], capture_output=True, text=True, check=False)
    tmp_path.chmod(0o755)
    assert (ended.returncode, ended.stderr.startswith("Nothing can be written into")) == (1, True)
