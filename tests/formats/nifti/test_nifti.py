import dataclasses
import gzip
import struct

import nibabel
import numpy as np
import pytest

from formats.test_numpy_file import same
from formats.written_scans import eye
from octavo.errors import OctavoError
from octavo.formats import VolumeReadError, limits, read_volume, write_volume
from octavo.volume import Frame, Laterality, Origin, Region, ScanPattern, SlowAxis, Spacing, Volume


def foreign(path, values, zooms, unit="mm", kind=nibabel.Nifti1Image, **settings):
    """A NIfTI by another program."""
    image = kind(values, np.diag([*zooms, *[1.0] * (3 - len(zooms)), 1.0]), dtype=values.dtype)
    image.header.set_xyzt_units(unit)
    image.header.set_zooms(zooms)
    for name, value in settings.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("micron", 1e-3), ("meter", 1e3)])
def test_voxel_sizes_become_millimetres_by_the_stated_unit(tmp_path, suffix, kind, unit, factor):
    zooms = (0.12 / factor, 0.0039 / factor, 0.0113 / factor)

    volume = read_volume(foreign(tmp_path / f"eye.{suffix}", eye(dtype="int16"), zooms, unit, kind))

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.values.dtype == np.int16
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113), rel=1e-6)
    assert set(volume.spacing_mm.origins) == {Origin.READ}
    assert volume.pattern is ScanPattern.UNKNOWN


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_sample_type_and_byte_order_agrees_with_nibabel(tmp_path, dtype, order):
    values = eye(dtype=dtype) // 2
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    image = nibabel.Nifti1Image(values, np.eye(4), header)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "eye.nii")

    volume = read_volume(tmp_path / "eye.nii")

    expected = np.asanyarray(nibabel.load(tmp_path / "eye.nii").dataobj)
    np.testing.assert_array_equal(volume.values, expected)
    assert volume.values.dtype == np.dtype(dtype)


def test_scaled_samples_agree_with_nibabel(tmp_path):
    image = nibabel.Nifti1Image(eye(dtype="int16"), np.eye(4))
    image.header.set_slope_inter(0.25, -3.0)
    nibabel.save(image, tmp_path / "eye.nii")
    content = bytearray((tmp_path / "eye.nii").read_bytes())
    content[112:120] = struct.pack("<ff", 0.25, -3.0)
    (tmp_path / "eye.nii").write_bytes(content)

    volume = read_volume(tmp_path / "eye.nii")

    np.testing.assert_allclose(volume.values, nibabel.load(tmp_path / "eye.nii").get_fdata())
    assert volume.values.dtype == np.float32


def test_axes_turn_the_voxel_sizes_with_the_voxels(tmp_path):
    stored = np.ascontiguousarray(eye().transpose(1, 0, 2))
    path = foreign(tmp_path / "eye.nii", stored, (0.0039, 0.12, 0.0113))

    volume = read_volume(path, axes="depth,bscan,ascan")

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx((0.12, 0.0039, 0.0113), rel=1e-6)


def test_sizes_of_one_without_a_unit_are_no_millimetres(tmp_path):
    volume = read_volume(foreign(tmp_path / "en_face.nii", eye()[0], (1.0, 1.0), "unknown"))

    assert volume.shape == (1, 12, 16)
    assert volume.spacing_mm == Spacing()
    assert volume.notes == (
        "the header gives voxel sizes of 1 and does not state the unit; spacing is unknown",
        "axes are taken as depth and A-scans; the file does not say: pass --axes where it is not so",
    )


@pytest.mark.parametrize(
    ("shape", "zooms", "doubt"),
    [
        ((4, 12, 16), (0.12, 0.0039, 0.0113), ""),
        ((4, 12, 16), (0.0113, 0.0039, 0.0113), ""),
        # as ITK and most programs write it: the fastest axis is the A-scans
        ((16, 12, 4), (0.0113, 0.0039, 0.25), "the first axis is sampled more finely than the last"),
        ((16, 12, 1), (0.0113, 0.0039, 0.0113), "the last axis has one sample"),
    ],
)
def test_axes_that_nobody_named_are_said_and_doubted_where_they_look_turned(tmp_path, shape, zooms, doubt):
    path = foreign(tmp_path / "eye.nii", eye(*shape), zooms)

    taken = read_volume(path)
    named = read_volume(path, axes="ascan,depth,bscan")

    np.testing.assert_array_equal(taken.values, eye(*shape))
    assert taken.notes[0].startswith("axes are taken as B-scans, depth, A-scans; the file does not say: pass --axes")
    assert [note for note in taken.notes[1:] if doubt in note and "probably --axes ascan,depth,bscan" in note] == list(
        taken.notes[1:]
    )
    assert len(taken.notes) == (2 if doubt else 1)
    assert named.notes == ()


def test_octavos_own_file_knows_its_axes(tmp_path):
    finely = Volume(eye(), Spacing(0.002, 0.0039, 0.0113))

    assert read_volume(write_volume(finely, tmp_path / "eye.nii")).notes == ()


def test_sizes_without_a_unit_are_assumed_to_be_millimetres_and_say_so(tmp_path):
    volume = read_volume(foreign(tmp_path / "eye.nii", eye(), (0.12, 0.0039, 0.0113), "unknown"))

    assert volume.spacing_mm.describe() == "120 x 3.9 x 11.3 um (assumed)"
    assert "does not state the unit" in volume.notes[0]


def test_an_affine_of_another_scale_is_noted(tmp_path):
    path = foreign(tmp_path / "eye.nii", eye(), (0.12, 0.0039, 0.0113))
    content = bytearray(path.read_bytes())
    content[280:328] = np.diag([0.24, 0.0039, 0.0113, 1])[:3].astype("<f4").tobytes()
    content[254:256] = b"\1\0"
    path.write_bytes(content)

    volume = read_volume(path)

    assert volume.spacing_mm.bscan == pytest.approx(0.12)
    assert "its affine implies 0.24 x 0.0039 x 0.0113" in volume.notes[0]


def test_trailing_axes_of_one_are_dropped_and_time_points_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(eye()[..., None], np.eye(4)), tmp_path / "one.nii")
    nibabel.save(nibabel.Nifti1Image(np.stack([eye(), eye()], -1), np.eye(4)), tmp_path / "two.nii")

    assert read_volume(tmp_path / "one.nii").shape == (4, 12, 16)
    with pytest.raises(VolumeReadError, match="4 x 12 x 16 x 2 voxels; wanted three axes"):
        read_volume(tmp_path / "two.nii")


def damaged(tmp_path, change, suffix="nii"):
    path = foreign(tmp_path / "eye.nii", eye(), (0.12, 0.0039, 0.0113))
    content = bytearray(path.read_bytes())
    change(content)
    (tmp_path / f"bad.{suffix}").write_bytes(gzip.compress(bytes(content)) if suffix == "nii.gz" else bytes(content))
    return tmp_path / f"bad.{suffix}"


def put(at: int, fmt: str, *numbers):
    def change(content: bytearray) -> None:
        struct.pack_into(fmt, content, at, *numbers)

    return change


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.__delitem__(slice(-1, None)), "holds 767 bytes of voxels; wanted the 768"),
        (lambda content: content.__delitem__(slice(300, None)), "bytes of header|no known kind|not begin with"),
        (put(42, "<h", 5), "holds 768 bytes of voxels; wanted the 960"),
        (put(42, "<h", 3), "goes on after the 576 bytes"),
        (put(42, "<hhh", 30000, 30000, 30000), "wanted at most 536870912"),
        (put(42, "<h", -4), "at least one along every axis"),
        (put(40, "<h", 9), "header promises 9 axes"),
        (put(70, "<h", 128), "sample type 128"),
        (put(72, "<h", 16), "sample type 2 with 16 bits"),
        (put(108, "<f", 100.0), "voxels begin at byte 100"),
        (put(108, "<f", float("nan")), "voxels begin at byte nan"),
        (put(344, "4s", b"ni1\0"), "one half of a .hdr and .img pair"),
        (put(80, "<f", 300.0), "spacing along bscan cannot be true: 300000"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, suffix, change, sentence):
    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(damaged(tmp_path, change, suffix))


@pytest.mark.parametrize("zoom", [0.0, -0.1, float("nan")])
def test_voxel_sizes_that_are_no_distance_are_unknown_and_say_so(tmp_path, zoom):
    volume = read_volume(damaged(tmp_path, put(80, "<f", zoom)))

    assert volume.spacing_mm == Spacing()
    assert "which is no distance" in volume.notes[0]


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    header = damaged(tmp_path, put(42, "<hhh", 512, 512, 512)).read_bytes()[:352]
    with gzip.open(tmp_path / "bomb.nii.gz", "wb") as file:
        file.write(header)
        for _ in range(128):
            file.write(bytes(2**20))

    with pytest.raises(VolumeReadError, match="wanted at most 200 times as many"):
        read_volume(tmp_path / "bomb.nii.gz")


FULL = Volume(
    eye(dtype="float32"),
    Spacing(0.12, 0.0039, 0.0113, (Origin.DERIVED, Origin.READ, Origin.USER)),
    laterality=Laterality.OS,
    laterality_origin=Origin.USER,
    pattern=ScanPattern.RASTER,
    pattern_origin=Origin.READ,
    slow_axis=SlowAxis.INFERIOR_TO_SUPERIOR,
    slow_axis_origin=Origin.DERIVED,
    region=Region.MACULA,
    region_origin=Origin.ASSUMED,
    notes=("a note",),
)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_octavos_own_file_brings_everything_back_and_nibabel_reads_it(tmp_path, suffix):
    path = write_volume(FULL, tmp_path / f"eye.{suffix}")

    assert same(read_volume(path), FULL)
    image = nibabel.load(path)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), FULL.values)
    assert image.header.get_zooms() == pytest.approx((0.12, 0.0039, 0.0113))
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        # A scanner's A-scans run leftwards in the patient, depth backwards, B-scans as the slow axis says.
        ({}, ("S", "P", "L")),
        ({"slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR}, ("I", "P", "L")),
        ({"slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR, "frame": Frame.RIGHT_EYE}, ("I", "P", "R")),
        (
            {"slow_axis": SlowAxis.SUPERIOR_TO_INFERIOR, "frame": Frame.RIGHT_EYE, "laterality": Laterality.OD},
            ("I", "P", "L"),
        ),
    ],
)
def test_the_affine_points_where_the_eye_does(tmp_path, changes, codes):
    path = write_volume(FULL.__class__(**{**vars(FULL), **changes}), tmp_path / "eye.nii")

    image = nibabel.load(path)

    assert nibabel.aff2axcodes(image.affine) == codes
    assert nibabel.affines.voxel_sizes(image.affine) == pytest.approx((0.12, 0.0039, 0.0113))


@pytest.mark.parametrize(
    "changes",
    [
        {"slow_axis": SlowAxis.UNKNOWN},
        {"slow_axis": SlowAxis.TEMPORAL_TO_NASAL},
        {"frame": Frame.RIGHT_EYE, "laterality": Laterality.UNKNOWN},
    ],
)
def test_an_unknown_direction_is_not_claimed(tmp_path, changes):
    path = write_volume(FULL.__class__(**{**vars(FULL), **changes}), tmp_path / "eye.nii")

    header = nibabel.load(path).header

    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    assert header.get_zooms() == pytest.approx((0.12, 0.0039, 0.0113))


def test_unknown_millimetres_cannot_be_written(tmp_path):
    with pytest.raises(OctavoError, match=r"eye\.nii: spacing along bscan, depth, ascan is unknown"):
        write_volume(Volume(eye()), tmp_path / "eye.nii")
    assert list(tmp_path.iterdir()) == []


def test_a_nearly_empty_volume_can_be_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 2**16)
    values = np.zeros((17, 256, 256), np.uint8)
    values[0, 0, 0] = 1
    path = write_volume(Volume(values, Spacing(0.1, 0.004, 0.01)), tmp_path / "mask.nii.gz")

    assert read_volume(path).values.sum() == 1


def test_a_file_changed_by_another_program_loses_what_octavo_knew_and_says_so(tmp_path):
    path = write_volume(FULL, tmp_path / "eye.nii")
    nibabel.save(nibabel.load(path).slicer[1:], tmp_path / "cropped.nii")

    volume = read_volume(tmp_path / "cropped.nii")

    assert volume.shape == (3, 12, 16)
    assert volume.laterality is Laterality.UNKNOWN
    assert "changed by another program" in volume.notes[0]


CUBE = dataclasses.replace(FULL, values=(np.arange(512) % 251).astype(np.uint8).reshape(8, 8, 8))


def turned_along(axis):
    return lambda image: image.slicer[(slice(None),) * axis + (slice(None, None, -1),)]


def moved_by_one(image):
    """Rolled along A-scans, with the affine that says so."""
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, 2]
    return nibabel.Nifti1Image(np.roll(image.dataobj, -1, 2), affine, image.header)


@pytest.mark.parametrize(
    "change",
    [nibabel.as_closest_canonical, *(turned_along(axis) for axis in range(3)), moved_by_one],
    ids=["as_closest_canonical", "bscans turned", "depth turned", "ascans turned", "moved"],
)
@pytest.mark.parametrize("known", [True, False], ids=["directions known", "directions unknown"])
def test_a_file_turned_by_another_program_loses_what_octavo_knew_too(tmp_path, change, known):
    eye = CUBE if known else dataclasses.replace(CUBE, slow_axis=SlowAxis.UNKNOWN)
    path = write_volume(eye, tmp_path / "eye.nii")
    before = nibabel.load(path)
    nibabel.save(change(before), tmp_path / "turned.nii")
    after = nibabel.load(tmp_path / "turned.nii")
    assert (np.asarray(after.dataobj) != np.asarray(before.dataobj)).any()

    volume = read_volume(tmp_path / "turned.nii")

    assert (volume.laterality, volume.slow_axis) == (Laterality.UNKNOWN, SlowAxis.UNKNOWN)
    assert "changed by another program" in volume.notes[0]


@pytest.mark.parametrize("known", [True, False], ids=["directions known", "directions unknown"])
def test_a_file_only_copied_by_another_program_keeps_what_octavo_knew(tmp_path, known):
    eye = CUBE if known else dataclasses.replace(CUBE, slow_axis=SlowAxis.UNKNOWN)
    nibabel.save(nibabel.load(write_volume(eye, tmp_path / "eye.nii")), tmp_path / "copy.nii.gz")

    assert same(read_volume(tmp_path / "copy.nii.gz"), eye)
