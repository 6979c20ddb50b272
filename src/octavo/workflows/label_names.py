"""Which names of labels a model knows: what stands in a manifest is read as it was when the model was trained."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from octavo.cohorts.labels import LabelNames
from octavo.errors import OctavoError
from octavo.files import read_json

PAIR = ("positive", "negative")


def names_of(run: Path, positive: str | None = None, negative: str | None = None) -> LabelNames:
    """The names of the classes that the models of a run tell apart; nothing is loaded.

    More than two stand in the recipe. The two of a pair stand beside the calibration, so that a model which is shared alone
    knows them, and in the run's `cohort.json`. Where neither names any, those that the user says are taken.

    Args:
        run: A run's folder, one of its seeds' folders, or that of a model.
        positive: What the user says of two classes.
        negative: Likewise.

    Raises:
        OctavoError: If the user names others than the model knows, or two where there are more.

    Example:
        >>> import tempfile
        >>> from octavo.files import write_json
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_json(folder / "calibration.json", {"temperature": 1.2, "negative": "NL", "positive": "AD"})
        >>> names_of(folder).said
        '--positive AD --negative NL'
        >>> names_of(Path("nowhere"), "POAG", "normal").said
        '--positive POAG --negative normal'
    """
    told: Any = _told(run / "recipe.json").get("class_names")
    classes = tuple(str(name) for name in told) if isinstance(told, list) else ()
    said = {"positive": positive, "negative": negative}
    given = [f"--{option}" for option in PAIR if said[option] is not None]
    if classes and given:
        raise OctavoError(f"{given[0]} was given, and {run} tells {', '.join(classes)} apart; wanted neither; drop it")
    known = _pair(run)
    for option, name in known.items():
        if said[option] not in {None, name}:
            wanted = " ".join(f"--{one} {its}" for one, its in known.items())
            raise OctavoError(
                f"--{option} is {said[option]!r}, and {run} was trained with {wanted}; wanted the same, or neither, as "
                "the model knows them; drop it"
            )
    names = {option: name for option, name in {**said, **known}.items() if name is not None}
    # an older run knows the positive name alone, and the user may say the other
    return LabelNames(**names, classes=classes, of_model=bool(known) and names == known)


def _pair(run: Path) -> dict[str, str]:
    """The names of 1 and 0, or of 1 alone, or none."""
    for content in _descriptions(run):
        found = {option: name for option in PAIR if isinstance(name := content.get(option), str)}
        if "positive" in found:
            return found
    return {}


def _descriptions(run: Path) -> Iterator[Mapping[str, Any]]:
    """Whatever may name the pair, with what names both first."""
    yield _told(run / "calibration.json")
    for calibration in sorted(run.glob("seed-*/calibration.json")):
        yield _told(calibration)
    yield _told(run / "cohort.json")
    home = Path(os.path.abspath(run))  # "." has no name
    if home.name.startswith("seed-"):
        yield _told(home.parent / "cohort.json")


def _told(path: Path) -> Mapping[str, Any]:
    return read_json(path) if path.exists() else {}
