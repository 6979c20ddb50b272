import io
import itertools
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from formats.written_scans import eye
from octavo.formats import VolumeReadError, list_scans, read_volume, write_volume
from octavo.volume import (
    AXES,
    Frame,
    Laterality,
    Origin,
    Region,
    ScanPattern,
    SlowAxis,
    Source,
    Spacing,
    Volume,
)


class Explodes:
    """An object whose unpickling would be seen."""

    def __reduce__(self):
        return (print, ("the array ran code",))


@pytest.mark.parametrize("order", list(itertools.permutations(AXES)))
@pytest.mark.parametrize("column_order", [False, True])
def test_every_stored_order_comes_back_as_bscan_depth_ascan(tmp_path, order, column_order):
    values = eye(3, 5, 7)
    stored = values.transpose([AXES.index(axis) for axis in order])
    np.save(tmp_path / "eye.npy", np.asfortranarray(stored) if column_order else np.ascontiguousarray(stored))

    volume = read_volume(tmp_path / "eye.npy", axes=",".join(order))

    np.testing.assert_array_equal(volume.values, values)


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<i4", "int64", "float16", ">f4", "float64"])
def test_samples_keep_their_type_in_this_machines_byte_order(tmp_path, dtype):
    np.save(tmp_path / "eye.npy", eye(dtype=dtype))

    volume = read_volume(tmp_path / "eye.npy")

    assert volume.values.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(volume.values, eye())


def test_an_array_says_nothing_of_millimetres_or_the_eye(tmp_path):
    np.save(tmp_path / "eye.npy", eye())

    volume = read_volume(tmp_path / "eye.npy")

    assert volume.spacing_mm == Spacing()
    assert volume.laterality is Laterality.UNKNOWN
    assert (volume.pattern, volume.pattern_origin) == (ScanPattern.RASTER, Origin.ASSUMED)
    assert volume.slow_axis is SlowAxis.UNKNOWN


def test_yes_and_no_become_one_and_zero(tmp_path):
    np.save(tmp_path / "mask.npy", eye() > 100)

    volume = read_volume(tmp_path / "mask.npy")

    assert volume.values.dtype == np.uint8
    np.testing.assert_array_equal(volume.values, eye() > 100)


@pytest.mark.parametrize(("axes", "turned"), [(None, False), ("ascan,bscan,depth", True)])
def test_two_axes_are_one_bscan(tmp_path, axes, turned):
    bscan = eye()[0]
    np.save(tmp_path / "line.npy", bscan.T if turned else bscan)

    volume = read_volume(tmp_path / "line.npy", axes=axes)

    np.testing.assert_array_equal(volume.values, bscan[None])
    assert volume.pattern is ScanPattern.UNKNOWN


def test_the_only_array_of_three_axes_is_the_scan(tmp_path):
    np.savez_compressed(tmp_path / "exam.npz", data=eye(), pos=np.arange(6.0), flat=np.zeros((4, 4)))

    np.testing.assert_array_equal(read_volume(tmp_path / "exam.npz").values, eye())


def test_several_arrays_are_listed_until_one_is_named(tmp_path):
    np.savez(tmp_path / "exam.npz", left=eye(3), right=eye(5))

    with pytest.raises(VolumeReadError, match=r"holds 2 scans \(#1 left: 3 x 12 x 16 uint8; #2 right: 5 x 12 x 16"):
        read_volume(tmp_path / "exam.npz")

    assert list_scans(tmp_path / "exam.npz") == ["left: 3 x 12 x 16 uint8", "right: 5 x 12 x 16 uint8"]
    assert read_volume(tmp_path / "exam.npz", key="right").shape[0] == 5
    assert read_volume(f"{tmp_path}/exam.npz#2").shape[0] == 5
    assert read_volume(tmp_path / "exam.npz", scan=1).source.path.endswith("exam.npz#1")


def test_an_unknown_key_lists_the_known_ones(tmp_path):
    np.savez(tmp_path / "exam.npz", data=eye())

    with pytest.raises(VolumeReadError, match=r"'dat' is not an array of this archive; wanted one of: data; did you"):
        read_volume(tmp_path / "exam.npz", key="dat")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_objects_are_never_unpickled(tmp_path, suffix, capsys):
    array = np.empty((2, 2, 2), dtype=object)
    array[:] = Explodes()
    with (tmp_path / f"evil.{suffix}").open("wb") as file:
        np.save(file, array, allow_pickle=True) if suffix == "npy" else np.savez(file, data=array)

    with pytest.raises(VolumeReadError, match="holds Python objects"):
        read_volume(tmp_path / f"evil.{suffix}")

    assert capsys.readouterr().out == ""


def header_of(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (header_of("(3, 5, 7)") + bytes(range(104)), "holds 104 bytes of voxels; wanted the 105"),
        (header_of("(3, 5, 7)") + bytes(range(106)), "goes on after the 105 bytes"),
        (header_of("(99999, 99999, 99999)") + b"x", "wanted at most 536870912"),
        (header_of("(0, 5, 7)"), "at least one along every axis"),
        (header_of("(-3, 5, 7)") + bytes(105), "at least one along every axis"),
        (header_of("(3, 5, 7)", "'<c8'") + bytes(840), "complex64"),
        (header_of("(3, 5, 7)", "[('a', 'u1')]") + bytes(105), "wanted whole or floating-point"),
        (header_of("(3, 5, 7)", "'<f16'") + bytes(1680), "at most 64 bits"),
        (header_of("(2, 3, 5, 7)") + bytes(210), "array has 4 axes; wanted three"),
        (header_of("__import__('os').getpid()"), "cannot be parsed"),
        (b"\x93NUMPY\2\0" + (2**31).to_bytes(4, "little"), "array header is 2147483648 bytes long"),
        (b"\x93NUMPY\7\0", "wanted NumPy's format 1.0 or 2.0"),
        (b"\x93NUM", "file of no known kind|do not begin as NumPy's files do"),
        (b"exam_id,path\n", "do not begin as NumPy's files do"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, content, sentence):
    (tmp_path / "eye.npy").write_bytes(content)

    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(tmp_path / "eye.npy")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        content = io.BytesIO()
        content.write(header_of("(512, 512, 512)"))
        content.write(bytes(2**27))
        archive.writestr("data.npy", content.getvalue())

    assert (tmp_path / "bomb.npz").stat().st_size < 2**18
    with pytest.raises(VolumeReadError, match=r"stored bytes promise 134217728 bytes of voxels; wanted at most 200"):
        read_volume(tmp_path / "bomb.npz")


def test_a_member_longer_than_its_header_promises_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", header_of("(3, 5, 7)") + bytes(2**24))

    with pytest.raises(VolumeReadError, match="goes on after the 105 bytes"):
        read_volume(tmp_path / "long.npz")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_counted(tmp_path, bad):
    values = eye(dtype="float32")
    values[1, 2, 3] = bad
    np.save(tmp_path / "eye.npy", values)

    with pytest.raises(VolumeReadError, match=r"eye.npy: 1 of 768 values are not finite"):
        read_volume(tmp_path / "eye.npy")


said = st.fixed_dictionaries(
    {
        "values": arrays(st.sampled_from([np.uint8, np.int16, np.float32]), (2, 3, 4), elements=st.integers(0, 100)),
        "spacing_mm": st.tuples(
            *[st.none() | st.floats(1e-3, 10)] * 3, st.tuples(*[st.sampled_from(list(Origin)[:4])] * 3)
        ),
        "laterality": st.sampled_from(Laterality),
        "laterality_origin": st.sampled_from(Origin),
        "pattern": st.sampled_from(ScanPattern),
        "pattern_origin": st.sampled_from(Origin),
        "slow_axis": st.sampled_from(SlowAxis),
        "slow_axis_origin": st.sampled_from(Origin),
        "region": st.sampled_from(Region),
        "region_origin": st.sampled_from(Origin),
        "frame": st.sampled_from(Frame),
        "device": st.text(max_size=20),
        "notes": st.lists(st.text(max_size=20), max_size=2),
    }
)


def same(one: Volume, other: Volume) -> bool:
    """Whether two volumes say the same about everything but where they came from."""
    fields = [name for name in one.__dataclass_fields__ if name not in {"values", "source"}]
    return (
        one.values.dtype == other.values.dtype
        and np.array_equal(one.values, other.values)
        and all(getattr(one, name) == getattr(other, name) for name in fields)
        and one.source.device == other.source.device
    )


@given(said=said)
def test_octavos_own_archive_brings_everything_back(tmp_path_factory, said):
    spacing, notes, device = Spacing(*said.pop("spacing_mm")), tuple(said.pop("notes")), said.pop("device")
    volume = Volume(**said, spacing_mm=spacing, notes=notes, source=Source(device=device))
    path = tmp_path_factory.mktemp("own") / "scan.npz"
    write_volume(volume, path)

    assert same(read_volume(path, allow_constant=True, spacing_mm=None), volume)


def own_archive(tmp_path, **changes) -> str:
    """octavo's archive with some of its geometry overwritten."""
    path = write_volume(Volume(eye(), Spacing(0.1, 0.004, 0.01)), tmp_path / "own.npz", overwrite=True)
    with np.load(path) as stored:
        archive = dict(stored)
    geometry = json.loads(bytes(archive["geometry"])) | changes
    archive["geometry"] = np.frombuffer(json.dumps(geometry).encode(), np.uint8)
    np.savez(tmp_path / "own.npz", **archive)
    return str(tmp_path / "own.npz")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"shape": [4, 16, 12]}, r"voxels have shape \(4, 12, 16\), and octavo's own geometry"),
        ({"octavo_volume": 99}, "of another version than 1"),
        ({"laterality": "middle"}, "geometry is damaged"),
        ({"spacing_mm": [0.1, -1, 0.01]}, "wanted a positive number of millimetres"),
        ({"spacing_mm": [300.0, 0.004, 0.01]}, "spacing along bscan cannot be true: 300000 x 4 x 10 um"),
        ({"notes": 7}, "geometry is damaged"),
    ],
)
def test_geometry_that_cannot_be_true_is_refused(tmp_path, changes, sentence):
    with pytest.raises(VolumeReadError, match=sentence):
        read_volume(own_archive(tmp_path, **changes))


def test_own_axes_and_given_axes_are_not_mixed(tmp_path):
    with pytest.raises(VolumeReadError, match="states its own axes"):
        read_volume(own_archive(tmp_path), axes="depth,bscan,ascan")
    assert read_volume(own_archive(tmp_path), axes="bscan,depth,ascan").spacing_mm.is_known
