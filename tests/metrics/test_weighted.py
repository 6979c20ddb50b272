"""Weights are repetitions: what a weighted measure gives is what the plain one gives on exams repeated as often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.metrics import calibration, classification, weighted
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.summary import OF_PREDICTIONS, OF_PROBABILITIES


@st.composite
def weighted_exams(draw):
    size = draw(st.integers(2, 14))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    scores = draw(st.lists(st.integers(0, 10), min_size=size, max_size=size))
    rows = draw(st.integers(1, 3))
    weights = draw(st.lists(st.lists(st.integers(0, 3), min_size=size, max_size=size), min_size=rows, max_size=rows))
    weights = np.array(weights)
    weights[weights.sum(axis=1) == 0, 0] = 1
    return np.array(labels), np.array(scores) / 10, weights


def assert_repetition(measure, many, labels, other, weights):
    for row, value in zip(weights, many(labels, other, weights.astype(float)), strict=True):
        try:
            wanted = measure(np.repeat(labels, row), np.repeat(other, row))
        except UndefinedMetricError:
            wanted = np.nan
        assert value == pytest.approx(wanted, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("name", OF_PROBABILITIES)
@given(case=weighted_exams())
@settings(max_examples=60, deadline=None)
def test_measures_of_probabilities(name, case):
    labels, scores, weights = case
    assert_repetition(*OF_PROBABILITIES[name], labels, scores, weights)


@pytest.mark.parametrize("name", [*OF_PREDICTIONS, "balanced_accuracy"])
@given(case=weighted_exams())
@settings(max_examples=60, deadline=None)
def test_measures_of_predictions(name, case):
    labels, scores, weights = case
    measures = {**OF_PREDICTIONS, "balanced_accuracy": (classification.balanced_accuracy, weighted.balanced_accuracy)}
    assert_repetition(*measures[name], labels, classification.predicted_at(scores, 0.5), weights)


@given(case=weighted_exams(), bins=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_equal_width_calibration(case, bins):
    labels, scores, weights = case

    def measure(labels, scores):
        return calibration.calibration_error(labels, scores, bins, "equal-width")

    def many(labels, scores, weights):
        return weighted.calibration_error(labels, scores, weights, bins, "equal-width")

    assert_repetition(measure, many, labels, scores, weights)
