"""Patterns of policies as regular expressions, for `evaluate` alone: `contain` must not share how matching works.

A pattern is a list of (text, is literal) pieces; in the literal ones `*` and `?` are the characters themselves.
"""

from __future__ import annotations

import re

Pieces = list[tuple[str, bool]]


def glob(pieces: Pieces, any_character: str = ".") -> str:
    """Returns the expression of a pattern. Between stars each run is matched at its first place and never tried again
    (atomic groups), which is enough for wildcards.
    """
    runs = [""]
    for text, literal in pieces:
        for character in text:
            if literal or character not in "*?":
                runs[-1] += re.escape(character)
            elif character == "?":
                runs[-1] += any_character
            else:
                runs.append("")
    if len(runs) == 1:
        return runs[0]
    middle = "".join(f"(?>{any_character}*?{run})" for run in runs[1:-1] if run)
    return f"{runs[0]}{middle}{any_character}*{runs[-1]}"


def segmented(pieces: Pieces | None, *, pad: bool) -> str | None:
    """Returns the expression of an ARN pattern: in the first five segments wildcards do not match a colon.

    Colons of variables' values do not divide. A pattern with fewer than five colons is padded with `:*`, or, without
    `pad`, matches nothing (None).
    """
    if pieces is None:
        return None
    segments: list[Pieces] = [[]]
    for text, literal in pieces:
        if literal:
            segments[-1].append((text, True))
            continue
        for position, piece in enumerate(text.split(":", 6 - len(segments)) if len(segments) < 6 else [text]):
            if position:
                segments.append([])
            segments[-1].append((piece, False))
    if len(segments) < 6:
        if not pad:
            return None
        segments += [[("*", False)] for _ in range(6 - len(segments))]
    return ":".join([*(glob(segment, "[^:]") for segment in segments[:5]), glob(segments[5])])
