"""Tracking: a run's folder mirrored to MLflow, one MLflow run for each seed.

The folder stays the truth. What MLflow gets is read from it, so nothing is sent twice and what a server missed is sent
later; and whatever goes wrong on the way, the training goes on.
"""

import csv
import json
import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from octavo.errors import OctavoError
from octavo.files import read_json, write_json
from octavo.training.recipe import without_paths

TRACKING = "tracking.json"
"""In a seed's folder: which MLflow run mirrors it."""
SERVER = "MLFLOW_TRACKING_URI"
"""The variable of the environment that names a server; without it a file beside the run is taken."""
LOCAL = "mlflow.db"
"""That file. All runs of one folder share it, so that MLflow can compare them."""
EXPERIMENT = "octavo"
FILES = ("recipe.json", "calibration.json", "reference.json", "finished.json")
"""What of a finished seed is copied: small, and without exams, patients and predictions."""

_HABITS = {
    # it would report its use to its makers
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    # as it comes, it would hold a training up for many minutes when a server is gone
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_log = logging.getLogger("octavo.training")


class Mirror:
    """A run in MLflow. Nothing it does raises: the first failure is a warning, and it tries again at the end of every stage.

    It holds plain values alone, so that a process that Lightning starts can take it along.

    Args:
        run: The run's folder.
        content: What stands in its `recipe.json`; paths are left out.
    """

    def __init__(self, run: Path, content: Mapping[str, Any]) -> None:
        self.run = run.absolute()
        self.tags = {"system": str(content.get("system")), "run": self.run.name}
        self.parameters = _flat(without_paths(dict(content)))
        self._ids: dict[Path, str] = {}
        self._steps: dict[Path, set[int]] = {}
        self._failed = self._warned = False

    @contextmanager
    def seed(self, folder: Path) -> Iterator[None]:
        """Mirror a seed from its beginning to its end, whatever that is.

        Args:
            folder: The seed's folder.
        """
        self._attempt(lambda client: self._opened(client, folder))
        status = "KILLED"
        try:
            yield
            status = "FINISHED"
        except Exception:
            status = "FAILED"
            raise
        finally:
            self._attempt(lambda client: self._close(client, folder, status), again=status == "FINISHED")

    def epochs(self, stage: Path, rows: Sequence[Mapping[str, float]], *, again: bool = False) -> None:
        """Send the epochs that MLflow does not have yet.

        Args:
            stage: The stage's folder; its name stands before those of the values.
            rows: All epochs so far, as in `metrics.csv`; of one that may be repeated after a kill nothing should be told.
            again: Try even if the last time failed.
        """

        def send(client: Any) -> None:
            run_id = self._opened(client, stage.parent)
            if stage not in self._steps:
                known = client.get_metric_history(run_id, f"{stage.name}/seconds")
                self._steps[stage] = {metric.step for metric in known}
            for row in rows:
                epoch = int(row["epoch"])
                if epoch not in self._steps[stage]:
                    values = {name: value for name, value in row.items() if name != "epoch"}
                    client.log_batch(run_id, metrics=_metrics(stage.name, values, epoch))
                    self._steps[stage].add(epoch)

        if rows:
            self._attempt(send, again=again)

    def stage(self, stage: Path) -> None:
        """Send what MLflow lacks of a stage that is over."""
        table = stage / "metrics.csv"
        if table.exists():
            with table.open(encoding="utf-8", newline="") as file:
                rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
            self.epochs(stage, rows, again=True)

    def evaluation(self, seed: Path, measures: Mapping[str, Any]) -> None:
        """Send what a seed was worth on the test part.

        Args:
            seed: The seed's folder; its training was mirrored.
            measures: What stands in its `evaluation.json`.
        """

        def send(client: Any) -> None:
            run_id = str(read_json(seed / TRACKING)["mlflow_run"])
            known = client.get_run(run_id).data.metrics
            numbers = {name: float(v) for name, v in measures.items() if isinstance(v, int | float)}
            new = {name: value for name, value in numbers.items() if known.get(f"test/{name}") != value}
            client.log_batch(run_id, metrics=_metrics("test", new, 0))
            client.log_dict(run_id, without_paths(dict(measures)), "evaluation.json")

        self._attempt(send, told=seed / TRACKING)

    def _opened(self, client: Any, folder: Path) -> str:
        """The MLflow run of a seed: the one it had, or a new one."""
        if folder not in self._ids:
            told: dict[str, Any] = read_json(folder / TRACKING) if (folder / TRACKING).exists() else {}
            known = _found(client, told.get("mlflow_run"))
            if known is None:
                tags = {**self.tags, "seed": folder.name.removeprefix("seed-")}
                name = f"{self.run.name}/{folder.name}"
                known = client.create_run(self._experiment(client), run_name=name, tags=tags)
                # the address may hold a password, so only where it was said is written
                write_json(folder / TRACKING, {"mlflow_run": known.info.run_id, "store": _place()})
            run_id = known.info.run_id
            # what is there cannot be changed, and a later octavo may know of more
            client.log_batch(run_id, params=_parameters(self.parameters, known.data.params))
            client.update_run(run_id, status="RUNNING")
            self._ids[folder] = run_id
        return self._ids[folder]

    def _experiment(self, client: Any) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        # a server has a place of its own for files
        files = None if _place() == SERVER else (self.run.parent / "mlartifacts").as_uri()
        return str(client.create_experiment(name, artifact_location=files))

    def _close(self, client: Any, folder: Path, status: str) -> None:
        run_id = self._opened(client, folder)
        client.set_terminated(run_id, status)
        for name in FILES:
            if status == "FINISHED" and (folder / name).exists():
                client.log_dict(run_id, without_paths(read_json(folder / name)), name)
        del self._ids[folder]

    def _attempt(self, what: Callable[[Any], object], *, again: bool = False, told: Path | None = None) -> None:
        """Do it if MLflow can be reached. Once it failed, every epoch would wait for it anew, so only stages try again."""
        if self._failed and not again:
            return
        try:
            with _quiet():
                place = _place() if told is None else str(read_json(told).get("store"))
                what(_client(self.run.parent / LOCAL, place, must_exist=told is not None))
            self._failed = False
        except Exception as error:  # noqa: BLE001  (of requests, of SQLAlchemy, of the disk; none may stop a training)
            self._failed = True
            # what is thought to be there is asked for anew
            self._ids.clear()
            self._steps.clear()
            if not self._warned:
                self._warned = True
                _log.warning("MLflow: %s; this goes on without it, and the run's folder has everything", _reason(error))


def mirror_evaluation(run: Path, by_seed: Mapping[str, Mapping[str, Any]]) -> None:
    """Send what the seeds were worth on the test part to where their training was sent; the others stay without.

    Args:
        run: The run's folder.
        by_seed: The names of the seeds' folders, and what stands in their `evaluation.json`.
    """
    mirror = Mirror(run, {})
    for name, measures in by_seed.items():
        if (run / name / TRACKING).exists():
            mirror.evaluation(run / name, measures)


@contextmanager
def _quiet() -> Iterator[None]:
    """A server that is gone is told of in one sentence, and not again at every request that is repeated."""
    requests = logging.getLogger("urllib3")
    level = requests.level
    requests.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        requests.setLevel(level)


def _place() -> str:
    return SERVER if os.environ.get(SERVER) else LOCAL


def _client(local: Path, place: str, *, must_exist: bool) -> Any:
    """MLflow's client; it is asked for each time, as it cannot be taken along into another process."""
    for name, value in _HABITS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if place == SERVER:
        address = os.environ.get(SERVER)
        if not address:
            raise OctavoError(f"{SERVER} is not set; wanted the address that was used in training; set it and repeat")
        return MlflowClient(address)
    if must_exist and not local.exists():
        raise OctavoError(f"{local}: there is no such file; wanted the one that was written in training; bring it back")
    return MlflowClient(f"sqlite:///{local}")


def _found(client: Any, run_id: str | None) -> Any:
    """A run that is still there; None if it was deleted, or is in another store."""
    from mlflow.exceptions import MlflowException

    try:
        known = client.get_run(run_id) if run_id else None
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return known if known is not None and known.info.lifecycle_stage == "active" else None


def _metrics(group: str, values: Mapping[str, float], step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(f"{group}/{name}", float(value), now, step) for name, value in values.items()]


def _parameters(wanted: Mapping[str, str], known: Mapping[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in wanted.items() if name not in known]


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested values under names with dots, each as it stands in JSON."""
    flat: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _reason(error: Exception) -> str:
    """What went wrong in one line, without the name and password that an address may hold."""
    said = re.sub(r"//[^/\s]*@", "//", " ".join(str(error).split()))
    return (said if len(said) <= 200 else f"{said[:200]}...") or type(error).__name__
