import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_curve

from octavo.errors import OctavoError
from octavo.figures import curves
from octavo.figures.curves import (
    Confusion,
    OperatingPoint,
    Reliability,
    RocBand,
    agreement_png,
    confusion_png,
    precision_recall_png,
    reliability_png,
    roc_png,
)

UNIT = np.linspace(0, 1, 5)


@pytest.fixture
def drawn(monkeypatch):
    """The figures behind the bytes, to see what was drawn."""
    figures = []
    original = curves.png_bytes
    monkeypatch.setattr(curves, "png_bytes", lambda figure: figures.append(figure) or original(figure))
    return figures


def lines_of(axes):
    return {line.get_label(): np.column_stack(line.get_data()) for line in axes.get_lines()}


def reliability(name="before", error=0.1234):
    return Reliability(name, UNIT, UNIT**2, np.array([3, 0, 5, 2, 7]), error)


def test_the_roc_curve_holds_the_points_it_was_given(drawn):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 80)
    false_positive_rate, true_positive_rate, _ = roc_curve(labels, labels + generator.normal(size=80))
    band = RocBand(UNIT, UNIT**2, np.sqrt(UNIT))
    points = [OperatingPoint("Youden 0.41", 0.2, 0.8), OperatingPoint("0.5", 0.1, 0.6)]
    roc_png(
        false_positive_rate, true_positive_rate, auroc=0.81234, interval=(0.7, 0.9), band=band, operating_points=points
    )
    lines = lines_of(drawn[0].axes[0])
    assert np.array_equal(
        lines["AUROC 0.812 (0.700 to 0.900)"], np.column_stack([false_positive_rate, true_positive_rate])
    )
    assert lines["Youden 0.41"].tolist() == [[0.2, 0.8]]
    assert lines["0.5"].tolist() == [[0.1, 0.6]]
    outline = drawn[0].axes[0].collections[0].get_paths()[0].vertices
    assert {(0.25, 0.0625), (0.25, 0.5)} <= {tuple(vertex) for vertex in outline.tolist()}


def test_precision_is_a_step_and_chance_is_the_prevalence(drawn):
    recall, precision = np.array([1.0, 0.5, 0.0]), np.array([0.4, 0.8, 1.0])
    precision_recall_png(recall, precision, prevalence=0.4, auprc=0.7, interval=(0.6, 0.8))
    lines = lines_of(drawn[0].axes[0])
    assert lines["chance 0.400"][:, 1].tolist() == [0.4, 0.4]
    assert np.array_equal(lines["AUPRC 0.700 (0.600 to 0.800)"], np.column_stack([recall, precision]))


def test_reliability_shows_counts_and_leaves_empty_bins_out(drawn):
    reliability_png([reliability(), reliability("after", 0.02)])
    above, below = drawn[0].axes
    assert lines_of(above)["before (calibration error 0.123)"][:, 0].tolist() == [0, 0.5, 0.75, 1]
    assert sorted(patch.get_height() for patch in below.patches) == sorted([3, 5, 2, 7] * 2)


def test_confusion_fields_stand_in_rows_of_truth(drawn):
    confusion_png([Confusion("0.5", 30, 6, 4, 20)], "no glaucoma", "glaucoma")
    axes = drawn[0].axes[0]
    fields = {(text.get_position()): text.get_text() for text in axes.texts}
    assert fields == {(0, 0): "30\n83%", (1, 0): "6\n17%", (0, 1): "4\n17%", (1, 1): "20\n83%"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["no glaucoma", "glaucoma"]
    assert str(Confusion("0.5", 30, 6, 4, 20)) == "20 of 24 positives and 30 of 36 negatives were told right"


def test_a_class_without_exams_is_said_and_not_divided_by(drawn):
    confusion_png([Confusion("0.5", 0, 0, 4, 20)])
    assert [text.get_text() for text in drawn[0].axes[0].texts][:2] == ["0\nno exams"] * 2


def test_agreement_shows_every_exam_once_in_its_group(drawn):
    first, second = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])
    agreement_png(first, second, first_name="before", second_name="after", positive=np.array([True, False, False]))
    lines = lines_of(drawn[0].axes[0])
    assert lines["positive (1)"].tolist() == [[0.1, 0.4]]
    assert lines["negative (2)"].tolist() == [[0.2, 0.5], [0.3, 0.6]]


def every_curve():
    yield roc_png(UNIT, UNIT, auroc=0.5, interval=(0.4, 0.6), operating_points=[OperatingPoint("0.5", 0.2, 0.2)])
    yield precision_recall_png(UNIT, 1 - UNIT / 2, prevalence=0.3)
    yield reliability_png([reliability()])
    yield confusion_png([Confusion("0.5", 3, 1, 2, 4), Confusion("0.4", 2, 2, 1, 5)])
    yield agreement_png(UNIT, UNIT[::-1].copy(), first_name="a", second_name="b")


def test_curves_repeat_byte_for_byte_whatever_the_users_settings_are():
    import matplotlib

    before = list(every_curve())
    wild = {"font.family": ["serif"], "font.size": 30, "axes.facecolor": "black", "savefig.bbox": "tight"}
    with matplotlib.rc_context(wild):
        after = list(every_curve())
        assert matplotlib.rcParams["font.size"] == 30, "the user's settings are given back"
    assert before == after


def test_curves_are_white_pngs_of_report_size_that_do_not_touch_pyplot():
    import sys

    sys.modules.pop("matplotlib.pyplot", None)
    for encoded in every_curve():
        image = Image.open(io.BytesIO(encoded))
        assert image.format == "PNG"
        assert 400 < image.width < 1300
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert image.info["dpi"][0] == pytest.approx(144, abs=0.1)
    assert "matplotlib.pyplot" not in sys.modules


def test_what_is_no_rate_is_refused():
    with pytest.raises(OctavoError, match="outside 0 to 1"):
        roc_png(UNIT * 2, UNIT)
    with pytest.raises(OctavoError, match="outside 0 to 1"):
        precision_recall_png(UNIT, UNIT, prevalence=float("nan"))
    with pytest.raises(OctavoError, match="or none"):
        roc_png(np.zeros(0), np.zeros(0))
    with pytest.raises(OctavoError, match="no reliability curve"):
        reliability_png([])
    with pytest.raises(OctavoError, match="no confusion matrix"):
        confusion_png([])
    with pytest.raises(OctavoError, match="below zero"):
        Confusion("0.5", -1, 0, 0, 0)
    with pytest.raises(OctavoError, match="leave undefined exams out"):
        agreement_png(np.array([np.nan]), np.array([1.0]), first_name="a", second_name="b")
