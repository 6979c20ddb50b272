import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from formats.mutants import attack, mutants_asked
from formats.written_matlab import (
    HEADER_5,
    MARK_73,
    array,
    export_variables,
    matrix,
    nested,
    packed,
    write_mat5,
    write_mat73,
)
from formats.written_scans import eye
from octavo.companions import Picture
from octavo.formats import VolumeReadError, list_scans, read_companions, read_volume
from octavo.volume import Laterality, Origin, ScanPattern, Spacing

DATA = Path(__file__).parents[4] / "shared" / "data" / "oct_circle_mat"
STORED = np.ascontiguousarray(eye().transpose(1, 2, 0))
"""The planted eye as MATLAB users keep it: rows are depth, columns A-scans, pages B-scans."""

WRITERS = [
    pytest.param(lambda path, variables: write_mat5(path, variables), id="v7"),
    pytest.param(lambda path, variables: write_mat5(path, variables, packed=False), id="v6"),
    pytest.param(lambda path, variables: write_mat73(path, variables), id="v7.3"),
    pytest.param(lambda path, variables: write_mat73(path, variables, packed=False), id="v7.3-plain"),
    pytest.param(lambda path, variables: write_mat73(path, variables, chunks=True), id="v7.3-chunks"),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_the_only_array_of_three_axes_is_the_scan_and_a_note_says_how(tmp_path, write, dtype):
    path = write(tmp_path / "a_OS.mat", {"volume": STORED.astype(dtype), "age": np.float64(71), "name": "Doe"})

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm == Spacing()
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OS, Origin.DERIVED)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.ASSUMED)
    assert "rows, columns and pages are taken as depth, A-scans and B-scans" in volume.notes[0]
    assert "Doe" not in repr(volume)


@pytest.mark.parametrize("write", WRITERS)
def test_axes_say_otherwise(tmp_path, write):
    path = write(tmp_path / "a.mat", {"volume": eye()})

    volume = read_volume(path, axes="bscan,depth,ascan")

    np.testing.assert_array_equal(volume.values, eye())


@pytest.mark.parametrize("write", WRITERS)
def test_several_scans_are_listed_and_a_key_names_one(tmp_path, write):
    path = write(tmp_path / "a.mat", {"first": STORED, "second": STORED[:, :, :2] + 1})

    assert sorted(list_scans(path)) == ["first: 12 x 16 x 4 uint8", "second: 12 x 16 x 2 uint8"]
    np.testing.assert_array_equal(read_volume(path, key="second").values, eye()[:2] + 1)
    with pytest.raises(VolumeReadError, match=r"'frist' is not an array of this file; .* did you mean 'first'"):
        read_volume(path, key="frist")
    with pytest.raises(VolumeReadError, match="holds 2 scans"):
        read_volume(path)


def test_arrays_in_structures_and_cells_have_dotted_names(tmp_path):
    parts = np.empty(2, object)
    parts[:] = [STORED, "text"]
    path = write_mat5(tmp_path / "a.mat", {"scan": {"inner": {"images": STORED}}, "parts": parts})

    assert sorted(list_scans(path)) == ["parts{1}: 12 x 16 x 4 uint8", "scan.inner.images: 12 x 16 x 4 uint8"]
    for key in ("scan", "scan.inner", "scan.inner.images", "parts", "parts{1}"):
        np.testing.assert_array_equal(read_volume(path, key=key).values, eye())


def test_groups_of_version_73_are_structures(tmp_path):
    path = write_mat73(tmp_path / "a.mat", {"scan.images": STORED, "scan.age": np.float64(3)})

    np.testing.assert_array_equal(read_volume(path, key="scan.images").values, eye())


def test_elements_of_an_array_of_structures_are_numbered(tmp_path):
    records = np.zeros((1, 2), [("images", object)])
    records["images"][0, 0], records["images"][0, 1] = STORED, STORED + 1

    path = write_mat5(tmp_path / "a.mat", {"scans": records})

    np.testing.assert_array_equal(read_volume(path, key="scans(2).images").values, eye() + 1)


def test_one_picture_counts_only_alone_or_when_named(tmp_path):
    bscan = np.arange(20 * 30, dtype=np.float64).reshape(20, 30)
    alone = write_mat5(tmp_path / "a.mat", {"picture": bscan, "age": np.float64(3), "small": np.ones((3, 30))})
    among = write_mat5(tmp_path / "b.mat", {"picture": bscan, "other": bscan + 1})

    np.testing.assert_array_equal(read_volume(alone).values, bscan[None])
    assert "rows are taken as depth" in read_volume(alone).notes[0]
    np.testing.assert_array_equal(read_volume(among, key="other").values, bscan[None] + 1)
    with pytest.raises(VolumeReadError, match=r"wanted one array of three axes; name the B-scan or volume with --key"):
        read_volume(among)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("word", ["OD", "OS"])
def test_an_export_spread_over_variables_says_all_it_knows(tmp_path, write, word):
    path = write(tmp_path / "a.mat", export_variables(eye(), eye=word))

    volume = read_volume(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.spacing_mm == Spacing(0.12, 0.0039, 0.0113)
    assert (volume.laterality, volume.laterality_origin) == (Laterality(word), Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.READ)
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("pattern", "expected"), [(1, ScanPattern.LINE), (2, ScanPattern.CIRCLE), (9, ScanPattern.UNKNOWN)]
)
def test_only_a_raster_has_a_distance_between_bscans(tmp_path, pattern, expected):
    path = write_mat5(tmp_path / "a.mat", export_variables(eye(1), pattern=pattern))

    volume = read_volume(path)

    assert volume.pattern is expected
    assert volume.spacing_mm == Spacing(None, 0.0039, 0.0113)


@pytest.mark.parametrize("change", [{"NumBScans": 5}, {"NumBScans": 3}, {"NumBScans": 2**30}, {"B2": eye()[2][:, :9]}])
def test_a_lost_or_further_bscan_is_refused(tmp_path, change):
    path = write_mat5(tmp_path / "a.mat", {**export_variables(eye()), **change})

    with pytest.raises(VolumeReadError, match=r"header promises .* B-scans, and 4 are there, .*; wanted as many"):
        read_volume(path)


def test_a_gap_among_the_bscans_is_refused(tmp_path):
    variables = export_variables(eye())
    variables["B7"] = variables.pop("B3")

    with pytest.raises(VolumeReadError, match="numbers of B-scans are missing; wanted B0 and on"):
        read_volume(write_mat5(tmp_path / "a.mat", variables))


def test_layers_and_the_infrared_image_of_an_export_come_along(tmp_path):
    layers = np.random.default_rng(0).uniform(0, 11, (4, 3, 16)).astype(np.float32)
    layers[1, 2, 5] = 3.4e38
    slo = np.arange(30, dtype=np.uint8).reshape(5, 6)
    more = {f"B{number}seg": bscan for number, bscan in enumerate(layers)}
    path = write_mat5(
        tmp_path / "a.mat",
        {**export_variables(eye()), **more, "SLO": slo, "ScaleXSlo": np.float64(0.01), "ScaleYSlo": np.float64(0.02)},
    )

    companions = read_companions(path)

    assert [surface.name for surface in companions.surfaces] == ["ILM", "BM", "RNFL"]
    np.testing.assert_array_equal(companions.surfaces[0].depth, layers[:, 0])
    assert np.isnan(companions.surfaces[2].depth[1, 5])
    assert companions.surfaces[2].known_share == 63 / 64
    picture = companions.pictures[0]
    assert (picture.kind, picture.spacing_mm) == (Picture.INFRARED, (0.02, 0.01))
    np.testing.assert_array_equal(picture.values, slo)


@pytest.mark.parametrize("write", WRITERS)
def test_layer_maps_are_surfaces_counted_from_one(tmp_path, write):
    maps = np.random.default_rng(0).uniform(1, 12, (4, 16, 3))
    maps[:, :4] = np.nan
    path = write(tmp_path / "a.mat", {"images": STORED.astype(np.float64), "layerMaps": maps, "Age": np.float64(70)})

    volume, companions = read_volume(path), read_companions(path)

    np.testing.assert_array_equal(volume.values, eye())
    assert volume.notes == ()
    assert [surface.name for surface in companions.surfaces] == ["ILM", "inner RPEDC", "BM"]
    np.testing.assert_allclose(companions.surfaces[1].depth, maps[:, :, 1] - 1)
    assert companions.surfaces[0].known_share == 0.75
    assert "count from 1" in companions.notes[0]


def test_manual_and_automatic_lines_are_surfaces(tmp_path):
    lines = np.random.default_rng(0).uniform(1, 12, (8, 16, 4))
    variables = {"images": STORED, "manualLayers1": lines, "automaticLayersDME": lines + 1, "manualFluid1": STORED}
    path = write_mat5(tmp_path / "a.mat", variables)

    companions = read_companions(path)

    assert read_volume(path).shape == (4, 12, 16)
    assert len(companions.surfaces) == 16
    assert companions.surfaces[0].name == "ILM (manual 1)"
    np.testing.assert_allclose(companions.surfaces[7].depth, lines[7].T - 1)
    np.testing.assert_allclose(companions.surfaces[8].depth, lines[0].T)


def test_small_groups_in_the_newer_layout_are_read(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512, libver=("v108", "v108")) as file:
        file.create_dataset("volume", data=STORED.T, chunks=(2, 5, 5), compression="gzip")
        file.create_dataset("plain", data=np.ones((3, 3)))
    with (tmp_path / "a.mat").open("r+b") as file:
        file.write(MARK_73)

    np.testing.assert_array_equal(read_volume(tmp_path / "a.mat").values, eye())


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"libver": "latest"}, r"stores samples by layout .*; wanted 3; save it in MATLAB with -v7"),
        ({"fletcher32": True}, "went through filter 3; wanted deflate and shuffle only"),
    ],
)
def test_other_ways_of_storing_are_refused_with_the_cure(tmp_path, how, sentence):
    with h5py.File(tmp_path / "a.mat", "w", libver=how.pop("libver", "earliest")) as file:
        file.create_dataset("volume", data=STORED.T, chunks=(2, 5, 5), **how)

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(tmp_path / "a.mat")


def test_a_chunk_that_was_never_written_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("volume", shape=(4, 16, 12), dtype="u1", chunks=(2, 16, 12))[:2] = 7

    with pytest.raises(VolumeReadError, match="1 of 2 chunks are there; wanted all"):
        read_volume(tmp_path / "a.mat")


def test_what_is_no_plain_number_is_stepped_over(tmp_path):
    handle = np.zeros((1, 1), [("fn", object)])
    handle["fn"][0, 0] = np.array([[1 + 2j]])
    path = write_mat5(
        tmp_path / "a.mat", {"volume": STORED, "complex": STORED * 1j, "text": "x" * 50, "record": handle}
    )

    assert len(list_scans(path)) == 1
    np.testing.assert_array_equal(read_volume(path).values, eye())


def test_the_handwritten_variable_is_one(tmp_path):
    values = STORED.tobytes(order="F")
    for number, content in enumerate((array(b"v", (12, 16, 4), values), packed(array(b"v", (12, 16, 4), values)))):
        (tmp_path / f"{number}.mat").write_bytes(HEADER_5 + content)
        np.testing.assert_array_equal(read_volume(tmp_path / f"{number}.mat").values, eye())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (array(b"v", (2**15, 2**15, 2**15), b"1"), "wanted at most 536870912"),
        (
            array(b"v", (12, 16, 5), STORED.tobytes()),
            "header promises 12 x 16 x 5 samples, which are 960 bytes, and 768",
        ),
        (array(b"v", (12, -16, 4), STORED.tobytes()), "wanted at least one along every axis"),
        (array(b"v", (12, 16, 4), STORED.tobytes(), kind=77), "samples are of type 77; wanted numbers"),
        (array(b"v", (12, 16, 4), STORED.tobytes())[:-1], "is cut short"),
        (packed(array(b"v", (12, 16, 4), STORED.tobytes()))[:-1], "is cut short"),
        (packed(array(b"v", (1024, 1024, 256), bytes(2**28))), "stored bytes promise 268435456 bytes of voxels"),
        (packed(array(b"v", (12, 16, 4), STORED.tobytes()), trailer=False), "wanted a whole zlib stream"),
        (struct.pack("<II", 99, 8) + bytes(8), "element at byte 128 is of type 99; wanted a variable"),
        (nested(200), "holds no plain array; wanted one array of three axes"),
        (array(b"v", (12, 16, 4), STORED.tobytes()) * 2, "two arrays of one name"),
        (matrix(b"\1\0\0\0\0\0\0\0" * 9), "wanted|cannot be parsed"),
    ],
)
def test_variables_that_lie_are_refused(tmp_path, content, sentence):
    (tmp_path / "a.mat").write_bytes(HEADER_5 + content)

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(tmp_path / "a.mat")


def test_a_bomb_in_a_structure_is_refused_while_it_unpacks(tmp_path):
    flags, lengths = struct.pack("<IIII", 6, 8, 2, 0), struct.pack("<IIii", 5, 8, 1, 1)
    names = struct.pack("<HHI", 5, 4, 8) + struct.pack("<II", 1, 16) + b"a".ljust(8, b"\0") + b"b".ljust(8, b"\0")
    fields = array(b"", (2**27, 1), bytes(2**27), kind=2, family=3) + array(b"", (1, 1), b"1")
    bomb = matrix(flags + lengths + struct.pack("<HH", 1, 1) + b"s\0\0\0" + names + fields)
    (tmp_path / "a.mat").write_bytes(HEADER_5 + packed(bomb))

    with pytest.raises(VolumeReadError, match=r"unpack to more than 67108864 bytes; wanted a scan.*save it with -v6"):
        read_volume(tmp_path / "a.mat")


@pytest.mark.parametrize("at", [-1, -4, -40])
def test_a_changed_byte_in_packed_samples_is_noticed(tmp_path, at):
    content = bytearray(write_mat5(tmp_path / "a.mat", {"v": STORED}).read_bytes())
    content[at] ^= 1
    (tmp_path / "a.mat").write_bytes(content)

    with pytest.raises(VolumeReadError):
        read_volume(tmp_path / "a.mat")


def test_version_73_that_promises_more_or_holds_itself_is_refused(tmp_path):
    content = bytearray(write_mat73(tmp_path / "a.mat", {"v": STORED}).read_bytes())
    content[512 + 40 + 4] = 9
    (tmp_path / "a.mat").write_bytes(content)
    with h5py.File(tmp_path / "b.mat", "w") as file:
        group = file.create_group("a")
        group["again"] = group

    with pytest.raises(
        VolumeReadError, match=f"header promises .* bytes, and the file holds {len(content)}; wanted all"
    ):
        read_volume(tmp_path / "a.mat")
    with pytest.raises(VolumeReadError, match="a structure holds itself; wanted a tree"):
        read_volume(tmp_path / "b.mat")


@pytest.mark.parametrize("write", WRITERS)
def test_cut_anywhere_it_is_refused(tmp_path, write):
    path = write(tmp_path / "a.mat", {"volume": STORED})
    whole = path.read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 80)):
        path.write_bytes(whole[:length])
        with pytest.raises(VolumeReadError):
            read_volume(path)


def test_what_is_no_matlab_file_is_told_so(tmp_path):
    (tmp_path / "old.mat").write_bytes(struct.pack("<5i", 0, 3, 3, 0, 2) + b"a\0" + bytes(72))

    with pytest.raises(
        VolumeReadError, match=r"do not begin as MATLAB's files of version 5 or later do; wanted a .mat"
    ):
        read_volume(tmp_path / "old.mat")


@pytest.mark.parametrize("write", WRITERS)
def test_mutants_of_a_plain_volume_give_a_sentence_or_a_plausible_one(tmp_path, write):
    path = write(tmp_path / "a.mat", {"images": STORED, "layerMaps": np.ones((4, 16, 3))})
    count = mutants_asked(60)

    outcome = attack(path, count)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.refused >= count // 10


def real(test):
    """A test of the sample scans beside the repository; their pixels stay where they are."""
    skipped = pytest.mark.skipif(not DATA.exists(), reason=f"the sample scans are not in {DATA}")
    return pytest.mark.real(skipped(test))


@real
@pytest.mark.parametrize("key", [None, "B0"])
def test_the_real_circle_says_geometry_eye_and_pattern(key):
    volume = read_volume(DATA / "circularScan_anon.mat", key=key)

    np.testing.assert_array_equal(volume.values[0], loadmat(DATA / "circularScan_anon.mat")["B0"])
    assert volume.shape == (1, 496, 768)
    assert volume.spacing_mm.depth == pytest.approx(0.0038717, rel=1e-4)
    assert volume.spacing_mm.ascan == pytest.approx(0.0142414, rel=1e-4)
    assert volume.spacing_mm.bscan is None
    assert (volume.laterality, volume.laterality_origin) == (Laterality.OD, Origin.READ)
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.CIRCLE, Origin.READ)


@real
def test_real_surfaces_lie_on_the_tissue():
    companions = read_companions(DATA / "circularScan_anon.mat")
    bscan = read_volume(DATA / "circularScan_anon.mat").values[0] ** 0.25
    names = [surface.name for surface in companions.surfaces]

    assert names == ["ILM", "BM", "RNFL", *(f"surface {number}" for number in range(1, 10))]
    assert companions.pictures[0].values.shape == (768, 768)
    ilm, drawn = companions.surfaces[0].depth[0], companions.surfaces[3].depth[0]
    assert np.median(np.abs(ilm - drawn)) < 2
    rows, columns = np.round(drawn).astype(int), np.arange(768)
    assert bscan[rows + 4, columns].mean() > 2 * bscan[rows - 4, columns].mean()


@real
def test_a_real_file_of_boundaries_is_no_scan():
    with pytest.raises(VolumeReadError, match=r"holds interpolation .*; wanted one array of three axes"):
        read_volume(DATA / "circularScan_9_boundaries.mat")
