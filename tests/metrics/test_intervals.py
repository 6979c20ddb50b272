from functools import partial

import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.metrics import intervals, weighted
from octavo.metrics.exam_arrays import UndefinedMetricError


def cohort(seed: int = 0, patients: int = 60):
    """Two eyes of each patient with the same label and alike in score."""
    generator = np.random.default_rng(seed)
    of_patient = generator.random(patients) < 0.5
    shared = generator.normal(size=patients)
    labels = np.repeat(of_patient.astype(int), 2)
    scores = labels + np.repeat(shared, 2) + 0.3 * generator.normal(size=2 * patients)
    return labels, scores, [f"P{number:03d}" for number in np.repeat(np.arange(patients), 2)]


def test_draws_are_of_whole_patients_and_as_many_as_there_are():
    patients = ["a", "b", "a", "c", "b", "a"]
    seen = []

    def keep(weights):
        seen.append(weights)
        return weights.sum(axis=1)

    intervals.draw_statistics({"sum": keep}, patients, resamples=400, seed=3)
    weights = np.concatenate(seen)
    assert weights.shape == (400, 6)
    for name in "abc":
        columns = weights[:, [patient == name for patient in patients]]
        assert (columns == columns[:, :1]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    # each patient is drawn once on average; 400 draws of binomial(3, 1/3) have a standard error of 0.04
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.16)


def test_same_as_a_plain_loop_over_the_same_draws():
    labels, scores, patients = cohort(1, 40)
    drawn = []
    statistics = {"auroc": partial(weighted.auroc, labels, scores), "weights": lambda w: drawn.append(w) or w[:, 0]}
    draws = intervals.draw_statistics(statistics, patients, resamples=300, seed=5)["auroc"]
    for value, row in zip(draws[::10], np.concatenate(drawn)[::10].astype(int), strict=True):
        repeated_labels, repeated_scores = np.repeat(labels, row), np.repeat(scores, row)
        difference = repeated_scores[repeated_labels == 1][:, None] - repeated_scores[repeated_labels == 0][None]
        assert value == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean(), abs=1e-12)
    interval = intervals.percentile_interval(draws, "auroc")
    assert (interval.low, interval.high) == tuple(np.quantile(draws, [0.025, 0.975]))


def test_mean_has_the_width_of_the_standard_error_between_patients():
    generator = np.random.default_rng(2)
    of_patient = generator.normal(size=200)
    values, patients = np.repeat(of_patient, 2), [f"P{number}" for number in np.repeat(np.arange(200), 2)]
    interval = intervals.mean_interval(values, patients)
    error = of_patient.std() / np.sqrt(200)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    # taking each eye for a witness of its own would be narrower by the square root of two
    alone = intervals.mean_interval(values, [f"E{number}" for number in range(400)])
    ratio = (interval.high - interval.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.08)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(4)
    hits = 0
    for trial in range(200):
        # odds: eyes of a patient share most of their value; the true mean is 0
        values = np.repeat(generator.normal(size=60), 2) + 0.5 * generator.normal(size=120)
        interval = intervals.mean_interval(values, np.repeat(np.arange(60), 2), resamples=400, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 180 <= hits <= 198


def test_seed_repeats_and_the_order_of_exams_does_not_matter():
    labels, scores, patients = cohort(3)
    shuffled = np.random.default_rng(0).permutation(labels.size)

    def interval(order, seed):
        statistic = partial(weighted.auroc, labels[order], scores[order])
        names = [patients[number] for number in order]
        return intervals.bootstrap_over_patients({"auroc": statistic}, names, resamples=500, seed=seed)["auroc"]

    first = interval(np.arange(labels.size), 7)
    again = interval(shuffled, 7)
    assert (first.low, first.high) == pytest.approx((again.low, again.high), abs=1e-12)
    assert interval(np.arange(labels.size), 8) != first


def test_chunks_leave_nothing_out(monkeypatch):
    values, patients = np.arange(50.0), [f"P{number}" for number in range(50)]
    monkeypatch.setattr(intervals, "_NUMBERS_AT_ONCE", 50 * 7)
    draws = intervals.draw_statistics({"first": lambda w: w @ values / w.sum(axis=1)}, patients, resamples=500)
    assert draws["first"].shape == (500,)
    assert len(np.unique(draws["first"].round(9))) > 250


def test_draws_without_a_value_are_left_out_and_counted():
    # one diseased patient of four is missing from (3/4)^4 = 32 % of the draws
    labels, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.6, 0.3, 0.5])
    statistic = partial(weighted.auroc, labels, scores)
    found = intervals.bootstrap_over_patients({"auroc": statistic}, ["a", "b", "c", "d"])["auroc"]
    assert found.resamples_used + found.undefined == 2000
    # and all four draws are of that patient in 1 of 256
    assert found.undefined == pytest.approx(2000 * (0.75**4 + 0.25**4), rel=0.1)
    assert 0 <= found.low <= found.high <= 1


def test_too_many_draws_without_a_value_are_no_interval():
    with pytest.raises(UndefinedMetricError, match="AUROC has no value in 60 of 100 draws"):
        intervals.percentile_interval(np.array([np.nan] * 60 + [0.5] * 40), "AUROC")


def test_one_patient_is_refused():
    with pytest.raises(UndefinedMetricError, match="at least 2 patients; got 1"):
        intervals.mean_interval(np.array([0.1, 0.2]), ["a", "a"])


def test_few_resamples_and_missing_values_are_refused():
    with pytest.raises(OctavoError, match="at least 100"):
        intervals.mean_interval(np.array([0.1, 0.2]), ["a", "b"], resamples=10)
    with pytest.raises(OctavoError, match="not finite"):
        intervals.mean_interval(np.array([0.1, np.nan]), ["a", "b"])
    with pytest.raises(OctavoError, match="wanted one for each of 2 exams"):
        intervals.mean_interval(np.array([0.1, 0.2]), ["a", "b", "c"])


def test_difference_is_paired():
    labels, scores, patients = cohort(6)
    nearly_same = scores + 0.01 * np.random.default_rng(1).normal(size=scores.size)
    paired = intervals.bootstrap_difference(weighted.auroc, labels, scores, nearly_same, patients)
    single = intervals.bootstrap_over_patients({"auroc": partial(weighted.auroc, labels, scores)}, patients)["auroc"]
    assert paired.low <= 0.01
    assert paired.high - paired.low < 0.1 * (single.high - single.low)

    better = labels + 0.2 * scores
    gain = intervals.bootstrap_difference(weighted.auroc, labels, better, scores, patients)
    loss = intervals.bootstrap_difference(weighted.auroc, labels, scores, better, patients)
    assert gain.low > 0
    assert (gain.low, gain.high) == pytest.approx((-loss.high, -loss.low))
