import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.errors import OctavoError
from octavo.metrics import classification, delong
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.fairness import equity_scaled_auroc, evaluate_by_group, group_numbers

# two groups worked by hand: in A 5 of 6 pairs stand right, in B 2 and a tie of 4
LABELS = np.array([0, 0, 0, 1, 1, 0, 0, 1, 1])
SCORES = np.array([0.1, 0.2, 0.6, 0.5, 0.9, 0.3, 0.8, 0.7, 0.3])
GROUPS = list("AAAAABBBB")
PATIENTS = [f"P{number}" for number in range(9)]


def cohort(seed: int = 0):
    """Two eyes each; the model is worse in B; C has no diseased eye; some groups are unknown."""
    generator = np.random.default_rng(seed)
    of_patient = np.array(["A"] * 40 + ["B"] * 40 + ["C"] * 10 + [""] * 10)
    labels = np.repeat(generator.integers(0, 2, 100) * (of_patient != "C"), 2)
    groups, patients = np.repeat(of_patient, 2), np.repeat(np.arange(100), 2)
    noise = np.repeat(generator.normal(size=100), 2) + generator.normal(size=200)
    return labels, labels * np.where(groups == "B", 0.8, 2.5) + noise, patients, groups


def test_hand_computed_groups():
    found = evaluate_by_group(LABELS, SCORES, PATIENTS, GROUPS)
    # together: 0.5 stands above 3 of 5 healthy, 0.9 above 5, 0.7 above 4, 0.3 above 2 and level with 1
    overall = (3 + 5 + 4 + 2.5) / 20
    assert [(group.group, group.exams, group.positives, group.patients) for group in found.groups] == [
        ("A", 5, 2, 5),
        ("B", 4, 2, 4),
    ]
    assert [group.auroc for group in found.groups] == pytest.approx([5 / 6, 1.5 / 4], abs=1e-12)
    assert found.overall.auroc == pytest.approx(overall, abs=1e-12)
    assert (found.worst_group, found.best_group, found.undefined) == ("B", "A", "")
    assert found.largest_gap == pytest.approx(5 / 6 - 1.5 / 4, abs=1e-12)
    wanted = overall / (1 + abs(overall - 5 / 6) + abs(overall - 1.5 / 4))
    assert found.equity_scaled_auroc == pytest.approx(wanted, abs=1e-12)


def test_groups_are_measured_by_patients_and_overall_on_the_same_exams():
    labels, scores, patients, groups = cohort()
    found = evaluate_by_group(labels, scores, patients, groups)
    for group in found.groups[:2]:
        chosen = groups == group.group
        wanted = delong.auroc_interval(labels[chosen], scores[chosen], patients[chosen])
        assert (group.auroc, group.low, group.high) == pytest.approx((wanted.auroc, wanted.low, wanted.high), abs=1e-12)
        assert (group.exams, group.patients) == (80, 40)
    third = found.groups[2]
    assert (third.group, third.auroc, third.low, third.exams, third.positives) == ("C", None, None, 20, 0)
    assert "both classes; got 0 positive and 20 negative" in third.undefined
    assert (found.left_out, found.exams_unknown) == (("C",), 20)
    compared = np.isin(groups, ["A", "B"])
    assert found.overall.auroc == classification.auroc(labels[compared], scores[compared])
    assert (found.overall.exams, found.overall.patients) == (160, 80)
    assert found.worst_group == "B"
    areas = [group.auroc for group in found.groups[:2]]
    assert found.equity_scaled_auroc == equity_scaled_auroc(found.overall.auroc, areas)


def test_names_of_groups_and_order_of_exams_do_not_matter():
    labels, scores, patients, groups = cohort(1)
    found = evaluate_by_group(labels, scores, patients, groups)
    order = np.random.default_rng(2).permutation(labels.size)
    again = evaluate_by_group(labels[order], scores[order], patients[order], list(groups[order]))
    assert again.equity_scaled_auroc == pytest.approx(found.equity_scaled_auroc, abs=1e-12)
    assert [group.exams for group in again.groups] == [group.exams for group in found.groups]
    assert again.groups[0].low == pytest.approx(found.groups[0].low, abs=1e-12)


def test_a_single_diseased_patient_is_a_value_without_interval():
    found = evaluate_by_group(LABELS, SCORES, ["a", "b", "c", "d", "d", "e", "f", "g", "h"], GROUPS)
    assert found.groups[0].auroc == pytest.approx(5 / 6)
    assert (found.groups[0].low, found.groups[0].undefined) == (None, "")
    assert "at least 2 patients" in found.groups[0].interval_undefined
    assert found.largest_gap is not None


@pytest.mark.parametrize(("labels", "measured"), [([0, 0, 1, 1, 0, 0], 1), ([0, 0, 0, 0, 0, 0], 0)])
def test_one_measured_group_cannot_be_compared(labels, measured):
    found = evaluate_by_group(np.array(labels), np.arange(6.0), list("abcdef"), list("xxxxyy"))
    assert (found.worst_group, found.best_group, found.largest_gap, found.equity_scaled_auroc) == (None,) * 4
    assert f"a value in {measured} of 2 groups" in found.undefined
    assert (found.overall is None) == (measured == 0)
    assert found.left_out == (("y",) if measured else ("x", "y"))


@pytest.mark.parametrize(
    ("covariate", "message"),
    [
        (["F"] * 9, r"one value \('F'\) in 9 exams; wanted at least two groups"),
        (["F"] * 8 + [""], r"one value \('F'\) in 9 exams"),
        (["", " "] * 4 + [""], "no known value in 9 exams"),
        (["F", "M"] * 4, "wanted one group for each of 9 exams"),
        (np.arange(9.0), "octavo.metrics.fairness.group_numbers"),
    ],
)
def test_covariates_without_groups_are_refused_in_one_line(covariate, message):
    with pytest.raises(OctavoError, match=message) as refused:
        evaluate_by_group(LABELS, SCORES, PATIENTS, covariate)
    assert "\n" not in str(refused.value)


# an area is a share of half pairs; the smallest floating-point numbers are none, and division loses them
AREAS = st.integers(0, 10_000).map(lambda halves: halves / 10_000)


@given(AREAS, st.lists(AREAS, min_size=1, max_size=6))
def test_equity_scaled_auroc_never_exceeds_the_overall_one(overall, groups):
    scaled = equity_scaled_auroc(overall, groups)
    assert overall / (1 + len(groups)) <= scaled <= overall
    assert equity_scaled_auroc(overall, [overall] * len(groups)) == overall
    if overall > 0 and max(abs(overall - group) for group in groups) > 1e-9:
        assert scaled < overall


@given(AREAS, st.lists(AREAS, min_size=1, max_size=5), AREAS)
def test_a_further_group_never_raises_equity(overall, groups, further):
    assert equity_scaled_auroc(overall, [*groups, further]) <= equity_scaled_auroc(overall, groups)


def test_equity_needs_areas():
    with pytest.raises(OctavoError, match="at least one"):
        equity_scaled_auroc(0.9, [])
    with pytest.raises(OctavoError, match="an AUROC is nan; wanted numbers from 0 to 1"):
        equity_scaled_auroc(0.9, [0.8, float("nan")])


def test_thirds_are_of_patients_and_not_of_exams():
    ages = [30, 40, 50, 60, 70, 80]
    alone = group_numbers(ages, list("abcdef"))
    assert alone == ["below 50"] * 2 + ["50 to below 70"] * 2 + ["70 and above"] * 2
    # the youngest came ten times: the edges stay, and later exams go by the age they were made at
    often = group_numbers([*ages, *range(30, 40), 55], [*"abcdef", *"a" * 11])
    assert often == [*alone, *["below 50"] * 10, "50 to below 70"]


def test_unknown_numbers_have_no_group():
    found = group_numbers(np.array([20.0, np.nan, 40.0, 60.0]), ["a", "b", "c", "d"])
    assert found == ["below 40", "", "40 to below 60", "60 and above"]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 1, 1, 1, 2, 2], {"below 2", "2 and above"}),
        ([1, 1, 1, 1, 1, 2], {"below 2", "2 and above"}),
        ([1, 2, 2, 2, 2, 2], {"below 2", "2 and above"}),
        ([1, 1, 2, 2, 3, 3], {"below 2", "2 to below 3", "3 and above"}),
    ],
)
def test_equal_values_stay_together_and_no_group_is_empty(values, names):
    found = group_numbers(values, list("abcdef"))
    assert set(found) == names
    assert len({(value, name) for value, name in zip(values, found, strict=True)}) == len(set(values))


def test_an_edge_begins_the_next_group():
    assert group_numbers([49.9, 50, 65], ["a", "b", "c"], [50, 65]) == ["below 50", "50 to below 65", "65 and above"]


@pytest.mark.parametrize("edges", [[], [65, 50], [50, 50], [float("nan")]])
def test_edges_must_rise(edges):
    with pytest.raises(OctavoError, match="each larger than the one before"):
        group_numbers([40, 60], ["a", "b"], edges)


def test_numbers_that_cannot_be_grouped_are_refused():
    with pytest.raises(UndefinedMetricError, match="of 2 patients do not differ"):
        group_numbers([40, 40, 50], ["a", "b", "b"])
    with pytest.raises(UndefinedMetricError, match="of 0 patients do not differ"):
        group_numbers([None, None], ["a", "b"])
    with pytest.raises(OctavoError, match="value 1 is infinite"):
        group_numbers([40, float("inf")], ["a", "b"])
    with pytest.raises(OctavoError, match="wanted one for each of 3 exams"):
        group_numbers([40, 50, 60], ["a", "b"])
