"""De-identifying files: names that agree across files and runs, and what is left alone."""

import hashlib
import os
import stat
import struct
import zlib

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from formats.written_scans import eye, opt_dataset, write_dicom, write_series
from octavo.cli import main
from octavo.errors import OctavoError
from octavo.formats import read_volume
from octavo.privacy.deidentification import deidentify_file
from octavo.privacy.profile import Dates
from octavo.workflows.deidentify import deidentify_files


@pytest.fixture
def key(tmp_path):
    return tmp_path / "study.key"


def study(folder, instances=12):
    """Instances that refer to one another, of two eyes of one patient and one of another."""
    folder.mkdir()
    uids = [generate_uid() for _ in range(instances)]
    studies, series = [generate_uid(), generate_uid()], [generate_uid() for _ in range(3)]
    for number, uid in enumerate(uids):
        dataset = opt_dataset(eye(2, 8, 8))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.PatientID, dataset.PatientName = ("ID-4711", "Doe^Jane") if number % 3 else ("ID-4712", "Roe^John")
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = studies[number % 3 == 0], series[number % 3]
        dataset.StudyDate = f"202403{number + 1:02}"
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = dataset.SOPClassUID, uids[number - 1]
        dataset.ReferencedImageSequence = [reference]
        write_dicom(folder / f"Doe_Jane-{number}.dcm", dataset)
    return folder


def hashes(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_study_stays_together_across_files_and_runs(tmp_path, key):
    source = study(tmp_path / "in")
    before = hashes(source)
    files = sorted(source.iterdir())

    first = deidentify_files(files[:5], tmp_path / "out", key)
    second = deidentify_files(files[5:], tmp_path / "out", key)
    again = deidentify_files([source], tmp_path / "again", key)

    assert (first.key_made, second.key_made, again.key_made) == (True, False, False)
    assert hashes(source) == before
    new = {path.relative_to(tmp_path / "out"): value for path, value in hashes(tmp_path / "out").items()}
    assert new == {path.relative_to(tmp_path / "again"): value for path, value in hashes(tmp_path / "again").items()}
    datasets = [dcmread(path) for path in again.written]
    uids = {dataset.SOPInstanceUID for dataset in datasets}
    assert len(uids) == 12
    assert all(dataset.ReferencedImageSequence[0].ReferencedSOPInstanceUID in uids for dataset in datasets)
    assert (
        len({dataset.StudyInstanceUID for dataset in datasets}) == len({dataset.PatientID for dataset in datasets}) == 2
    )
    assert again.patients == 2


def test_names_of_files_come_from_new_identifiers_alone(tmp_path, key):
    done = deidentify_files([study(tmp_path / "Doe_Jane")], tmp_path / "out", key)

    for path in done.written:
        dataset = dcmread(path)
        parts = (dataset.PatientID, dataset.SeriesInstanceUID, f"{dataset.SOPInstanceUID}.dcm")
        assert path.relative_to(tmp_path / "out").parts == parts
    assert not any("Doe" in str(path.relative_to(tmp_path)) for path in done.written)
    assert all(b"Doe" not in path.read_bytes() for path in done.written)


def test_a_series_is_read_as_one_scan_before_and_after(tmp_path, key):
    write_series(tmp_path / "series", eye(5))

    done = deidentify_files([tmp_path / "series"], tmp_path / "out", key)

    (folder,) = {path.parent for path in done.written}
    before, after = read_volume(tmp_path / "series"), read_volume(folder)
    assert (before.values == after.values).all()
    assert before.spacing_mm == after.spacing_mm


def test_another_key_gives_other_names(tmp_path):
    source = study(tmp_path / "in", 2)

    names = [
        {path.relative_to(out) for path in deidentify_files([source], out, tmp_path / f"{out.name}.key").written}
        for out in (tmp_path / "a", tmp_path / "b")
    ]

    assert not names[0] & names[1]


def test_shifted_dates_keep_their_distances(tmp_path, key):
    done = deidentify_files([study(tmp_path / "in")], tmp_path / "out", key, dates=Dates.SHIFTED)

    by_patient = {}
    for path in done.written:
        dataset = dcmread(path)
        by_patient.setdefault(dataset.PatientID, []).append(int(dataset.StudyDate[-2:]))
        assert not dataset.StudyDate.startswith("202403")
    assert sorted(map(len, by_patient.values())) == [4, 8]


def test_the_key_is_made_for_its_owner_alone(tmp_path, key):
    deidentify_files([study(tmp_path / "in", 1)], tmp_path / "out", key)

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.read_text())) == 32


def test_no_key_is_made_for_nothing(tmp_path, key):
    (tmp_path / "text.dcm").write_text("Doe^Jane")

    done = deidentify_files([tmp_path / "text.dcm"], tmp_path / "out", key)

    assert done.written == ()
    assert not key.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "Doe", "00" * 31, "zz" * 32, "00" * 4000])
def test_a_file_that_is_no_key_is_refused(tmp_path, key, content):
    key.write_text(content)
    with pytest.raises(OctavoError, match=r"study\.key: (holds no key|is no key file); wanted 64 hexadecimal digits"):
        deidentify_files([study(tmp_path / "in", 1)], tmp_path / "out", key)


def test_one_that_is_refused_does_not_stop_the_others(tmp_path, key, capsys):
    source = study(tmp_path / "in", 3)
    (source / "notes.txt").write_text("Doe^Jane")
    (source / "torn.dcm").write_bytes((source / "Doe_Jane-0.dcm").read_bytes()[:700])
    (source / "twice.dcm").write_bytes((source / "Doe_Jane-1.dcm").read_bytes())

    assert main(["deidentify", str(source), "--out", str(tmp_path / "out"), "--key-file", str(key)]) == 1

    told = capsys.readouterr()
    assert "3 files of 2 patients written" in told.out
    assert "1 file passed over: no DICOM" in told.out
    assert len(told.err.splitlines()) == 2
    assert "torn.dcm: " in told.err
    assert "twice.dcm: holds the same instance as" in told.err
    assert "Doe^Jane" not in told.out + told.err
    assert "ID-4711" not in told.out + told.err


def test_pipes_and_links_to_nowhere_are_not_waited_for(tmp_path, key):
    source = study(tmp_path / "in", 2)
    os.mkfifo(source / "pipe.dcm")
    os.mkfifo(source / "pipe")
    (source / "link.dcm").symlink_to(tmp_path / "gone")

    done = deidentify_files([source], tmp_path / "out", key)

    assert (len(done.written), done.passed_over) == (2, 1)
    assert ["is no file, or a link that leads nowhere" in line for line in done.refused] == [True, True]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, key):
    path = write_dicom(tmp_path / "bomb.dcm", opt_dataset(eye()), DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    meta = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = b"\x10\x00\x00\x40UT\0\0" + struct.pack("<L", 2**28) + bytes(2**20)
    path.write_bytes(content[:meta] + packer.compress(zeros) + packer.compress(bytes(2**27)) + packer.flush())

    done = deidentify_files([path], tmp_path / "out", key)

    assert "deflated bytes expand beyond" in done.refused[0]


def test_what_is_there_already_is_left_alone_unless_asked(tmp_path, key, capsys):
    source = study(tmp_path / "in", 2)
    words = ["deidentify", str(source), "--out", str(tmp_path / "out"), "--key-file", str(key)]
    assert main(words) == 0
    capsys.readouterr()

    assert main(words) == 2
    assert "is there already, as " in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("out", "key_file", "says"),
    [
        ("in", "study.key", "new files would mix with those of"),
        ("in/deeper", "study.key", "new files would mix with those of"),
        (".", "study.key", "new files would mix with those of"),
        ("out", "out/study.key", "lies among the new files"),
        ("taken", "study.key", "is a file; wanted a folder"),
    ],
)
def test_places_that_would_mix_old_and_new_are_refused(tmp_path, out, key_file, says):
    source = study(tmp_path / "in", 1)
    (tmp_path / "taken").write_text("")
    before = hashes(tmp_path)

    with pytest.raises(OctavoError, match=says):
        deidentify_files([source], tmp_path / out, tmp_path / key_file)
    assert hashes(tmp_path) == before


def test_nothing_to_do_is_said(tmp_path, key):
    (tmp_path / "empty").mkdir()
    for sources, says in (
        ([], "no file was named"),
        ([tmp_path / "gone"], "there is no such file or folder"),
        ([tmp_path / "empty"], "no DICOM file was found"),
    ):
        with pytest.raises(OctavoError, match=says):
            deidentify_files(sources, tmp_path / "out", key)


def test_a_crash_while_writing_leaves_no_half_file(tmp_path, key, monkeypatch):
    source = study(tmp_path / "in", 2)
    monkeypatch.setattr("octavo.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(OSError, match="No space left"):
        deidentify_files([source], tmp_path / "out", key)
    assert not (tmp_path / "out").exists() or not hashes(tmp_path / "out")


def test_of_two_runs_that_begin_together_one_key_is_left(tmp_path, key, monkeypatch):
    source = study(tmp_path / "in", 3)
    other = bytes(range(32))

    def meanwhile(*arguments, **options):
        if not key.exists():
            key.write_text(other.hex())
        return deidentify_file(*arguments, **options)

    monkeypatch.setattr("octavo.workflows.deidentify.deidentify_file", meanwhile)
    late = deidentify_files([source], tmp_path / "late", key)
    monkeypatch.undo()
    again = deidentify_files([source], tmp_path / "again", key)

    assert not late.key_made
    assert bytes.fromhex(key.read_text()) == other
    assert [path.relative_to(tmp_path / "late") for path in late.written] == [
        path.relative_to(tmp_path / "again") for path in again.written
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "in", "late", "study.key"]


def test_a_key_is_made_where_there_are_no_links(tmp_path, key, monkeypatch):
    def none(source, target):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("octavo.privacy.pseudonyms.os.link", none)

    assert deidentify_files([study(tmp_path / "in", 1)], tmp_path / "out", key).key_made
    assert (stat.S_IMODE(key.stat().st_mode), len(bytes.fromhex(key.read_text()))) == (0o600, 32)


def test_folders_that_were_not_searched_are_said(tmp_path, key, monkeypatch):
    source = study(tmp_path / "in", 2)
    study(source / "locked", 1)
    study(tmp_path / "elsewhere", 1)
    (source / "linked").symlink_to(tmp_path / "elsewhere")
    (source / "same").symlink_to(source / "locked")
    scandir = os.scandir

    def locked(place):
        if os.path.basename(place) == "locked":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    # only so long: the folders are removed by what this replaces
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", locked)
        done = deidentify_files([source], tmp_path / "out", key)

    assert len(done.written) == 2
    assert sorted(done.refused) == [
        f"{source}/linked: is a link to a folder, and links are not followed; wanted the folder; name it",
        f"{source}/locked: cannot be listed (Permission denied); wanted a folder that may be read; check its permissions",
    ]
