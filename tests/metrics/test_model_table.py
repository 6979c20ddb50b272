import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.metrics.classification import accuracy, auroc
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.intervals import bootstrap_over_patients
from octavo.metrics.model_table import (
    MEASURES,
    MEASURES_OF_CLASSES,
    SeedAnswers,
    compare_with_reference,
    tabulate_model,
)
from octavo.metrics.multiclass import macro_auroc
from octavo.metrics.paired import compare_models, holm, macro_auroc_difference
from octavo.metrics.weighted import auroc as weighted_auroc


def _study(seed=0, exams=80):
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], exams // 2)
    patients = [f"P{number // 4}" for number in range(exams)]

    def answers(skill):
        probabilities = 1 / (1 + np.exp(-(skill * (labels - 0.5) + rng.normal(size=exams))))
        return SeedAnswers(probabilities, (probabilities >= 0.5).astype(np.int64))

    return labels, patients, answers


def test_mean_and_spread_are_those_of_the_seeds():
    labels, patients, answers = _study()
    seeds = [answers(skill) for skill in (0.5, 1.0, 2.0)]
    row = tabulate_model("ours", labels, seeds, patients)
    each = [auroc(labels, one.probabilities) for one in seeds]
    assert row.measures["auroc"].values == pytest.approx(each)
    assert row.measures["auroc"].mean == pytest.approx(np.mean(each))
    assert row.measures["auroc"].sd == pytest.approx(np.std(each, ddof=1))
    assert row.measures["accuracy"].mean == pytest.approx(np.mean([accuracy(labels, one.predicted) for one in seeds]))
    assert set(row.measures) == set(MEASURES)
    alone = tabulate_model("ours", labels, seeds[:1], patients)
    assert alone.measures["auroc"].sd is None


def test_the_interval_is_that_of_the_mean_over_seeds_with_patients_drawn():
    labels, patients, answers = _study()
    seeds = [answers(1.0), answers(1.5)]

    def mean(weights):
        return (
            weighted_auroc(labels, seeds[0].probabilities, weights)
            + weighted_auroc(labels, seeds[1].probabilities, weights)
        ) / 2

    wanted = bootstrap_over_patients({"mean": mean}, patients)["mean"]
    got = tabulate_model("ours", labels, seeds, patients).measures["auroc"]
    assert (got.low, got.high) == (wanted.low, wanted.high)
    assert got.low < got.mean < got.high


def test_models_are_compared_by_the_mean_of_their_seeds_and_corrected_as_one_family():
    labels, patients, answers = _study(1, 200)
    models = {name: [answers(skill), answers(skill)] for name, skill in (("weak", 0.3), ("good", 1.5), ("best", 3.0))}
    half = {name: np.full(labels.size, 0.5) for name in models}
    found = compare_with_reference(labels, models, "good", half, patients)
    assert [one.name for one in found] == ["weak", "best"]
    means = {name: np.mean([one.probabilities for one in seeds], axis=0) for name, seeds in models.items()}
    for one in found:
        wanted = compare_models(
            labels, means[one.name], means["good"], (means[one.name] >= 0.5) * 1, (means["good"] >= 0.5) * 1, patients
        )
        assert one.comparison == wanted
        assert one.auroc_p_value == wanted.auroc.p_value
    family = [one.auroc_p_value for one in found] + [one.accuracy_p_value for one in found]
    assert [one.auroc_p_value_holm for one in found] + [one.accuracy_p_value_holm for one in found] == holm(family)
    assert found[0].comparison.auroc.difference < 0 < found[1].comparison.auroc.difference


def test_thresholds_are_those_of_each_exam():
    labels, patients, answers = _study(2)
    models = {"one": [answers(1.0)], "other": [answers(1.0)]}
    always = {"one": np.zeros(labels.size), "other": np.full(labels.size, 0.5)}
    (found,) = compare_with_reference(labels, models, "one", always, patients)
    share = accuracy(labels, models["other"][0].predicted) - labels.mean()
    assert found.comparison.accuracy.difference == pytest.approx(share)


def test_a_test_part_of_one_class_keeps_what_has_a_value():
    _, patients, answers = _study()
    healthy = np.zeros(80, np.int64)
    row = tabulate_model("ours", healthy, [answers(1.0)], patients)
    assert row.measures["auroc"].mean is None
    assert "positive" in row.measures["auroc"].undefined
    assert row.measures["brier"].mean is not None
    assert row.measures["specificity"].low is not None


def test_a_single_patient_has_values_and_no_interval():
    labels, _, answers = _study()
    row = tabulate_model("ours", labels, [answers(1.0)], ["P"] * 80)
    assert row.measures["auroc"].mean is not None
    assert row.measures["auroc"].low is None
    assert "at least 2 patients" in row.measures["auroc"].undefined


def test_what_is_missing_is_refused():
    labels, patients, answers = _study()
    with pytest.raises(OctavoError, match="no seed was given"):
        tabulate_model("ours", labels, [], patients)
    with pytest.raises(OctavoError, match="theirs: has no answers"):
        compare_with_reference(labels, {"ours": [answers(1.0)]}, "theirs", {}, patients)


def _classes(seed=0, exams=90):
    rng = np.random.default_rng(seed)
    labels = np.arange(exams) % 3
    patients = [f"P{number // 2}" for number in range(exams)]

    def answers(skill):
        logits = skill * np.eye(3)[labels] + rng.normal(size=(exams, 3))
        given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return SeedAnswers(given, given.argmax(axis=1))

    return labels, patients, answers


def test_three_classes_are_tabulated_by_their_own_measures():
    labels, patients, answers = _classes()
    seeds = [answers(0.5), answers(1.5)]
    row = tabulate_model("ours", labels, seeds, patients)
    assert tuple(row.measures) == MEASURES_OF_CLASSES
    each = [macro_auroc(labels, one.probabilities) for one in seeds]
    assert row.measures["macro_auroc"].mean == pytest.approx(np.mean(each))
    assert row.measures["macro_auroc"].low < row.measures["macro_auroc"].mean < row.measures["macro_auroc"].high


def test_models_of_three_classes_are_compared_by_drawing_patients():
    labels, patients, answers = _classes(1, 240)
    models = {"ours": [answers(2.0)], "theirs": [answers(0.2)]}
    none = {name: np.zeros(240) for name in models}
    (found,) = compare_with_reference(labels, models, "theirs", none, patients)
    ours, theirs = (models[name][0].probabilities for name in ("ours", "theirs"))
    area = found.comparison.auroc
    assert area.difference == pytest.approx(macro_auroc(labels, ours) - macro_auroc(labels, theirs))
    assert area.low > 0
    assert found.auroc_p_value == area.p_value <= 0.01
    turned = macro_auroc_difference(labels, theirs, ours, patients)
    assert (turned.difference, turned.p_value) == (pytest.approx(-area.difference), area.p_value)
    assert (turned.low, turned.high) == pytest.approx((-area.high, -area.low))
    with pytest.raises(UndefinedMetricError, match="the patients do not differ in it"):
        macro_auroc_difference(labels, ours, ours, patients)
