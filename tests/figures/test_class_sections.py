"""What a report says of more than two classes."""

import numpy as np
import pytest

from octavo.figures.class_sections import class_confusion_section, class_metrics, class_names, class_prevalence_section
from octavo.metrics.multiclass import evaluate_classes

NAMES = ("NL", "MCI", "AD")


@pytest.fixture(scope="module")
def evaluation():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    odds = np.exp(np.eye(3)[labels] + generator.normal(size=(60, 3)))
    odds[labels == 0, 0] += 1e6  # nobody of the first class is missed
    found = evaluate_classes(
        labels, odds / odds.sum(axis=1, keepdims=True), [f"p{k}" for k in range(60)], resamples=200
    )
    return {**found, **{f"name_of_{number}": name for number, name in enumerate(NAMES)}}


def test_classes_are_called_by_their_names_in_order(evaluation):
    assert class_names(evaluation) == NAMES
    assert class_names({"auroc": 0.5}) == ()


def test_the_measures_of_all_come_before_those_of_each(evaluation):
    metrics = class_metrics(evaluation)
    names = [metric.name for metric in metrics]
    assert names[:4] == ["Macro AUROC", "Accuracy", "Balanced accuracy", "Macro F1"]
    assert names[-3:] == [f"AUROC of {name} against all others" for name in NAMES]
    assert metrics[0].value == evaluation["macro_auroc"]
    assert (metrics[-1].low, metrics[-1].high) == (evaluation["auroc_of_2_ci_low"], evaluation["auroc_of_2_ci_high"])


def test_the_confusion_counts_every_exam_once(evaluation):
    counts, shares = class_confusion_section(evaluation).tables
    assert counts.columns == ("Class", "called NL", "called MCI", "called AD", "all")
    assert [row[0] for row in counts.rows] == list(NAMES)
    assert all(sum(row[1:4]) == row[4] == 20 for row in counts.rows)
    assert shares.rows[1][2].startswith(f"{evaluation['confusion_1_as_1_share']:.3f} (")
    # of twenty right ones of twenty every draw gives the same, which is no interval
    assert shares.rows[0][1:] == ("1.000", "0.000", "0.000")


def test_parts_are_counted_by_class():
    section = class_prevalence_section({"train": [9, 4, 3, 5], "test": [3, 1, 1, 1]}, NAMES, "By: none.")
    (table,) = section.tables
    assert table.columns == ("Part", "Exams", "Patients", *NAMES)
    assert table.rows == (("train", 12, 9, 4, 3, 5), ("test", 3, 3, 1, 1, 1))
    assert section.paragraphs == ("By: none.",)
