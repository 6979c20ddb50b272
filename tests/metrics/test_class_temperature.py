"""One temperature for all classes: of two it is the one there was, of more the one that is best."""

import numpy as np
import pytest
from scipy.special import log_softmax

from octavo.errors import OctavoError
from octavo.metrics.calibration import TEMPERATURES, apply_temperature, fit_temperature
from octavo.metrics.class_temperature import apply_class_temperature, fit_class_temperature
from octavo.metrics.exam_arrays import UndefinedMetricError


def drawn(seed, exams=200, classes=3, true_temperature=1.0):
    """Labels drawn from the probabilities that logits give at a temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (exams, classes))
    probabilities = np.exp(log_softmax(logits / true_temperature, axis=1))
    return np.array([generator.choice(classes, p=row) for row in probabilities]), logits


@pytest.mark.parametrize("seed", range(5))
def test_of_two_classes_it_is_that_of_the_margin(seed):
    labels, logits = drawn(seed, classes=2, true_temperature=2.0)
    margins = logits[:, 1] - logits[:, 0]
    ours, theirs = fit_class_temperature(labels, logits), fit_temperature(labels, margins)
    assert ours.temperature == pytest.approx(theirs.temperature, rel=1e-9)
    assert ours.log_loss_after == pytest.approx(theirs.log_loss_after, rel=1e-9)
    probabilities = apply_class_temperature(logits, ours.temperature)
    np.testing.assert_allclose(probabilities[:, 1], apply_temperature(margins, ours.temperature), atol=1e-12)


def test_of_two_separated_classes_too():
    labels = np.array([0, 0, 0, 1, 1])
    logits = 3.0 * np.eye(2)[labels]
    ours = fit_class_temperature(labels, logits)
    theirs = fit_temperature(labels, logits[:, 1] - logits[:, 0])
    assert ours.temperature == pytest.approx(theirs.temperature, rel=1e-9)
    assert "lie on the right side" in ours.note


@pytest.mark.parametrize("classes", [3, 5])
def test_no_other_temperature_is_better(classes):
    labels, logits = drawn(3, classes=classes, true_temperature=3.0)
    found = fit_class_temperature(labels, logits)

    def loss(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()

    assert found.log_loss_before == pytest.approx(loss(1.0))
    assert found.log_loss_after == pytest.approx(loss(found.temperature))
    assert all(loss(found.temperature) <= loss(other) + 1e-12 for other in np.geomspace(*TEMPERATURES, 400))


def test_a_planted_temperature_is_found_again():
    labels, logits = drawn(1, exams=20_000, classes=4, true_temperature=2.5)
    assert fit_class_temperature(labels, logits).temperature == pytest.approx(2.5, rel=0.05)


def test_who_predicts_is_the_same_at_every_temperature_and_rows_add_up_to_one():
    _, logits = drawn(2)
    for temperature in (0.05, 1.0, 20.0):
        probabilities = apply_class_temperature(logits, temperature)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
        assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert np.isfinite(apply_class_temperature(np.array([[1e4, -1e4, 0.0]]), 0.05)).all()


def test_three_separated_classes_are_trusted_as_far_as_their_numbers_go():
    labels = np.repeat([0, 1, 2], 8)
    found = fit_class_temperature(labels, 5.0 * np.eye(3)[labels])
    probabilities = apply_class_temperature(5.0 * np.eye(3)[labels], found.temperature)
    assert probabilities[0, 0] == pytest.approx(9 / 11, abs=1e-6)


def test_what_has_no_temperature_says_why():
    with pytest.raises(UndefinedMetricError, match="all 2 are of 1"):
        fit_class_temperature(np.array([1, 1]), np.eye(3)[:2])
    with pytest.raises(UndefinedMetricError, match="all equal"):
        fit_class_temperature(np.array([0, 1, 2]), np.full((3, 3), 0.5))


def test_input_that_cannot_be_right_is_refused():
    with pytest.raises(OctavoError, match="logit of exam 0 and class 1 is nan"):
        fit_class_temperature(np.array([0, 1]), np.array([[0.0, np.nan, 1.0], [0.0, 1.0, 2.0]]))
    with pytest.raises(OctavoError, match="wanted a row for each label"):
        fit_class_temperature(np.array([0, 3]), np.eye(3)[:2])
    with pytest.raises(OctavoError, match="temperature is 0; wanted a positive number"):
        apply_class_temperature(np.eye(3), 0)


def test_the_nearer_end_is_given_where_the_best_lies_outside():
    labels = np.array([0, 1, 2] * 20)
    found = fit_class_temperature(labels, 100.0 * np.eye(3)[(labels + np.arange(60) // 3 % 2) % 3])
    assert found.temperature == TEMPERATURES[1]
    assert "the nearer end is given" in found.note
