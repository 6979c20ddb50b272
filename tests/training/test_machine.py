import os
import subprocess
import sys

import pytest

from octavo.cli import main
from octavo.errors import OctavoError
from octavo.training.machine import Machine


@pytest.mark.parametrize(
    ("field", "least", "wrong"), [("devices", 1, -1), ("devices", 1, 0), ("num_nodes", 1, 0), ("workers", 0, -1)]
)
def test_counts_that_are_none_are_refused_in_one_line(field, least, wrong):
    with pytest.raises(OctavoError, match=f"^{field} is {wrong}; wanted a whole number from {least}; ") as refusal:
        Machine(**{field: wrong})
    assert str(refusal.value).isprintable()
    assert getattr(Machine(**{field: least}), field) == least


def test_the_shell_says_the_same(tmp_path, capsys):
    words = ["train", "ai-cnet3d", "--cohort", str(tmp_path / "m.csv"), "--run", str(tmp_path / "run")]
    assert main([*words, "--devices", "-1"]) == 2
    assert capsys.readouterr().err.startswith("octavo: devices is -1; wanted a whole number from 1; ")
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_the_logs_reads_well():
    done = subprocess.run(
        [sys.executable, "-m", "octavo", "train", "ai-cnet3d", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "--track {tensorboard,mlflow,none}" in done.stdout
    assert "Who gets the epochs too: TensorBoard, MLflow, or metrics.csv alone." in done.stdout
