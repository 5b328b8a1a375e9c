"""What a benchmark measures and how it is told: seconds of several runs, and the ratio to a baseline of the same run.

A ratio is what two machines can compare; seconds alone say as much about the machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured thing. `seconds` holds one value a repetition (or `unit`s); its median is divided by `against`'s."""

    name: str
    seconds: tuple[float, ...]
    against: Figure | None = None
    unit: str = "s"

    def percentile(self, share: float) -> float:
        """Returns the smallest measured value that at least this share of all values does not exceed."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def ratio(self) -> float | None:
        """Returns the median as a multiple of the baseline's median, or None without a baseline."""
        return self.percentile(0.5) / self.against.percentile(0.5) if self.against else None


def line(figure: Figure) -> str:
    """Returns one line: name, median, 95th percentile where there are several values, and the ratio."""
    text = f"{figure.name:<44} p50 {figure.percentile(0.5):8.3f} {figure.unit}"
    text += (
        f"  p95 {figure.percentile(0.95):8.3f} {figure.unit}  n={len(figure.seconds)}"
        if len(figure.seconds) > 1
        else ""
    )
    if figure.against is not None:
        text += f"  = {figure.ratio:.2f} × {figure.against.name}"
    return text
