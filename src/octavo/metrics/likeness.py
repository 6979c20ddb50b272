"""Whether two blocks of samples are the same picture: up to grey values, and up to how they are turned and counted.

Two programs that read one scan may scale its grey values, store it in another order, or lose a B-scan. So THEIRS is
compared with the straight line through OURS that fits best, and where that fails, every way of turning is tried on a
coarse grid of samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from jaxtyping import Float, Int, Num

ALIKE = 0.9
"""The correlation from which on two pictures look alike."""

_NAMES = ("the B-scans", "depth", "the A-scans")
_SAMPLES = 48
_BSCANS = 64
_MOST_SHIFTED = 8
_NO_SCALING = 1e-6
_RANGE_PERCENT = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class GreyFit:
    """THEIRS is `slope` times OURS plus `offset`, as well as a straight line can say."""

    slope: float
    offset: float
    grey_range: float
    """From the darkest to the brightest of THEIRS, without the outermost half per cent."""

    def describe(self) -> str:
        """The fit in words.

        Example:
            >>> GreyFit(1.0, 0.0, 255.0).describe(), GreyFit(0.5, 3.0, 255.0).describe()
            ('as they are', 'THEIRS = 0.5 x OURS + 3')
        """
        scale = max(self.grey_range, _NO_SCALING)
        if abs(self.slope - 1) < _NO_SCALING and abs(self.offset) < _NO_SCALING * scale:
            return "as they are"
        if self.slope < 0:
            return f"run against each other, slope {self.slope:.6g}"
        return f"THEIRS = {self.slope:.6g} x OURS {'-' if self.offset < 0 else '+'} {abs(self.offset):.6g}"


@dataclass(frozen=True, slots=True)
class BScanDifference:
    """How far a B-scan of THEIRS is from that of OURS, once its grey values are scaled."""

    number: int
    """Which B-scan, counted from one."""
    mean_absolute: float
    largest: float
    share: float
    """The mean absolute difference as a share of THEIRS' range of grey values."""
    correlation: float | None
    """None where one of the two is all of one grey."""

    def is_same(self, tolerance: float) -> bool:
        """Whether the mean difference is within a share of the grey range, and what is bright in one is so in the other.

        The difference alone would take two dark pictures for one: most of a B-scan is background.
        """
        return self.share <= tolerance and (self.correlation is None or self.correlation >= ALIKE)


@dataclass(frozen=True, slots=True)
class Turning:
    """How OURS must be turned to look like THEIRS."""

    axes: tuple[int, int, int]
    """Which axes of OURS become the axes of THEIRS."""
    reversed_axes: tuple[bool, bool, bool]
    """Which axes run the other way, after that."""
    shift: int
    """B-scan 1 of THEIRS is B-scan 1 + shift of OURS."""
    correlation: float

    def describe(self) -> str:
        """What to do with OURS, in words.

        Example:
            >>> Turning((0, 1, 2), (False, False, True), 0, 0.998).describe()
            'with the A-scans reversed (correlation 0.998)'
            >>> Turning((0, 2, 1), (False, False, False), 1, 1.0).describe()
            'with depth and the A-scans exchanged, with its B-scans counted from 2 (correlation 1.000)'
        """
        parts = []
        moved = [_NAMES[axis] for axis, source in enumerate(self.axes) if axis != source]
        if moved:
            parts.append(f"with {' and '.join(moved)} exchanged")
        turned = [name for name, is_reversed in zip(_NAMES, self.reversed_axes, strict=True) if is_reversed]
        if turned:
            parts.append(f"with {' and '.join(turned)} reversed")
        if self.shift > 0:
            parts.append(f"with its B-scans counted from {1 + self.shift}")
        elif self.shift < 0:
            parts.append(f"with its B-scan 1 as B-scan {1 - self.shift} of THEIRS")
        return f"{', '.join(parts)} (correlation {self.correlation:.3f})"


def fit_grey(ours: Num[np.ndarray, "bscan depth ascan"], theirs: Num[np.ndarray, "bscan depth ascan"]) -> GreyFit:
    """Fit THEIRS by a straight line through OURS: the middle one of those of all B-scans, so that a few wrong ones are seen.

    Example:
        >>> fit = fit_grey(np.arange(24.0).reshape(2, 3, 4), 2 * np.arange(24.0).reshape(2, 3, 4) + 1)
        >>> round(fit.slope, 6), round(fit.offset, 6)
        (2.0, 1.0)
    """
    slopes, means = [], []
    for mine, other in zip(ours, theirs, strict=True):
        x_mean, y_mean = float(mine.mean(dtype=np.float64)), float(other.mean(dtype=np.float64))
        x = mine.astype(np.float64) - x_mean
        squares = float((x * x).sum())
        slopes += [float((x * (other - y_mean)).sum()) / squares] if squares else []
        means.append((x_mean, y_mean))
    slope = float(np.median(slopes)) if slopes else 0.0
    offset = float(np.median([y_mean - slope * x_mean for x_mean, y_mean in means]))
    low, high = np.percentile(theirs[:: max(len(theirs) // _BSCANS, 1)], _RANGE_PERCENT)
    return GreyFit(slope, offset, float(high - low))


def compare_bscans(
    ours: Num[np.ndarray, "bscan depth ascan"], theirs: Num[np.ndarray, "bscan depth ascan"], fit: GreyFit
) -> tuple[BScanDifference, ...]:
    """Compare B-scan by B-scan, with the grey values of OURS scaled; a fit that inverts them is not used."""
    slope, offset = (fit.slope, fit.offset) if fit.slope > 0 else (1.0, 0.0)
    return tuple(
        _compare(number, mine.astype(np.float64) * slope + offset, other.astype(np.float64), fit.grey_range)
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True), 1)
    )


def _compare(
    number: int, mine: Float[np.ndarray, "depth ascan"], other: Float[np.ndarray, "depth ascan"], grey_range: float
) -> BScanDifference:
    difference = np.abs(mine - other)
    mean = float(difference.mean())
    scale = grey_range or float(np.ptp(other)) or 1.0
    return BScanDifference(number, mean, float(difference.max()), mean / scale, _correlation(mine, other))


def find_turning(
    ours: Num[np.ndarray, "bscan depth ascan"], theirs: Num[np.ndarray, "bscan2 depth2 ascan2"], least: float
) -> Turning | None:
    """Find how OURS must be turned, exchanged or counted to look like THEIRS.

    Args:
        ours: The one that is turned.
        theirs: The one that stays.
        least: The correlation from which on two blocks look alike.

    Returns:
        The best way; None if the best is to leave OURS as it is, or none reaches `least`.
    """
    best: Turning | None = None
    for axes in permutations(range(3)):
        moved = ours.transpose(axes)
        if moved.shape[1:] != theirs.shape[1:]:
            continue
        for flips in product((False, True), (False, True), (False, True)):
            turned = moved[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
            for shift, correlation in _shifted(turned, theirs):
                # the simplest comes first, and only a better one replaces it
                if best is None or correlation > best.correlation + _NO_SCALING:
                    best = Turning((axes[0], axes[1], axes[2]), flips, shift, correlation)
    if best is None or best.correlation < least:
        return None
    is_as_it_is = best.axes == (0, 1, 2) and not any(best.reversed_axes) and best.shift == 0
    return None if is_as_it_is and ours.shape == theirs.shape else best


def _shifted(
    ours: Num[np.ndarray, "mine depth ascan"], theirs: Num[np.ndarray, "other depth ascan"]
) -> Iterator[tuple[int, float]]:
    """Every shift of the B-scans that leaves most of them a partner, the smallest first, with the correlation."""
    rows, columns = (_grid(length) for length in theirs.shape[1:])
    mine, other = ours[:, rows[:, None], columns], theirs[:, rows[:, None], columns]
    reach = abs(len(ours) - len(theirs)) + min(_MOST_SHIFTED, min(len(ours), len(theirs)) // 2)
    for shift in sorted(range(-reach, reach + 1), key=abs):
        begin, end = max(0, -shift), min(len(theirs), len(ours) - shift)
        if 2 * (end - begin) <= min(len(ours), len(theirs)):
            continue
        numbers = np.unique(np.linspace(begin, end - 1, _BSCANS).round().astype(int))
        correlation = _correlation(mine[numbers + shift], other[numbers])
        if correlation is not None:
            yield shift, correlation


def _grid(length: int) -> Int[np.ndarray, " sample"]:
    """Some places along an axis that are the same seen from either end."""
    half = np.linspace(0, (length - 1) / 2, _SAMPLES // 2).astype(int)
    return np.unique(np.concatenate([half, length - 1 - half]))


def _correlation(mine: Num[np.ndarray, "..."], other: Num[np.ndarray, "..."]) -> float | None:
    x, y = (values.astype(np.float64).ravel() - float(values.mean(dtype=np.float64)) for values in (mine, other))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float(np.clip((x * y).sum() / size, -1, 1)) if size > 0 else None
