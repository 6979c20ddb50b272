import dataclasses
import http.server
import json
import shutil
import threading
from functools import partial

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.dataset import PreparedExams, evaluation_batches
from octavo.cohorts.manifest import read_manifest, write_manifest
from octavo.cohorts.packed_cohort import read_packed_cohort
from octavo.cohorts.parts import divide
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.errors import OctavoError
from octavo.workflows.cohort_pack import pack_cohort

SIZE = Preparation(size=(4, 8, 8), hemiretinas=False)


def scan(path, number):
    np.save(path, np.random.default_rng(number).integers(0, 256, (6, 10, 12), dtype=np.uint8))


def rows(count):
    return [
        {
            "exam_id": f"e{number}",
            "patient_id": f"p{number // 2}",
            "path": f"scans/e{number}.npy",
            "laterality": ("OD", "OS")[number % 2],
            "label": str(number // 2 % 2),
            "slow_axis": "superior-to-inferior",
            "spacing_bscan_mm": "0.12",
            "spacing_depth_mm": "0.004",
            "spacing_ascan_mm": "0.011",
            "age": str(50 + number),
        }
        for number in range(count)
    ]


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "cohort" / "scans").mkdir(parents=True)
    for number in range(16):
        scan(tmp_path / "cohort" / "scans" / f"e{number}.npy", number)
    write_manifest(rows(16), tmp_path / "cohort" / "manifest.csv")
    return tmp_path / "cohort" / "manifest.csv"


@pytest.fixture
def packed(manifest, tmp_path):
    pack_cohort(CohortChoice(str(manifest)), tmp_path / "store", SIZE, jobs=1)
    return tmp_path / "store"


def test_a_packed_cohort_says_what_its_manifest_says(manifest, packed):
    cohort, wanted = read_packed_cohort(str(packed)).cohort, read_manifest(manifest)

    assert cohort.content_hash == wanted.content_hash
    assert [(e.exam_id, e.patient_id, e.label, e.laterality, dict(e.covariates)) for e in cohort.exams] == [
        (e.exam_id, e.patient_id, e.label, e.laterality, dict(e.covariates)) for e in wanted.exams
    ]


def test_it_is_divided_as_the_manifest_is_and_needs_no_scan(manifest, packed, tmp_path):
    cohort = read_manifest(manifest)
    told = {"split": None, "fractions": (0.5, 0.25, 0.25), "seed": 3}
    wanted = divide(cohort, Preparer(tmp_path / "prepared", SIZE), **told)
    moved = tmp_path / "elsewhere"
    shutil.move(packed, moved)
    shutil.rmtree(manifest.parent)

    choice = CohortChoice(str(moved))
    parts = divide(choice.read(), choice.source(tmp_path / "unused", SIZE), **told)

    assert parts.split.content_hash == wanted.split.content_hash
    assert parts.voxels_hash == wanted.voxels_hash
    assert [one.exam.exam_id for one in parts.test] == [one.exam.exam_id for one in wanted.test]
    for one, other in zip(parts.train, wanted.train, strict=True):
        np.testing.assert_array_equal(one.values(), other.values())
        assert (one.facts, one.warnings, one.flips) == (other.facts, other.warnings, other.flips)
    assert not (tmp_path / "unused").exists()


def test_it_trains_from_an_address(packed, tmp_path):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(packed))
    handler.log_message = lambda *told: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        choice = CohortChoice(f"http://127.0.0.1:{server.server_address[1]}")
        told = {"split": None, "fractions": (0.5, 0.25, 0.25), "seed": 3}
        far = divide(choice.read(), choice.source(tmp_path, SIZE), **told)
        near = CohortChoice(str(packed))
        here = divide(near.read(), near.source(tmp_path, SIZE), **told)
        batches = [list(evaluation_batches(PreparedExams(parts.train), 3, workers=2)) for parts in (far, here)]
        server.shutdown()

    assert far.voxels_hash == here.voxels_hash
    assert choice.place == choice.cohort
    for one, other in zip(*batches, strict=True):
        assert one["exam_id"] == other["exam_id"]
        assert (one["volume"] == other["volume"]).all()


def test_packing_again_reads_nothing_and_changes_nothing(manifest, packed, monkeypatch):
    before = {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()}
    monkeypatch.setattr("octavo.cohorts.prepared.read_exam", lambda exam: pytest.fail("a scan was read"))

    again = pack_cohort(CohortChoice(str(manifest)), packed, SIZE, jobs=1)

    assert (again.exams, again.before, again.failed) == (16, 16, ())
    assert {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()} == before


def test_what_was_cut_off_goes_on_where_it_stopped(manifest, packed, monkeypatch):
    gone = read_packed_cohort(str(packed)).packed["e3"]["stored"]
    shutil.rmtree(packed / "exams" / gone)
    from octavo.cohorts import prepared

    read, seen = prepared.read_exam, []
    monkeypatch.setattr(prepared, "read_exam", lambda exam: (seen.append(exam.exam_id), read(exam))[1])

    again = pack_cohort(CohortChoice(str(manifest)), packed, SIZE, jobs=1)

    assert seen == ["e3"]
    assert again.before == 15


def test_one_that_cannot_be_packed_is_listed_and_training_is_told(manifest, tmp_path):
    (manifest.parent / "scans" / "e5.npy").write_bytes(b"no scan")

    packed = pack_cohort(CohortChoice(str(manifest)), tmp_path / "store", SIZE, jobs=1)

    assert [exam.exam_id for exam, _ in packed.failed] == ["e5"]
    assert "not packed: 1\n  e5: " in packed.describe()
    choice = CohortChoice(str(tmp_path / "store"))
    with pytest.raises(OctavoError, match=r"1 of 16 scans cannot be used; the first is exam 'e5': .*e5\.npy"):
        divide(choice.read(), choice.source(tmp_path, SIZE), split=None, fractions=(0.5, 0.25, 0.25), seed=3)


def test_it_takes_hardly_more_than_its_voxels(manifest, tmp_path):
    preparation = dataclasses.replace(SIZE, size=(32, 64, 32))

    packed = pack_cohort(CohortChoice(str(manifest)), tmp_path / "store", preparation, jobs=1)

    assert packed.voxel_bytes == 16 * 32 * 64 * 32
    assert packed.voxel_bytes < packed.stored_bytes <= 1.1 * packed.voxel_bytes


@pytest.mark.parametrize("change", [{"size": (4, 8, 9)}, {"intensity": "stored"}, {"bits": 16}])
def test_another_preparation_than_it_was_packed_with_is_refused(packed, tmp_path, change):
    with pytest.raises(OctavoError, match="was packed at 4 x 8 x 8, percentile grey values, 8 bits; wanted at 4 x 8 x"):
        CohortChoice(str(packed)).source(tmp_path, dataclasses.replace(SIZE, **change))


def test_a_network_that_was_not_made_for_a_packed_scan_refuses_it(packed, tmp_path):
    choice = CohortChoice(str(packed))
    both = dataclasses.replace(SIZE, both_ends=True)
    with pytest.raises(OctavoError, match="region is unknown; wanted macula-and-disc"):
        divide(choice.read(), choice.source(tmp_path, both), split=None, fractions=(0.5, 0.25, 0.25), seed=3)


@pytest.mark.parametrize("option", [{"positive": "POAG"}, {"axes": "depth,bscan,ascan"}, {"key": "data"}])
def test_a_packed_cohort_is_not_read_otherwise_than_it_was_packed(packed, option):
    with pytest.raises(OctavoError, match=f"is packed, and --{next(iter(option))} was given"):
        CohortChoice(str(packed), **option).read()


def test_a_label_changed_in_the_store_is_noticed(packed):
    told = json.loads((packed / "cohort.json").read_text())
    told["exams"][0]["label"] = 1 - told["exams"][0]["label"]
    (packed / "cohort.json").write_text(json.dumps(told))
    with pytest.raises(OctavoError, match="its exams are not those that were packed"):
        read_packed_cohort(str(packed))


def test_a_damaged_description_is_refused(packed):
    told = json.loads((packed / "cohort.json").read_text())
    del told["exams"][0]["patient_id"]
    (packed / "cohort.json").write_text(json.dumps(told))
    with pytest.raises(OctavoError, match=r"description of the cohort is damaged \(KeyError\)"):
        read_packed_cohort(str(packed))


def test_a_folder_that_holds_something_else_is_left_alone(manifest, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("mine")
    with pytest.raises(OctavoError, match="holds something else"):
        pack_cohort(CohortChoice(str(manifest)), tmp_path / "papers", SIZE)
    assert [path.name for path in (tmp_path / "papers").iterdir()] == ["thesis.txt"]


def test_what_cannot_be_packed_at_all_is_refused(manifest, packed, tmp_path):
    with pytest.raises(OctavoError, match="is a packed cohort; wanted a manifest"):
        pack_cohort(CohortChoice(str(packed)), tmp_path / "other", SIZE)
    with pytest.raises(OctavoError, match="size is 0 x 8 x 8; wanted B-scans, depth samples and A-scans"):
        Preparation(size=(0, 8, 8))
    with pytest.raises(OctavoError, match="jobs is 0; wanted at least 1"):
        pack_cohort(CohortChoice(str(manifest)), tmp_path / "other", SIZE, jobs=0)


def test_an_address_is_no_folder_to_write_to(manifest, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["cohort", "pack", str(manifest), "s3://bucket/packed", "--size", "4", "8", "8"]) == 2

    assert "s3://bucket/packed: is an address; wanted a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]


@pytest.mark.parametrize("damage", ["zeroed", "cut"])
def test_a_damaged_exam_is_named_before_training_and_packed_again(manifest, packed, tmp_path, damage):
    chunk = packed / "exams" / read_packed_cohort(str(packed)).packed["e3"]["stored"] / "c.0.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(bytes(20) + whole[20:] if damage == "zeroed" else whole[:50])

    choice = CohortChoice(str(packed))
    with pytest.raises(OctavoError, match=r"the first is exam 'e3': .*; pack the cohort again"):
        divide(choice.read(), choice.source(tmp_path, SIZE), split=None, fractions=(0.5, 0.25, 0.25), seed=3)
    again = pack_cohort(CohortChoice(str(manifest)), packed, SIZE, jobs=1)

    assert (again.before, again.failed) == (15, ())
    assert chunk.read_bytes() == whole


def test_it_keeps_the_names_of_a_pair_and_what_the_pair_left_out(manifest, tmp_path):
    names = ("NL", "MCI", "AD")
    named = [{**row, "label": names[number // 2 % 3]} for number, row in enumerate(rows(16))]
    write_manifest(named, manifest, overwrite=True)
    choice = CohortChoice(str(manifest), positive="AD", negative="NL")
    pack_cohort(choice, tmp_path / "store", SIZE, jobs=1)
    cohort = CohortChoice(str(tmp_path / "store")).read()
    assert (cohort.pair, cohort.left_out) == (("NL", "AD"), {"MCI": 6})
    assert cohort.content_hash == choice.read().content_hash


def test_a_store_from_before_pairs_were_kept_has_none(packed):
    cohort = read_packed_cohort(str(packed)).cohort
    assert "pair" not in json.loads((packed / "cohort.json").read_text(encoding="utf-8"))
    assert (cohort.pair, cohort.left_out) == ((), {})
