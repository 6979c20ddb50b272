import pytest

from octavo.cli import COHORT_FIRST, COMMANDS, main
from octavo.cli.benchmark import seeds_of
from octavo.errors import OctavoError


@pytest.mark.parametrize("command", COHORT_FIRST)
def test_the_cohort_may_stand_first(command, tmp_path, capsys):
    assert command in COMMANDS
    rest = ["--run", str(tmp_path / "run")]
    if command == "benchmark":
        rest += ["--models", "trivial", "features-logistic"]
    manifest = str(tmp_path / "nowhere.csv")
    assert main([*command.split(), manifest, *rest]) == 2
    first = capsys.readouterr().err
    assert main([*command.split(), "--cohort", manifest, *rest]) == 2
    assert first == capsys.readouterr().err
    assert "nowhere.csv" in first
    assert not (tmp_path / "run" / "cells").exists()


def test_one_number_of_seeds_is_how_many():
    assert seeds_of((5,)) == (100, 200, 300, 400, 500)
    assert seeds_of((1, 2)) == (1, 2)
    with pytest.raises(OctavoError, match="seeds is 0; wanted how many"):
        seeds_of((0,))
