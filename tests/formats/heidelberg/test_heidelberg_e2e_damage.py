import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from formats.mutants import attack, mutant, mutants_asked
from formats.written_e2e import (
    BSCAN_TYPE,
    CONTOUR,
    HALF_A_CODE,
    IMAGE,
    INFO,
    PICTURE_TYPE,
    SERIES_EYE,
    Block,
    blocks_of,
    codes_of,
    contour_payload,
    e2e_bytes,
    image_payload,
    planted_raster,
    without,
    write_blocks,
    write_e2e,
)
from formats.written_scans import eye
from octavo.formats import VolumeReadError, list_scans, read_companions, read_volume
from octavo.volume import Laterality, ScanPattern

REAL = Path(__file__).parents[4] / "shared" / "data" / "heidelberg_e2e" / "e2e_minimized.E2E"


@pytest.mark.parametrize(
    ("lost", "kept", "named"), [((3,), slice(0, 3), "4"), ((0,), slice(1, 4), "1"), ((0, 3), slice(1, 3), "1, 4")]
)
def test_a_bscan_missing_at_an_end_is_named(tmp_path, lost, kept, named):
    path = write_blocks(tmp_path, without(blocks_of(planted_raster()), *lost))
    volume = read_volume(path)

    np.testing.assert_allclose(volume.values, eye()[kept], atol=HALF_A_CODE)
    assert f"B-scans {named} of 4 are missing or damaged" in volume.notes
    assert list_scans(path) == [f"{4 - len(lost)} of 4 B-scans of 12 x 16, OD"]


@pytest.mark.parametrize("lines", [True, False])
def test_a_bscan_missing_between_others_is_refused_by_number(tmp_path, lines):
    scan = planted_raster() if lines else planted_raster(lines=None)

    with pytest.raises(VolumeReadError, match=r"B-scans 2 of 4 are missing or damaged; wanted every one between"):
        read_volume(write_blocks(tmp_path, without(blocks_of(scan), 1)))


def test_nobody_counted_the_bscans_is_said(tmp_path):
    for changes in ({"of": 0}, {"lines": None}):
        notes = read_volume(write_e2e(tmp_path, planted_raster(**changes))).notes
        assert any("does not say how many B-scans" in note for note in notes)
    notes = read_volume(write_e2e(tmp_path, planted_raster(of=3))).notes
    assert "the file says that the scan has 3 B-scans, and holds 4" in notes
    notes = read_volume(write_e2e(tmp_path, planted_raster(lines=None))).notes
    assert any("does not say of every B-scan where it lies" in note for note in notes)


def test_a_bscan_that_stands_twice_is_said(tmp_path):
    blocks = blocks_of(planted_raster())
    again = replace(blocks[-1], payload=image_payload(codes_of(eye())[0], BSCAN_TYPE))

    volume = read_volume(write_blocks(tmp_path, [*blocks, again]))

    np.testing.assert_allclose(volume.values[3], eye()[0], atol=HALF_A_CODE)
    assert "B-scans 4 stand several times in the file; the last is used" in volume.notes


def test_a_bscan_with_an_impossible_number_is_left_out_and_said(tmp_path):
    blocks = [
        replace(block, slice=2**30) if block.slice == 6 and block.kind == IMAGE else block
        for block in blocks_of(planted_raster())
    ]

    volume = read_volume(write_blocks(tmp_path, blocks))

    assert volume.shape[0] == 3
    assert "1 B-scans have numbers that the scan does not have, and were left out" in volume.notes
    assert "B-scans 4 of 4 are missing or damaged" in volume.notes


@pytest.mark.parametrize("per_directory", [1, 3, 512])
@pytest.mark.parametrize("prefix", [b"", b"E2EMultipleVolumeFile".ljust(64, b"\0")])
def test_directories_of_any_number_are_read(tmp_path, per_directory, prefix):
    path = write_e2e(tmp_path, planted_raster(picture=eye(1)[0]), per_directory=per_directory, prefix=prefix)

    np.testing.assert_allclose(read_volume(path).values, eye(), atol=HALF_A_CODE)
    assert read_volume(path).notes == read_volume(write_e2e(tmp_path, planted_raster())).notes


def test_a_chain_in_circles_does_no_harm(tmp_path):
    path = write_e2e(tmp_path, planted_raster(), per_directory=3, loops=True)

    np.testing.assert_allclose(read_volume(path).values, eye(), atol=HALF_A_CODE)


def test_the_directory_says_whose_a_chunk_is(tmp_path):
    path = write_e2e(tmp_path, planted_raster())
    content = bytearray(path.read_bytes())
    at = content.rindex(b"MDbData")
    content[at + 44 : at + 48] = struct.pack("<i", 2)  # the last B-scan's own header calls it the second
    path.write_bytes(content)

    np.testing.assert_allclose(read_volume(path).values, eye(), atol=HALF_A_CODE)


def test_what_a_directory_lists_and_is_not_there_is_missing(tmp_path):
    path = write_e2e(tmp_path, planted_raster(lines=None))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"MDbData")] = 0
    path.write_bytes(content)

    volume = read_volume(path)

    assert volume.shape[0] == 3
    assert "B-scans 4 of 4 are missing or damaged" in volume.notes


@pytest.mark.parametrize("kind", [INFO, SERIES_EYE, CONTOUR])
def test_a_damaged_chunk_costs_that_chunk(tmp_path, kind):
    surfaces = {0: np.full((4, 16), 3.5)}
    blocks = blocks_of(planted_raster(surfaces=surfaces))
    path = write_blocks(tmp_path, blocks)
    content = bytearray(path.read_bytes())
    block = next(block for block in blocks if block.kind == kind)
    at = content.index(block.payload)
    content[at + 20] ^= 0x40
    path.write_bytes(content)

    volume, companions = read_volume(path), read_companions(path)

    np.testing.assert_allclose(volume.values, eye(), atol=HALF_A_CODE)
    if kind == CONTOUR:
        assert companions.surfaces[0].known_share == 0.75
        assert companions.notes == ("1 boundaries of B-scans are damaged or of another width and were left out",)
    else:
        assert "1 chunks of the scan are damaged or missing and were passed over" in volume.notes
    assert volume.pattern is (ScanPattern.UNKNOWN if kind == INFO else ScanPattern.RASTER)


def test_damaged_samples_are_said(tmp_path):
    path = write_e2e(tmp_path, planted_raster())
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)

    assert "the samples of B-scans 4 do not add up to what was written: they may be damaged" in read_volume(path).notes


def lied(block: Block, **numbers: int) -> Block:
    payload = bytearray(block.payload)
    for name, value in numbers.items():
        struct.pack_into("<I", payload, {"kind": 4, "count": 8, "rows": 12, "columns": 16}[name], value)
    return replace(block, payload=bytes(payload))


@pytest.mark.parametrize(
    "lie",
    [
        {"rows": 13},
        {"columns": 15},
        {"rows": 0},
        {"rows": 2**31, "columns": 2},
        {"rows": 2**16, "columns": 2**16, "count": 0},
        {"kind": 0x02770201},
        {"count": 7},
    ],
)
def test_an_image_that_lies_about_its_size_is_a_missing_bscan(tmp_path, lie):
    blocks = blocks_of(planted_raster())
    middle = [lied(block, **lie) if block.kind == IMAGE and block.slice == 2 else block for block in blocks]

    with pytest.raises(VolumeReadError, match=r"B-scans 2 of 4 are missing or damaged"):
        read_volume(write_blocks(tmp_path, middle))


def test_bscans_of_two_sizes_are_refused(tmp_path):
    blocks = blocks_of(planted_raster())
    odd = [lied(block, rows=16, columns=12) if block.kind == IMAGE and block.slice == 2 else block for block in blocks]

    with pytest.raises(
        VolumeReadError, match="B-scan 2 is 16 x 12 and B-scan 1 is 12 x 16; wanted B-scans of one size"
    ):
        read_volume(write_blocks(tmp_path, odd))


def salvaged(path: Path):
    try:
        return read_volume(path, scan=1)
    except VolumeReadError:
        return None


def test_truncation_never_costs_a_scan_that_is_whole(tmp_path):
    first, second = planted_raster(ids=(7, 8, 9)), planted_raster(3, ids=(7, 8, 10), letter="L")
    path = write_e2e(tmp_path, first, second)
    whole = path.read_bytes()
    first_ends = len(e2e_bytes(blocks_of(first))) + 44 * len(blocks_of(second))
    outcomes = set()
    for keep in np.linspace(1, len(whole), 200).astype(int):
        path.write_bytes(whole[:keep])
        volume = salvaged(path)
        assert volume is not None or keep < first_ends
        if volume is not None:
            assert volume.shape[0] == 4 or any("of 4 are missing" in note for note in volume.notes)
        if volume is not None and keep >= first_ends:
            np.testing.assert_allclose(volume.values, eye(), atol=HALF_A_CODE)
            assert volume.laterality is Laterality.OD
        outcomes.add("refused" if volume is None else f"{volume.shape[0]} B-scans")
    assert outcomes == {"refused", "1 B-scans", "2 B-scans", "3 B-scans", "4 B-scans"}


def test_sizes_that_lead_nowhere_cost_their_chunk(tmp_path):
    path = write_e2e(tmp_path, planted_raster(4))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"MDbData")
    for place in (at, content.rindex(b"MDbData", 0, at)):
        content[place + 24 : place + 28] = struct.pack("<I", 2**32 - 1)
    path.write_bytes(content)

    np.testing.assert_allclose(read_volume(path).values, eye(), atol=HALF_A_CODE)


def test_a_file_of_nothing_but_marks_is_refused_soon(tmp_path):
    path = tmp_path / "bomb.E2E"
    for mark in (b"MDbDir", b"MDbData"):
        path.write_bytes(b"CMDb".ljust(36, b"\0") + mark.ljust(12, b"\0").ljust(60, b"\xff") * 20_000)
        with pytest.raises(VolumeReadError, match=r"(more than 150000 chunks or 300 directories|no B-scan among them)"):
            read_volume(path)


def test_a_file_without_a_scan_is_refused(tmp_path):
    picture = Block(IMAGE, image_payload(eye(1)[0], PICTURE_TYPE), slice=0, index=0)

    with pytest.raises(VolumeReadError, match="holds 1 chunks that can be read and no B-scan among them; wanted"):
        read_volume(write_blocks(tmp_path, [picture]))
    (tmp_path / "text.e2e").write_text("exam_id,path\n")
    with pytest.raises(VolumeReadError, match="holds 0 chunks that can be read"):
        read_volume(tmp_path / "text.e2e")


@pytest.mark.parametrize("per_directory", [2, 512])
def test_mutants_give_a_sentence_or_a_plausible_volume(tmp_path, per_directory):
    scan = planted_raster(3, picture=eye(1)[0], surfaces={0: np.full((3, 16), 2.5)})
    path = write_e2e(tmp_path, scan, replace(scan, ids=(7, 8, 10), letter="L"), per_directory=per_directory)
    count = mutants_asked(60)

    outcome = attack(path, count, read=lambda path: read_volume(path, scan=1))

    assert (outcome.died, outcome.wrong) == ("", ())
    assert outcome.read + outcome.refused == count


@pytest.mark.parametrize("per_directory", [3, 512])
def test_no_mutant_is_read_as_another_scan_without_a_word(tmp_path, per_directory):
    path = write_e2e(tmp_path, planted_raster(), per_directory=per_directory)
    whole, planted, generator = path.read_bytes(), read_volume(path), np.random.default_rng(5)
    silent = 0
    for _ in range(mutants_asked(100)):
        path.write_bytes(mutant(whole, generator))
        volume = salvaged(path)
        if volume is not None and volume.notes == planted.notes:
            np.testing.assert_array_equal(volume.values, planted.values)
            assert (volume.laterality, volume.spacing_mm) == (planted.laterality, planted.spacing_mm)
            assert (volume.pattern, volume.slow_axis) == (planted.pattern, planted.slow_axis)
            silent += 1
    assert silent


@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason=f"the sample scan is not at {REAL}")
def test_the_sample_cut_anywhere_is_refused_or_whole(tmp_path):
    whole, path = REAL.read_bytes(), tmp_path / "cut.E2E"
    for keep in (100, 400, 2_000, 250_000, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(VolumeReadError, match="no B-scan among them"):
            read_volume(path)
    assert os.path.getsize(REAL) == len(whole)


def test_boundaries_that_need_far_more_memory_than_the_file_has_are_left_out(tmp_path):
    blocks = blocks_of(planted_raster(codes=np.arange(1200 * 400, dtype=np.uint16).reshape(1200, 1, 400), lines=None))
    blocks += [Block(CONTOUR, contour_payload(number, np.zeros(400)), slice=0, index=1) for number in range(60)]

    companions = read_companions(write_blocks(tmp_path, blocks))

    assert companions.surfaces == ()
    assert companions.notes == ("boundaries of 1200 B-scans are more than the file can hold and were left out",)
