"""What the scans a model learnt from were like, and whether another scan is like them.

A network answers whatever it is given. The reference says which sizes, millimetres, patterns, directions and grey values the
training scans had, so that a scan outside them is marked rather than believed.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from octavo.anatomy import to_right_eye
from octavo.cohorts.preparation import Prepared, white_of
from octavo.errors import OctavoError
from octavo.transforms import count_levels
from octavo.volume import AXES, Volume

OUTSIDE = "outside what this model learnt from"
PHANTOMS = "this model learnt from synthetic eyes only: its answers about real eyes mean nothing"
SOME_PHANTOMS = "this model learnt from were synthetic eyes"
UNTRAINED = "the backbone was never trained (no weights were given), so its features know nothing of pictures"
_PHANTOM_DEVICE = "octavo phantom"


def is_caution(warning: str) -> bool:
    """Whether a warning is one that every picture and every summary must bear."""
    return warning in {PHANTOMS, UNTRAINED} or warning.startswith(OUTSIDE) or warning.endswith(SOME_PHANTOMS)


@dataclass(frozen=True)
class ScanFacts:
    """The facts of one scan that the reference compares."""

    shape: tuple[int, int, int]
    size_mm: tuple[float | None, float | None, float | None]
    pattern: str
    slow_axis: str
    """In right-eye orientation, so that rasters from either end are the same."""
    region: str
    device: str
    laterality: str
    grey: tuple[float, float, float, float, float]
    """Of the prepared scan, from 0 to 1: mean, standard deviation, quartiles 25, 50 and 75 percent."""

    @classmethod
    def of(cls, volume: Volume, prepared: Prepared) -> "ScanFacts":
        """The facts of a scan as read and as prepared."""
        millimetres = [
            None if spacing is None else count * spacing
            for count, spacing in zip(volume.shape, volume.spacing_mm.values_mm, strict=True)
        ]
        white = white_of(prepared.values)
        histogram = count_levels(prepared.values) / prepared.values.size
        levels = np.arange(white + 1) / white
        mean = float(histogram @ levels)
        deviation = float(np.sqrt(histogram @ (levels - mean) ** 2))
        quartiles = [float(levels[np.searchsorted(np.cumsum(histogram), share)]) for share in (0.25, 0.5, 0.75)]
        return cls(
            shape=volume.shape,
            size_mm=(millimetres[0], millimetres[1], millimetres[2]),
            pattern=volume.pattern.value,
            slow_axis=to_right_eye(volume).slow_axis.value,
            region=volume.region.value,
            device=volume.source.device,
            laterality=volume.laterality.value,
            grey=(mean, deviation, quartiles[0], quartiles[1], quartiles[2]),
        )

    @classmethod
    def from_json(cls, content: dict[str, object]) -> "ScanFacts":
        """Read back what `dataclasses.asdict` wrote."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in content.items()})  # type: ignore[arg-type]


_GREY_NAMES = ("mean grey value", "spread of grey values", "25 % grey value", "median grey value", "75 % grey value")
_MARGIN = 0.25
"""A scan may lie outside the range of the training scans by this share of the range's upper end, or of its width."""


@dataclass(frozen=True)
class Reference:
    """Ranges and sets over the training scans."""

    scans: int
    shape: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    size_mm: tuple[tuple[float, float] | None, tuple[float, float] | None, tuple[float, float] | None]
    patterns: tuple[str, ...]
    slow_axes: tuple[str, ...]
    regions: tuple[str, ...]
    grey: tuple[tuple[float, float], ...]
    phantoms: int
    """How many of the scans were synthetic eyes."""

    def __post_init__(self) -> None:
        pairs = [*self.shape, *(span for span in self.size_mm if span is not None), *self.grey]
        well_formed = (
            (len(self.shape), len(self.size_mm), len(self.grey)) == (3, 3, len(_GREY_NAMES))
            and all(len(pair) == 2 and all(isinstance(end, int | float) for end in pair) for pair in pairs)
            and all(isinstance(name, str) for name in (*self.patterns, *self.slow_axes, *self.regions))
            and isinstance(self.scans, int)
            and isinstance(self.phantoms, int)
        )
        if not well_formed:
            raise OctavoError("a field is not of its kind")

    @classmethod
    def of(cls, facts: Iterable[ScanFacts]) -> "Reference":
        """Summarise the training scans.

        Raises:
            OctavoError: If there are none.
        """
        scans = list(facts)
        if not scans:
            raise OctavoError("there are no training scans to refer to; wanted at least one")
        spans = []
        for axis in range(3):
            lengths = [length for scan in scans if (length := scan.size_mm[axis]) is not None]
            spans.append((min(lengths), max(lengths)) if lengths else None)
        extents = [(min(s.shape[axis] for s in scans), max(s.shape[axis] for s in scans)) for axis in range(3)]
        return cls(
            scans=len(scans),
            shape=(extents[0], extents[1], extents[2]),
            size_mm=(spans[0], spans[1], spans[2]),
            patterns=tuple(sorted({s.pattern for s in scans})),
            slow_axes=tuple(sorted({s.slow_axis for s in scans})),
            regions=tuple(sorted({s.region for s in scans})),
            grey=tuple((min(s.grey[i] for s in scans), max(s.grey[i] for s in scans)) for i in range(5)),
            phantoms=sum(s.device == _PHANTOM_DEVICE for s in scans),
        )

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, object]) -> "Reference":
        """Read back what `to_json` wrote.

        Raises:
            OctavoError: If a field is missing or unknown.
        """

        def tuples(value: object) -> object:
            return tuple(tuples(item) for item in value) if isinstance(value, list) else value

        try:
            return cls(**{name: tuples(value) for name, value in content.items()})  # type: ignore[arg-type]
        except (TypeError, OctavoError) as error:
            raise OctavoError(f"reference.json: {error}; wanted the file that training wrote") from None

    def warnings(self, facts: ScanFacts) -> tuple[str, ...]:
        """What speaks against believing the model on a scan; empty where nothing does."""
        reasons = [
            *self._range_reasons(facts),
            *(
                f"{what} {value}, learnt from {' and '.join(known)}"
                for what, value, known in (
                    ("pattern", facts.pattern, self.patterns),
                    ("direction", facts.slow_axis, self.slow_axes),
                    ("region", facts.region, self.regions),
                )
                if value not in known
            ),
        ]
        outside = f"{OUTSIDE}: {'; '.join(reasons)}" if reasons else ""
        return tuple(text for text in (outside, self.phantom_caution) if text)

    @property
    def phantom_caution(self) -> str:
        """What must be said of a model that learnt from synthetic eyes, whatever it answers; empty of any other."""
        if self.phantoms == self.scans:
            return PHANTOMS
        return f"{self.phantoms} of the {self.scans} scans that {SOME_PHANTOMS}" if self.phantoms else ""

    def _range_reasons(self, facts: ScanFacts) -> list[str]:
        reasons = []
        for axis, count, (fewest, most) in zip(AXES, facts.shape, self.shape, strict=True):
            if not _within(count, fewest, most):
                reasons.append(f"{count} samples along {axis}, learnt from {_span(fewest, most)}")
        for axis, length, span in zip(AXES, facts.size_mm, self.size_mm, strict=True):
            if length is None and span is not None:
                reasons.append(f"millimetres along {axis} unknown")
            elif length is not None and span is not None and not _within(length, *span):
                reasons.append(f"{length:.3g} mm along {axis}, learnt from {_span(*span)} mm")
        for name, value, (low, high) in zip(_GREY_NAMES, facts.grey, self.grey, strict=True):
            if not _within(value, low, high):
                reasons.append(f"{name} {value:.2f}, learnt from {_span(low, high)}")
        return reasons


def _within(value: float, low: float, high: float) -> bool:
    margin = max(_MARGIN * high, _MARGIN * (high - low))
    return low - margin <= value <= high + margin


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
