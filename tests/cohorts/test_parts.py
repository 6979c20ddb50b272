import dataclasses
import os

import numpy as np
import pytest

from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import Cohort
from octavo.cohorts.parts import divide, undersample_cohort
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.splits import Placement, Split, split_patients
from octavo.errors import OctavoError
from octavo.volume import Laterality, ScanPattern, SlowAxis

FRACTIONS = (0.5, 0.25, 0.25)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def preparer(tmp_path):
    return Preparer(tmp_path / "prepared", Preparation(size=(2, 4, 3)))


def save(folder, name, seed):
    np.save(folder / name, np.random.default_rng(seed).integers(0, 256, (2, 4, 3), dtype=np.uint8))


@pytest.fixture
def cohort(tmp_path):
    """Twelve patients with two eyes each, every second one positive."""
    exams = []
    for number in range(24):
        save(tmp_path, f"e{number}.npy", number)
        exams.append(
            Exam(
                f"e{number}",
                f"p{number // 2}",
                tmp_path / f"e{number}.npy",
                laterality=(Laterality.OD, Laterality.OS)[number % 2],
                label=number // 2 % 2,
                slow_axis=SlowAxis.SUPERIOR_TO_INFERIOR,
                pattern=ScanPattern.RASTER,
            )
        )
    return Cohort(tuple(exams), tmp_path / "cohort.csv")


def with_exams(cohort, **changes):
    exams = [dataclasses.replace(exam, **changes.get(exam.exam_id, {})) for exam in cohort.exams]
    return dataclasses.replace(cohort, exams=tuple(exams))


def parts_of(parts):
    return {one.exam.exam_id: name for name in ("train", "validation", "test") for one in getattr(parts, name)}


def drawn(cohort, preparer, **options):
    return divide(cohort, preparer, split=None, fractions=FRACTIONS, seed=options.pop("seed", 1), **options)


def test_every_exam_is_in_one_part_and_every_patient_too(cohort, preparer):
    parts = drawn(cohort, preparer)
    where = parts_of(parts)
    assert len(where) == 24
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 24
    for number in range(12):
        assert where[f"e{2 * number}"] == where[f"e{2 * number + 1}"]
    assert {exam_id: part for exam_id, _, part in parts.split.placements} == where
    assert all(one.exam.split == where[one.exam.exam_id] for one in (*parts.train, *parts.test))
    for one in parts.test:
        assert one.values().shape == (2, 4, 3)


def test_it_is_the_split_that_is_drawn_for_the_cohort(cohort, preparer):
    assert drawn(cohort, preparer, seed=5).split == split_patients(cohort, FRACTIONS, seed=5)
    assert parts_of(drawn(cohort, preparer, seed=6)) != parts_of(drawn(cohort, preparer, seed=5))


def test_prevalences_are_counted(cohort, preparer):
    counted = drawn(cohort, preparer).prevalences()
    assert sum(part["exams"] for part in counted.values()) == 24
    assert sum(part["positives"] for part in counted.values()) == 12
    for part in counted.values():
        assert part["prevalence"] == part["positives"] / part["exams"]
    assert counted["train"] == {"exams": 12, "patients": 6, "positives": 6, "prevalence": 0.5}


def test_the_manifests_own_split_is_followed(cohort, preparer):
    order = ["test"] * 4 + ["validation"] * 4 + ["train"] * 16
    divided = with_exams(cohort, **{f"e{n}": {"split": part} for n, part in enumerate(order)})
    parts = drawn(divided, preparer)
    assert [parts_of(parts)[f"e{n}"] for n in range(24)] == order


def test_a_given_split_is_followed_and_must_fit_the_manifest(cohort, preparer):
    split = split_patients(cohort, FRACTIONS, seed=9)
    parts = divide(cohort, preparer, split=split, fractions=(0.1, 0.1, 0.8), seed=1)
    assert parts.split is split
    assert parts_of(parts) == {row.exam_id: row.split for row in split.placements}
    other = Split(tuple(row._replace(patient_id="x" + row.patient_id) for row in split.placements))
    with pytest.raises(OctavoError, match="belongs to patient 'xp"):
        divide(cohort, preparer, split=other, fractions=FRACTIONS, seed=1)
    with pytest.raises(OctavoError, match="are not in the split"):
        divide(cohort, preparer, split=Split(split.placements[3:]), fractions=FRACTIONS, seed=1)


def test_equal_scans_under_two_patients_stay_in_one_part(cohort, preparer, tmp_path):
    for number in (4, 8):
        save(tmp_path, f"e{number}.npy", 0)
    for seed in range(5):
        where = parts_of(drawn(cohort, preparer, seed=seed))
        assert len({where[f"e{number}"] for number in (0, 4, 8)}) == 1
    torn = split_patients(cohort, FRACTIONS, seed=0)
    assert len({row.split for row in torn.placements if row.exam_id in {"e0", "e4", "e8"}}) > 1


def test_equal_scans_that_a_split_tears_apart_are_refused(cohort, preparer, tmp_path):
    split = split_patients(cohort, FRACTIONS, seed=1)
    train, test = split.exams("train")[0], split.exams("test")[0]
    (tmp_path / f"{train}.npy").write_bytes((tmp_path / f"{test}.npy").read_bytes())
    said = "hold the same voxels and stand in test and train; wanted every scan in one part"
    with pytest.raises(OctavoError, match=said) as refusal:
        divide(cohort, preparer, split=split, fractions=FRACTIONS, seed=1)
    assert repr(train) in str(refusal.value)
    assert repr(test) in str(refusal.value)


def test_equal_scans_in_another_type_are_found_too(cohort, preparer, tmp_path):
    split = split_patients(cohort, FRACTIONS, seed=1)
    train, test = split.exams("train")[0], split.exams("test")[0]
    np.save(tmp_path / f"{train}.npy", np.load(tmp_path / f"{test}.npy").astype(np.float32))
    with pytest.raises(OctavoError, match="hold the same voxels"):
        divide(cohort, preparer, split=split, fractions=FRACTIONS, seed=1)


@pytest.mark.parametrize("empty", ["train", "validation"])
def test_a_part_one_cannot_train_without_must_not_be_empty(cohort, preparer, empty):
    split = split_patients(cohort, FRACTIONS, seed=1)
    moved = Split(tuple(row._replace(split="test") if row.split == empty else row for row in split.placements))
    with pytest.raises(OctavoError, match=f"the {empty} part is empty; wanted exams in it"):
        divide(cohort, preparer, split=moved, fractions=FRACTIONS, seed=1)


def test_the_test_part_may_be_empty(cohort, preparer):
    parts = divide(cohort, preparer, split=None, fractions=(0.75, 0.25, 0.0), seed=1)
    assert parts.test == []
    assert parts.prevalences()["test"] == {"exams": 0, "patients": 0, "positives": 0, "prevalence": 0.0}


def test_scans_that_cannot_be_used_are_counted_and_the_first_is_named(cohort, preparer, tmp_path):
    (tmp_path / "e3.npy").unlink()
    (tmp_path / "e7.npy").write_bytes(b"")
    done = []
    with pytest.raises(OctavoError, match=r"2 of 24 scans cannot be used; the first is exam 'e3': .*no such file"):
        drawn(cohort, preparer, progress=done.append)
    assert done == list(range(1, 25))


def test_a_cohort_is_undersampled_to_the_smaller_class(cohort):
    uneven = with_exams(cohort, **{f"e{n}": {"label": int(n < 6)} for n in range(24)})
    kept = undersample_cohort(uneven, seed=3)
    assert kept.labels.tolist() == [1] * 6 + [0] * 6
    assert [exam.exam_id for exam in kept.exams[:6]] == [f"e{n}" for n in range(6)]
    assert undersample_cohort(uneven, seed=3) == kept
    others = {tuple(exam.exam_id for exam in undersample_cohort(uneven, seed=s).exams) for s in range(6)}
    assert len(others) > 1
    order = [uneven.exams.index(exam) for exam in kept.exams]
    assert order == sorted(order)


@pytest.mark.parametrize("label", [0, 1])
def test_a_cohort_of_one_class_cannot_be_undersampled(cohort, label):
    alone = with_exams(cohort, **{f"e{n}": {"label": label} for n in range(24)})
    with pytest.raises(OctavoError, match=f"class {1 - label} is empty"):
        undersample_cohort(alone, seed=1)


def test_the_order_of_the_rows_does_not_matter_to_the_split(cohort, preparer):
    turned = dataclasses.replace(cohort, exams=cohort.exams[::-1])
    assert parts_of(drawn(turned, preparer)) == parts_of(drawn(cohort, preparer))
    assert isinstance(drawn(cohort, preparer).split.placements[0], Placement)


@pytest.mark.parametrize("label", [0, 1])
def test_both_of_two_classes_are_learnt_from_and_one_may_choose(cohort, preparer, label):
    parts = drawn(cohort, preparer)
    parts.require_every_class()
    of_label = {
        name: [one for one in getattr(parts, name) if one.exam.label == label] for name in ("train", "validation")
    }
    dataclasses.replace(parts, validation=of_label["validation"]).require_every_class()
    alone = dataclasses.replace(parts, train=of_label["train"])
    with pytest.raises(OctavoError, match=rf"the train part has no exam with label {1 - label}; wanted some of both"):
        alone.require_every_class()
    with pytest.raises(OctavoError, match=rf"no exam with label {1 - label} \({('NL', 'AD')[1 - label]}\)"):
        dataclasses.replace(alone, pair=("NL", "AD")).require_every_class()
