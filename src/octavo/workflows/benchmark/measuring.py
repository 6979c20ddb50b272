"""Answers of every training on every exam of its test part, computed once and kept in `RUN/predictions.csv`."""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octavo.cohorts.parts import Parts
from octavo.cohorts.reference import is_caution
from octavo.errors import OctavoError
from octavo.files import write_text
from octavo.workflows.benchmark.cells import Order
from octavo.workflows.benchmark.looks import PREDICTIONS, Look
from octavo.workflows.evaluate import divided_again
from octavo.workflows.models import load_models
from octavo.workflows.predict import Prediction, predict_prepared

_COLUMNS = ("model", "division", "seed", "exam_id", "patient_id", "label", "probability", "threshold", "cautions")
_OF_CLASS = "probability_of_"


@dataclass(frozen=True)
class Answer:
    """What one training answers on one exam."""

    model: str
    division: str
    seed: int
    exam_id: str
    patient_id: str
    label: int
    probability: float | None
    """Of the disease; None where there are more than two classes."""
    threshold: float
    cautions: str
    of_classes: tuple[float, ...] = ()
    """Of more than two classes: the probability of each."""


def measure(run: Path, orders: Sequence[Order], parts: Mapping[str, Parts], prepared: Path) -> tuple[list[Answer], str]:
    """Answer every exam of the test parts with every finished training.

    Args:
        run: The benchmark's folder.
        orders: The finished cells whose learning rate was chosen.
        parts: The parts of each division.
        prepared: Where prepared scans are kept.

    Returns:
        The answers, and the fingerprint of the file that holds them.

    Raises:
        OctavoError: If a cell was trained on other exams than these, or a test part is empty.
    """
    answers = [answer for order in orders for answer in _answers(order, parts, prepared)]
    text = _as_text(answers)
    write_text(run / PREDICTIONS, text)
    return answers, _fingerprint(text)


def read_answers(run: Path, look: Look) -> list[Answer]:
    """What was measured, as it was written down.

    Raises:
        OctavoError: If it is missing or not what was written.
    """
    path = run / PREDICTIONS
    if not path.exists():
        raise OctavoError(f"{path}: is missing; wanted what was measured on {look.when}; bring it back")
    text = path.read_text(encoding="utf-8")
    if _fingerprint(text) != look.answers:
        raise OctavoError(
            f"{path}: is not what was measured on {look.when}; wanted it untouched; bring it back, or measure again with "
            "--again"
        )
    return [_read(row) for row in csv.DictReader(io.StringIO(text))]


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _answers(order: Order, parts: Mapping[str, Parts], prepared: Path) -> Iterable[Answer]:
    (model,) = load_models(order.folder, order.cell.seed)
    own, wanted = divided_again(order.folder, model, prepared), parts[order.cell.division]
    labels = [{one.exam.exam_id: one.exam.label for one in part.test} for part in (own, wanted)]
    is_same = own.split.content_hash == wanted.split.content_hash and own.voxels_hash == wanted.voxels_hash
    if not is_same or labels[0] != labels[1]:
        raise OctavoError(
            f"{order.folder}: was trained with other patients, labels or scans; wanted those of the benchmark; remove the "
            "cell's folder and what lies beside it, and it is trained again"
        )
    if not own.test:
        raise OctavoError(f"{order.folder}: its test part is empty; wanted patients never seen; give a test fraction")
    for one in predict_prepared([model], own.test):
        yield _answer(order, one)


def _answer(order: Order, one: Prediction) -> Answer:
    cell, exam = order.cell, one.exam
    if not np.isfinite(one.probabilities or [np.nan if one.probability is None else one.probability]).all():
        raise OctavoError(f"{order.folder}: gives exam {exam.exam_id!r} no probability; wanted one for every exam")
    return Answer(
        model=cell.model,
        division=cell.division,
        seed=cell.seed,
        exam_id=exam.exam_id,
        patient_id=exam.patient_id,
        label=int(exam.label or 0),
        probability=one.probability,
        threshold=one.threshold,
        cautions=" | ".join(text for text in one.warnings if is_caution(text)),
        of_classes=one.probabilities,
    )


def _read(row: Mapping[str, str]) -> Answer:
    return Answer(
        model=row["model"],
        division=row["division"],
        seed=int(row["seed"]),
        exam_id=row["exam_id"],
        patient_id=row["patient_id"],
        label=int(row["label"]),
        probability=float(row["probability"]) if row["probability"] else None,
        threshold=float(row["threshold"]),
        cautions=row["cautions"],
        of_classes=tuple(float(value) for name, value in row.items() if name.startswith(_OF_CLASS)),
    )


def _as_text(answers: Sequence[Answer]) -> str:
    text = io.StringIO()
    classes = len(answers[0].of_classes) if answers else 0
    of_classes = [f"{_OF_CLASS}{number}" for number in range(classes)]
    writer = csv.DictWriter(text, [*_COLUMNS, *of_classes], lineterminator="\n")
    writer.writeheader()
    for one in answers:
        # as many digits as there are, so that what is computed from the file is what was measured
        told = {name: getattr(one, name) for name in _COLUMNS}
        writer.writerow(told | dict(zip(of_classes, one.of_classes, strict=True)))
    return text.getvalue()
