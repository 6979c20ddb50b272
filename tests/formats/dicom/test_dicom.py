import re
import signal
import struct
import subprocess
import sys
import zlib

import gdcm
import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from formats.written_scans import (
    ENCAPSULATED_PDF,
    MR,
    bscan_lines,
    eye,
    opt_dataset,
    write_dicom,
    write_series,
)
from octavo.cli import main
from octavo.formats import VolumeReadError, find_scans, list_scans, read_volume
from octavo.formats.dicom import apart
from octavo.formats.dicom.pixels import codestream_size
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

LOSSLESS = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
}


@pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("frames", [1, 4])
def test_every_lossless_syntax_gives_the_same_voxels(tmp_path, syntax, dtype, frames):
    values = eye(frames, 40, 48, dtype)
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(values), syntax)

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == np.dtype(dtype)


@pytest.fixture
def lossless_jpeg(tmp_path):
    path = write_dicom(tmp_path / "plain.dcm", opt_dataset(eye()))
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "lossless.dcm"))
    assert writer.Write()
    assert dcmread(tmp_path / "lossless.dcm").file_meta.TransferSyntaxUID == JPEGLosslessSV1
    return tmp_path / "lossless.dcm"


def test_lossless_jpeg_gives_the_same_voxels(lossless_jpeg):
    np.testing.assert_array_equal(read_volume(lossless_jpeg).values, eye())


@pytest.mark.parametrize(
    ("offset", "bits", "sentence"),
    [
        # A precision of 136 bits, on which the decoder ends its process.
        (6, 0x80, "compressed pixels cannot be decoded"),
        # A torn stream of samples, on which the decoder makes up the rest.
        (56, 0xFF, "compressed pixels are torn"),
    ],
)
def test_a_damaged_lossless_jpeg_is_refused_and_the_process_lives(lossless_jpeg, offset, bits, sentence):
    content = bytearray(lossless_jpeg.read_bytes())
    content[content.index(b"\xff\xd8\xff\xc3") + offset] ^= bits
    lossless_jpeg.write_bytes(content)

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(lossless_jpeg)


def test_a_decoder_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "_PATIENCE_SECONDS", 0.01)
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye()), JPEGLSLossless)

    with pytest.raises(VolumeReadError, match="were not decoded within 0 s; wanted frames that end"):
        read_volume(path)


def test_a_decoder_that_works_for_ever_is_ended_by_the_system(tmp_path, monkeypatch):
    endless = "from octavo.formats.dicom.apart import _limit_work\n_limit_work(1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", endless], check=False, timeout=60)
    assert done.returncode == -signal.SIGXCPU

    def ended(words, **options):
        raise subprocess.CalledProcessError(done.returncode, words, b"", b"")

    monkeypatch.setattr(apart.subprocess, "run", ended)
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye()), JPEGLSLossless)
    with pytest.raises(VolumeReadError, match="were not decoded within 3 s of work; wanted frames that end"):
        read_volume(path)


def test_a_folder_of_compressed_frames_is_decoded_together(tmp_path):
    for path in write_series(tmp_path / "series", eye(5)):
        write_dicom(path, dcmread(path), JPEGLSLossless)

    np.testing.assert_array_equal(read_volume(tmp_path / "series").values, eye(5))


def test_jpeg_baseline_is_close(tmp_path):
    smooth = np.repeat((np.add.outer(np.arange(3) * 20, np.arange(64) * 2))[:, None], 48, axis=1).astype(np.uint8)

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", opt_dataset(smooth), JPEGBaseline8Bit))

    assert np.abs(volume.values.astype(int) - smooth).max() <= 3


def test_big_endian_samples_come_back_in_this_machines_order(tmp_path):
    dataset = opt_dataset(eye(dtype="uint16"))
    dataset.PixelData = eye(dtype="uint16").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dcmwrite(tmp_path / "eye.dcm", dataset, enforce_file_format=True)

    volume = read_volume(tmp_path / "eye.dcm")

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.values.dtype.isnative


def test_what_the_header_says_is_read(tmp_path):
    volume = read_volume(write_dicom(tmp_path / "eye.dcm", opt_dataset(eye())))

    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.spacing_mm.origins == (Origin.DERIVED, Origin.READ, Origin.READ)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.DERIVED)
    assert volume.slow_axis is SlowAxis.UNKNOWN
    assert volume.source.device == "Maker Model 1"
    assert volume.notes == ()
    assert not any(word in repr(volume) for word in ("Doe", "4711", "1950"))


def test_the_distance_is_the_headers_where_there_are_no_positions(tmp_path):
    told = opt_dataset(eye(), positions=False)
    told.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 0.2
    thickness = opt_dataset(eye(), positions=False)

    measured = read_volume(write_dicom(tmp_path / "told.dcm", told)).spacing_mm
    guessed = read_volume(write_dicom(tmp_path / "thickness.dcm", thickness))

    assert (measured.bscan, measured.origins[0]) == (0.2, Origin.READ)
    assert (guessed.spacing_mm.bscan, guessed.spacing_mm.origins[0]) == (0.12, Origin.ASSUMED)
    assert "taken from the slice thickness" in guessed.notes[0]


def test_a_single_frame_has_no_distance_however_thick(tmp_path):
    volume = read_volume(write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(1), spacing_mm=(6.0, 0.0035, 0.0117))))

    assert volume.spacing_mm == Spacing(None, 0.0035, 0.0117)
    assert volume.pattern is ScanPattern.UNKNOWN


def test_uneven_positions_leave_the_distance_unknown(tmp_path):
    dataset = opt_dataset(eye(5))
    dataset.PerFrameFunctionalGroupsSequence[4].PlanePositionSequence[0].ImagePositionPatient = [0, 0, 3.0]

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    assert volume.spacing_mm.bscan is None
    assert "even distances" in volume.notes[0]


def test_no_spacing_is_unknown(tmp_path):
    volume = read_volume(write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), spacing_mm=None)))

    assert volume.spacing_mm == Spacing()


@pytest.mark.parametrize(
    ("step", "eye_word", "expected"),
    [
        ((0, -9), "R", SlowAxis.INFERIOR_TO_SUPERIOR),
        ((0, 9), "R", SlowAxis.SUPERIOR_TO_INFERIOR),
    ],
)
def test_lines_on_the_fundus_tell_the_direction(tmp_path, step, eye_word, expected):
    lines = bscan_lines(4, first=(100, 300), step=step, length=500)
    volume = read_volume(write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), fundus_lines=lines, laterality=eye_word)))

    assert (volume.slow_axis, volume.slow_axis_origin) == (expected, Origin.DERIVED)
    assert volume.spacing_mm.bscan == pytest.approx(0.12)


@pytest.mark.parametrize(("word", "expected"), [("R", SlowAxis.TEMPORAL_TO_NASAL), ("L", SlowAxis.NASAL_TO_TEMPORAL)])
def test_upright_lines_on_the_fundus_follow_the_nose(tmp_path, word, expected):
    x = 100 + 9.0 * np.arange(4)
    lines = np.stack([x, np.full(4, 50.0), x, np.full(4, 500.0)], axis=1)

    dataset = opt_dataset(eye(), fundus_lines=lines, laterality=word)

    assert read_volume(write_dicom(tmp_path / "eye.dcm", dataset)).slow_axis is expected


def test_a_star_on_the_fundus_is_radial_and_has_no_distance(tmp_path):
    angles = np.arange(4) * np.pi / 4
    spokes = 250 * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    volume = read_volume(
        write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), fundus_lines=np.hstack([300 - spokes, 300 + spokes])))
    )

    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RADIAL, Origin.DERIVED)
    assert volume.spacing_mm == Spacing(None, 0.0039, 0.0113)
    assert volume.notes == ()


def test_frames_at_different_angles_have_no_distance(tmp_path):
    dataset = opt_dataset(eye())
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        orientation = Dataset()
        angle = number * np.pi / 4
        orientation.ImageOrientationPatient = [round(np.cos(angle), 6), 0, round(np.sin(angle), 6), 0, 1, 0]
        groups.PlaneOrientationSequence = [orientation]

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    assert (volume.pattern, volume.spacing_mm.bscan) == (ScanPattern.OTHER, None)
    assert volume.notes == ("the frames lie at different angles; they are no raster",)


@pytest.mark.parametrize(("word", "expected"), [("R", Laterality.OD), ("L_", Laterality.OS), ("", Laterality.UNKNOWN)])
@pytest.mark.parametrize("place", ["ImageLaterality", "Laterality", "frame", "region"])
def test_the_eye_is_found_wherever_the_header_has_it(tmp_path, word, expected, place):
    dataset = opt_dataset(eye(), laterality=None)
    anatomy = Dataset()
    anatomy.FrameLaterality = word
    if place == "frame":
        dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
    elif place == "region":
        dataset.AnatomicRegionSequence = [anatomy]
    else:
        setattr(dataset, place, word)

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    assert volume.laterality is expected
    assert (volume.laterality_origin is Origin.READ) == bool(word)


def test_a_header_that_names_both_eyes_leaves_the_eye_unknown(tmp_path):
    dataset = opt_dataset(eye(), laterality="R")
    dataset.Laterality = "L"

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    assert volume.laterality is Laterality.UNKNOWN
    assert "names both eyes" in volume.notes[0]


def test_white_as_the_smallest_value_is_turned_over(tmp_path):
    dataset = opt_dataset(eye())
    dataset.PhotometricInterpretation = "MONOCHROME1"

    volume = read_volume(write_dicom(tmp_path / "eye.dcm", dataset))

    np.testing.assert_array_equal(volume.values, 255 - eye())
    assert "turned over" in volume.notes[0]


def test_rescaled_samples(tmp_path):
    dataset = opt_dataset(eye())
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, -10

    np.testing.assert_allclose(
        read_volume(write_dicom(tmp_path / "eye.dcm", dataset)).values, eye().astype(float) * 2 - 10
    )


def coloured(equal: bool):
    dataset = opt_dataset(eye())
    channels = np.repeat(eye()[..., None], 3, axis=-1)
    channels[0, 0, 0, 0] += 0 if equal else 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.PixelData = channels.tobytes()
    return dataset


def test_equal_channels_are_grey_and_others_are_refused(tmp_path):
    np.testing.assert_array_equal(read_volume(write_dicom(tmp_path / "grey.dcm", coloured(True))).values, eye())
    with pytest.raises(VolumeReadError, match="red, green and blue differ"):
        read_volume(write_dicom(tmp_path / "colour.dcm", coloured(False)))


def test_a_folder_of_single_frames_is_put_in_order(tmp_path):
    write_series(tmp_path / "series", eye(5))

    volume = read_volume(tmp_path / "series")

    np.testing.assert_array_equal(volume.values, eye(5))
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113))
    assert volume.laterality is Laterality.OD


def test_a_lost_frame_is_missed_and_named(tmp_path):
    paths = write_series(tmp_path / "series", eye(5))
    paths[2].unlink()

    with pytest.raises(VolumeReadError, match=r"instances \[3\] are missing between 1 and 5"):
        read_volume(tmp_path / "series")


def test_an_unreadable_frame_is_named(tmp_path):
    paths = write_series(tmp_path / "series", eye(5))
    paths[2].write_text("patient,eye")

    with pytest.raises(VolumeReadError, match=rf"{paths[2].name}: holds 11 bytes without the mark DICM"):
        read_volume(tmp_path / "series")


@pytest.mark.parametrize("keep", [140, 300, 600, -3])
def test_a_truncated_frame_never_goes_unnoticed(tmp_path, keep):
    paths = write_series(tmp_path / "series", eye(5))
    paths[4].write_bytes(paths[4].read_bytes()[:keep])

    with pytest.raises(VolumeReadError):
        read_volume(tmp_path / "series")


def test_several_series_are_listed_and_one_can_be_named(tmp_path):
    write_series(tmp_path / "exams", eye(3))
    for path in write_series(tmp_path / "second", eye(4)):
        path.rename(tmp_path / "exams" / f"second-{path.name}")

    with pytest.raises(VolumeReadError, match=r"holds 2 scans \(#1 series 3: . frames of 12 x 16; #2 series 3:"):
        read_volume(tmp_path / "exams")

    sizes = {read_volume(name).shape[0] for name in find_scans(tmp_path / "exams")}
    assert sizes == {3, 4}


def test_reports_and_photographs_beside_the_scan_are_passed_over(tmp_path):
    write_series(tmp_path / "series", eye(3))
    report = opt_dataset(eye(1), sop_class=ENCAPSULATED_PDF)
    for name in ("Rows", "Columns", "PixelData", "NumberOfFrames"):
        del report[name]
    write_dicom(tmp_path / "series" / "m-report.dcm", report)
    photograph = opt_dataset(eye(1), sop_class="1.2.840.10008.5.1.4.1.1.77.1.5.1")
    del photograph.NumberOfFrames
    write_dicom(tmp_path / "series" / "m-photo.dcm", photograph)

    assert read_volume(tmp_path / "series").shape == (3, 12, 16)
    with pytest.raises(VolumeReadError, match=r"holds no image \(Encapsulated PDF Storage\)"):
        read_volume(tmp_path / "series" / "m-report.dcm")
    with pytest.raises(VolumeReadError, match="is a fundus photograph; wanted B-scans"):
        read_volume(tmp_path / "series" / "m-photo.dcm")


def test_a_folder_of_multi_frame_files_is_a_folder_of_scans(tmp_path):
    for name in ("a", "b"):
        write_dicom(tmp_path / f"{name}.dcm", opt_dataset(eye()))

    assert find_scans(tmp_path) == [str(tmp_path / "a.dcm"), str(tmp_path / "b.dcm")]
    with pytest.raises(VolumeReadError, match="folder of no known kind"):
        read_volume(tmp_path)


def test_one_unreadable_file_among_many_scans_stays_its_own_affair(tmp_path):
    for number in range(3):
        (path,) = write_series(tmp_path / f"x{number}", eye(1))
        path.rename(tmp_path / f"{number}.dcm")
    (tmp_path / "bad.dcm").write_text("text")

    labels = list_scans(tmp_path)

    assert len(labels) == 4
    assert labels[3] == "bad.dcm: unreadable"
    with pytest.raises(VolumeReadError, match="holds 4 bytes without the mark DICM"):
        read_volume(tmp_path, scan=4)


def test_slices_of_something_else_may_be_millimetres_apart(tmp_path):
    path = write_dicom(tmp_path / "brain.dcm", opt_dataset(eye(), spacing_mm=(5.0, 1.0, 1.0), sop_class=MR))
    thick = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), spacing_mm=(5.0, 0.004, 0.01)))

    assert read_volume(path).spacing_mm.bscan == pytest.approx(5.0)
    with pytest.raises(VolumeReadError, match="spacing along bscan cannot be true: 5000 x 4 x 10 um"):
        read_volume(thick)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"Rows": 13}, "bytes of pixels; wanted the 832"),
        ({"Rows": 0}, "at least one along every axis"),
        ({"Rows": 60000, "Columns": 60000}, "wanted at most 536870912"),
        ({"NumberOfFrames": 5}, "promises 5 frames and describes 4"),
        ({"NumberOfFrames": 0}, "at least one along every axis"),
        ({"BitsAllocated": 1}, "stores 1 samples of 1 bits"),
        ({"SamplesPerPixel": 2}, "stores 2 samples"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "wanted grey values"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, changes, sentence):
    dataset = opt_dataset(eye())
    for name, value in changes.items():
        setattr(dataset, name, value)

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(write_dicom(tmp_path / "eye.dcm", dataset))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_compressed_frames_must_have_the_size_and_number_of_the_header(tmp_path, syntax):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(4, 40, 48)), syntax)
    for name, value in (("Rows", 80), ("NumberOfFrames", 3)):
        dataset = dcmread(path)
        setattr(dataset, name, value)
        del dataset.PerFrameFunctionalGroupsSequence
        dcmwrite(tmp_path / "lie.dcm", dataset)
        with pytest.raises(VolumeReadError, match=r"lie\.dcm: "):
            read_volume(tmp_path / "lie.dcm")


def test_a_codestream_that_states_an_enormous_picture_never_meets_a_decoder(tmp_path):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(1, 40, 48)), JPEG2000Lossless)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\x4f\xff\x51")
    assert codestream_size(bytes(content[at:])) == (40, 48)
    struct.pack_into(">II", content, at + 8, 2**17, 2**17)
    path.write_bytes(content)

    with pytest.raises(VolumeReadError, match="frame 1 holds a picture of 131072 x 131072; wanted the 40 x 48"):
        read_volume(path)


def test_a_deflate_bomb_is_refused_before_it_is_kept(tmp_path):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(1)), DeflatedExplicitVRLittleEndian)
    meta = path.read_bytes()[: 132 + 12 + int(dcmread(path).file_meta.FileMetaInformationGroupLength)]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(squeeze.compress(bytes(2**20)) for _ in range(80)) + squeeze.flush()
    path.write_bytes(meta + bomb)

    with pytest.raises(VolumeReadError, match="deflated bytes expand beyond"):
        read_volume(path)


@pytest.mark.parametrize("levels", [40, 4000])
def test_nested_sequences_end_in_a_sentence(tmp_path, levels):
    whole = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(1))).read_bytes()
    opening = b"\x08\x00\x18\x22SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    at = whole.index(b"\x20\x00\x0d\x00UI")
    (tmp_path / "deep.dcm").write_bytes(whole[:at] + opening * levels + closing * levels + whole[at:])

    if levels < 100:
        assert read_volume(tmp_path / "deep.dcm").shape == (1, 12, 16)
    else:
        with pytest.raises(VolumeReadError, match="nested deeper than any scan"):
            read_volume(tmp_path / "deep.dcm")


@pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS)
def test_a_truncated_file_is_refused(tmp_path, syntax):
    whole = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(4, 40, 48)), syntax).read_bytes()

    for share in (0.2, 0.5, 0.8, 0.95):
        (tmp_path / "short.dcm").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(VolumeReadError, match=r"short\.dcm: .*; wanted "):
            read_volume(tmp_path / "short.dcm")


def test_a_text_named_dicom_is_refused_in_one_line(tmp_path):
    (tmp_path / "eye.dcm").write_text("exam_id,path\n1,eye.npy\n" * 40)

    with pytest.raises(VolumeReadError) as refusal:
        read_volume(tmp_path / "eye.dcm")

    assert "without the mark DICM at byte 128; wanted a DICOM file" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_the_parser_would_say_of_a_header_is_not_said(tmp_path, capfd, caplog):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye()))
    whole = path.read_bytes()
    uid = re.search(rb"(?:2\.25|1\.2\.826)\.[0-9.]{20,}", whole).group()[:13]
    path.write_bytes(whole.replace(uid, b"Jane Doe 1919"))

    assert main(["inspect", str(path)]) in {0, 2}

    told = capfd.readouterr()
    assert "Jane" not in told.out + told.err + caplog.text
