"""The test part: measured once, when nothing is left to be chosen, and every time is written down.

RUN/predictions.csv      what every training answers on every exam of its test part
RUN/test-touches.json    when the test part was measured, and what was measured on it
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from octavo.cohorts.parts import Parts
from octavo.cohorts.reference import is_caution
from octavo.errors import OctavoError
from octavo.files import read_json, write_json, write_text
from octavo.training.run import MODEL
from octavo.workflows.benchmark.cells import Order
from octavo.workflows.evaluate import divided_again
from octavo.workflows.models import load_models
from octavo.workflows.predict import Prediction, predict_prepared

TOUCHES = "test-touches.json"
PREDICTIONS = "predictions.csv"
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


def touches(run: Path) -> list[dict[str, Any]]:
    """When the test part of a benchmark was measured, the first time first."""
    path = run / TOUCHES
    if not path.exists():
        return []
    told: Any = read_json(path).get("touches")
    if not isinstance(told, list):
        raise OctavoError(f"{path}: is damaged; wanted what octavo wrote; bring it back, or begin in another folder")
    return told


def measure_once(run: Path, orders: Sequence[Order], parts: Mapping[str, Parts], prepared: Path) -> list[Answer]:
    """Answer every exam of the test parts with every finished training, and write down that it was done.

    Args:
        run: The benchmark's folder.
        orders: The finished cells whose learning rate was chosen.
        parts: The parts of each division.
        prepared: Where prepared scans are kept.

    Raises:
        OctavoError: If a cell was trained on other exams than these, or a test part is empty.
    """
    answers = [answer for order in orders for answer in _answers(order, parts, prepared)]
    touch = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "test_part": hash_of_test_part(parts),
        "exams": sum(len(part.test) for part in parts.values()),
        "cells": [order.cell.name for order in orders],
        "weights": _weights_hash(orders),
        "measured_alone": [order.cell.name for order in orders if (order.folder / "evaluation.json").exists()],
    }
    _write(run / PREDICTIONS, answers)
    write_json(run / TOUCHES, {"touches": [*touches(run), touch]})
    return answers


def read_answers(run: Path) -> list[Answer]:
    """What was measured, as it was written down.

    Raises:
        OctavoError: If nothing was, or the file is damaged.
    """
    path = run / PREDICTIONS
    if not path.exists():
        raise OctavoError(f"{path}: is missing; wanted what was measured on the test part; bring it back")
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return [_read(row) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError):
            raise OctavoError(f"{path}: is damaged; wanted what octavo wrote; bring it back") from None


def hash_of_test_part(parts: Mapping[str, Parts]) -> str:
    """Fingerprint of the scans that are tested, wherever they lie and whatever they are called."""
    content = sorted({one.content for part in parts.values() for one in part.test})
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def measured_elsewhere(run: Path, test_part: str) -> list[dict[str, str]]:
    """Benchmarks beside this one that measured the same test part: whoever compares them chooses by it.

    Returns:
        The folder's name, when it measured last, and its epochs.
    """
    found = []
    for path in sorted(run.absolute().parent.glob(f"*/{TOUCHES}")):
        if path.parent == run.absolute():
            continue
        try:
            told: Any = read_json(path).get("touches")
            times = [touch["when"] for touch in told if touch["test_part"] == test_part]
        except (OctavoError, KeyError, TypeError, OSError):
            continue
        found += [{"benchmark": path.parent.name, "when": when} for when in times]
    return found


def _answers(order: Order, parts: Mapping[str, Parts], prepared: Path) -> Iterable[Answer]:
    (model,) = load_models(order.folder, order.cell.seed)
    own = divided_again(order.folder, model, prepared)
    if own.split.content_hash != parts[order.cell.division].split.content_hash:
        raise OctavoError(
            f"{order.folder}: was trained with another division of the patients; wanted that of the benchmark; remove the "
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


def _weights_hash(orders: Sequence[Order]) -> str:
    digest = hashlib.sha256()
    for order in orders:
        digest.update(order.cell.name.encode())
        digest.update((order.folder / f"seed-{order.cell.seed}" / MODEL).read_bytes())
    return digest.hexdigest()


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


def _write(path: Path, answers: Sequence[Answer]) -> None:
    text = io.StringIO()
    classes = len(answers[0].of_classes) if answers else 0
    of_classes = [f"{_OF_CLASS}{number}" for number in range(classes)]
    writer = csv.DictWriter(text, [*_COLUMNS, *of_classes], lineterminator="\n")
    writer.writeheader()
    for one in answers:
        # as many digits as there are, so that what is computed from the file is what was measured
        told = {name: getattr(one, name) for name in _COLUMNS}
        writer.writerow(told | dict(zip(of_classes, one.of_classes, strict=True)))
    write_text(path, text.getvalue())
