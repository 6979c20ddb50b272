"""Hold our reading of a scan against another of the same scan: sizes, millimetres, eye, and B-scan by B-scan."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octavo.errors import OctavoError
from octavo.files import write_text
from octavo.formats import files_read_for, read_volume
from octavo.metrics.likeness import ALIKE, BScanDifference, GreyFit, Turning, compare_bscans, find_turning, fit_grey
from octavo.volume import AXES, Origin, Volume
from octavo.workflows.own_inputs import refuse_own_input

_SAME_SPACING = 1e-3
_LISTED = 12


@dataclass(frozen=True)
class Fact:
    """One thing that both readings may say."""

    name: str
    ours: str
    theirs: str
    verdict: str
    """`same`, `different`, or `not compared` where one of them does not know."""


@dataclass(frozen=True)
class Comparison:
    """What two readings of one scan have in common, and what not."""

    ours: str
    theirs: str
    facts: tuple[Fact, ...]
    grey: GreyFit | None
    """How THEIRS' grey values follow from OURS; None where sizes forbid to compare."""
    bscans: tuple[BScanDifference, ...]
    """Every pair of B-scans, in order; empty where sizes forbid to compare."""
    tolerance: float
    turning: Turning | None
    """How OURS must be turned to look like THEIRS, where it does not as it is and would then."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The names of the facts that differ, with `voxels` where B-scans do."""
        names = [fact.name for fact in self.facts if fact.verdict == "different"]
        if self.turning is not None or any(not bscan.is_same(self.tolerance) for bscan in self.bscans):
            names.append("voxels")
        return tuple(names)

    @property
    def is_same(self) -> bool:
        """Whether nothing differs, and the voxels could be compared."""
        return not self.differing and bool(self.bscans)


def compare_scan(
    ours: str | Path,
    theirs: str | Path,
    *,
    axes: str | None = None,
    key: str | None = None,
    tolerance: float = 0.01,
) -> Comparison:
    """Read both scans and compare them.

    Grey values may be scaled: THEIRS is compared with the straight line through OURS that fits best. Where the voxels
    do not agree, OURS is turned over along its axes, its axes are exchanged, and B-scans are counted from elsewhere, to
    see whether that is the reason.

    Args:
        ours: A scan; `PATH#2` names the second of a file.
        theirs: The same scan, as somebody else exported it.
        axes: How arrays are stored, for those of the two that do not say.
        key: Which array of an archive, for those of the two that hold several.
        tolerance: How far a B-scan may differ on average, as a share of the range of THEIRS' grey values.

    Raises:
        OctavoError: If one cannot be read, or the tolerance is no share.
    """
    if not 0 <= tolerance < 1:
        raise OctavoError(f"tolerance is {tolerance}; wanted a share of the grey range, from 0 to 1; for example 0.01")
    said_of_all = frozenset({"axes", "key"})
    first, second = (read_volume(path, axes=axes, key=key, said_of_all=said_of_all) for path in (ours, theirs))
    grey: GreyFit | None = None
    bscans: tuple[BScanDifference, ...] = ()
    turning: Turning | None = None
    if first.shape == second.shape:
        grey = fit_grey(first.values, second.values)
        bscans = compare_bscans(first.values, second.values, grey)
    if not bscans or any(not bscan.is_same(tolerance) for bscan in bscans):
        turning = find_turning(first.values, second.values, least=ALIKE)
    return Comparison(str(ours), str(theirs), _facts(first, second), grey, bscans, tolerance, turning)


def describe(comparison: Comparison) -> str:
    """A comparison for people."""
    width = max(len(fact.ours) for fact in comparison.facts) + 2
    their_width = max(len(fact.theirs) for fact in comparison.facts) + 2
    lines = [f"OURS    {comparison.ours}", f"THEIRS  {comparison.theirs}"]
    lines += [
        f"  {fact.name:<19}{fact.ours:<{width}}{fact.theirs:<{their_width}}{fact.verdict}" for fact in comparison.facts
    ]
    if comparison.grey is not None:
        lines.append(f"  {'grey values':<19}{comparison.grey.describe()}")
    if comparison.bscans:
        lines.append(f"  {'B-scans':<19}{_bscan_words(comparison)}")
    else:
        lines.append(f"  {'B-scans':<19}not compared, for their sizes differ")
    if comparison.turning is not None:
        lines.append(f"  THEIRS looks like OURS {comparison.turning.describe()}")
    verdict = "same" if comparison.is_same else f"different: {', '.join(comparison.differing) or 'voxels'}"
    return "\n".join([*lines, verdict])


def as_json(comparison: Comparison) -> str:
    """A comparison for programs."""
    content = dataclasses.asdict(comparison)
    return json.dumps({"same": comparison.is_same, "differing": comparison.differing, **content}, indent=2)


def write_table(comparison: Comparison, path: Path) -> None:
    """Write one row for each B-scan, as CSV.

    Raises:
        OctavoError: If the file is one that either scan was read from.
    """
    for scan in (comparison.ours, comparison.theirs):
        refuse_own_input(path, [scan, *files_read_for(scan)], option="--table")
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["bscan", "mean_absolute_difference", "largest_difference", "share_of_range", "correlation", "same"])
    for bscan in comparison.bscans:
        numbers = (bscan.mean_absolute, bscan.largest, bscan.share, bscan.correlation)
        shown = ["" if number is None else f"{number:.6g}" for number in numbers]
        rows.writerow([bscan.number, *shown, "yes" if bscan.is_same(comparison.tolerance) else "no"])
    write_text(path, stream.getvalue())


def _facts(ours: Volume, theirs: Volume) -> tuple[Fact, ...]:
    facts = [Fact("size", _shape(ours), _shape(theirs), _verdict(ours.shape == theirs.shape))]
    spacings = zip(AXES, _spacings(ours), _spacings(theirs), strict=True)
    for axis, (first, first_origin), (second, second_origin) in spacings:
        is_same = None
        if first is not None and second is not None:
            is_same = abs(first - second) <= _SAME_SPACING * second
        facts.append(Fact(f"spacing {axis}", _um(first, first_origin), _um(second, second_origin), _verdict(is_same)))
    for name in ("laterality", "pattern", "slow_axis", "region"):
        words = [str(getattr(volume, name)) for volume in (ours, theirs)]
        is_same = None if "unknown" in words else words[0] == words[1]
        shown = "eye" if name == "laterality" else name.replace("_", " ")
        facts.append(Fact(shown, _word(ours, name), _word(theirs, name), _verdict(is_same)))
    return tuple(facts)


def _spacings(volume: Volume) -> list[tuple[float | None, Origin]]:
    return list(zip(volume.spacing_mm.values_mm, volume.spacing_mm.origins, strict=True))


def _verdict(is_same: bool | None) -> str:
    return "not compared" if is_same is None else "same" if is_same else "different"


def _shape(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def _word(volume: Volume, name: str) -> str:
    word, origin = getattr(volume, name), getattr(volume, f"{name}_origin")
    return f"{word}" if word == "unknown" else f"{word} ({origin})"


def _um(value: float | None, origin: Origin) -> str:
    return "unknown" if value is None else f"{value * 1000:.6g} um ({origin})"


def _bscan_words(comparison: Comparison) -> str:
    bscans = comparison.bscans
    wrong = [bscan.number for bscan in bscans if not bscan.is_same(comparison.tolerance)]
    mean = float(np.mean([bscan.share for bscan in bscans]))
    text = f"{len(bscans) - len(wrong)} of {len(bscans)} alike; mean difference {mean:.2%} of the grey range"
    known = [bscan.correlation for bscan in bscans if bscan.correlation is not None]
    text += f"; correlation {min(known):.4g} or more" if known else ""
    return f"{text}; not alike: {_listed(wrong)}" if wrong else text


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_LISTED]))
    return f"{shown} and {len(numbers) - _LISTED} more" if len(numbers) > _LISTED else shown
