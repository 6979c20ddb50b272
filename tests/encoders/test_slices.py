import numpy as np
import pytest
import torch
from PIL import Image

from octavo.encoders.slices import SliceChoice, to_eight_bits, to_pictures
from octavo.errors import OctavoError


@pytest.mark.parametrize(("axis", "at"), [("bscan", 0), ("depth", 1), ("ascan", 2)])
def test_slices_follow_one_another_along_the_axis_that_is_asked_for(axis, at):
    values = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(6, 7, 8)
    slices = SliceChoice(axis, 3).slices(values)
    first = (values.shape[at] - 3) // 2
    assert len(slices) == 3
    for number, one in enumerate(slices):
        np.testing.assert_array_equal(one, np.take(values, first + number, axis=at))


def test_the_central_fifty_and_all_and_fewer_than_asked_for():
    assert SliceChoice("ascan", 50).indices((181, 217, 181)) == range(65, 115)
    assert SliceChoice("ascan", 0).indices((181, 217, 181)) == range(181)
    assert SliceChoice("bscan", 50).indices((19, 496, 512)) == range(19)


def test_a_senseless_count_is_refused():
    with pytest.raises(OctavoError, match="slice count is -1"):
        SliceChoice("bscan", -1)


def test_each_slice_is_spread_on_its_own():
    values = np.stack([np.linspace(0, 1, 12).reshape(3, 4), np.linspace(1000, 4000, 12).reshape(3, 4)])
    spread = to_eight_bits(values)
    np.testing.assert_array_equal(spread[0], spread[1])
    assert spread.min() == 0
    assert spread.max() == 255


def test_a_constant_slice_is_black_finite_and_counted():
    values = np.zeros((2, 8, 8), np.uint16)
    values[1] = np.arange(64).reshape(8, 8)
    made = to_pictures(values)
    assert made.is_constant.tolist() == [True, False]
    assert torch.isfinite(made.pictures).all()
    assert made.pictures[0, 0].unique().numel() == 1


@pytest.mark.parametrize("shape", [(217, 181), (181, 217), (496, 512), (64, 48), (300, 600)])
def test_pictures_are_those_of_an_antialiased_resize_and_a_central_crop(shape):
    rng = np.random.default_rng(0)
    slices = rng.integers(0, 256, (1, *shape), dtype=np.uint8)
    slices[0, 0, :2] = (0, 255)
    made = to_pictures(slices).pictures[0]

    rows, columns = shape
    scale = 256 / min(shape)
    size = (round(columns * scale), round(rows * scale))
    resized = np.asarray(
        Image.fromarray(slices[0].astype(np.float32), mode="F").resize(size, Image.Resampling.BILINEAR)
    )
    top, left = (size[1] - 224) // 2, (size[0] - 224) // 2
    wanted = resized[top : top + 224, left : left + 224] / 255
    for channel, (mean, deviation) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        np.testing.assert_allclose(made[channel].numpy() * deviation + mean, wanted, atol=2e-5)
