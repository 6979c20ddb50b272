import json
import re
from pathlib import Path

import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.metrics import calibration, classification, delong
from octavo.metrics.summary import OF_PREDICTIONS, OF_PROBABILITIES, evaluate_classifier

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
THRESHOLDS = {"youden": 0.4, "half": 0.5}


def cohort(seed: int = 0, patients: int = 40):
    generator = np.random.default_rng(seed)
    labels = np.repeat(generator.integers(0, 2, patients), 2)
    margins = (
        1.5 * labels - 0.75 + np.repeat(generator.normal(size=patients), 2) + 0.5 * generator.normal(size=labels.size)
    )
    return labels, 1 / (1 + np.exp(-margins)), np.repeat(np.arange(patients), 2)


def test_values_are_those_of_the_single_measures():
    labels, probabilities, patients = cohort()
    found = evaluate_classifier(labels, probabilities, patients, THRESHOLDS, resamples=200)
    for name, (measure, _) in OF_PROBABILITIES.items():
        assert found[name] == measure(labels, probabilities)
    for ending, threshold in (("", 0.4), ("_at_half", 0.5)):
        predicted = classification.predicted_at(probabilities, threshold)
        assert found[f"threshold{ending}"] == threshold
        for name, (measure, _) in OF_PREDICTIONS.items():
            assert found[name + ending] == measure(labels, predicted)
        counts = classification.confusion(labels, predicted)
        assert found[f"false_negatives{ending}"] == counts.false_negatives
        assert found[f"true_positives{ending}"] + found[f"false_negatives{ending}"] == found["positives"]
    assert found["accuracy"] != found["accuracy_at_half"]
    interval = delong.auroc_interval(labels, probabilities, patients)
    assert (found["auroc_delong_ci_low"], found["auroc_delong_ci_high"]) == (interval.low, interval.high)
    line = calibration.calibration_line(labels, np.log(probabilities / (1 - probabilities)))
    assert found["calibration_slope"] == pytest.approx(line.slope)
    assert (found["exams"], found["patients"], found["prevalence"]) == (80, 40, labels.mean())


def test_intervals_hold_their_value_and_widen_with_fewer_patients():
    widths = []
    for patients in (30, 300):
        labels, probabilities, names = cohort(1, patients)
        found = evaluate_classifier(labels, probabilities, names, THRESHOLDS, resamples=500)
        for name in (set(OF_PROBABILITIES) | set(OF_PREDICTIONS)) - {"calibration_error"}:
            assert found[f"{name}_ci_low"] < found[name] < found[f"{name}_ci_high"]
        widths.append(found["auroc_ci_high"] - found["auroc_ci_low"])
    assert widths[0] > 2 * widths[1]
    closed_form = found["auroc_delong_ci_high"] - found["auroc_delong_ci_low"]
    assert widths[1] == pytest.approx(closed_form, rel=0.1)


def test_keys_are_the_documented_ones():
    labels, probabilities, patients = cohort()
    keys = list(evaluate_classifier(labels, probabilities, patients, THRESHOLDS, resamples=200))
    section = DOCUMENT.read_text(encoding="utf-8").split("### Keys")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `((?!m_)\w+)` \|", section, flags=re.MULTILINE)
    at_threshold = documented[documented.index("threshold") :]
    wanted = [*documented, *(f"{name}_at_half" for name in at_threshold)]
    with_interval = [name for name in wanted if name.removesuffix("_at_half") in OF_PROBABILITIES | OF_PREDICTIONS]
    assert [key for key in keys if not re.search(r"(?<!delong)_ci_(low|high)$", key)] == wanted
    assert len(with_interval) == 16
    for name in with_interval:
        place = keys.index(name)
        assert keys[place + 1 : place + 3] == [f"{name}_ci_low", f"{name}_ci_high"]


def test_one_class_costs_the_measures_that_need_two():
    labels, probabilities = np.zeros(6, dtype=int), np.linspace(0.1, 0.9, 6)
    found = evaluate_classifier(labels, probabilities, list("aabbcc"), THRESHOLDS, resamples=100)
    for name in ("auroc", "auprc", "sensitivity", "f1", "auroc_of_hard_predictions", "sensitivity_at_95_specificity"):
        assert found[name] is None
        assert found[f"{name}_ci_low"] is None
        assert found[f"{name}_ci_high"] is None
        assert "needs" in found[f"{name}_undefined"]
    assert found["auroc_delong_ci_low"] is None
    assert "both classes" in found["auroc_delong_ci_undefined"]
    assert "both classes" in found["calibration_slope_undefined"]
    assert found["specificity"] == pytest.approx(2 / 6)
    assert found["specificity_ci_low"] <= found["specificity"] <= found["specificity_ci_high"]
    json.dumps(found, allow_nan=False)


def test_perfect_separation_is_said_and_not_sold_as_certainty():
    labels = np.repeat([0, 1], 20)
    found = evaluate_classifier(labels, 0.1 + 0.8 * labels, np.arange(40), {"half": 0.5}, resamples=200)
    assert found["auroc"] == found["auroc_ci_low"] == found["accuracy_ci_low"] == 1.0
    assert "not certainty" in found["auroc_ci_note"]
    assert found["auroc_delong_ci_low"] == pytest.approx(0.025 ** (1 / 20))
    assert found["auroc_delong_method"] == "exact bound for perfect separation"
    assert "not certainty" in found["brier_ci_note"]
    assert "accuracy_at_half" not in found
    assert found["threshold_name"] == "half"


def test_certain_probabilities_have_no_logit_and_mistakes_among_them_no_log_loss():
    labels, probabilities = np.array([0, 1] * 10), np.array([0.0, 1.0] * 9 + [1.0, 0.5])
    found = evaluate_classifier(labels, probabilities, np.arange(20), {"half": 0.5}, resamples=100)
    assert found["log_loss"] is None
    assert "infinite: 1 of 20" in found["log_loss_undefined"]
    assert "19 of 20 probabilities are exactly 0 or 1" in found["calibration_slope_undefined"]
    assert found["brier_ci_low"] < found["brier"]


def test_single_patient_has_values_and_no_intervals():
    labels, probabilities = np.array([0, 1]), np.array([0.2, 0.7])
    found = evaluate_classifier(labels, probabilities, ["a", "a"], {"half": 0.5}, resamples=100)
    assert found["auroc"] == 1.0
    assert found["auroc_ci_low"] is None
    assert "at least 2 patients" in found["auroc_ci_undefined"]
    assert "at least 2 patients" in found["auroc_delong_ci_undefined"]


def test_rare_disease_counts_the_draws_it_leaves_out():
    labels = np.array([1] + [0] * 19)
    found = evaluate_classifier(labels, np.linspace(0.9, 0.1, 20), np.arange(20), {"half": 0.5})
    assert found["auroc_ci_resamples_left_out"] == pytest.approx(2000 * (19 / 20) ** 20, rel=0.1)
    assert "brier_ci_resamples_left_out" not in found


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [({}, "no threshold"), ({"at half": 0.5}, "cannot end a key"), ({"half": float("nan")}, "wanted a finite number")],
)
def test_thresholds_are_checked(thresholds, message):
    with pytest.raises(OctavoError, match=message):
        evaluate_classifier(np.array([0, 1]), np.array([0.2, 0.7]), ["a", "b"], thresholds)


def test_document_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    assert names["overlap"].pointing_hit == 1 / 3
