"""Labels that are names: which of them become which number, and which exams are left out.

Two classes are 1, the one that is looked for, and 0; a pair of several names leaves the exams of the others out. More than
two classes are numbered in the order they are named in. A name that nobody chose is refused rather than guessed at: a
misspelt `Normal` would become a patient without disease.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from octavo.cohorts.table import Cell, Table
from octavo.errors import OctavoError, unknown_name

FEWEST_CLASSES = 3
"""Of `classes`; for two there are `positive` and `negative`."""


@dataclass(frozen=True)
class Labelling:
    """What each spelling of a label stands for.

    Args:
        number_of: The number of each name.
        left_out: How many exams bear a name that was left out, by name.
    """

    number_of: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelNames:
    """Which names of labels make the classes; without any, labels are 0 and 1.

    Args:
        positive: The name that becomes 1; without `negative` there must be exactly one other.
        negative: The name that becomes 0; exams of any other are left out.
        classes: Names of three or more classes, which become 0, 1, 2 in this order; there must be no other.

    Raises:
        OctavoError: If the names do not go together.

    Example:
        >>> LabelNames(positive="AD", negative="NL").said
        '--positive AD --negative NL'
        >>> LabelNames(negative="NL")
        Traceback (most recent call last):
        octavo.errors.OctavoError: --negative is 'NL' and there is no --positive; wanted both; pass --positive NAME
    """

    positive: str | None = None
    negative: str | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.negative is not None and self.positive is None and not self.classes:
            raise OctavoError(
                f"--negative is {self.negative!r} and there is no --positive; wanted both; pass --positive NAME"
            )
        if self.negative is not None and self.negative == self.positive:
            raise OctavoError(f"--positive and --negative are both {self.positive!r}; wanted two names")
        if self.classes and (self.positive is not None or self.negative is not None):
            other = "--positive" if self.positive is not None else "--negative"
            raise OctavoError(
                f"{other} and --classes were both given; wanted one of the two: a pair, or all classes; drop one of them"
            )
        if self.classes and len(self.classes) < FEWEST_CLASSES:
            raise OctavoError(
                f"--classes is {' '.join(self.classes)}; wanted {FEWEST_CLASSES} or more names; for two classes pass "
                "--positive NAME --negative NAME"
            )
        twice = [name for name, times in Counter(self.classes).items() if times > 1]
        if twice:
            raise OctavoError(f"--classes names {twice[0]!r} more than once; wanted each class once")

    @property
    def said(self) -> str:
        """The same as options of a command."""
        pair = [f"--{name} {value}" for name in ("positive", "negative") if (value := getattr(self, name)) is not None]
        return " ".join([*pair, *(["--classes", *self.classes] if self.classes else [])])

    def apply(self, table: Table, *, every_class: bool) -> Labelling:
        """What the labels of a manifest stand for.

        Args:
            table: The manifest.
            every_class: Whether exams of every class must be there; prediction needs none.

        Raises:
            OctavoError: If a label is none of the names, or a name is borne by no exam.
        """
        if self.classes:
            return self._several(table, every_class)
        if self.negative is not None:
            return self._pair(table, every_class)
        return Labelling(self._two(table, every_class))

    def _several(self, table: Table, every_class: bool) -> Labelling:
        for cell in _labels(table):
            if cell.text not in self.classes:
                told = unknown_name("a class", cell.text, self.classes)
                raise cell.refused(f"{told}; name it as a class too, or take its exams out of the manifest")
        if every_class:
            _require_borne(table, self.classes)
        return Labelling({name: number for number, name in enumerate(self.classes)})

    def _pair(self, table: Table, every_class: bool) -> Labelling:
        pair = {str(self.negative): 0, str(self.positive): 1}
        if every_class:
            _require_borne(table, pair)
        others = Counter(cell.text for cell in _labels(table) if cell.text not in pair)
        return Labelling(pair, dict(sorted(others.items())))

    def _two(self, table: Table, every_class: bool) -> dict[str, int]:
        labels = _labels(table)
        names = sorted({label.text for label in labels})
        listed = ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
        if self.positive is None:
            for label in labels:
                if label.text not in {"0", "1"}:
                    raise label.refused(f"is {label.text!r}; wanted 0 or 1; {_cure(names, listed)}")
            return {"0": 0, "1": 1}
        # where not both classes are needed, one name may stand alone
        alone = len(names) == 1 and not every_class
        if labels and not alone and (len(names) != 2 or self.positive not in names):
            cure = "; leave the others out with --negative NAME" if len(names) > 2 and self.positive in names else ""
            raise OctavoError(
                f"{table.path.name}, column 'label': {len(names)} names ({listed}); wanted exactly two, one of them "
                f"{self.positive!r} as --positive says{cure}"
            )
        return {name: int(name == self.positive) for name in names}


def _cure(names: list[str], listed: str) -> str:
    if len(names) == 2:
        return f"pass --positive NAME (the names are {listed})"
    if len(names) > 2 and not {"0", "1"} & set(names):
        return f"pass --positive NAME --negative NAME, or --classes with all names in order (they are {listed})"
    return "correct it"


def _labels(table: Table) -> list[Cell]:
    return [cells["label"] for cells in table.rows if "label" in cells and cells["label"].text]


def _require_borne(table: Table, names: Iterable[str]) -> None:
    there = sorted({cell.text for cell in _labels(table)})
    for name in names:
        if name not in there:
            told = unknown_name("a label of any exam", name, there)
            raise OctavoError(f"{table.path.name}, column 'label': {told}")
