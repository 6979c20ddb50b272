"""Labels that are names: which of them become which number, and which exams are left out.

Two classes are 1, the one that is looked for, and 0; a pair of several names leaves the exams of the others out. More than
two classes are numbered in the order they are named in. A name that nobody chose is refused rather than guessed at: a
misspelt `Normal` would become a patient without disease. Nor is a name left out that differs from a chosen one in spelling
only.
"""

import unicodedata
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
        neither: How many exams bear the name of neither class of a pair, by name.
        pair: The names of 0 and 1, where two classes have names that are all known.
    """

    number_of: Mapping[str, int]
    neither: Mapping[str, int] = field(default_factory=dict)
    pair: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelNames:
    """Which names of labels make the classes; without any, labels are 0 and 1.

    Args:
        positive: The name that becomes 1; without `negative` there must be exactly one other.
        negative: The name that becomes 0; exams of any other are left out, or have no label where none is needed.
        classes: Names of three or more classes, which become 0, 1, 2 in this order; there must be no other.
        of_model: Whether the pair is the one that a model was trained with. No exam needs to bear its names then, and labels
            that are all 0 and 1 are read as these.

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
    of_model: bool = False

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
            OctavoError: If a label is none of the names, or one of them in another spelling, or a name is borne by no exam.
        """
        if self.classes:
            return self._several(table, every_class)
        there = {cell.text for cell in _labels(table)}
        if self.of_model and there <= {"0", "1"} and not there & {self.positive, self.negative}:
            return Labelling({"0": 0, "1": 1})
        if self.negative is not None:
            return self._pair(table, every_class)
        number_of = self._two(table, every_class)
        named = self.positive is not None and len(number_of) == 2
        return Labelling(number_of, pair=tuple(sorted(number_of, key=number_of.__getitem__)) if named else ())

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
        others = Counter(cell.text for cell in _labels(table) if cell.text not in pair)
        if every_class or (others and not self.of_model):
            _require_borne(table, pair)
        self._refuse_misspelt(table)
        return Labelling(pair, dict(sorted(others.items())), tuple(pair))

    def _two(self, table: Table, every_class: bool) -> dict[str, int]:
        labels = _labels(table)
        names = sorted({label.text for label in labels})
        listed = ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")
        if self.positive is None:
            for label in labels:
                if label.text not in {"0", "1"}:
                    raise label.refused(f"is {label.text!r}; wanted 0 or 1; {_cure(names, listed)}")
            return {"0": 0, "1": 1}
        self._refuse_misspelt(table)
        # where not both classes are needed, one name may stand alone
        alone = len(names) == 1 and not every_class
        if labels and not alone and (len(names) != 2 or self.positive not in names):
            cure = "; leave the others out with --negative NAME" if len(names) > 2 and self.positive in names else ""
            raise OctavoError(
                f"{table.path.name}, column 'label': {len(names)} names ({listed}); wanted exactly two, one of them "
                f"{self.positive!r} as --positive says{cure}"
            )
        return {name: int(name == self.positive) for name in names}

    def _refuse_misspelt(self, table: Table) -> None:
        """Refuse a label that is one of the pair but for its spelling, and would be taken for another class."""
        options = {getattr(self, option): option for option in ("positive", "negative")}
        meant = {spelt_alike(name): name for name in options if name is not None}
        for cell in _labels(table):
            name = meant.get(spelt_alike(cell.text))
            if name is not None and cell.text not in options:
                raise cell.refused(
                    f"is {cell.text!r}, another spelling of {name!r}, as --{options[name]} says; wanted one; "
                    f"write it {name!r}"
                )


def spelt_alike(name: str) -> str:
    """What names have in common that differ in capitals, blanks, hyphens, underscores or encoding, or as numbers in digits.

    Example:
        >>> spelt_alike("Early AD") == spelt_alike("early_ad"), spelt_alike("1.0") == spelt_alike("1")
        (True, True)
        >>> spelt_alike("-1") == spelt_alike("1")
        False
    """
    try:
        return str(float(name))
    except ValueError:
        letters = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        # dashes, underscores and the like, and blanks of every width
        return "".join(sign for sign in letters if unicodedata.category(sign) not in {"Pd", "Pc", "Zs"})


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
            alike = [label for label in there if spelt_alike(label) == spelt_alike(name)]
            if alike:
                told = f"{told.partition('; did you mean')[0]}; did you mean {alike[0]!r}?"
            raise OctavoError(f"{table.path.name}, column 'label': {told}")
