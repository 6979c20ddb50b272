"""Dividing and balancing cohorts of more than two classes."""

import dataclasses
import hashlib
import itertools
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from octavo.cohorts.dataset import EpochOrder, class_weights
from octavo.cohorts.exam import PARTS, Exam
from octavo.cohorts.folds import split_folds
from octavo.cohorts.manifest import Cohort, read_manifest
from octavo.cohorts.parts import divide, undersample_cohort
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.splits import classes_of_patients, quotas_of, split_patients, strata_of, units_of
from octavo.errors import OctavoError

CLASSES = ("NL", "MCI", "AD")


def cohort_of(*counts, names=CLASSES, exams=1):
    """So many patients of each class, each with some exams."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    made = [
        Exam(f"e{who}-{number}", f"p{who}", Path(f"{who}-{number}.npy"), label=label)
        for who, label in enumerate(labels)
        for number in range(exams)
    ]
    return Cohort(tuple(made), Path("cohort.csv"), classes=names)


def counted(cohort, split, part):
    class_of = classes_of_patients(cohort)
    found = Counter(class_of[patient] for patient in split.patients(part))
    return [found[label] for label in range(cohort.class_count)]


@pytest.mark.parametrize("counts", [(20, 30, 40), (7, 50, 9), (3, 3, 3)])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_part_gets_its_share_of_every_class(counts, seed):
    cohort = cohort_of(*counts)
    split = split_patients(cohort, seed=seed)
    for part, fraction in zip(PARTS, (0.65, 0.15, 0.20), strict=True):
        for have, all_of_class in zip(counted(cohort, split, part), counts, strict=True):
            assert have >= 1
            assert abs(have - fraction * all_of_class) < 1 or have == 1
    backwards = dataclasses.replace(cohort, exams=tuple(reversed(cohort.exams)))
    assert split_patients(backwards, seed=seed) == split


def test_a_patient_counts_under_the_last_class_of_their_exams_whatever_the_order_of_the_rows():
    exams = [
        Exam(f"e{k}", who, Path(f"{k}.npy"), label=label)
        for k, (who, label) in enumerate([("p0", 0), ("p0", 1), ("p1", 2), ("p1", 0), ("p2", 1)])
    ]
    for order in itertools.permutations(exams):
        assert classes_of_patients(Cohort(order, Path("c.csv"), classes=CLASSES)) == {"p0": 1, "p1": 2, "p2": 1}


def test_who_share_a_scan_are_dealt_out_with_the_last_class_of_either():
    exams = (Exam("a", "pa", Path("same.npy"), label=0), Exam("b", "pb", Path("same.npy"), label=2))
    cohort = Cohort(exams, Path("c.csv"), classes=CLASSES)
    (unit,) = units_of(cohort, ())
    assert (unit.patients, unit.label) == (("pa", "pb"), 2)
    assert [len(stratum.units) for stratum in strata_of(cohort, [unit])] == [1, 0, 0]


@pytest.mark.parametrize("folds", [3, 5])
def test_folds_test_every_patient_once_and_spread_every_class(folds):
    cohort = cohort_of(17, 23, 31, exams=2)
    splits = split_folds(cohort, folds, seed=7)
    tested = [patient for split in splits for patient in split.patients("test")]
    assert sorted(tested) == sorted(cohort.patients)
    for split in splits:
        for part in PARTS:
            assert min(counted(cohort, split, part)) >= 1
        for have, all_of_class in zip(counted(cohort, split, "test"), (17, 23, 31), strict=True):
            assert abs(have - all_of_class / folds) < 1
    assert split_folds(cohort, folds, seed=7) == splits
    assert split_folds(cohort, folds, seed=8) != splits


def test_many_classes_in_many_folds_are_divided_at_once():
    names = tuple(f"c{number}" for number in range(9))
    cohort = cohort_of(*range(13, 22), names=names)
    began = time.monotonic()
    splits = split_folds(cohort, 10, seed=1)
    assert time.monotonic() - began < 20
    sizes = [len(split.patients("test")) for split in splits]
    assert sum(sizes) == len(cohort.patients)
    assert max(sizes) - min(sizes) <= 2


def test_quotas_of_many_classes_are_roundings_of_their_shares():
    sizes, fractions = [13, 8, 21, 5, 34, 11], [0.2] * 5
    quotas = quotas_of(sizes, fractions)
    for quota, size in zip(quotas, sizes, strict=True):
        assert sum(quota) == size
        assert all(abs(count - 0.2 * size) < 1 for count in quota)
    totals = [sum(column) for column in zip(*quotas, strict=True)]
    assert max(totals) - min(totals) <= 1


def test_two_classes_are_divided_as_they_always_were():
    eyes = [
        Exam(f"e{k}-{eye}", f"p{k}", Path(f"{k}-{eye}.npy"), label=int(k % 3 == 0)) for k in range(47) for eye in "RL"
    ]
    cohort = Cohort(tuple(eyes), Path("manifest.csv"))
    told = [split_patients(cohort, seed=100), *split_folds(cohort, 5, seed=3)]
    whole = hashlib.sha256(" ".join(split.content_hash for split in told).encode()).hexdigest()
    # of the version before there were more than two classes
    assert whole == "44e58dcee5140beaf17f4473fbd63c27e3168953919ec8659ccd0fede5f3e8fd"


def test_too_few_of_a_class_are_refused_by_its_name():
    with pytest.raises(OctavoError, match=r"2 patients with MCI as the last of their classes .*wanted at least 3"):
        split_patients(cohort_of(9, 2, 9), seed=1)
    with pytest.raises(OctavoError, match=r"4 patients with AD as the last of their classes .* for 5 folds; wanted at"):
        split_folds(cohort_of(9, 9, 4), 5, seed=1)


def test_a_larger_class_is_cut_to_the_smallest():
    cohort = cohort_of(9, 4, 6)
    kept = undersample_cohort(cohort, seed=1)
    assert np.bincount(kept.labels).tolist() == [4, 4, 4]
    assert kept.classes == CLASSES
    with pytest.raises(OctavoError, match="class 1 is empty; wanted all"):
        undersample_cohort(cohort_of(3, 0, 3), seed=1)


def test_batches_are_balanced_over_all_classes():
    labels = [0] * 30 + [1] * 6 + [2] * 12
    under = EpochOrder(labels, 3, "undersample", seed=1)
    assert np.bincount(np.asarray(labels)[under.order(0)]).tolist() == [6, 6, 6]
    drawn = EpochOrder(labels, 4, "weighted-sampling", seed=1)
    shares = np.bincount(np.concatenate([np.asarray(labels)[drawn.order(epoch)] for epoch in range(60)]))
    np.testing.assert_allclose(shares / shares.sum(), 1 / 3, atol=0.04)
    weights = class_weights(labels)
    np.testing.assert_allclose(weights.numpy() * [30, 6, 12], 16.0, rtol=1e-6)
    with pytest.raises(OctavoError, match="class 1 is empty in the training part; wanted all to balance them"):
        EpochOrder([0, 0, 2], 1, "undersample")
    with pytest.raises(OctavoError, match="class 1 is empty in the training part; wanted all to weigh them"):
        class_weights([0, 2])


def test_parts_count_every_class_and_want_all_of_them_where_they_learn(tmp_path):
    lines = ["exam_id,patient_id,path,laterality,label,split,slow_axis,pattern"]
    divided = {"train": (0, 1, 2, 2), "validation": (0, 1, 2), "test": (1,)}
    for number, (part, label) in enumerate((part, label) for part, labels in divided.items() for label in labels):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(number).integers(0, 256, (2, 4, 3), dtype=np.uint8))
        lines.append(f"e{number},p{number},{number}.npy,OD,{CLASSES[label]},{part},superior-to-inferior,raster")
    (tmp_path / "cohort.csv").write_text("\n".join(lines), encoding="utf-8")
    cohort = read_manifest(tmp_path / "cohort.csv", classes=CLASSES)
    preparer = Preparer(tmp_path / "prepared", Preparation(size=(2, 4, 3)))
    parts = divide(cohort, preparer, split=None, fractions=(0.5, 0.3, 0.2), seed=1)
    assert parts.prevalences()["train"] == {
        "exams": 4,
        "patients": 4,
        "exams_of_0": 1,
        "exams_of_1": 1,
        "exams_of_2": 2,
    }
    assert parts.prevalences()["test"] == {"exams": 1, "patients": 1, "exams_of_0": 0, "exams_of_1": 1, "exams_of_2": 0}
    parts.require_every_class()
    with pytest.raises(
        OctavoError, match="the validation part has no exam of class 'AD'; wanted some of each of NL, MCI"
    ):
        dataclasses.replace(parts, validation=parts.validation[:2]).require_every_class()
