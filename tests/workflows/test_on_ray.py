"""Work on two nodes of a cluster on this machine, one of which is lost while it works."""

import csv
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.scans import exams_of
from octavo.errors import OctavoError
from octavo.training.machine import Machine
from octavo.workflows.benchmark import Budget, Plan, benchmark, run_on_ray
from octavo.workflows.cohort_pack import pack_cohort
from octavo.workflows.on_ray import map_on_ray
from octavo.workflows.phantom import write_phantoms
from octavo.workflows.predict import predict, predict_on_ray
from workflows.ray_nodes import RayNodes

# not imported here: Ray reads its token when it is imported, and the nodes draw a new one
pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")]

SIZE = (16, 32, 16)
QUICK = Machine(accelerator="cpu", track="none")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = RayNodes(tmp_path_factory.mktemp("ray"))
        for name, value in made.environment.items():
            patch.setenv(name, value)
        yield made
        made.stop()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_phantoms(
        tmp_path_factory.mktemp("on-ray") / "eyes", patients=24, seed=5, difficulty="easy", shape=SIZE
    ).manifest


def _plan():
    return Plan(
        models=("features-logistic", "plain-cnn"),
        seeds=(1, 2),
        reference="features-logistic",
        budget=Budget(epochs=12, size=SIZE),
        settings={"plain-cnn": {"channels": 8, "patience": 12}},
    )


def test_the_miniature_is_finished_though_a_node_is_lost(nodes, cohort, tmp_path):
    run = tmp_path / "run"
    lost = threading.Event()

    def lose_the_second_node():
        # while a network is being trained there
        started = [run / "cells" / "plain-cnn" / f"seed-{seed}" / f"seed-{seed}" / "stage-1" for seed in (1, 2)]
        while not any((folder / "checkpoints" / "last.ckpt").exists() for folder in started):
            time.sleep(0.05)
        nodes.kill(nodes.second)
        lost.set()

    threading.Thread(target=lose_the_second_node, daemon=True).start()
    found = benchmark(
        _plan(),
        CohortChoice(str(cohort)),
        run,
        machine=QUICK,
        runner=partial(run_on_ray, address=nodes.address),
        jobs=2,
    )
    assert lost.is_set()
    assert not found.failed
    assert all(found.table.row(name).measured.seeds == 2 for name in _plan().models)
    alone = benchmark(_plan(), CohortChoice(str(cohort)), tmp_path / "alone", machine=QUICK, jobs=2)
    for name in _plan().models:
        assert found.table.row(name).measured.measures["auroc"].mean == pytest.approx(
            alone.table.row(name).measured.measures["auroc"].mean, abs=1e-6
        )
    # every epoch once, whatever was lost on the way
    for path in run.glob("cells/plain-cnn/seed-*/seed-*/stage-1/metrics.csv"):
        epochs = [row["epoch"] for row in csv.DictReader(path.open())]
        assert epochs == sorted(set(epochs), key=int)
        assert len(epochs) == 12


def test_every_exam_is_packed_and_answered_once(nodes, cohort, tmp_path):
    scans = {row["exam_id"] for row in csv.DictReader(cohort.open())}
    store = tmp_path / "store"
    preparation = Preparation(size=SIZE, hemiretinas=False)
    told = pack_cohort(CohortChoice(str(cohort)), store, preparation, ray=nodes.address)
    assert (told.exams, told.failed, told.before) == (len(scans), (), 0)
    journal = [line for line in (store / "packed.jsonl").read_text().splitlines() if line]
    assert len(journal) == len(set(journal)) == len(scans)
    assert pack_cohort(CohortChoice(str(cohort)), store, preparation, ray=nodes.address).before == len(scans)
    run = tmp_path / "run"
    plan = Plan(("trivial", "features-logistic"), (1,), "trivial", Budget(epochs=1, size=SIZE))
    benchmark(plan, CohortChoice(str(cohort)), run, machine=QUICK)
    model = run / "cells" / "features-logistic" / "seed-1"
    exams, refused = exams_of([str(cohort)], {})
    assert not refused
    here, _ = predict(model, exams, tmp_path / "here")
    there, failed = predict_on_ray(model, exams, tmp_path / "there", nodes.address)
    assert failed == []
    assert [(one.exam.exam_id, one.probability) for one in there] == [
        (one.exam.exam_id, one.probability) for one in here
    ]


def test_a_scan_that_cannot_be_read_is_listed_once(nodes, cohort, tmp_path):
    rows = list(csv.DictReader(cohort.open()))[:4]
    for row in rows:
        row["path"] = str((cohort.parent / row["path"]).absolute())
    rows[1]["path"] = "nowhere.npz"
    for row in rows:
        row.pop("mask", None)
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    told = pack_cohort(
        CohortChoice(str(tmp_path / "manifest.csv")), tmp_path / "store", Preparation(size=SIZE), ray=nodes.address
    )
    assert [exam.exam_id for exam, _ in told.failed] == [rows[1]["exam_id"]]
    assert json.loads((tmp_path / "store" / "cohort.json").read_text())


def test_a_cluster_of_this_machine_ends_with_the_command_and_leaves_no_token(cohort, tmp_path):
    before = {process.pid for process in psutil.process_iter() if "raylet" in process.name()}
    words = ["cohort", "pack", str(cohort), str(tmp_path / "store"), "--size", *map(str, SIZE), "--ray", "local"]
    # no token in its environment, and none at home
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    told = subprocess.run(
        [sys.executable, "-m", "octavo", *words],
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "HOME": str(tmp_path / "home")},
    )
    assert told.returncode == 0, told.stderr
    scans = {row["exam_id"] for row in csv.DictReader(cohort.open())}
    assert f"{len(scans)} exams, {len(scans)} packed now" in told.stdout
    assert not (tmp_path / "home").exists()
    assert {process.pid for process in psutil.process_iter() if "raylet" in process.name()} <= before


def test_a_cluster_that_asks_for_no_token_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(OctavoError, match="RAY_AUTH_MODE is 'disabled'; wanted 'token'"):
        list(map_on_ray(str, [1], "127.0.0.1:1", failed=lambda item, reason: reason))


def test_more_cores_than_any_machine_has_are_refused(nodes):
    with pytest.raises(OctavoError, match="its largest machine has 1 cores, and a task wants 64"):
        list(map_on_ray(str, [1], nodes.address, cores=64, failed=lambda item, reason: reason))


def test_without_an_address_nothing_of_ray_is_imported(cohort, tmp_path):
    program = (
        "import sys\n"
        "from octavo.cli import main\n"
        f"code = main(['cohort', 'pack', {str(cohort)!r}, {str(tmp_path / 'store')!r}, '--size', '16', '32', '16'])\n"
        "sys.exit(code or any(name.split('.')[0] == 'ray' for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0
    plan = Plan(("trivial", "features-logistic"), (1,), "trivial", Budget(epochs=1, size=SIZE))
    assert Path(benchmark(plan, CohortChoice(str(cohort)), tmp_path / "run", machine=QUICK).page).exists()
