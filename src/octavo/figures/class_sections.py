"""The sections of a report about a classifier of more than two classes, made from flat measures."""

from collections.abc import Mapping, Sequence

from octavo.figures.evaluation_sections import Evaluation, headline_metrics, measure_of
from octavo.figures.report import Cell, Metric, Section, Table


def class_names(evaluation: Evaluation) -> tuple[str, ...]:
    """The names of the classes in the order of their labels; of two classes none.

    Example:
        >>> class_names({"name_of_0": "NL", "name_of_1": "MCI", "name_of_2": "AD", "classes": 3})
        ('NL', 'MCI', 'AD')
    """
    count = evaluation.get("classes")
    return tuple(str(evaluation[f"name_of_{number}"]) for number in range(count)) if isinstance(count, int) else ()


def class_metrics(evaluation: Evaluation) -> tuple[Metric, ...]:
    """The measures for the table at the top: of all classes together, then of each against all others."""
    of_each = [
        measure_of(evaluation, f"auroc_of_{number}", f"AUROC of {name} against all others")
        for number, name in enumerate(class_names(evaluation))
    ]
    return (*headline_metrics(evaluation), *of_each)


def class_confusion_section(evaluation: Evaluation) -> Section:
    """What the exams of each class are called, as counts and as shares of the class with their intervals."""
    names = class_names(evaluation)
    numbers = range(len(names))
    counts = [
        (names[row], *(evaluation[f"confusion_{row}_as_{column}"] for column in numbers), evaluation[f"exams_of_{row}"])
        for row in numbers
    ]
    shares = [
        (names[row], *(_share(evaluation, f"confusion_{row}_as_{column}_share") for column in numbers))
        for row in numbers
    ]
    called = tuple(f"called {name}" for name in names)
    return Section(
        "Confusion",
        paragraphs=("Called is the most probable class. On the diagonal are the exams that are called what they are.",),
        tables=(
            Table("Exams", ("Class", *called, "all"), tuple(counts)),
            Table(
                "Share of the exams of the class, with its 95 % interval where there are enough",
                ("Class", *called),
                tuple(shares),
            ),
        ),
    )


def class_prevalence_section(parts: Mapping[str, Sequence[int]], names: Sequence[str], note: str = "") -> Section:
    """How many exams of each class each part has.

    Args:
        parts: By the name of the part: patients, then exams of each class.
        names: Of the classes.
        note: How the classes of the training part were balanced.
    """
    rows: list[tuple[Cell, ...]] = [
        (part, sum(of_classes), patients, *of_classes) for part, (patients, *of_classes) in parts.items()
    ]
    return Section(
        "Classes of each part",
        paragraphs=(note,) if note else (),
        tables=(
            Table("Exams of each part; no patient is in two parts", ("Part", "Exams", "Patients", *names), tuple(rows)),
        ),
    )


def _share(evaluation: Evaluation, key: str) -> Cell:
    value, low, high = (evaluation.get(f"{key}{end}") for end in ("", "_ci_low", "_ci_high"))
    if value is None:
        return None
    # an interval without width means too few exams, not certainty
    has_none = low is None or high is None or f"{key}_ci_note" in evaluation
    return f"{value:.3f}" + ("" if has_none else f" ({low:.3f} to {high:.3f})")
