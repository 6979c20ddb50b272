import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from octavo.cohorts import prepared as prepared_room
from octavo.cohorts.exam import Exam, read_exam, voxel_hash
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.reference import ScanFacts
from octavo.errors import OctavoError, ScanUnsuitableError
from octavo.volume import Frame, Laterality, Region, ScanPattern, SlowAxis

SIZE = Preparation(size=(4, 8, 8))


def stored(folder) -> list[str]:
    """The exams in the store."""
    return sorted(path.name for path in (folder / "prepared" / "exams").iterdir() if path.is_dir())


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
    assert stored(tmp_path) == [first.voxels.key]


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
        Preparation(size=(4, 8, 8), bits=16),
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
    assert stored(tmp_path) == [ready[0].voxels.key]


def test_equal_scans_are_stored_once(exam, tmp_path, reads):
    copied = dataclasses.replace(exam, exam_id="e2", path=tmp_path / "copy.npy")
    shutil.copy(exam.path, copied.path)
    ready, failed = Preparer(tmp_path / "prepared", SIZE).prepare_all([exam, copied])
    assert (reads, failed) == (["e1", "e2"], [])
    assert stored(tmp_path) == [ready[0].voxels.key] == [ready[1].voxels.key]
    assert [one.exam.exam_id for one in ready] == ["e1", "e2"]


def test_voxels_that_were_cut_short_are_prepared_again(exam, tmp_path, reads):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    before = preparer.prepare(exam)
    shutil.rmtree(tmp_path / "prepared" / "exams" / before.voxels.key)
    after = preparer.prepare(exam)
    assert len(reads) == 2
    np.testing.assert_array_equal(after.values(), SIZE.apply(read_exam(exam)).values)


def test_damaged_facts_are_refused(exam, tmp_path):
    preparer = Preparer(tmp_path / "prepared", SIZE)
    key = preparer.prepare(exam).voxels.key
    description = tmp_path / "prepared" / "exams" / key / "zarr.json"
    told = json.loads(description.read_text())
    description.write_text(json.dumps({**told, "attributes": {"facts": [1]}}))
    with pytest.raises(OctavoError, match="the facts of exam 'e1' are damaged"):
        preparer.prepare(exam)


def test_what_was_prepared_for_one_network_is_refused_for_another(exam, tmp_path, reads):
    vertical = dataclasses.replace(exam, slow_axis=SlowAxis.NASAL_TO_TEMPORAL)
    plain = dataclasses.replace(SIZE, hemiretinas=False)
    got = Preparer(tmp_path / "prepared", plain).prepare(vertical)
    with pytest.raises(ScanUnsuitableError, match="this raster is vertical"):
        Preparer(tmp_path / "prepared", SIZE).prepare(vertical)
    assert reads == ["e1"]
    assert got.volume().slow_axis is SlowAxis.TEMPORAL_TO_NASAL or got.volume().slow_axis.is_vertical


def test_the_prepared_volume_knows_its_millimetres(exam, tmp_path):
    volume = Preparer(tmp_path / "prepared", SIZE).prepare(exam).volume()
    assert volume.spacing_mm.known_mm() == pytest.approx((0.3, 0.005, 0.015))
    assert (volume.frame, volume.slow_axis) == (Frame.RIGHT_EYE, SlowAxis.SUPERIOR_TO_INFERIOR)
    assert volume.laterality is Laterality.OS


def test_sixteen_bits_keep_what_eight_round_away(exam, tmp_path):
    values = np.random.default_rng(2).integers(0, 65536, (4, 8, 8), dtype=np.uint16)
    np.save(exam.path, values)
    sixteen, eight = (
        Preparer(tmp_path / "prepared", dataclasses.replace(SIZE, intensity="stored", bits=bits)).prepare(exam)
        for bits in (16, 8)
    )
    wanted = (values - values.min()) / (values.max() - values.min())
    oriented = wanted[::-1, :, ::-1]
    assert np.abs(sixteen.values() / 65535 - oriented).max() < 1e-5
    assert 1e-3 < np.abs(eight.values() / 255 - oriented).max() < 0.5 / 255 + 1e-6
    assert sixteen.facts.grey == pytest.approx(eight.facts.grey, abs=0.5 / 255)


def test_several_processes_pack_as_one_does(exam, tmp_path):
    generator = np.random.default_rng(9)
    exams = [exam, Exam("gone", "p9", tmp_path / "gone.npy")]
    for number in range(5):
        np.save(tmp_path / f"{number}.npy", generator.integers(0, 256, (6, 10, 12), dtype=np.uint8))
        exams.append(Exam(f"x{number}", f"q{number}", tmp_path / f"{number}.npy", pattern=ScanPattern.RASTER))
    told = []

    ready, failed = Preparer(tmp_path / "many", SIZE).prepare_all(exams, told.append, jobs=2)
    alone, same = Preparer(tmp_path / "prepared", SIZE).prepare_all(exams)

    assert [one.voxels.key for one in ready] == [one.voxels.key for one in alone]
    for one, other in zip(ready, alone, strict=True):
        np.testing.assert_array_equal(one.values(), other.values())
    assert [(exam.exam_id, reason) for exam, reason in failed] == [(exam.exam_id, reason) for exam, reason in same]
    assert sorted(told) == [1, 2, 3, 4, 5, 6, 7]


def test_a_scan_that_kills_its_process_is_named_and_the_others_are_packed(exam, tmp_path, monkeypatch):
    # the processes are started anew, so what kills them must come from the file system: a reader put on their path
    killer = tmp_path / "sitecustomize.py"
    killer.write_text(
        "import os, octavo.cohorts.exam as room\n"
        "read = room.read_exam\n"
        "def read_exam(exam, **options):\n"
        "    os.kill(os.getpid(), 9) if exam.exam_id == 'killer' else None\n"
        "    return read(exam, **options)\n"
        "room.read_exam = read_exam\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    exams = [exam, dataclasses.replace(exam, exam_id="killer", axes="bscan,depth,ascan"), Exam("x", "q", exam.path)]

    ready, failed = Preparer(tmp_path / "prepared", SIZE).prepare_all(exams, jobs=2)

    assert [one.exam.exam_id for one in ready] == ["e1", "x"]
    ((who, reason),) = failed
    assert who.exam_id == "killer"
    assert "the process that read it was killed" in reason


def test_voxels_are_mapped_and_not_loaded(exam, tmp_path):
    values = Preparer(tmp_path / "prepared", SIZE).prepare(exam).values()
    assert isinstance(values, np.memmap)
    assert not values.flags.writeable


def test_two_files_of_one_size_and_time_that_change_places_are_prepared_anew(exam, tmp_path):
    other = dataclasses.replace(exam, exam_id="e2", path=tmp_path / "other.npy")
    np.save(other.path, np.load(exam.path) // 2)
    for path in (exam.path, other.path):
        os.utime(path, ns=(10**18, 10**18))
    preparer = Preparer(tmp_path / "prepared", SIZE)
    before = [preparer.prepare(one).content for one in (exam, other)]
    exam.path.rename(tmp_path / "aside.npy")
    other.path.rename(exam.path)
    (tmp_path / "aside.npy").rename(other.path)
    assert [preparer.prepare(one).content for one in (exam, other)] == before[::-1]


def test_a_scan_that_does_not_fit_into_memory_is_named_and_does_not_stop_the_others(exam, tmp_path, monkeypatch):
    apply = Preparation.apply

    def scarce(self, volume):
        if volume.shape[0] == 5:
            raise MemoryError
        return apply(self, volume)

    monkeypatch.setattr(Preparation, "apply", scarce)
    np.save(tmp_path / "large.npy", np.arange(600, dtype=np.uint16).reshape(5, 10, 12))
    large = Exam("large", "p2", tmp_path / "large.npy", pattern=ScanPattern.RASTER)
    ready, failed = Preparer(tmp_path / "prepared", SIZE).prepare_all([large, exam])
    assert [one.exam.exam_id for one in ready] == ["e1"]
    assert "large.npy: does not fit into memory when it is prepared" in failed[0][1]


def test_damaged_voxels_are_refused_by_the_name_of_the_exam(exam, tmp_path):
    found = Preparer(tmp_path / "prepared", SIZE).prepare(exam)
    chunk = tmp_path / "prepared" / "exams" / found.voxels.key / "c.0.0.0"
    chunk.write_bytes(bytes(16) + chunk.read_bytes()[16:])
    with pytest.raises(OctavoError, match=r"exam 'e1': .* do not agree with their checksum"):
        found.values()
    np.testing.assert_array_equal(
        Preparer(tmp_path / "prepared", SIZE).prepare(exam).values(), SIZE.apply(read_exam(exam)).values
    )
