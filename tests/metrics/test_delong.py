import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from octavo.metrics import classification, delong, intervals, weighted
from octavo.metrics.exam_arrays import UndefinedMetricError


def components_by_pairs(labels, scores):
    """DeLong's structural components, pair by pair."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    kernel = np.array([[1.0 if p > n else 0.5 if p == n else 0.0 for n in negative] for p in positive])
    return kernel.mean(), kernel.mean(axis=1), kernel.mean(axis=0)


def plain_delong_covariance(labels, *score_sets):
    """The covariance matrix of areas as DeLong wrote it: sample covariances of components over the class sizes."""
    parts = [components_by_pairs(labels, scores) for scores in score_sets]
    positive = np.atleast_2d(np.cov([part[1] for part in parts]))
    negative = np.atleast_2d(np.cov([part[2] for part in parts]))
    return positive / labels.sum() + negative / (1 - labels).sum()


def obuchowski_covariance(labels, first, second, patients):
    """Obuchowski's covariance of two areas as she wrote it: S10, S01 and S11 from sums over clusters."""
    parts = [components_by_pairs(labels, scores) for scores in (first, second)]
    positives, negatives = int(labels.sum()), int((1 - labels).sum())
    s10 = s01 = s11 = 0.0
    with_positive = with_negative = 0
    names = sorted(set(patients))
    for name in names:
        mine = np.array([patient == name for patient in patients])
        of_positive, of_negative = mine[labels == 1], mine[labels == 0]
        with_positive += of_positive.any()
        with_negative += of_negative.any()
        x, other_x = (part[1][of_positive].sum() - of_positive.sum() * part[0] for part in parts)
        y, other_y = (part[2][of_negative].sum() - of_negative.sum() * part[0] for part in parts)
        s10 += x * other_x
        s01 += y * other_y
        s11 += x * other_y + other_x * y
    s10 *= with_positive / ((with_positive - 1) * positives)
    s01 *= with_negative / ((with_negative - 1) * negatives)
    s11 *= len(names) / (len(names) - 1)
    return s10 / positives + s01 / negatives + s11 / (positives * negatives)


@st.composite
def exams(draw, eyes: bool):
    size = draw(st.integers(8, 30))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    labels[:4], labels[4:8] = 0, 1
    scores = np.array(draw(st.lists(st.integers(0, 12), min_size=size, max_size=size))) / 3.0
    # patients with several exams may have some of either label
    numbers = st.lists(st.integers(0, size // 2), min_size=size, max_size=size) if eyes else st.just(range(size))
    return labels, scores, [f"P{number}" for number in draw(numbers)]


@given(exams(eyes=False))
@settings(max_examples=100, deadline=None)
def test_one_exam_per_patient_is_plain_delong(case):
    labels, scores, patients = case
    area = classification.auroc(labels, scores)
    variance = plain_delong_covariance(labels, scores)[0, 0]
    assume(0 < area < 1 and variance > 1e-9)
    found = delong.auroc_interval(labels, scores, patients)
    assert found.auroc == pytest.approx(area, abs=1e-12)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)


@given(exams(eyes=True))
@settings(max_examples=150, deadline=None)
def test_several_exams_per_patient_are_obuchowski(case):
    labels, scores, patients = case
    for label in (0, 1):
        assume(len({p for p, of in zip(patients, labels, strict=True) if of == label}) >= 2)
    variance = obuchowski_covariance(labels, scores, scores, patients)
    assume(0 < classification.auroc(labels, scores) < 1 and variance > 1e-9)
    found = delong.auroc_interval(labels, scores, patients)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)
    assert 0 <= found.low < found.auroc < found.high <= 1


@given(exams(eyes=False), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_paired_difference_is_plain_delong(case, seed):
    labels, first, patients = case
    second = np.random.default_rng(seed).integers(0, 9, labels.size) / 2.0
    matrix = plain_delong_covariance(labels, first, second)
    variance = matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]
    assume(variance > 1e-9)
    found = delong.auroc_difference(labels, first, second, patients)
    difference = classification.auroc(labels, first) - classification.auroc(labels, second)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / np.sqrt(variance)), abs=1e-9)
    assert -1 <= found.low <= found.difference <= found.high <= 1


@given(exams(eyes=True), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_paired_difference_with_several_exams_per_patient_is_obuchowski(case, seed):
    labels, first, patients = case
    for label in (0, 1):
        assume(len({p for p, of in zip(patients, labels, strict=True) if of == label}) >= 2)
    second = np.random.default_rng(seed).integers(0, 9, labels.size) / 2.0
    pairs = ((first, first), (second, second), (first, second))
    of_first, of_second, of_both = (obuchowski_covariance(labels, *pair, patients) for pair in pairs)
    variance = of_first + of_second - 2 * of_both
    assume(variance > 1e-9)
    found = delong.auroc_difference(labels, first, second, patients)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)
    turned = delong.auroc_difference(labels, second, first, patients)
    assert (turned.difference, turned.p_value) == pytest.approx((-found.difference, found.p_value), abs=1e-12)


def test_logit_interval_is_the_delta_methods():
    labels = np.array([0] * 6 + [1] * 5)
    scores = np.array([1, 2, 3, 4, 6, 9, 3, 5, 7, 8, 10.0])
    patients = [f"P{number}" for number in range(11)]
    found = delong.auroc_interval(labels, scores, patients)
    logit = np.log(found.auroc / (1 - found.auroc))
    reach = stats.norm.ppf(0.975) * np.sqrt(plain_delong_covariance(labels, scores)[0, 0])
    reach /= found.auroc * (1 - found.auroc)
    wanted = 1 / (1 + np.exp(-np.array([logit - reach, logit + reach])))
    np.testing.assert_allclose([found.low, found.high], wanted, rtol=1e-12)


def two_eyes(generator, patients: int, area: float = 0.8, correlation: float = 0.6, mixed: bool = False):
    """Binormal scores of two correlated eyes; the area is exact. Eyes share their label, or may differ."""
    own = np.sqrt(1 - correlation)
    shared = np.sqrt(correlation) * generator.normal(size=(patients, 1))
    labels = generator.random((patients, 2 if mixed else 1)) < 0.5
    labels = np.broadcast_to(labels, (patients, 2)).astype(int)
    gap = np.sqrt(2) * stats.norm.ppf(area)
    scores = gap * labels + shared + own * generator.normal(size=(patients, 2))
    return labels.ravel(), scores.ravel(), np.repeat(np.arange(patients), 2)


@pytest.mark.parametrize("mixed", [False, True])
def test_coverage_with_two_correlated_eyes(mixed):
    generator = np.random.default_rng(11)
    covered = as_if_independent = 0
    for _ in range(300):
        labels, scores, patients = two_eyes(generator, 100, mixed=mixed)
        found = delong.auroc_interval(labels, scores, patients)
        covered += found.low <= 0.8 <= found.high
        naive = delong.auroc_interval(labels, scores, np.arange(200))
        as_if_independent += naive.low <= 0.8 <= naive.high
    # 95 % of 300 with three standard errors of 1.26 %
    assert 0.912 <= covered / 300 <= 0.988
    if not mixed:
        assert as_if_independent / 300 < 0.91


def test_agrees_with_the_bootstrap_over_patients():
    labels, scores, patients = two_eyes(np.random.default_rng(12), 150, mixed=True)
    found = delong.auroc_interval(labels, scores, patients)
    draws = intervals.draw_statistics({"auroc": lambda w: weighted.auroc(labels, scores, w)}, patients)["auroc"]
    assert draws.std() == pytest.approx(found.standard_error, rel=0.08)
    other = scores + np.random.default_rng(13).normal(size=scores.size)
    gap = delong.auroc_difference(labels, scores, other, patients)
    drawn = intervals.bootstrap_difference(weighted.auroc, labels, scores, other, patients)
    assert (gap.low, gap.high) == pytest.approx((drawn.low, drawn.high), abs=0.012)


@pytest.mark.parametrize(("each", "bound"), [(2, 0.025 ** (1 / 2)), (20, 0.025 ** (1 / 20)), (500, 0.025 ** (1 / 500))])
def test_perfect_separation_is_no_certainty(each, bound):
    labels = np.repeat([0, 1], each)
    patients = np.arange(2 * each)
    found = delong.auroc_interval(labels, labels + 0.0, patients)
    assert (found.auroc, found.high, found.is_exact_bound) == (1.0, 1.0, True)
    assert found.low == pytest.approx(bound)
    turned = delong.auroc_interval(labels, -1.0 * labels, patients)
    assert (turned.low, turned.auroc) == (0.0, 0.0)
    assert turned.high == pytest.approx(1 - bound)


def test_bound_counts_patients_and_not_exams():
    labels = np.tile([0, 1], 12)
    own_eyes = delong.auroc_interval(labels, labels + 0.0, np.arange(24))
    # twelve patients with one eye of either kind make six pairs of two patients
    mixed = delong.auroc_interval(labels, labels + 0.0, np.repeat(np.arange(12), 2))
    assert own_eyes.low == pytest.approx(0.025 ** (1 / 12))
    assert mixed.low == pytest.approx(0.025 ** (1 / 6))


def test_bound_holds_in_the_worst_case():
    # one diseased patient in eight is missed altogether: the distribution that is separated by luck most often
    generator = np.random.default_rng(14)
    covered = 0
    for _ in range(1000):
        scores = np.concatenate([np.full(20, 0.5), np.where(generator.random(20) < 0.125, 0.0, 1.0)])
        labels = np.repeat([0, 1], 20)
        if classification.auroc(labels, scores) == 1:
            covered += delong.auroc_interval(labels, scores, np.arange(40)).low <= 0.875
        else:
            covered += 1
    assert covered / 1000 >= 0.95


@pytest.mark.parametrize(
    ("labels", "scores", "patients", "reason"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.3], ["a", "b", "c"], "both classes"),
        ([0, 0, 1], [0.1, 0.2, 0.3], ["a", "b", "c"], "positive exams of at least 2 patients"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], ["a", "a", "b", "c"], "negative exams of at least 2 patients"),
        ([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], ["a", "b", "c", "d"], "not above zero"),
    ],
)
def test_no_interval_without_variance(labels, scores, patients, reason):
    with pytest.raises(UndefinedMetricError, match=reason):
        delong.auroc_interval(np.array(labels), np.array(scores), patients)


def test_models_that_rank_alike_have_no_test():
    labels, scores, patients = two_eyes(np.random.default_rng(15), 30)
    with pytest.raises(UndefinedMetricError, match="difference of two AUROCs"):
        delong.auroc_difference(labels, scores, np.exp(scores), patients)
