"""Statistics of few, noisy samples: medians, quartiles, a line. No means: one outlier must not move a figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the samples lie, interpolated. Raises ValueError without samples."""
    if not values:
        raise ValueError("there are no samples")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)


def iqr(values: Sequence[float]) -> float:
    """The interquartile range: how wide the middle half is."""
    return percentile(values, 0.75) - percentile(values, 0.25)


@dataclass(frozen=True)
class Line:
    """A least-squares line. `residual` is the largest distance from it, as a share of the largest value."""

    intercept: float
    slope: float
    residual: float


def line(points: Sequence[tuple[float, float]]) -> Line:
    """The line through (x, y) points. Raises ValueError with fewer than two different x."""
    count = len(points)
    if len({x for x, _ in points}) < 2:
        raise ValueError("a line needs two different x")
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    intercept = middle_y - slope * middle_x
    largest = max(abs(y) for _, y in points) or 1.0
    residual = max(abs(y - (intercept + slope * x)) for x, y in points) / largest
    return Line(intercept, slope, residual)
