import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn import calibration as reference
from sklearn.linear_model import LogisticRegression

from octavo.errors import OctavoError
from octavo.metrics import calibration
from octavo.metrics.exam_arrays import UndefinedMetricError


def simulated(seed: int, exams: int = 300, sharpness: float = 1.0, shift: float = 0.0):
    """Margins, and labels that are right for them; the margins are then made too sharp and shifted."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(0, 1.5, exams)
    labels = (generator.random(exams) < 1 / (1 + np.exp(-honest))).astype(int)
    return labels, honest * sharpness + shift


def test_equal_width_curve_agrees_with_scikit_learn():
    labels, margins = simulated(1)
    probabilities = calibration.apply_temperature(margins)
    share, mean = reference.calibration_curve(labels, probabilities, n_bins=10, strategy="uniform")
    curve = calibration.reliability_curve(labels, probabilities, binning="equal-width")
    np.testing.assert_allclose(curve.positive_share, share)
    np.testing.assert_allclose(curve.mean_probability, mean)
    assert curve.exams.sum() == labels.size


def test_equal_count_bins_are_tenths_of_the_sorted_exams():
    labels, margins = simulated(2)
    probabilities = calibration.apply_temperature(margins)
    order = np.argsort(probabilities)
    wanted = [(probabilities[part].mean(), labels[part].mean()) for part in np.split(order, 10)]
    curve = calibration.reliability_curve(labels, probabilities)
    np.testing.assert_allclose(curve.mean_probability, [mean for mean, _ in wanted])
    np.testing.assert_allclose(curve.positive_share, [share for _, share in wanted])
    assert curve.exams.tolist() == [30] * 10
    error = np.mean([abs(mean - share) for mean, share in wanted])
    assert calibration.calibration_error(labels, probabilities) == pytest.approx(error)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=30),
    st.integers(1, 12),
    st.sampled_from(["equal-count", "equal-width"]),
)
@settings(max_examples=100, deadline=None)
def test_error_is_the_curves_and_does_not_depend_on_order(exams, bins, binning):
    labels = np.array([label for label, _ in exams])
    probabilities = np.array([level for _, level in exams]) / 6
    curve = calibration.reliability_curve(labels, probabilities, bins, binning)
    error = calibration.calibration_error(labels, probabilities, bins, binning)
    distance = np.abs(curve.mean_probability - curve.positive_share)
    assert error == pytest.approx((distance * curve.exams).sum() / labels.size, abs=1e-12)
    shuffled = np.random.default_rng(0).permutation(labels.size)
    again = calibration.calibration_error(labels[shuffled], probabilities[shuffled], bins, binning)
    assert again == pytest.approx(error, abs=1e-12)


def test_equal_probabilities_stay_in_one_bin():
    labels = np.array([0, 1] * 50)
    curve = calibration.reliability_curve(labels, np.repeat([0.5, 0.7], [95, 5]))
    assert curve.exams.tolist() == [95, 5]
    assert calibration.calibration_error(labels, np.full(100, 0.5)) == 0


def test_middle_of_equal_probabilities_decides_their_bin():
    # places 5 to 17 of 100, middle 11: the second tenth, though it begins in the first
    probabilities = np.concatenate([np.linspace(0.0, 0.1, 5), np.full(12, 0.2), np.linspace(0.3, 0.9, 83)])
    curve = calibration.reliability_curve(np.array([0, 1] * 50), probabilities)
    assert curve.exams.tolist() == [5, 15, *[10] * 8]


def test_probabilities_on_the_border_go_up_and_one_goes_to_the_last():
    probabilities = np.array([0.0, 0.2, 0.2, 0.4, 0.6, 0.8, 1.0])
    curve = calibration.reliability_curve(np.zeros(7, dtype=int), probabilities, 5, "equal-width")
    assert curve.exams.tolist() == [1, 2, 1, 1, 2]


def test_unknown_binning_and_no_bins_are_refused():
    labels, probabilities = np.array([0, 1]), np.array([0.2, 0.7])
    check = calibration._check_bins
    with pytest.raises(OctavoError, match="did you mean 'equal-count'"):
        check(10, "equal_counts")
    with pytest.raises(OctavoError, match="wanted at least 1"):
        calibration.calibration_error(labels, probabilities, bins=0)


@pytest.mark.parametrize(("sharpness", "shift"), [(1.0, 0.0), (4.0, 1.0), (0.2, -2.0), (-1.0, 50.0)])
def test_line_agrees_with_scikit_learn(sharpness, shift):
    labels, margins = simulated(3, 400, sharpness, shift)
    line = calibration.calibration_line(labels, margins)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit((margins - shift)[:, None], labels)
    assert line.slope == pytest.approx(model.coef_[0, 0], rel=1e-5)
    assert line.intercept == pytest.approx(model.intercept_[0] - shift * model.coef_[0, 0], rel=1e-4, abs=1e-5)
    # calibration in the large: with that offset the mean probability is the prevalence
    moved = calibration.apply_temperature(margins + line.intercept_at_slope_one)
    assert moved.mean() == pytest.approx(labels.mean(), abs=1e-9)


def test_line_finds_what_was_planted():
    labels, margins = simulated(4, 20_000, sharpness=2.0)
    line = calibration.calibration_line(labels, margins)
    assert line.slope == pytest.approx(0.5, abs=0.02)
    assert line.intercept == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("labels", "logits", "reason"),
    [
        ([0, 0, 1, 1], [-1.0, 0.0, 0.0, 2.0], "separate"),
        ([0, 0, 1, 1], [2.0, 1.0, 0.0, -2.0], "separate"),
        ([0, 0, 1, 1], [0.3, 0.3, 0.3, 0.3], "all 4 are equal"),
        ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4], "both classes"),
    ],
)
def test_line_without_an_answer_says_why(labels, logits, reason):
    with pytest.raises(UndefinedMetricError, match=reason):
        calibration.calibration_line(np.array(labels), np.array(logits))


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 1.0, 3.0, 8.0]))
@settings(max_examples=40, deadline=None)
def test_temperature_is_the_minimum_of_the_log_loss(seed, sharpness):
    labels, margins = simulated(seed, 60, sharpness)
    fit = calibration.fit_temperature(labels, margins)

    def loss(inverse):
        return np.logaddexp(0, (1 - 2 * labels) * margins * inverse).mean()

    found = optimize.minimize_scalar(loss, bounds=(1 / 20, 1 / 0.05), method="bounded", options={"xatol": 1e-10})
    assert fit.log_loss_after == pytest.approx(found.fun, abs=1e-9)
    assert fit.log_loss_before == pytest.approx(loss(1.0))
    assert fit.log_loss_after <= fit.log_loss_before + 1e-12


def test_temperature_undoes_planted_overconfidence():
    labels, margins = simulated(5, 5000, sharpness=3.0)
    fit = calibration.fit_temperature(labels, margins)
    assert fit.temperature == pytest.approx(3.0, rel=0.06)
    assert fit.note == ""
    before = calibration.calibration_error(labels, calibration.apply_temperature(margins))
    after = calibration.calibration_error(labels, calibration.apply_temperature(margins, fit.temperature))
    assert after < 0.03 < 0.1 < before


@pytest.mark.parametrize("size", [0.5, 1.0, 30.0])
def test_perfect_separation_gives_no_certainty(size):
    labels = np.array([0] * 30 + [1] * 30)
    margins = np.where(labels == 1, size, -size)
    fit = calibration.fit_temperature(labels, margins)
    assert "right side" in fit.note
    probabilities = calibration.apply_temperature(margins, fit.temperature)
    # equal margins: the best is the rule of succession itself, 31 of 32
    assert probabilities[-1] == pytest.approx(31 / 32, abs=1e-6)


def test_temperature_that_would_be_too_cold_is_cut_off_and_both_reasons_are_given():
    fit = calibration.fit_temperature(np.array([0, 1] * 50), np.array([-0.01, 0.01] * 50))
    assert fit.temperature == pytest.approx(0.05)
    assert "right side" in fit.note
    assert "outside 0.05 to 20" in fit.note


def test_margins_that_point_the_wrong_way_are_flattened_as_far_as_allowed():
    labels, margins = simulated(6, 100, sharpness=-2.0)
    fit = calibration.fit_temperature(labels, margins)
    assert fit.temperature == pytest.approx(20.0)
    assert "outside 0.05 to 20" in fit.note


@pytest.mark.parametrize(
    ("labels", "margins", "reason"),
    [([1, 1], [0.2, 1.0], "both classes"), ([0, 1], [0.0, 0.0], "not all zero")],
)
def test_temperature_without_an_answer_says_why(labels, margins, reason):
    with pytest.raises(UndefinedMetricError, match=reason):
        calibration.fit_temperature(np.array(labels), np.array(margins))


def test_temperature_keeps_precision_at_both_ends():
    probabilities = calibration.apply_temperature(np.array([-700.0, -40.0, 0.0, 40.0, 800.0]))
    np.testing.assert_allclose(probabilities[:2], np.exp([-700.0, -40.0]), rtol=1e-12)
    assert probabilities[2:].tolist() == [0.5, 1.0, 1.0]
    np.testing.assert_allclose(
        calibration.apply_temperature(np.array([4.0]), 2.0), calibration.apply_temperature(np.array([2.0]))
    )


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperature_is_positive(temperature):
    with pytest.raises(OctavoError, match="wanted a positive number"):
        calibration.apply_temperature(np.array([1.0]), temperature)
