import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from formats.mutants import attack, mutants_asked
from formats.nifti.test_nifti import FULL
from formats.test_numpy_file import same
from formats.written_scans import eye, opt_dataset, write_dicom, write_series
from octavo.companions import Picture
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, read_companions, read_volume, write_volume
from octavo.formats.dicom.own import PRIVATE_TAGS
from octavo.formats.reader import ReadOptions
from octavo.formats.reading import READERS
from octavo.volume import Frame, Laterality, Origin, Region, ScanPattern, SlowAxis, Source, Spacing, Volume

RIGHT = dataclasses.replace(
    FULL,
    values=eye(),
    laterality=Laterality.OD,
    laterality_origin=Origin.READ,
    spacing_mm=Spacing(0.12, 0.0039, 0.0113, (Origin.DERIVED, Origin.READ, Origin.READ)),
    source=Source(device="Maker Model 1"),
)
VOLUMES = {
    "right raster": RIGHT,
    "left raster": dataclasses.replace(RIGHT, laterality=Laterality.OS, region=Region.DISC),
    "16 bits": dataclasses.replace(RIGHT, values=eye(3, 11, 7, "uint16") * 200),
    "odd number of bytes": dataclasses.replace(RIGHT, values=eye(3, 11, 7)),
    "line": Volume(
        eye(1),
        Spacing(None, 0.0039, 0.0113),
        laterality=Laterality.OS,
        laterality_origin=Origin.USER,
        pattern=ScanPattern.LINE,
        pattern_origin=Origin.READ,
    ),
    "unknown distance": dataclasses.replace(RIGHT, spacing_mm=Spacing(None, 0.0039, 0.0113)),
    "right-eye orientation": dataclasses.replace(RIGHT, frame=Frame.RIGHT_EYE),
    "long numbers": dataclasses.replace(RIGHT, spacing_mm=Spacing(1 / 7, 1 / 257, 0.0113123456789012345)),
    "nothing but eye and millimetres": Volume(
        eye(), Spacing(None, 0.0039, 0.0113), laterality=Laterality.OD, laterality_origin=Origin.ASSUMED
    ),
}

CONTRADICTIONS = (
    "Element=<ConcatenationFrameOffsetNumber> Module=<MultiFrameFunctionalGroupsCommon>",
    "Element=<InConcatenationNumber> Module=<MultiFrameFunctionalGroupsCommon>",
    "Cannot be less than or equal to one since then not a Concatenation - attribute <InConcatenationTotalNumber>",
)
"""Three elements that PS3.3 C.8.17.7 requires of this image with the values 0, 1 and 1, by which it forbids concatenations.

dciodvfy 20220618 demands them so in one module and refuses them in another, so that no file of this kind is free of
errors; leaving them out gives three other errors.
"""
WARNINGS = {
    "(0x6f63,0x1001)  ?  - Warning - Unrecognized tag - assuming explicit value representation OK",
    "(0x6f63,0x1002)  ?  - Warning - Unrecognized tag - assuming explicit value representation OK",
    "Warning - Unrecognized defined term <UNKNOWN> for value 1 of attribute <Detector Type>",
    "Warning - Missing attribute or value that would be needed to build DICOMDIR - Patient ID",
    "Warning - Missing attribute or value that would be needed to build DICOMDIR - Study Date",
    "Warning - Missing attribute or value that would be needed to build DICOMDIR - Study Time",
    "Warning - Missing attribute or value that would be needed to build DICOMDIR - Study ID",
}
"""The private block, and what is unknown or left empty because nothing is known or because it would name somebody."""


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
@pytest.mark.parametrize("volume", VOLUMES.values(), ids=VOLUMES)
def test_dciodvfy_finds_no_error_but_where_it_contradicts_itself(tmp_path, volume):
    path = write_volume(volume, tmp_path / "eye.dcm")

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)

    lines = (said.stdout + said.stderr).splitlines()
    assert "OphthalmicTomographyImage" in lines
    errors = [line for line in lines if line.startswith("Error")]
    assert [line for line in errors if not line.endswith(CONTRADICTIONS)] == []
    assert {line for line in lines if "Warning" in line} <= WARNINGS


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
def test_dciodvfy_does_find_a_missing_element(tmp_path):
    path = write_volume(RIGHT, tmp_path / "eye.dcm")
    changed(path, lambda dataset: dataset.pop("ImageLaterality"))

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)

    assert "Error - Missing attribute Type 1 Required Element=<ImageLaterality>" in said.stdout + said.stderr


@pytest.mark.parametrize("volume", VOLUMES.values(), ids=VOLUMES)
def test_everything_comes_back(tmp_path, volume):
    read = read_volume(write_volume(volume, tmp_path / "eye.dcm"))

    assert same(read, volume)


def test_pydicom_reads_what_the_standard_has_a_place_for(tmp_path):
    dataset = dcmread(write_volume(RIGHT, tmp_path / "eye.dcm"))

    np.testing.assert_array_equal(dataset.pixel_array, eye())
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.77.1.5.4"
    assert (dataset.Modality, dataset.ImageLaterality, dataset.NumberOfFrames) == ("OPT", "R", 4)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert shared.FrameAnatomySequence[0].FrameLaterality == "R"
    assert [float(size) for size in shared.PixelMeasuresSequence[0].PixelSpacing] == [0.0039, 0.0113]
    assert float(shared.PixelMeasuresSequence[0].SliceThickness) == 0.12
    frames = dataset.PerFrameFunctionalGroupsSequence
    places = [[float(mm) for mm in frame.PlanePositionSequence[0].ImagePositionPatient] for frame in frames]
    np.testing.assert_allclose(places, [[0, 0, 0.12 * number] for number in range(4)])
    assert [frame.FrameContentSequence[0].InStackPositionNumber for frame in frames] == [1, 2, 3, 4]


def test_no_patient_and_no_date_is_written(tmp_path):
    dataset = dcmread(write_volume(RIGHT, tmp_path / "eye.dcm"))

    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyDate"):
        assert name in dataset
        assert not dataset[name].value
    dates = {str(element.value)[:8] for element in dataset.iterall() if element.VR in {"DA", "DT"} and element.value}
    assert dates == {"19700101"}


def test_identifiers_are_worked_out_from_the_content(tmp_path):
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")

    def identifiers(volume, name):
        dataset = dcmread(write_volume(volume, tmp_path / name))
        return [dataset[word].value for word in names]

    first = identifiers(RIGHT, "a.dcm")
    assert first == identifiers(RIGHT, "b.dcm")
    assert len(set(first)) == 4
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in first)
    other = identifiers(dataclasses.replace(RIGHT, laterality=Laterality.OS), "c.dcm")
    brighter = identifiers(dataclasses.replace(RIGHT, values=eye() + np.uint8(1)), "d.dcm")
    assert not {*first} & {*other}
    assert not {*first} & {*brighter}


REFUSED = [
    ({"values": eye(dtype="float32")}, r"float32 samples; DICOM tomography wants uint8 or uint16"),
    ({"values": eye(dtype="int16")}, r"int16 samples"),
    ({"laterality": Laterality.UNKNOWN}, r"the eye is unknown.*pass --laterality"),
    ({"spacing_mm": Spacing(0.12, None, 0.0113)}, r"spacing along depth and A-scans is unknown.*pass --spacing-mm"),
    ({"values": np.zeros((1, 2**16, 1), np.uint8)}, r"axes of at most 65535"),
    ({"values": eye(dtype="uint32")}, r"uint32 samples"),
    ({"frame": Frame.RIGHT_EYE, "laterality": Laterality.OS}, r"would be mirrored for every other program"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_the_standard_cannot_hold_is_refused_and_nothing_is_left(tmp_path, changes, sentence):
    with pytest.raises(OctavoError, match=sentence):
        write_volume(dataclasses.replace(RIGHT, **changes), tmp_path / "eye.dcm")
    assert list(tmp_path.iterdir()) == []


def changed(path, change):
    dataset = dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def strip(dataset):
    for tag in PRIVATE_TAGS:
        del dataset[tag]


@pytest.mark.parametrize(("laterality", "word"), [(Laterality.OD, "OD"), (Laterality.OS, "OS")])
def test_without_the_private_block_the_standard_still_says_eye_millimetres_and_order(tmp_path, laterality, word):
    volume = dataclasses.replace(RIGHT, laterality=laterality)

    read = read_volume(changed(write_volume(volume, tmp_path / "eye.dcm"), strip))

    np.testing.assert_array_equal(read.values, eye())
    assert read.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert read.spacing_mm.origins == (Origin.DERIVED, Origin.READ, Origin.READ)
    assert (read.laterality, read.laterality_origin) == (word, Origin.READ)
    assert (read.pattern, read.slow_axis) == (ScanPattern.RASTER, SlowAxis.UNKNOWN)
    assert read.notes == ()


def test_without_the_private_block_frames_in_one_place_tell_no_distance(tmp_path):
    path = changed(write_volume(VOLUMES["unknown distance"], tmp_path / "eye.dcm"), strip)

    assert read_volume(path).spacing_mm == Spacing(None, 0.0039, 0.0113)


def turned(dataset):
    dataset.PixelData = np.ascontiguousarray(eye()[:, :, ::-1]).tobytes()


def cropped(dataset):
    dataset.NumberOfFrames = 3
    dataset.PixelData = eye()[:3].tobytes()
    del dataset.PerFrameFunctionalGroupsSequence[3:]


def other_eye(dataset):
    dataset.ImageLaterality = dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence[0].FrameLaterality = "L"


def other_size(dataset):
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.0039, 0.02]


def other_distance(dataset):
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0.2 * number]


CHANGES = {
    turned: (Laterality.OD, (0.12, 0.0039, 0.0113)),
    cropped: (Laterality.OD, (0.12, 0.0039, 0.0113)),
    other_eye: (Laterality.OS, (0.12, 0.0039, 0.0113)),
    other_size: (Laterality.OD, (0.12, 0.0039, 0.02)),
    other_distance: (Laterality.OD, (0.2, 0.0039, 0.0113)),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_changed_by_another_program_loses_octavos_own_word_and_says_so(tmp_path, change):
    read = read_volume(changed(write_volume(RIGHT, tmp_path / "eye.dcm"), change))

    laterality, spacing_mm = CHANGES[change]
    assert (read.laterality, read.slow_axis) == (laterality, SlowAxis.UNKNOWN)
    assert read.spacing_mm.known_mm() == pytest.approx(spacing_mm)
    assert "changed by another program since octavo wrote it" in read.notes[-1]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_file_compressed_by_another_program_without_loss_keeps_it(tmp_path, syntax):
    volume = dataclasses.replace(RIGHT, values=eye(3, 40, 48, "uint16") * np.uint16(257))
    path = write_volume(volume, tmp_path / "eye.dcm")
    write_dicom(path, dcmread(path), syntax)

    assert same(read_volume(path), volume)


def damage(dataset):
    dataset[PRIVATE_TAGS[1]].value = dataset[PRIVATE_TAGS[1]].value[:-20]


def test_damaged_words_of_octavos_own_are_refused(tmp_path):
    with pytest.raises(VolumeReadError, match="own geometry is cut short or damaged"):
        read_volume(changed(write_volume(RIGHT, tmp_path / "eye.dcm"), damage))


def claim(dataset):
    dataset[PRIVATE_TAGS[0]].value = "ANOTHER PROGRAM"


def test_a_block_of_another_program_is_not_taken_for_octavos(tmp_path):
    read = read_volume(changed(write_volume(RIGHT, tmp_path / "eye.dcm"), claim))

    assert (read.slow_axis, read.notes) == (SlowAxis.UNKNOWN, ())


@pytest.mark.parametrize("name", ["right raster", "line"])
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(tmp_path, name):
    path = write_volume(VOLUMES[name], tmp_path / "eye.dcm")
    count = mutants_asked(60)

    outcome = attack(path, count)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.read + outcome.refused == count
    assert outcome.refused >= count // 10


def test_the_eye_is_known_before_any_voxel_is_read(tmp_path):
    files = {
        "R": write_dicom(tmp_path / "right.dcm", opt_dataset(eye(), laterality="R")),
        "L": write_dicom(tmp_path / "left.dcm", opt_dataset(eye(), laterality="L")),
        "": write_dicom(tmp_path / "none.dcm", opt_dataset(eye(), laterality=None)),
    }
    found = {word: READERS["dicom"].scans(path, ReadOptions())[0].laterality for word, path in files.items()}

    assert found == {"R": Laterality.OD, "L": Laterality.OS, "": Laterality.UNKNOWN}


PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
COLOURS = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)


def photograph(path, study, *, letter="R", values=COLOURS, **changes):
    """An ophthalmic photograph of a study."""
    dataset = opt_dataset(np.zeros((1, *values.shape[:2]), np.uint8), laterality=letter, sop_class=PHOTOGRAPH)
    del dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence
    dataset.StudyInstanceUID = study
    dataset.PixelSpacing = [0.02, 0.03]
    if values.ndim == 3:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    for name, value in changes.items():
        setattr(dataset, name, value)
    return write_dicom(path, dataset)


@pytest.fixture
def scan(tmp_path) -> tuple[Dataset, object]:
    dataset = opt_dataset(eye())
    return dataset, write_dicom(tmp_path / "scan.dcm", dataset)


def test_photographs_of_the_same_study_and_eye_come_along(tmp_path, scan):
    dataset, path = scan
    photograph(tmp_path / "colour.dcm", dataset.StudyInstanceUID)
    photograph(tmp_path / "grey.dcm", dataset.StudyInstanceUID, values=COLOURS[..., 1])
    same_channels = np.repeat(COLOURS[..., :1], 3, axis=2)
    photograph(tmp_path / "grey in colour.dcm", dataset.StudyInstanceUID, values=same_channels)

    found = read_companions(path)

    assert [picture.kind for picture in found.pictures] == [Picture.COLOUR, Picture.OTHER, Picture.OTHER]
    np.testing.assert_array_equal(found.pictures[0].values, COLOURS)
    np.testing.assert_array_equal(found.pictures[1].values, COLOURS[..., 0])
    np.testing.assert_array_equal(found.pictures[2].values, COLOURS[..., 1])
    assert found.pictures[0].spacing_mm == (0.02, 0.03)
    assert found.notes == ()


@pytest.mark.parametrize(
    "changes", [{"letter": "L"}, {"letter": None}, {"study": "1.2.3"}, {"study": ""}, {"NumberOfFrames": 2}]
)
def test_a_photograph_of_another_study_or_eye_does_not(tmp_path, scan, changes):
    dataset, path = scan
    study = changes.pop("study", dataset.StudyInstanceUID)
    photograph(tmp_path / "colour.dcm", study, **changes)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "torn.dcm").write_bytes(path.read_bytes()[:300])

    assert read_companions(path).pictures == ()


def test_a_photograph_beside_single_frames_comes_along(tmp_path):
    first = write_series(tmp_path / "series", eye())[0]
    study = "1.2.826.0.1.3680043.8.498.1"
    for file in first.parent.iterdir():
        changed(file, lambda dataset: setattr(dataset, "StudyInstanceUID", study))
    photograph(tmp_path / "series" / "photograph.dcm", study)

    assert [picture.kind for picture in read_companions(first.parent).pictures] == [Picture.COLOUR]
    assert read_volume(first.parent).shape == (4, 12, 16)


def test_a_damaged_photograph_is_noted_without_naming_anything(tmp_path, scan):
    dataset, path = scan
    photograph(tmp_path / "colour.dcm", dataset.StudyInstanceUID, PixelData=b"12")

    found = read_companions(path)

    assert found.pictures == ()
    assert found.notes[0].startswith("a photograph beside the scan: holds 2 bytes of pixels; wanted the 90")


def test_a_crowded_folder_is_not_looked_through(tmp_path, scan, monkeypatch):
    monkeypatch.setattr("octavo.formats.dicom.companions._MOST_FILES", 1)
    dataset, path = scan
    photograph(tmp_path / "one.dcm", dataset.StudyInstanceUID)
    photograph(tmp_path / "two.dcm", dataset.StudyInstanceUID)

    found = read_companions(path)

    assert found.pictures == ()
    assert found.notes == ("2 files lie beside the scan; photographs are looked for among at most 1",)
