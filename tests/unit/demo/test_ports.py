"""Who holds a port, read from a made-up /proc, and the sentence that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.demo import ports, supervisor

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENER = "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
VISITOR = "   1: 0100007F:1F40 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(HEADER + VISITOR + LISTENER)
    for pid, inode, command in ((12, 4712, "curl"), (9, 99, "sh"), (1234, 4711, "python3\0-m\0http.server\0")):
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/fd/3").symlink_to(f"socket:[{inode}]")
        (tmp_path / f"{pid}/cmdline").write_text(command)
    (tmp_path / "77").mkdir()  # somebody else's: its files cannot be listed
    return tmp_path


class TestHolder:
    def test_is_who_listens_and_not_who_is_connected(self, proc: Path) -> None:
        assert ports.holder(8000, proc) == (1234, "python3 -m http.server")

    def test_is_unknown_for_another_port(self, proc: Path) -> None:
        assert ports.holder(8001, proc) is None

    def test_is_unknown_where_there_is_no_proc(self, tmp_path: Path) -> None:
        assert ports.holder(8000, tmp_path / "none") is None

    def test_a_long_command_is_cut(self, proc: Path) -> None:
        (proc / "1234/cmdline").write_text("x" * 100)
        assert ports.holder(8000, proc) == (1234, "x" * 79 + "…")


class TestRequireFree:
    @pytest.mark.parametrize(
        ("found", "who"),
        [((1234, "python3 -m http.server"), "process 1234 (python3 -m http.server)"), (None, "another process")],
    )
    def test_names_the_holder_and_a_free_port(
        self, monkeypatch: pytest.MonkeyPatch, found: tuple[int, str] | None, who: str
    ) -> None:
        monkeypatch.setattr(ports, "is_free", lambda port: port == 8002)
        monkeypatch.setattr(ports, "holder", lambda port: found)
        with pytest.raises(ports.PortTaken) as taken:
            ports.require_free(8000)
        assert str(taken.value) == f"Port 8000 is in use by {who}. Take another: make demo PORT=8002"

    def test_says_nothing_about_a_free_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ports, "is_free", lambda port: True)
        ports.require_free(8000)


class TestWantedPort:
    @pytest.mark.parametrize(("value", "port"), [(None, 8000), ("", 8000), ("8001", 8001)])
    def test_reads_the_environment(self, monkeypatch: pytest.MonkeyPatch, value: str | None, port: int) -> None:
        monkeypatch.delenv("PORT", raising=False)
        if value is not None:
            monkeypatch.setenv("PORT", value)
        assert supervisor.wanted_port() == port

    @pytest.mark.parametrize("value", ["abc", "0", "65536", "-1", "80 00", "８０"])
    def test_refuses_what_is_no_port(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("PORT", value)
        with pytest.raises(supervisor.CannotStart) as refused:
            supervisor.wanted_port()
        assert str(refused.value) == (
            f"PORT is {value!r}, which is no port number. Take one from 1024 to 65535: make demo PORT=8001"
        )
