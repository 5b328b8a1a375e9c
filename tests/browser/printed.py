"""Reads back what Chromium prints: the words of each page of its PDF, and how far to the right each stretch reaches.

Only what Chromium writes is understood: composite fonts with a table of characters, and no turned text. Anything else
raises, so that nothing is overlooked.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_OBJECT = re.compile(rb"(?s)(?<![0-9])(\d+) 0 obj\s(.*?)\sendobj")
_TOKEN = re.compile(rb"<<|>>|<[0-9A-Fa-f]*>|\((?:\\.|[^()\\])*\)|/[^\s/<>\[\]()]+|[\[\]]|[^\s/<>\[\]()]+")
_PAIR = re.compile(rb"<([0-9A-F]+)> <([0-9A-F]+)>(?: <([0-9A-F]+)>)?\n")
_WIDTHS = re.compile(rb"(\d+) (?:\[([\d. ]+)\]|(\d+) ([\d.]+))")


@dataclass(frozen=True)
class Stretch:
    """Some characters that stand together: where they begin and end from the left, and their line, in points."""

    text: str
    left: float
    right: float
    line: float


@dataclass(frozen=True)
class Sheet:
    """One printed page."""

    width: float
    stretches: tuple[Stretch, ...]

    @property
    def text(self) -> str:
        """All that is on it, without blanks."""
        return "".join("".join(stretch.text for stretch in self.stretches).split())


@dataclass(frozen=True)
class _Font:
    characters: dict[int, str]
    widths: dict[int, float]
    usual: float = 1000.0


def read(pdf: bytes) -> list[Sheet]:
    """Returns the pages in order. Raises KeyError or ValueError for what Chromium does not write."""
    objects = {int(found[1]): found[2] for found in _OBJECT.finditer(pdf)}
    root = next(body for body in objects.values() if b"/Type /Catalog" in body)
    return [_sheet(page, objects) for page in _pages(objects[_number(rb"/Pages", root)], objects)]


def _pages(node: bytes, objects: dict[int, bytes]) -> Iterator[bytes]:
    if b"/Kids" not in node:
        yield node
        return
    kids = node[node.index(b"/Kids") :]
    for number in re.findall(rb"(\d+) 0 R", kids[: kids.index(b"]")]):
        yield from _pages(objects[int(number)], objects)


def _sheet(page: bytes, objects: dict[int, bytes]) -> Sheet:
    fonts = {name: _font(objects[int(at)], objects) for name, at in re.findall(rb"(/F\d+) (\d+) 0 R", page)}
    contents = _stream(objects[_number(rb"/Contents", page)])
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+)", page)
    if box is None:
        raise ValueError("a page without a size")
    return Sheet(float(box[1]), tuple(_stretches(contents, fonts)))


def _number(name: bytes, body: bytes) -> int:
    found = re.search(name + rb" \[?(\d+) 0 R", body)
    if found is None:
        raise ValueError(f"no {name.decode()}")
    return int(found[1])


def _stream(body: bytes) -> bytes:
    head, _, rest = body.partition(b"stream\n")
    content = rest[: rest.rindex(b"\nendstream")]
    return zlib.decompress(content) if b"/FlateDecode" in head else content


def _font(body: bytes, objects: dict[int, bytes]) -> _Font:
    characters: dict[int, str] = {}
    for first, second, third in _PAIR.findall(_stream(objects[_number(rb"/ToUnicode", body)])):
        if third:
            for place in range(int(first, 16), int(second, 16) + 1):
                characters[place] = chr(int(third, 16) + place - int(first, 16))
        else:
            characters[int(first, 16)] = bytes.fromhex(second.decode()).decode("utf-16-be")
    table = objects[_number(rb"/DescendantFonts", body)]
    widths: dict[int, float] = {}
    for first, several, last, one in _WIDTHS.findall(table[table.index(b"/W [") + 4 :]):
        if several:
            widths |= {int(first) + place: float(width) for place, width in enumerate(several.split())}
        else:
            widths |= dict.fromkeys(range(int(first), int(last) + 1), float(one))
    usual = re.search(rb"/DW ([\d.]+)", table)
    return _Font(characters, widths, float(usual[1]) if usual else 1000.0)


def _stretches(contents: bytes, fonts: dict[bytes, _Font]) -> Iterator[Stretch]:
    scale, flip, across, below, begin, at, down, size = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    kept, given, font = list[tuple[float, float, float, float]](), list[bytes](), _Font({}, {})
    for token in _TOKEN.findall(contents):
        if token == b"q":
            kept.append((scale, flip, across, below))
        elif token == b"Q":
            scale, flip, across, below = kept.pop()
        elif token == b"cm":
            a, b, c, d, e, f = map(float, given[-6:])
            if b or c:
                raise ValueError("turned text")
            across, below, scale, flip = across + scale * e, below + flip * f, scale * a, flip * d
        elif token == b"Tf":
            font, size = fonts[given[-2]], float(given[-1])
        elif token == b"Tm":
            begin, down = float(given[-2]), float(given[-1])
            at = begin
        elif token == b"Td":
            begin, down = begin + float(given[-2]), down + float(given[-1])
            at = begin
        elif token == b"Tj":
            glyphs = [int(given[-1][place : place + 4], 16) for place in range(1, len(given[-1]) - 1, 4)]
            width = sum(font.widths.get(glyph, font.usual) for glyph in glyphs) * size / 1000
            text = "".join(font.characters[glyph] for glyph in glyphs)
            left = across + scale * at
            at += width
            yield Stretch(unicodedata.normalize("NFKC", text), left, across + scale * at, below + flip * down)
        elif token in {b"TJ", b"'", b'"'}:
            raise ValueError(f"text by {token.decode()}")
        else:
            given.append(token)
            continue
        given.clear()
