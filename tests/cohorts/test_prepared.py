import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

from octavo.cohorts import prepared as prepared_room
from octavo.cohorts.exam import Exam, read_exam, voxel_hash
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.reference import ScanFacts
from octavo.errors import OctavoError
from octavo.volume import Laterality, Region, ScanPattern, SlowAxis

SIZE = Preparation(size=(4, 8, 8))


@pytest.fixture
def exam(tmp_path):
    np.save(tmp_path / "eye.npy", np.random.default_rng(0).integers(0, 256, (6, 10, 12), dtype=np.uint8))
    return Exam(
        "e1",
        "p1",
        tmp_path / "eye.npy",
        laterality=Laterality.OS,
        label=1,
        spacing_mm=(0.2, 0.004, 0.01),
        slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
        pattern=ScanPattern.RASTER,
    )


@pytest.fixture
def reads(monkeypatch):
    """Every scan that is really read."""
    seen = []

    def spy(exam, **options):
        seen.append(exam.exam_id)
        return read_exam(exam, **options)

    monkeypatch.setattr(prepared_room, "read_exam", spy)
    return seen


def test_what_lies_on_the_disk_is_what_preparation_gives(exam, tmp_path):
    got = Preparer(tmp_path / "prepared", SIZE).prepare(exam)
    volume = read_exam(exam)
    wanted = SIZE.apply(volume)
    np.testing.assert_array_equal(got.values(), wanted.values)
    assert (got.flips, got.warnings) == (wanted.flips, (*volume.notes, *wanted.warnings))
    assert got.facts == ScanFacts.of(volume, wanted)
    assert got.content == voxel_hash(volume)
    assert got.exam is exam
    back = got.prepared()
    assert (back.scan_shape, back.flips, back.warnings) == (wanted.scan_shape, wanted.flips, got.warnings)
    heat = np.random.default_rng(1).random((2, 4, 4), dtype=np.float32)
    np.testing.assert_array_equal(back.to_scan_grid(heat), wanted.to_scan_grid(heat))


def test_the_second_call_reads_no_scan_and_gives_the_same(exam, tmp_path, reads):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    first = preparer.prepare(exam)
    files = sorted(os.listdir(tmp_path / "prepared"))
    second = Preparer(tmp_path / "prepared", SIZE).prepare(exam)
    assert reads == ["e1"]
    assert second == first
    assert sorted(os.listdir(tmp_path / "prepared")) == files
    assert len(files) == 2


def test_another_label_patient_or_part_needs_no_reading(exam, tmp_path, reads):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    preparer.prepare(exam)
    other = dataclasses.replace(exam, exam_id="e2", patient_id="p2", label=0, split="test")
    got = preparer.prepare(other)
    assert reads == ["e1"]
    assert got.exam is other


@pytest.mark.parametrize(
    "change",
    [
        {"laterality": Laterality.OD},
        {"laterality": Laterality.UNKNOWN},
        {"axes": "ascan,depth,bscan"},
        {"spacing_mm": (0.3, 0.004, 0.01)},
        {"spacing_mm": None},
        {"slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR},
        {"slow_axis": None},
        {"region": Region.MACULA},
        {"pattern": None},
    ],
    ids=str,
)
def test_whatever_is_said_otherwise_is_prepared_anew(exam, tmp_path, reads, change):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    before = preparer.prepare(exam)
    after = preparer.prepare(dataclasses.replace(exam, **change))
    assert len(reads) == 2
    assert after.voxels != before.voxels
    assert preparer.prepare(exam) == before


@pytest.mark.parametrize(
    "preparation",
    [
        Preparation(size=(4, 8, 9)),
        Preparation(size=(4, 8, 8), intensity="stored"),
        Preparation(size=(4, 8, 8), hemiretinas=False),
    ],
)
def test_another_preparation_is_prepared_anew(exam, tmp_path, reads, preparation):
    before = Preparer(tmp_path / "prepared", SIZE).prepare(exam)
    after = Preparer(tmp_path / "prepared", preparation).prepare(exam)
    assert len(reads) == 2
    assert after.voxels != before.voxels


@pytest.mark.parametrize("size_too", [True, False])
def test_a_changed_file_is_prepared_anew(exam, tmp_path, reads, size_too):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    before = preparer.prepare(exam)
    values = np.load(exam.path)[: 4 if size_too else 6] // 2
    np.save(exam.path, values)
    os.utime(exam.path, ns=(1, 10**18 + 1))
    after = preparer.prepare(exam)
    assert len(reads) == 2
    assert after.content != before.content
    assert not np.array_equal(after.values(), before.values())


def test_a_folder_of_pictures_is_prepared_anew_when_any_of_its_files_changes(tmp_path, reads):
    folder = tmp_path / "export" / "eye"
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 256, (4, 10, 12), dtype=np.uint8)
    for number, bscan in enumerate(values):
        Image.fromarray(bscan).save(folder / f"{number}.png")
    preparer = Preparer(tmp_path / "prepared", SIZE)
    exam = Exam("e1", "p1", folder)
    preparer.prepare(exam)
    preparer.prepare(exam)
    assert len(reads) == 1
    Image.fromarray(values[0] // 2).save(folder / "0.png")
    preparer.prepare(exam)
    assert len(reads) == 2
    # the export file that tells millimetres and eye lies beside the folder
    (folder.parent / "info.xml").write_text("<HEDX></HEDX>")
    preparer.prepare(exam)
    assert len(reads) == 3


def test_one_that_fails_does_not_stop_the_others(exam, tmp_path):
    np.save(tmp_path / "flat.npy", np.full((6, 10, 12), 3, np.uint8))
    np.save(tmp_path / "one.npy", np.arange(120, dtype=np.uint8).reshape(1, 10, 12))
    exams = [
        Exam("gone", "p0", tmp_path / "gone.npy"),
        exam,
        Exam("flat", "p2", tmp_path / "flat.npy"),
        Exam("single", "p3", tmp_path / "one.npy"),
        dataclasses.replace(exam, exam_id="e5"),
    ]
    done = []
    ready, failed = Preparer(tmp_path / "prepared", SIZE).prepare_all(exams, done.append)
    assert [one.exam.exam_id for one in ready] == ["e1", "e5"]
    reasons = {exam.exam_id: reason for exam, reason in failed}
    assert list(reasons) == ["gone", "flat", "single"]
    assert "there is no such file" in reasons["gone"]
    assert "all 720 samples are 3" in reasons["flat"]
    assert "has 1 B-scan" in reasons["single"]
    assert done == [1, 2, 3, 4, 5]
    assert len(os.listdir(tmp_path / "prepared")) == 2


def test_a_scan_cut_off_between_its_two_files_is_prepared_again(exam, tmp_path, reads):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    before = preparer.prepare(exam)
    (facts,) = (tmp_path / "prepared").glob("*.json")
    facts.unlink()
    before.voxels.write_bytes(b"half")
    after = preparer.prepare(exam)
    assert len(reads) == 2
    np.testing.assert_array_equal(after.values(), SIZE.apply(read_exam(exam)).values)


def test_damaged_facts_are_refused(exam, tmp_path):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    preparer.prepare(exam)
    (facts,) = (tmp_path / "prepared").glob("*.json")
    facts.write_text(json.dumps([1]))
    with pytest.raises(OctavoError, match="wanted a JSON object"):
        preparer.prepare(exam)


def test_voxels_are_mapped_and_not_loaded(exam, tmp_path):
    values = Preparer(tmp_path / "prepared", SIZE).prepare(exam).values()
    assert isinstance(values, np.memmap)
    assert not values.flags.writeable
