import statistics

import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.figures.curves import Confusion, Reliability
from octavo.figures.evaluation_sections import (
    Part,
    calibration_section,
    confusion_section,
    confusions_of,
    curves_section,
    headline_metrics,
    prevalence_section,
    seeds_section,
    training_section,
)
from octavo.figures.report import Report
from octavo.figures.report_html import render_report
from octavo.figures.training_curves import TrainingHistory
from octavo.metrics.classification import precision_recall_curve, roc_curve
from octavo.metrics.summary import evaluate_classifier


@pytest.fixture(scope="module")
def measured():
    generator = np.random.default_rng(8)
    labels = generator.integers(0, 2, 60)
    probabilities = 1 / (1 + np.exp(-(2.0 * labels - 1 + generator.normal(size=60))))
    patients = [f"P{exam // 2}" for exam in range(60)]
    thresholds = {"youden": 0.4, "half": 0.5}
    return labels, probabilities, evaluate_classifier(labels, probabilities, patients, thresholds, resamples=100)


def test_headline_measures_carry_their_intervals_and_both_thresholds(measured):
    *_, evaluation = measured
    metrics = {metric.name: metric for metric in headline_metrics(evaluation)}
    auroc = metrics["AUROC"]
    assert (auroc.value, auroc.low, auroc.high) == tuple(
        evaluation[key] for key in ("auroc", "auroc_ci_low", "auroc_ci_high")
    )
    assert "DeLong" in auroc.note
    assert "threshold 0.4 (youden)" in metrics["Sensitivity"].note
    assert metrics["Sensitivity at threshold 0.5"].value == evaluation["sensitivity_at_half"]


def test_what_is_not_defined_is_shown_with_its_reason():
    (metric,) = headline_metrics({"f1": None, "f1_ci_low": None, "f1_ci_high": None, "f1_undefined": "no positives"})
    assert (metric.value, metric.low, metric.note) == (None, None, "no positives")


def test_confusion_matrices_are_read_from_flat_measures(measured):
    labels, probabilities, evaluation = measured
    own, half = confusions_of(evaluation)
    assert own.name == "Threshold 0.4 (youden)"
    assert half.true_positives == int(((probabilities >= 0.5) & (labels == 1)).sum())
    assert half.false_positives == int(((probabilities >= 0.5) & (labels == 0)).sum())
    assert own.true_negatives + own.false_positives == int((labels == 0).sum())


def test_alternative_texts_say_the_numbers(measured):
    labels, probabilities, evaluation = measured
    roc, pr = roc_curve(labels, probabilities), precision_recall_curve(labels, probabilities)
    section = curves_section(roc.false_positive_rate, roc.sensitivity, pr.recall, pr.precision, evaluation)
    assert f"AUROC {evaluation['auroc']:.3f}, 95 % interval {evaluation['auroc_ci_low']:.3f}" in section.pictures[0].alt
    assert f"Chance would give {evaluation['prevalence']:.3f}" in section.pictures[1].alt
    (picture,) = confusion_section([Confusion("0.5", 3, 1, 2, 4)]).pictures
    assert "0.5: 4 of 6 positives and 3 of 4 negatives were told right." in picture.alt


def test_curves_need_the_prevalence():
    with pytest.raises(OctavoError, match="prevalence"):
        curves_section(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), {"auroc": 0.5})


def test_calibration_lists_bins_with_exams_before_and_after():
    curve = Reliability("before", np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.5, 0.8]), np.array([4, 0, 6]), 0.1)
    section = calibration_section([curve], "Temperature 1.7.")
    assert section.tables[0].rows == (("before", 0.1, 0.2, 4), ("before", 0.9, 0.8, 6))
    assert section.paragraphs == ("Temperature 1.7.",)
    assert "before: 0.100" in section.pictures[0].alt


def test_prevalence_of_an_empty_part_is_unknown():
    section = prevalence_section([Part("training", 40, 20, 10), Part("test", 0, 0, 0)])
    assert section.tables[0].rows == (("training", 40, 20, 10, 0.25), ("test", 0, 0, 0, None))


def test_spread_over_seeds_is_the_sample_standard_deviation():
    values = [0.8, 0.85, 0.9]
    by_seed = {str(seed): {"auroc": value, "f1": None} for seed, value in zip((100, 200, 300), values, strict=True)}
    (table,) = seeds_section(by_seed, ["auroc", "f1"]).tables
    assert table.columns == ("Measure", "100", "200", "300", "Mean", "Standard deviation")
    assert table.rows[0][-2] == pytest.approx(statistics.mean(values))
    assert table.rows[0][-1] == pytest.approx(statistics.stdev(values))
    assert table.rows[1] == ("F1", None, None, None, None, None)
    (alone,) = seeds_section({"100": {"auroc": 0.8}}, ["auroc"]).tables
    assert alone.rows[0] == ("AUROC", 0.8, 0.8, None)
    with pytest.raises(OctavoError, match="no seed"):
        seeds_section({})


def test_training_says_which_epoch_was_kept():
    history = TrainingHistory({"val_loss": ((0, 0.7), (1, 0.5), (2, 0.6))})
    (picture,) = training_section({"stage 1": history}, "val_loss").pictures
    assert "stage 1 kept epoch 1" in picture.alt


def test_all_sections_together_make_a_report(measured):
    labels, probabilities, evaluation = measured
    roc, pr = roc_curve(labels, probabilities), precision_recall_curve(labels, probabilities)
    sections = (
        curves_section(roc.false_positive_rate, roc.sensitivity, pr.recall, pr.precision, evaluation),
        confusion_section(confusions_of(evaluation), "no glaucoma", "glaucoma"),
        prevalence_section([Part("test", 60, 30, int(labels.sum()))]),
        seeds_section({"100": evaluation}),
    )
    text = render_report(Report("A model", metrics=headline_metrics(evaluation), sections=sections))
    for title in ("Measures", "Curves", "Confusion", "Prevalence", "Spread over seeds"):
        assert f">{title}</h2>" in text
