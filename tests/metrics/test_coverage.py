"""The intervals hold a truth that is known, as often as they say: `benchmarks/coverage.py`, DeLong's part in full."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

PATH = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("coverage_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_truth_is_what_was_derived(benchmark):
    # a million patients: eyes of different patients only, fellows being shifted away from one another
    labels, first, second, _ = benchmark.two_eyes(np.random.default_rng(0), 1_000_000)
    eyes = labels.reshape(-1, 2)
    scores = first.reshape(-1, 2)
    other = np.roll(np.arange(1_000_000), 1)
    pairs = (eyes[:, 0] == 1) & (eyes[other, 1] == 0)
    right = (scores[pairs, 0] > scores[other, 1][pairs]).mean()
    assert right == pytest.approx(0.8, abs=4 * 0.4 / math.sqrt(pairs.sum()))
    assert labels.mean() == pytest.approx(0.4, abs=0.003)
    for scores_of_model in (first, second):
        assert scores_of_model[labels == 0].std() == pytest.approx(1, abs=0.005)
        assert scores_of_model[labels == 1].mean() == pytest.approx(math.sqrt(2) * stats.norm.ppf(0.8), abs=0.006)
    healthy = (eyes == 0).all(axis=1)
    assert np.corrcoef(scores[healthy].T)[0, 1] == pytest.approx(0.6, abs=0.005)
    assert np.corrcoef(first[labels == 0], second[labels == 0])[0, 1] == pytest.approx(0.6, abs=0.005)


def test_delong_clustered_holds_the_truth_in_95_of_100(benchmark):
    held = benchmark.delong_coverage(1000)
    clustered, independent = (np.mean(held[name]) for name in (benchmark.CLUSTERED, benchmark.INDEPENDENT))
    assert 0.93 <= clustered <= 0.97
    # on the same data sets, taking eyes for witnesses of their own is too sure
    assert independent < clustered - 0.02


def test_bootstrap_over_patients_holds_the_truth_in_95_of_100(benchmark):
    # half the draws that evaluations make, so that a thousand data sets fit: their share is known to 0.7 %
    held = benchmark.bootstrap_coverage(1000, resamples=1000)[benchmark.BOOTSTRAP]
    assert 0.93 <= np.mean(held) <= 0.97


def test_paired_tests_rarely_see_what_is_not_there(benchmark):
    # 400 sets know a share of 5 % to 1.1 %; the exact test and the bootstrap of a count may stay below it
    seen = {name: np.mean(values) for name, values in benchmark.false_differences(400, resamples=1000).items()}
    assert 0.05 - 0.033 <= seen[benchmark.DIFFERENCE] <= 0.05 + 0.033
    assert seen[benchmark.ACCURACY] <= 0.05 + 0.033
    assert seen[benchmark.MCNEMAR] <= 0.05 + 0.033
