import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import FREE_BYTES, MAX_RATIO, MAX_VOXELS, check_size, expect_end, is_bomb, read_exactly


def test_the_largest_volume_is_taken_and_one_more_bscan_is_not():
    assert check_size((MAX_VOXELS // 2**18, 2**9, 2**9), 1, MAX_VOXELS) == MAX_VOXELS
    with pytest.raises(VolumeReadError, match="at most 536870912"):
        check_size((MAX_VOXELS // 2**18 + 1, 2**9, 2**9), 1, MAX_VOXELS)


@given(st.lists(st.integers(-3, 0), min_size=1, max_size=3))
def test_empty_and_negative_axes_are_refused(lengths):
    with pytest.raises(VolumeReadError, match="at least one along every axis"):
        check_size(lengths, 1, 100)


def test_a_bomb_is_more_than_the_ratio_and_more_than_the_free_bytes():
    assert not is_bomb(FREE_BYTES, 1)
    assert not is_bomb(MAX_RATIO * 2**20, 2**20)
    assert is_bomb(MAX_RATIO * 2**20 + 1, 2**20)


class _Endless:
    """A stream that counts what is asked of it."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int, /) -> bytes:
        self.given += size
        return bytes(size)


def test_no_more_is_taken_from_a_stream_than_was_promised():
    stream = _Endless()

    assert len(read_exactly(stream, 3 * 2**20 + 5)) == 3 * 2**20 + 5
    assert stream.given == 3 * 2**20 + 5


def test_short_and_long_streams_are_refused():
    with pytest.raises(VolumeReadError, match=r"holds 3 bytes of voxels; wanted the 4"):
        read_exactly(io.BytesIO(b"abc"), 4)
    with pytest.raises(VolumeReadError, match="goes on after the 3 bytes"):
        expect_end(io.BytesIO(b"x"), 3)
    expect_end(io.BytesIO(b""), 3)
