import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from octavo.errors import OctavoError
from octavo.figures.framing import (
    DISCLAIMER,
    Edges,
    PictureStyle,
    Scale,
    dashed,
    encode_png,
    panel_size_px,
    with_caption,
    with_edges,
)
from octavo.figures.layers import PAPER_GREY, Layers
from octavo.figures.lettering import INK_GREY, length_text, round_length_mm, shortened, text_width_px, wrapped


def panel(height, width, grey=50):
    return Layers(np.full((height, width), grey, np.uint8), np.zeros((height, width)), np.zeros((height, width), bool))


@given(st.floats(0.1, 30), st.floats(0.1, 30))
def test_a_panel_is_true_to_millimetres_and_fills_its_box(across_mm, down_mm):
    width, height = panel_size_px(Scale(across_mm, down_mm), (1, 1), PictureStyle(600, 400))
    assert width <= 600
    assert height <= 400
    assert width == 600 or height == 400
    assert abs(width / across_mm - height / down_mm) <= 0.5 / min(across_mm, down_mm) + 1e-9


def test_without_millimetres_samples_are_square_but_never_a_strip():
    assert panel_size_px(Scale(), (300, 200), PictureStyle(600, 600)) == (600, 400)
    assert panel_size_px(Scale(), (64, 512), PictureStyle(600, 600)) == (200, 600)


@given(st.floats(0.01, 500))
def test_a_scale_bar_is_round_and_between_a_tenth_and_a_quarter(extent_mm):
    length = round_length_mm(extent_mm)
    assert 0.0999 * extent_mm <= length <= 0.25 * extent_mm * (1 + 1e-6)
    assert f"{length:.0e}"[0] in "125"


def test_lengths_are_written_with_their_unit():
    assert [length_text(value) for value in (2.0, 0.5, 0.1, 0.05, 0.002)] == [
        "2 mm",
        "0.5 mm",
        "0.1 mm",
        "50 µm",
        "2 µm",
    ]


@given(st.text(max_size=60), st.integers(20, 300))
def test_shortened_text_fits_and_keeps_both_ends(text, width_px):
    line = shortened(text, width_px)
    assert line == "…" or text_width_px(line) <= width_px
    whole = " ".join(text.split())
    if line != whole and line != "…":
        first, _, last = line.partition("…")
        assert whole.startswith(first)
        assert whole.endswith(last)


@given(st.text(alphabet="ab cd\n", max_size=80), st.integers(30, 200))
def test_wrapped_text_fits_and_loses_no_word(text, width_px):
    lines = wrapped(text, width_px)
    assert all(text_width_px(line) <= width_px for line in lines)
    if not any("…" in line for line in lines):
        assert " ".join(lines).split() == text.split()


def test_edges_leave_the_panel_untouched():
    tissue = Layers(
        np.random.default_rng(0).integers(0, 256, (80, 200), dtype=np.uint8),
        np.zeros((80, 200)),
        np.zeros((80, 200), bool),
    )
    framed, (left, top) = with_edges(tissue, Edges("T", "N", "S", "I"), Scale(6.0, 2.4), heat_top="1")
    assert np.array_equal(framed.grey[top : top + 80, left : left + 200], tissue.grey)
    assert not framed.heat[top : top + 80, left : left + 200].any()


def test_scale_bars_have_the_length_they_say():
    framed, (left, top) = with_edges(panel(100, 300), Edges(), Scale(6.0, 2.0))
    below = framed.grey[top + 100 :, left : left + 300]
    row = below[(below == INK_GREY).sum(axis=1).argmax()]
    assert (row == INK_GREY).sum() == 50, "1 mm of 6 mm over 300 pixels"
    beside = framed.grey[:, :left]
    column = beside[:, (beside == INK_GREY).sum(axis=0).argmax()]
    assert (column == INK_GREY).sum() == 25, "0.5 mm of 2 mm over 100 pixels"


def test_without_millimetres_there_is_no_scale_bar():
    framed, (left, top) = with_edges(panel(100, 300), Edges(), Scale())
    assert np.all(framed.grey[top + 100 :] == PAPER_GREY)
    assert np.all(framed.grey[:, :left] == PAPER_GREY)


def test_the_colour_bar_runs_from_hot_at_the_top_to_cold():
    framed, (left, top) = with_edges(panel(100, 300), Edges(), Scale(), heat_top="0.23")
    warm = framed.heat[:, left + 300 :]
    column = warm[top : top + 100, warm.max(axis=0).argmax()]
    assert column[0] == 1
    assert column[-1] == 0
    assert np.all(np.diff(column) < 0)


def test_marks_stand_at_their_own_sides():
    bare, (left, _) = with_edges(panel(100, 300), Edges(left=" ", right=" "), Scale())
    marked, (marked_left, _) = with_edges(panel(100, 300), Edges(left="N", right=" "), Scale())
    assert (marked.grey[:, :marked_left] > 200).sum() > 20
    assert not (marked.grey[:, marked_left + 300 :] > 200).any()
    assert not (bare.grey[:, :left] > 200).any()


def test_every_caption_says_that_it_is_for_research(monkeypatch):
    written = []
    from octavo.figures import framing

    original = framing.write_text

    def listening(grey, texts, **options):
        written.extend(text for _, _, text in texts)
        return original(grey, texts, **options)

    monkeypatch.setattr(framing, "write_text", listening)
    with_caption(panel(50, 500), "B-scan 1 of 2", "exam_7", ["A note."])
    assert written == ["B-scan 1 of 2", "exam_7", "A note.", DISCLAIMER]


def test_a_caption_is_added_below_and_nothing_is_cut_off():
    captioned = with_caption(panel(50, 60), "A title", "e" * 400, ["a long sentence " * 30])
    assert np.all(captioned.grey[:50, :60] == 50)
    ink = np.argwhere(captioned.grey > 100)
    assert ink[:, 0].max() < captioned.grey.shape[0] - 4
    assert ink[:, 1].max() < captioned.grey.shape[1] - 2


def test_a_dashed_line_is_light_and_dark_and_cold():
    hot = Layers(np.full((40, 30), 120, np.uint8), np.ones((40, 30)), np.ones((40, 30), bool))
    lined = dashed(hot, column=7)
    assert set(np.unique(lined.grey[:, 7])) == {PAPER_GREY, INK_GREY}
    assert not lined.heat[:, 7].any()
    assert not lined.outline[:, 7].any()
    assert np.all(np.delete(lined.grey, 7, axis=1) == 120)
    assert np.all(hot.grey == 120), "the panel given is not changed"


@pytest.mark.parametrize(
    "wrong", [{"width_px": 0}, {"opacity": 1.5}, {"opacity": float("nan")}, {"depth_magnification": 0.0}]
)
def test_a_style_that_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(OctavoError, match="wanted"):
        PictureStyle(**wrong)


def test_png_keeps_every_pixel_and_repeats():
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (9, 11, 3), dtype=np.uint8))
    encoded = encode_png(image)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), np.asarray(image))
    assert encode_png(image) == encoded
