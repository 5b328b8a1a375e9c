"""The demo's mail files are read back as they were sent."""

from __future__ import annotations

from pathlib import Path

from django.core.mail import EmailMultiAlternatives, get_connection

from portal.demo import mail


def send(folder: Path, *subjects: str) -> None:
    connection = get_connection("django.core.mail.backends.filebased.EmailBackend", file_path=str(folder))
    messages = []
    for subject in subjects:
        one = EmailMultiAlternatives(subject, f"About {subject} – ä", "a@example.org", ["b@example.org"])
        one.attach_alternative("<p>HTML</p>", "text/html")
        messages.append(one)
    connection.send_messages(messages)


def test_reads_the_newest_first_with_their_plain_text(tmp_path: Path) -> None:
    send(tmp_path, "first", "second")
    found = mail.newest(tmp_path)
    assert [one.subject for one in found] == ["second", "first"]
    assert found[0].text.strip() == "About second – ä"
    assert found[0].to == "b@example.org"


def test_lists_twenty_and_none_before_the_first(tmp_path: Path) -> None:
    assert mail.newest(tmp_path / "absent") == []
    send(tmp_path, *map(str, range(25)))
    assert [one.subject for one in mail.newest(tmp_path)] == [str(number) for number in range(24, 4, -1)]
