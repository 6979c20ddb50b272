"""A miniature of the comparison in docs/results.md: its own command, with two seeds, few patients and small volumes."""

import csv
import json
import shlex
from pathlib import Path

import pytest

from octavo.cli import main
from octavo.workflows.benchmark.cells import run_cell

pytestmark = pytest.mark.slow

RESULTS = Path(__file__).parents[2] / "docs" / "results.md"
SMALLER = {"--seeds": ["1", "2"], "--epochs": ["3"], "--size": ["32", "32", "32"]}


SECTIONS = {"of twelve": ("## Models compared", 12), "where most are thrown away": ("### Where undersampling", 4)}


def _section(head):
    """What stands under a heading, up to the next."""
    lines = RESULTS.read_text(encoding="utf-8").partition(head)[2].splitlines()
    end = next(place for place, line in enumerate(lines) if line.startswith("#"))
    return "\n".join(lines[:end])


def _commands(section):
    """The commands of a section, line continuations joined."""
    lines = section.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    octavo ")]


def _with(words, changes):
    """A command with the values of some options changed."""
    changed, skipping = [], False
    for word in words:
        if word.startswith("--"):
            skipping = word in changes
            changed += [word, *changes.get(word, [])]
        elif not skipping:
            changed.append(word)
    return changed


@pytest.mark.parametrize(("head", "many"), SECTIONS.values(), ids=SECTIONS)
def test_the_documented_comparison_runs_from_its_own_command(tmp_path, monkeypatch, capsys, head, many):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("octavo.workflows.benchmark.running.run_here", lambda orders, jobs: iter(map(run_cell, orders)))
    section = _section(head)
    phantom, compare = _commands(section)
    assert phantom[1] == "phantom"
    # few patients, of whom each part needs some of both classes
    few = _with(phantom[1:], {"--patients": ["24"], "--prevalence": ["0.5"]})
    assert main([*few, "--shape", "16", "32", "24"]) == 0
    settings = next(line.strip() for line in section.splitlines() if line.strip().startswith('{"all"'))
    words = _with(compare[1:], SMALLER)
    Path(words[words.index("--settings") + 1]).write_text(settings, encoding="utf-8")
    assert main([*words, "--track", "none"]) == 0
    told = capsys.readouterr().out
    models = words[words.index("--models") + 1 : words.index("--models") + 1 + many]
    run = tmp_path / words[words.index("--run") + 1]
    rows = {row["model"]: row for row in csv.DictReader((run / "table.csv").open())}
    assert list(rows) == models
    answers = list(csv.DictReader((run / "predictions.csv").open()))
    exams = {one["exam_id"] for one in answers}
    assert len(answers) == len(models) * 2 * len(exams)
    for name, row in rows.items():
        assert row["seeds"] == "2", name
        assert 0 <= float(row["auroc_mean"]) <= 1
        assert name in told
    tried = json.loads((run / "tuning.json").read_text())["chosen"]
    wanted = {3e-4, 1e-3} if "--learning-rates" in words else {None}
    rates = {name: {one["learning_rate"] for one in tried if one["model"] == name} for name in models}
    fitted_at_once = {"features-logistic", "trivial"}
    assert rates == {name: {None} if name in fitted_at_once else wanted for name in models}
    epochs = {row["model"]: float(row["epochs"]) for row in rows.values()}
    assert max(epochs.values()) <= 3
    published = section.partition("| Model |")[2].partition("\n\n")[0]
    assert all(f"| {name} |" in published for name in models)
