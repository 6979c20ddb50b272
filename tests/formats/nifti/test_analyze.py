import struct

import numpy as np
import pytest

from formats.mutants import attack, mutants_asked
from formats.written_analyze import CODES, analyze_header, voxel_bytes, write_analyze, write_nifti_pair
from formats.written_scans import eye
from formats.written_zeiss import cube_name, img_bytes, textured, write_profiled
from octavo.formats import VolumeReadError, files_read_for, find_scans, list_scans, read_volume
from octavo.volume import Laterality, Origin, ScanPattern, SlowAxis, Spacing

MILLIMETRES = (0.12, 0.0039, 0.0113)
NO_ORIENTATION = "ANALYZE states no orientation: left and right are not known"
TAKEN = "axes are taken as B-scans, depth, A-scans; the file does not say: pass --axes where it is not so"


@pytest.mark.parametrize("named", [".hdr", ".img"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", sorted(CODES))
def test_both_halves_are_the_scan(tmp_path, named, order, dtype):
    path = write_analyze(tmp_path / "scan.hdr", eye(dtype=dtype), order=order).with_suffix(named)

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye(dtype=dtype))
    assert volume.values.dtype == np.dtype(dtype)
    assert volume.spacing_mm.known_mm() == pytest.approx(MILLIMETRES, rel=1e-6)
    assert volume.spacing_mm.origins == (Origin.READ,) * 3
    assert (volume.laterality, volume.slow_axis, volume.pattern) == (
        Laterality.UNKNOWN,
        SlowAxis.UNKNOWN,
        ScanPattern.UNKNOWN,
    )
    assert volume.notes == (NO_ORIENTATION, TAKEN)
    assert read_volume(path, axes="bscan,depth,ascan").notes == (NO_ORIENTATION,)
    assert (volume.source.format, volume.source.path) == ("analyze", str(path))
    assert list_scans(path) == [f"4 x 12 x 16 {dtype}"]


def test_another_library_writes_the_same(tmp_path):
    import nibabel

    nibabel.AnalyzeImage(eye(dtype="int16"), np.diag([2, 3, 4, 1])).to_filename(str(tmp_path / "other.img"))
    volume = read_volume(tmp_path / "other.hdr")

    np.testing.assert_array_equal(volume.values, eye(dtype="int16"))
    # its header states no unit
    assert volume.spacing_mm == Spacing(2.0, 3.0, 4.0, (Origin.ASSUMED,) * 3)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("named", [".hdr", ".img"])
def test_a_nifti_pair_is_read_with_what_its_header_says(tmp_path, named, version):
    path = write_nifti_pair(tmp_path / "scan_OS.hdr", eye(), MILLIMETRES, version)

    volume = read_volume(path.with_suffix(named))

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx(MILLIMETRES, rel=1e-6)
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.DERIVED)
    assert volume.notes == (TAKEN,)
    assert "Doe" not in repr(volume)


@pytest.mark.parametrize("eye_of_name", ["OD", "OS"])
def test_the_eye_is_taken_from_the_name_alone(tmp_path, eye_of_name):
    volume = read_volume(write_analyze(tmp_path / f"scan_{eye_of_name}.hdr", eye()))

    assert (volume.laterality.value, volume.laterality_origin) == (eye_of_name, Origin.DERIVED)


def test_axes_are_named_by_the_user(tmp_path):
    stored = eye().transpose(2, 1, 0)
    path = write_analyze(tmp_path / "scan.hdr", stored, MILLIMETRES[::-1])

    volume = read_volume(path, axes="ascan,depth,bscan")

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm.known_mm() == pytest.approx(MILLIMETRES, rel=1e-6)


def test_trailing_axes_of_one_are_dropped_and_two_axes_are_one_bscan(tmp_path):
    path = write_analyze(tmp_path / "scan.hdr", eye()[..., None], (*MILLIMETRES, 1.0))
    np.testing.assert_array_equal(read_volume(path).values, eye())
    volume = read_volume(write_analyze(tmp_path / "one.hdr", eye()[0], (0.0039, 0.0113)))
    np.testing.assert_array_equal(volume.values, eye()[:1])
    assert volume.spacing_mm.bscan is None


@pytest.mark.parametrize(
    ("unit", "sizes", "origin", "factor", "note"),
    [
        (b"mm", (1.0, 1.0, 1.0), Origin.READ, 1.0, ""),
        (b"um", (120.0, 3.9, 11.3), Origin.READ, 0.001, ""),
        (b"cm", (0.5, 0.25, 0.125), Origin.READ, 10.0, ""),
        (b"", (0.5, 0.25, 0.125), Origin.ASSUMED, 1.0, "does not state the unit; taken as millimetres"),
        (b"Doe", (0.5, 0.25, 0.125), Origin.ASSUMED, 1.0, "does not state the unit; taken as millimetres"),
    ],
)
def test_sizes_are_millimetres_by_the_stated_unit(tmp_path, unit, sizes, origin, factor, note):
    volume = read_volume(write_analyze(tmp_path / "scan.hdr", eye(), sizes, unit=unit))

    assert volume.spacing_mm.known_mm() == pytest.approx([size * factor for size in sizes], rel=1e-6)
    assert set(volume.spacing_mm.origins) == {origin}
    assert note in volume.notes[1]


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-2.0, 2.0, 2.0), (float("nan"), 1.0, 1.0)])
def test_sizes_that_say_nothing_are_unknown_and_noted(tmp_path, sizes):
    volume = read_volume(write_analyze(tmp_path / "scan.hdr", eye(), sizes, unit=b""))

    assert volume.spacing_mm == Spacing()
    assert "spacing is unknown" in volume.notes[1]


@pytest.mark.parametrize(
    ("factor", "added", "expected", "note"),
    [
        (0.0, 9.0, eye(), ""),
        (1.0, 0.0, eye(), ""),
        (0.5, 0.0, eye() * np.float32(0.5), "multiplied by 0.5, as SPM"),
        (0.5, 3.0, eye() * np.float32(0.5) + 3, "multiplied by 0.5, and 3 is added, as SPM"),
        (1.0, 3.0, eye() * np.float32(1) + 3, "multiplied by 1, and 3 is added, as SPM"),
        (-2.0, 0.0, eye(), "a factor that is none; samples are taken as they are stored"),
        (float("nan"), 0.0, eye(), "a factor that is none"),
        (2.0, float("inf"), eye(), "a factor that is none"),
    ],
)
def test_the_factor_of_spm_is_applied_and_noted(tmp_path, factor, added, expected, note):
    volume = read_volume(write_analyze(tmp_path / "scan.hdr", eye(), factor=factor, added=added))

    np.testing.assert_allclose(volume.values, expected)
    assert note in " ".join(volume.notes[1:])
    assert len(volume.notes) == (3 if note else 2)


def test_voxels_may_begin_later(tmp_path):
    np.testing.assert_array_equal(read_volume(write_analyze(tmp_path / "a.hdr", eye(), offset=32)).values, eye())


@pytest.mark.parametrize("names", [("a.HDR", "a.IMG"), ("a.hdr", "a.IMG"), ("a.HDR", "a.img")])
def test_capitals_of_the_endings_make_no_difference(tmp_path, names):
    header, voxels = names
    (tmp_path / header).write_bytes(analyze_header((4, 12, 16)))
    (tmp_path / voxels).write_bytes(voxel_bytes(eye()))

    for name in names:
        np.testing.assert_array_equal(read_volume(tmp_path / name).values, eye())
    assert find_scans(tmp_path) == [str(tmp_path / header)]


@pytest.mark.parametrize(
    ("at", "layout", "value", "sentence"),
    [
        (40, "<h", 0, "header promises 0 axes; wanted two or three"),
        (40, "<h", 8, "header promises 8 axes"),
        (42, "<h", 0, r"header promises 0 x 12 x 16 voxels; wanted at least one"),
        (42, "<h", -4, r"header promises -4 x 12 x 16 voxels; wanted at least one"),
        (42, "<h", 5, r"holds 768 bytes of voxels; wanted the 960"),
        (42, "<h", 3, r"goes on after the 576 bytes of voxels"),
        (42, "<3h", (32767, 32767, 32767), "wanted at most 536870912"),
        (70, "<h", 1, "sample type 1 with 8 bits; wanted whole or floating-point numbers"),
        (70, "<h", 32, "sample type 32 with 8 bits"),
        (70, "<h", 128, "sample type 128 with 8 bits"),
        (72, "<h", 16, "sample type 2 with 16 bits"),
        (108, "<f", -8.0, "voxels begin at byte -8 of the .img"),
        (108, "<f", 0.5, "voxels begin at byte 0.5"),
        (108, "<f", float("inf"), "voxels begin at byte inf"),
        (108, "<f", 1e6, "holds 0 bytes of voxels; wanted the 768"),
        (80, "<f", 300.0, "spacing along bscan cannot be true: 300000"),
        (0, "<i", 349, "does not begin with an ANALYZE or NIfTI header"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, at, layout, value, sentence):
    path = write_analyze(tmp_path / "scan.hdr", eye())
    header = bytearray(path.read_bytes())
    struct.pack_into(layout, header, at, *(value if isinstance(value, tuple) else (value,)))
    path.write_bytes(header)

    with pytest.raises(VolumeReadError, match=sentence) as caught:
        read_volume(path)
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_time_points_are_refused(tmp_path):
    values = np.stack([eye(), eye()], axis=-1)
    with pytest.raises(VolumeReadError, match="save one time point or channel by itself"):
        read_volume(write_analyze(tmp_path / "scan.hdr", values, (*MILLIMETRES, 1.0)))


def test_half_a_pair_is_refused_and_found(tmp_path):
    path = write_analyze(tmp_path / "scan.hdr", eye())
    path.with_suffix(".img").unlink()

    with pytest.raises(VolumeReadError, match=r"has no \.img of its name beside it; wanted both halves"):
        read_volume(path)
    assert find_scans(tmp_path) == [str(path)]


def test_a_torn_header_costs_both_halves_a_sentence(tmp_path):
    path = write_analyze(tmp_path / "scan.hdr", eye())
    path.write_bytes(path.read_bytes()[:200])

    for name, sentence in ((".hdr", "holds 200 bytes; wanted a header of 348"), (".img", "holds 200 bytes")):
        with pytest.raises(VolumeReadError, match=sentence):
            read_volume(path.with_suffix(name))
    path.write_bytes(b"")
    with pytest.raises(VolumeReadError, match=r"is empty \(0 bytes\)"):
        read_volume(path)
    with pytest.raises(VolumeReadError, match=r"has a \.hdr beside it that is no ANALYZE or NIfTI header"):
        read_volume(path.with_suffix(".img"))


def test_a_pair_is_found_once_and_its_other_half_is_watched(tmp_path):
    header = write_analyze(tmp_path / "a.hdr", eye())
    write_nifti_pair(tmp_path / "b.hdr", eye(), MILLIMETRES)
    write_analyze(tmp_path / "deep.mask.hdr", eye())
    (tmp_path / "sub").mkdir()
    write_analyze(tmp_path / "sub" / "c.hdr", eye())

    assert find_scans(tmp_path) == [str(tmp_path / name) for name in ("a.hdr", "b.hdr", "sub/c.hdr")]
    assert files_read_for(header) == [header, header.with_suffix(".img")]
    assert files_read_for(header.with_suffix(".img")) == [header.with_suffix(".img"), header]


def test_an_img_of_zeiss_stays_one(tmp_path):
    zeiss = write_profiled(tmp_path, eye())
    write_analyze(tmp_path / "pair.hdr", eye())
    cube = tmp_path / cube_name("Macular Cube", 200, 16)
    cube.write_bytes(img_bytes(textured(200, 1024, 16)))

    assert {scan.removeprefix(f"{tmp_path}/") for scan in find_scans(tmp_path)} == {zeiss.name, cube.name, "pair.hdr"}
    assert [read_volume(path).source.format for path in (zeiss, cube, tmp_path / "pair.img")] == [
        "zeiss-img",
        "zeiss-img",
        "analyze",
    ]


def test_a_header_and_voxels_cut_anywhere_are_refused(tmp_path):
    path = write_analyze(tmp_path / "scan.hdr", eye())
    for file, step in ((path, 23), (path.with_suffix(".img"), 61)):
        whole = file.read_bytes()
        for length in range(0, len(whole), step):
            file.write_bytes(whole[:length])
            with pytest.raises(VolumeReadError, match="; wanted "):
                read_volume(path)
        file.write_bytes(whole)


@pytest.mark.parametrize("kind", ["voxels", "named by its voxels", "big", "nifti"])
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(tmp_path, kind):
    path = tmp_path / "scan.hdr"
    if kind == "nifti":
        write_nifti_pair(path, eye(), MILLIMETRES)
    else:
        write_analyze(path, eye(dtype="float32"), order=">" if kind == "big" else "<", factor=2.0)
    voxels = path.with_suffix(".img")
    count = mutants_asked(40)

    outcome = attack(
        voxels if kind == "named by its voxels" else path, count, file=voxels if kind == "voxels" else path
    )

    assert (outcome.died, outcome.wrong) == ("", ())
    assert outcome.read + outcome.refused == count
