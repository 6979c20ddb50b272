import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.animation import ANIMATION_STYLE, animate_bscans, palette, to_palette
from octavo.figures.colours import OUTLINE
from octavo.figures.framing import PictureStyle
from octavo.figures.layers import Layers, compose
from octavo.figures.overlay import picture_bscan
from octavo.volume import Volume

SMALL = PictureStyle(width_px=200, height_px=150)


def frames_of(encoded):
    image = Image.open(io.BytesIO(encoded))
    frames = []
    for number in range(image.n_frames):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")))
    return frames


def test_there_is_one_frame_for_each_bscan_and_each_is_the_still_picture(scan):
    frames = frames_of(animate_bscans(scan.volume, scan.heat, mask=scan.mask, exam_id="exam_7", style=SMALL))
    assert len(frames) == 12
    for index in (0, 3, 11):
        still = np.asarray(picture_bscan(scan.volume, index, scan.heat, mask=scan.mask, exam_id="exam_7", style=SMALL))
        assert frames[index].shape == still.shape
        assert np.abs(frames[index].astype(int) - still.astype(int)).mean() < 6
        assert np.array_equal(np.all(frames[index] == OUTLINE, axis=2), np.all(still == OUTLINE, axis=2))


def test_bscans_that_are_alike_keep_their_frames():
    volume = Volume(np.full((7, 8, 9), 100, np.uint8))
    assert len(frames_of(animate_bscans(volume, style=SMALL))) == 7


def test_tissue_stays_grey_and_heat_stays_coloured(scan):
    frames = frames_of(animate_bscans(scan.volume, scan.heat, style=SMALL))
    panel = (slice(8, 74), slice(30, 190))
    cold, hot = np.ptp(frames[11][panel].astype(int), axis=2), np.ptp(frames[3][panel].astype(int), axis=2)
    assert not cold.any()
    assert hot.max() > 80


def test_the_palette_is_within_a_step_of_the_true_colours():
    generator = np.random.default_rng(4)
    layers = Layers(
        generator.integers(0, 256, (60, 60), dtype=np.uint8), generator.random((60, 60)), np.zeros((60, 60), bool)
    )
    colours = palette()
    assert len(colours) <= 256
    shown = colours[to_palette(layers)].astype(int)
    assert np.abs(shown - np.asarray(compose(layers)).astype(int)).max() <= 24
    plain = Layers(layers.grey, np.zeros((60, 60)), layers.outline)
    shown = colours[to_palette(plain)].astype(int)
    assert np.all(np.ptp(shown, axis=2) == 0), "grey stays grey"
    assert np.abs(shown[..., 0] - layers.grey).max() <= 2


def test_a_file_that_is_too_large_is_drawn_smaller_with_all_frames(scan):
    free = animate_bscans(scan.volume, scan.heat)
    bound = len(free) // 3
    bounded = animate_bscans(scan.volume, scan.heat, max_bytes=bound)
    assert len(bounded) <= bound
    small, large = frames_of(bounded), frames_of(free)
    assert len(small) == len(large) == 12
    assert small[0].shape[1] < large[0].shape[1]


def test_the_same_scan_gives_the_same_bytes_and_plays_for_ever(scan):
    first, second = (animate_bscans(scan.volume, scan.heat, style=SMALL, frame_ms=150) for _ in range(2))
    assert first == second
    image = Image.open(io.BytesIO(first))
    assert image.info["loop"] == 0
    assert image.info["duration"] == 150


def test_what_cannot_be_played_is_refused(scan):
    with pytest.raises(OctavoError, match="wanted 20 or more"):
        animate_bscans(scan.volume, frame_ms=5)
    with pytest.raises(OctavoError, match="allow more"):
        animate_bscans(scan.volume, style=SMALL, max_bytes=1000)
    with pytest.raises(OctavoError, match="without captions"):
        animate_bscans(scan.volume, style=dataclasses.replace(ANIMATION_STYLE, annotated=False))
    with pytest.raises(OctavoError, match="divide the map"):
        animate_bscans(scan.volume, scan.heat * 3)
