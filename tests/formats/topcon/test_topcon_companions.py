"""What comes with the B-scans of a Topcon file."""

import struct

import numpy as np
import pytest

from formats.written_scans import eye
from formats.written_topcon import (
    BLOCK,
    chunk,
    compressed,
    contour,
    infrared,
    photograph,
    projection,
    topcon_bytes,
    written,
)
from octavo.companions import Picture
from octavo.formats import read_companions, read_volume

SHAPE = (4, 12, 16)


def companions(tmp_path, *more: bytes):
    return read_companions(written(tmp_path, topcon_bytes(BLOCK, more=more)))


def planted_surface(offset: float) -> np.ndarray:
    """A boundary that falls along both axes, so that no flip goes unseen."""
    bscan, ascan = np.ogrid[: SHAPE[0], : SHAPE[2]]
    return offset + bscan + ascan // 4 * 0.5


def test_surfaces_lie_where_they_were_planted(tmp_path):
    planted = planted_surface(2.0)
    planted[1, 3] = np.nan
    found = companions(tmp_path, contour(b"MULTILAYERS_1", planted, 12), contour(b"MULTILAYERS_7", planted + 3, 12))

    assert [surface.name for surface in found.surfaces] == ["ILM", "BM"]
    for surface, depth in zip(found.surfaces, (planted, planted + 3), strict=True):
        assert np.isnan(surface.depth[1, 3])
        assert surface.known_share == 63 / 64
        # Whole numbers are stored.
        assert np.nanmax(np.abs(surface.depth - depth)) <= 0.5
    assert found.notes == ()


def test_a_surface_follows_the_pixels_it_was_drawn_on(tmp_path):
    values, planted = np.full(SHAPE, 10, np.uint8), planted_surface(2.0).round()
    values[np.arange(12)[None, :, None] >= planted[:, None, :]] = 200
    block, drawn = compressed(values), contour(b"RETINA_1", planted, 12)
    path = written(tmp_path, topcon_bytes(block, more=[drawn]))

    volume, (surface,) = read_volume(path), read_companions(path).surfaces

    first_bright = (volume.values > 100).argmax(axis=1)
    np.testing.assert_array_equal(surface.depth, first_bright)


def test_two_segmentations_keep_their_names_apart(tmp_path):
    flat = np.full(SHAPE[::2], 4.0)
    names = (b"RETINA_1", b"MULTILAYERS_1", b"RETINA_2", b"MULTILAYERS_1", b"NFL_2", b"RETINA_1234")

    found = companions(tmp_path, *(contour(name, flat, 12) for name in names))

    assert [surface.name for surface in found.surfaces] == ["RETINA_1", "ILM", "EZ", "ILM'", "NFL_2", "surface 6"]


def test_surfaces_beyond_the_bscan_are_unknown(tmp_path):
    depth = np.full(SHAPE[::2], 4.0)
    depth[0, 0], depth[0, 1], depth[0, 2] = -3.0, 11.0, 0.0

    (surface,) = companions(tmp_path, contour(b"RETINA_1", depth, 12)).surfaces

    assert np.isnan(surface.depth[0, :2]).all()
    assert surface.depth[0, 2] == 0.0


def test_surfaces_that_fit_no_scan_are_left_out_and_missing_bscans_are_noted(tmp_path):
    whole = np.full((9, 16), 4.0)
    path = written(tmp_path, topcon_bytes(BLOCK, more=[contour(b"RETINA_1", whole, 12)]))

    found = read_companions(path)

    assert found.surfaces == ()
    assert found.notes == ("surface ILM is left out: it is of 9 B-scans of 16 A-scans and the scan has 4 of 16",)
    assert "layer boundaries for 9 B-scans and holds 4; the others are missing" in read_volume(path).notes[0]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (contour(b"CORNEA_1", np.full(SHAPE[::2], 4.0), 12, kind=256), "surface CORNEA_1 is left out: it is stored as"),
        (contour(b"RETINA_1", np.full(SHAPE[::2], 4.0), 12, stated=9999), "surface ILM is left out: it promises 9999"),
        (chunk("@CONTOUR_INFO", b"RETINA_1"), "surface surface 1 is left out: it is cut short"),
        (chunk("@IMG_FUNDUS", b"\0" * 7), "the photograph is left out: it is cut short"),
        (chunk("@IMG_FUNDUS", struct.pack("<6I", 3, 2, 24, 1, 0, 99)), "the photograph is left out: it promises 2 x 3"),
        (chunk("@IMG_TRC_02", b"\xff" * 40), "the infra-red picture is left out: it promises"),
        (
            chunk("@IMG_PROJECTION", struct.pack("<5I", 4, 3, 8, 0, 5) + b"noise"),
            "the projection is left out: it does not",
        ),
    ],
)
def test_what_is_damaged_beside_the_scan_costs_only_itself(tmp_path, bad, sentence):
    good = contour(b"RETINA_4", np.full(SHAPE[::2], 6.0), 12)
    path = written(tmp_path, topcon_bytes(BLOCK, more=[bad, good]))

    found = read_companions(path)

    assert [surface.name for surface in found.surfaces] == ["BM"]
    assert len(found.notes) == 1
    assert found.notes[0].startswith(sentence)
    np.testing.assert_array_equal(read_volume(path).values, eye())


@pytest.mark.parametrize("coded", [True, False])
def test_pictures_come_with_their_colours_and_rows(tmp_path, coded):
    colours = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    grey = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4)
    slab = eye(4, 16, 1, "uint8")[..., 0]

    found = companions(tmp_path, photograph(colours, coded=coded), infrared(grey, coded=coded), projection(slab))

    assert [picture.kind for picture in found.pictures] == [Picture.COLOUR, Picture.INFRARED, Picture.SLAB]
    for picture, planted in zip(found.pictures, (colours, grey, slab), strict=True):
        np.testing.assert_array_equal(picture.values, planted)
    assert found.pictures[0].spacing_mm is None
    assert found.pictures[2].spacing_mm == pytest.approx((0.12, 0.0113))
    assert found.notes == ()


def test_the_older_infrared_record_is_read(tmp_path):
    grey = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4)

    (picture,) = companions(tmp_path, infrared(grey, coded=False, old=True)).pictures

    np.testing.assert_array_equal(picture.values, grey)


def test_a_damaged_boundary_makes_no_bscan_missing(tmp_path):
    lying = contour(b"RETINA_1", np.full((9, 16), 4.0), 12, stated=9998)

    assert read_volume(written(tmp_path, topcon_bytes(BLOCK, more=[lying]))).notes == ()
