import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from octavo.errors import OctavoError
from octavo.metrics import delong, exam_arrays, intervals, paired
from octavo.metrics.exam_arrays import UndefinedMetricError


def answers(both: int, first_only: int, second_only: int, neither: int):
    """Right and wrong of two models with these counts."""
    first = np.repeat([True, True, False, False], [both, first_only, second_only, neither])
    second = np.repeat([True, False, True, False], [both, first_only, second_only, neither])
    return first, second


def two_readers(
    seed: int = 0, patients: int = 60, eyes: int = 2, first_right: float = 0.85, second_right: float = 0.75
):
    """Right and wrong of two models on eyes of which fellows are alike."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(2, patients, 1))
    noise = np.sqrt(0.6) * shared + np.sqrt(0.4) * generator.normal(size=(2, patients, eyes))
    limits = stats.norm.ppf([first_right, second_right])[:, None, None]
    first, second = (noise < limits).reshape(2, -1)
    return first, second, np.repeat(np.arange(patients), eyes)


@pytest.mark.parametrize("first_only", [0, 1, 2, 5, 13, 400])
@pytest.mark.parametrize("second_only", [0, 1, 3, 5, 14, 371])
def test_mcnemar_is_the_exact_binomial_test(first_only, second_only):
    first, second = answers(4, first_only, second_only, 3)
    found = paired.mcnemar(first, second, np.arange(first.size))
    assert (found.only_first_right, found.only_second_right) == (first_only, second_only)
    discordant = first_only + second_only
    wanted = stats.binomtest(first_only, discordant, 0.5).pvalue if discordant else 1.0
    assert found.p_value == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    tail = sum(math.comb(discordant, k) for k in range(min(first_only, second_only) + 1))
    assert found.p_value == pytest.approx(min(1.0, 2 * tail / 2**discordant), rel=1e-9)


def test_mcnemar_does_not_take_two_eyes_for_two_witnesses():
    first, second = answers(4, 6, 2, 0)
    with pytest.raises(UndefinedMetricError, match=r"1 of 11 have more; use the bootstrap over patients") as refused:
        paired.mcnemar(first, second, [f"P{min(number, 10)}" for number in range(12)])
    assert "\n" not in str(refused.value)


def test_predictions_are_not_taken_for_right_and_wrong():
    right, predicted = np.array([True, False]), np.array([1, 0])
    with pytest.raises(OctavoError, match="second_right is of type int64; wanted True where the model is right"):
        exam_arrays.check_right(right, predicted)
    with pytest.raises(OctavoError, match="wanted one each for the same exams"):
        exam_arrays.check_right(right, right[:1])


def test_accuracy_difference_is_a_count_over_draws_of_patients():
    first, second, patients = two_readers(3)
    found = paired.accuracy_difference(first, second, patients, resamples=500, seed=4)
    generator = np.random.default_rng(4)
    gain = (first.astype(float) - second).reshape(-1, 2).sum(axis=1)
    draws = [gain[row].sum() / 120 for row in generator.integers(60, size=(500, 60))]
    below, above = sum(draw <= 0 for draw in draws), sum(draw >= 0 for draw in draws)
    assert found.difference == pytest.approx(first.mean() - second.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=1e-12)
    assert found.p_value == min(1.0, 2 * (min(below, above) + 1) / 501)
    assert 0 < below < above


@pytest.mark.parametrize("seed", range(5))
def test_p_value_of_accuracy_is_near_that_of_the_normal_test(seed):
    first, second, patients = two_readers(seed, patients=400, first_right=0.84, second_right=0.80)
    found = paired.accuracy_difference(first, second, patients, seed=seed)
    of_patient = (first.astype(float) - second).reshape(-1, 2).mean(axis=1)
    wanted = stats.ttest_1samp(of_patient, 0).pvalue
    # 2,000 draws know a tail to about sqrt(p / 2000); draws of exactly 0 count on both sides and lift it a little
    assert found.p_value == pytest.approx(wanted, abs=0.05)
    assert (found.p_value < 0.04) <= (found.low > 0 or found.high < 0)
    assert (found.low > 0 or found.high < 0) <= (found.p_value < 0.06)


def test_a_copy_of_every_eye_adds_no_evidence():
    first, second, patients = two_readers(1, eyes=1)
    once = paired.accuracy_difference(first, second, patients)
    copied = [np.repeat(right, 2) for right in (first, second)]
    assert paired.accuracy_difference(*copied, np.repeat(patients, 2)) == once
    as_if_own = paired.accuracy_difference(*copied, np.arange(120))
    assert as_if_own.high - as_if_own.low < 0.8 * (once.high - once.low)


def test_the_other_way_round_and_again():
    first, second, patients = two_readers(2)
    found = paired.accuracy_difference(first, second, patients, seed=9)
    turned = paired.accuracy_difference(second, first, patients, seed=9)
    assert (turned.difference, turned.low, turned.high) == pytest.approx((-found.difference, -found.high, -found.low))
    assert turned.p_value == found.p_value
    shuffled = np.random.default_rng(0).permutation(first.size)
    assert paired.accuracy_difference(first[shuffled], second[shuffled], patients[shuffled], seed=9) == found
    assert paired.accuracy_difference(first, second, patients, seed=10) != found
    mean = intervals.mean_interval(first.astype(float) - second, patients, seed=9)
    assert (found.low, found.high) == (mean.low, mean.high)


def test_no_draw_can_promise_a_p_value_of_zero():
    first, second = answers(0, 95, 5, 0)
    found = paired.accuracy_difference(first, second, np.arange(100))
    assert found.p_value == pytest.approx(2 / 2001)


@pytest.mark.parametrize("counts", [(5, 0, 0, 5), (0, 10, 0, 0)])
def test_patients_that_do_not_differ_have_no_interval(counts):
    first, second = answers(*counts)
    with pytest.raises(UndefinedMetricError, match="all 2000 draws of patients give the same difference"):
        paired.accuracy_difference(first, second, np.arange(10))


P_VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


def holm_by_definition(p_values):
    """Of all tests at most as large, the largest p-value times how many tests are at least as large."""
    known = [value for value in p_values if value is not None]
    found = []
    for value in p_values:
        if value is None:
            found.append(None)
            continue
        steps = [sum(third >= other for third in known) * other for other in known if other <= value]
        found.append(min(1.0, max(steps)))
    return found


@given(P_VALUES)
def test_holm_is_its_definition(p_values):
    found = paired.holm(p_values)
    for got, wanted in zip(found, holm_by_definition(p_values), strict=True):
        assert (got is None) == (wanted is None)
        assert got is None or got == pytest.approx(wanted, abs=1e-9)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_does_not_mind_it(p_values, random):
    found = paired.holm(p_values)
    known = sorted((given, got) for given, got in zip(p_values, found, strict=True) if given is not None)
    assert all(low[1] <= high[1] for low, high in pairwise(known))
    assert all(given <= got <= min(1.0, len(known) * given) for given, got in known)
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert paired.holm([p_values[place] for place in order]) == [found[place] for place in order]


def test_holm_of_a_worked_table():
    # four tests: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 lifted to the one before
    assert paired.holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert paired.holm([]) == []
    assert paired.holm([None, 0.7, 0.8]) == [None, 1.0, 1.0]


@pytest.mark.parametrize("bad", [-0.1, 1.2, float("nan")])
def test_holm_refuses_what_is_no_p_value(bad):
    with pytest.raises(OctavoError, match=r"p-value 1 is .*; wanted numbers from 0 to 1"):
        paired.holm([0.2, bad])


def cohort(eyes: int):
    generator = np.random.default_rng(8)
    labels = np.repeat(np.arange(80) % 2, eyes)
    first = labels + generator.normal(size=labels.size)
    second = labels + 1.5 * generator.normal(size=labels.size)
    return labels, first, second, (first > 0.5) * 1, (second > 0.5) * 1, np.repeat(np.arange(80), eyes)


@pytest.mark.parametrize("eyes", [1, 2])
def test_comparison_takes_the_test_that_the_patients_allow(eyes):
    labels, first, second, first_predicted, second_predicted, patients = case = cohort(eyes)
    found = paired.compare_models(*case, seed=3)
    right = first_predicted == labels, second_predicted == labels
    assert found.auroc == delong.auroc_difference(labels, first, second, patients)
    assert found.accuracy == paired.accuracy_difference(*right, patients, seed=3)
    assert (found.exams, found.patients, found.auroc_undefined, found.accuracy_undefined) == (80 * eyes, 80, "", "")
    if eyes == 1:
        assert found.mcnemar == paired.mcnemar(*right, patients)
        assert (found.accuracy_test, found.accuracy_p_value) == ("McNemar, exact", found.mcnemar.p_value)
    else:
        assert found.mcnemar is None
        assert "80 of 80 have more" in found.mcnemar_undefined
        assert (found.accuracy_test, found.accuracy_p_value) == ("bootstrap over patients", found.accuracy.p_value)


def test_comparison_with_itself_says_why_it_has_no_value():
    labels, first, _, predicted, _, patients = cohort(2)
    found = paired.compare_models(labels, first, np.exp(first), predicted, predicted, patients)
    assert found.auroc is None
    assert "not above zero" in found.auroc_undefined
    assert found.accuracy is None
    assert "the same difference" in found.accuracy_undefined
    assert (found.accuracy_p_value, found.accuracy_test) == (None, "")


def test_comparison_refuses_what_does_not_fit():
    labels, first, second, predicted, _, patients = cohort(1)
    with pytest.raises(OctavoError, match="wanted 0 or 1"):
        paired.compare_models(labels, first, second, predicted, predicted + 1, patients)
