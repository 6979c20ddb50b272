import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.figures import training_curves
from octavo.figures.training_curves import TrainingHistory, read_training_history, training_png

LOGGED = """epoch,step,train_loss,val_loss,val_auroc
0,9,0.8,,
0,19,0.6,,
0,19,,0.65,0.7
1,29,0.5,,
1,29,,0.55,0.8
2,39,0.4,,
2,39,,0.6,0.9
"""


@pytest.fixture
def metrics_csv(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(LOGGED)
    return path


def test_losses_are_read_by_epoch_and_several_in_an_epoch_are_averaged(metrics_csv):
    history = read_training_history(metrics_csv)
    assert history.values == {
        "train_loss": ((0, pytest.approx(0.7)), (1, 0.5), (2, 0.4)),
        "val_loss": ((0, 0.65), (1, 0.55), (2, 0.6)),
    }
    assert history.best_epoch("val_loss") == 1
    assert history.best_epoch("no_such_loss") is None


def test_other_columns_are_read_by_name(metrics_csv):
    assert read_training_history(metrics_csv, ["val_auroc"]).values == {"val_auroc": ((0, 0.7), (1, 0.8), (2, 0.9))}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column epoch"),
        ("epoch,step\n0,1\n", "no column with a loss"),
        ("step,loss\n0,1\n", "no column epoch"),
        ("epoch,loss\n0,oops\n", "line 2: loss is 'oops'"),
        ("epoch,loss\nx,0.5\n", "line 2: epoch is 'x'"),
        ("epoch,loss\n0,0.5\n,0.4\n", "line 3: epoch is ''"),
        ("epoch,loss\nnan,0.5\n", "line 2: epoch is 'nan'"),
        ("epoch,loss\n0.5,0.5\n", "line 2: epoch is '0.5'; wanted a whole number"),
    ],
)
def test_a_file_that_is_no_log_is_refused(tmp_path, text, complaint):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(OctavoError, match=complaint):
        read_training_history(path)


def test_a_missing_file_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(OctavoError, match="cannot be read"):
        read_training_history(tmp_path / "nothing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(OctavoError, match="cannot be read"):
        read_training_history(tmp_path / "binary.csv")


def test_each_stage_has_its_panel_and_the_kept_epoch_its_line(metrics_csv, monkeypatch):
    figures = []
    monkeypatch.setattr(training_curves, "png_bytes", lambda figure: figures.append(figure) or b"")
    stages = {"stage 1": read_training_history(metrics_csv), "stage 2": TrainingHistory({"val_loss": ((0, 0.3),)})}
    training_png(stages, selected_by="val_loss")
    first, second = figures[0].axes
    assert [axes.get_title() for axes in (first, second)] == ["stage 1", "stage 2"]
    lines = {line.get_label(): line for line in first.get_lines()}
    assert np.array_equal(lines["val_loss"].get_ydata(), [0.65, 0.55, 0.6])
    assert set(lines["kept: epoch 1"].get_xdata()) == {1}


def test_a_stage_without_values_is_refused():
    with pytest.raises(OctavoError, match="nothing was logged in stage 2"):
        training_png({"stage 2": TrainingHistory({"val_loss": ()})})
