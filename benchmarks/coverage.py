"""How often the intervals of AUROC hold the truth, and how often the paired tests see a difference that is not there.

    python benchmarks/coverage.py

A data set is 200 patients with two eyes each. Whether an eye is diseased is decided by a normal liability of which the
eyes of a patient share a part; the score of an eye is `gap * diseased + noise`, where the noise is standard normal and
again the eyes share a part of it. So patients have two, one or no diseased eye, and fellow eyes score alike.

The truth is known and not estimated. The noise does not depend on the liability, so a diseased eye scores N(gap, 1) and a
healthy one N(0, 1). For eyes of two different patients the difference is N(gap, 2), hence AUROC = Phi(gap / sqrt(2)), and
`gap = sqrt(2) * Phi^-1(0.8)` makes it 0.8, whatever the correlations. (Of the pairs that an AUROC counts, those between a
diseased eye and the healthy fellow eye are ranked rightly more often, Phi(gap / sqrt(2 (1 - correlation))). They are one
in eight hundred here and lift the mean estimate by 0.0001, against a standard error of 0.025.)

For the tests a second model has the same gap and noise that is correlated with the first one's, both what fellow eyes share
and what is an eye's own. Both models call diseased what scores above gap / 2, so they have the same AUROC and accuracy.
"""

import argparse
import math
from functools import partial
from statistics import NormalDist

import numpy as np

from octavo.metrics import weighted
from octavo.metrics.delong import auroc_difference, auroc_interval
from octavo.metrics.intervals import bootstrap_over_patients
from octavo.metrics.paired import accuracy_difference, mcnemar

AREA = 0.8
GAP = math.sqrt(2) * NormalDist().inv_cdf(AREA)
PREVALENCE = 0.4
DISEASE_CORRELATION = 0.7
"""Of the liabilities of two fellow eyes."""
SCORE_CORRELATION = 0.6
"""Of the scores of two fellow eyes whose disease is known."""
MODEL_CORRELATION = 0.6
"""Of the noise of two models on the same eye."""

CLUSTERED = "DeLong clustered by patient, logit scale"
INDEPENDENT = "DeLong as if eyes were independent"
BOOTSTRAP = "bootstrap over patients, percentile"
DIFFERENCE = "difference in AUROC, DeLong clustered by patient"
DIFFERENCE_INDEPENDENT = "difference in AUROC, DeLong as if eyes were independent"
ACCURACY = "difference in accuracy, bootstrap over patients"
MCNEMAR = "McNemar, one eye of each patient"


def two_eyes(generator, patients):
    """Labels, the scores of two equally good models, and who each eye belongs to."""

    def shared_by_fellows(correlation, *shape):
        """Standard normal numbers, patient by eye, of which fellow eyes share a part."""
        shared, own = generator.normal(size=(*shape, patients, 1)), generator.normal(size=(*shape, patients, 2))
        return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own

    diseased = shared_by_fellows(DISEASE_CORRELATION) > NormalDist().inv_cdf(1 - PREVALENCE)
    of_both, of_one, of_other = shared_by_fellows(SCORE_CORRELATION, 3)
    mix = math.sqrt(MODEL_CORRELATION), math.sqrt(1 - MODEL_CORRELATION)
    first, second = (GAP * diseased + mix[0] * of_both + mix[1] * alone for alone in (of_one, of_other))
    return diseased.ravel().astype(int), first.ravel(), second.ravel(), np.repeat(np.arange(patients), 2)


def data_sets(count, patients, seed):
    """Each from its own stream, so that any of them can be made again alone."""
    for number in range(count):
        yield two_eyes(np.random.default_rng([seed, number]), patients)


def delong_coverage(count, patients=200, seed=0):
    """Whether either DeLong interval holds the truth, set by set."""
    held = {CLUSTERED: [], INDEPENDENT: []}
    for labels, scores, _, owners in data_sets(count, patients, seed):
        for name, of in ((CLUSTERED, owners), (INDEPENDENT, np.arange(labels.size))):
            found = auroc_interval(labels, scores, of)
            held[name].append(found.low <= AREA <= found.high)
    return held


def bootstrap_coverage(count, patients=200, seed=0, resamples=2000):
    """Whether the bootstrap interval holds the truth, set by set."""
    held = []
    for number, (labels, scores, _, owners) in enumerate(data_sets(count, patients, seed)):
        statistic = {"auroc": partial(weighted.auroc, labels, scores)}
        found = bootstrap_over_patients(statistic, owners, resamples, seed=number)["auroc"]
        held.append(found.low <= AREA <= found.high)
    return {BOOTSTRAP: held}


def false_differences(count, patients=200, seed=0, resamples=2000):
    """Whether a test at 5 % calls two equally good models different, set by set."""
    seen = {DIFFERENCE: [], DIFFERENCE_INDEPENDENT: [], ACCURACY: [], MCNEMAR: []}
    for number, (labels, first, second, owners) in enumerate(data_sets(count, patients, seed)):
        right = [(scores > GAP / 2) == labels for scores in (first, second)]
        p_values = {
            DIFFERENCE: auroc_difference(labels, first, second, owners).p_value,
            DIFFERENCE_INDEPENDENT: auroc_difference(labels, first, second, np.arange(labels.size)).p_value,
            ACCURACY: accuracy_difference(*right, owners, resamples, seed=number).p_value,
            MCNEMAR: mcnemar(right[0][::2], right[1][::2], owners[::2]).p_value,
        }
        for name, value in p_values.items():
            seen[name].append(value <= 0.05)
    return seen


def table(title, wanted, outcomes):
    print(f"| {title} | wanted | found | Monte-Carlo standard error |\n| --- | ---: | ---: | ---: |")
    for name, happened in outcomes.items():
        share = np.mean(happened)
        error = math.sqrt(share * (1 - share) / len(happened))
        print(f"| {name} | {wanted} | {100 * share:.1f} % | {100 * error:.1f} % |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-sets", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    size = (given.data_sets, given.patients, given.seed)
    held = delong_coverage(*size) | bootstrap_coverage(*size, given.resamples)
    table("95 % interval of AUROC", "95 %", held)
    table("test at 5 %, models equally good", "5 %", false_differences(*size, given.resamples))


if __name__ == "__main__":
    main()
