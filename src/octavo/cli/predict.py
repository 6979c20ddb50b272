"""`octavo predict`."""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from octavo.cli.inspect import ScanOptions
from octavo.errors import OctavoError


@dataclass(frozen=True)
class Predict(ScanOptions):
    """Give a probability for each scan, and say what speaks against believing it.

    A scan that lies outside what the model learnt from is marked so. One that cannot be used is listed at the end (exit
    code 1) and keeps its row; the others get their answer.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A finished run, or a folder with model.safetensors and recipe.json."""
    scans: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SCAN...")]
    """Files, folders, or a manifest (.csv), which needs neither labels nor patients."""
    out: Path = Path("predictions.csv")
    """Where the answers go."""
    seed: int | None = None
    """Only the model of that seed; by default the mean over all."""
    positive: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The label that counts as positive, where a manifest's labels are names and the model does not know them."""
    negative: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The label that counts as negative beside --positive; exams of any other keep no label."""
    prepared: Path | None = None
    """Where prepared scans are kept; by default nowhere once the answers are there."""
    ray: str | None = None
    """Answer on the machines of a Ray cluster, such as 10.0.0.1:6379, which share run, scans and --prepared."""
    overwrite: bool = False
    """Replace an older file of answers."""

    def run(self) -> int:
        """Predict, write, and list what could not be used."""
        from octavo.cohorts.scans import exams_of
        from octavo.workflows.label_names import names_of

        if self.ray not in {None, "local"} and self.prepared is None:
            raise OctavoError(
                "--ray was given and --prepared was not; wanted a folder that all machines share; name one"
            )
        if self.out.exists() and not self.overwrite:
            raise OctavoError(f"{self.out}: is there already; choose another --out, or pass --overwrite")
        names = names_of(self.folder, self.positive, self.negative)
        exams, refused = exams_of(
            self.scans,
            self.said(),
            names.positive,
            negative=names.negative,
            classes=names.classes,
            of_model=names.of_model,
        )
        from octavo.cohorts.reference import OUTSIDE, PHANTOMS, UNTRAINED
        from octavo.workflows.predict import predict, predict_on_ray, unanswered, write_predictions, write_slice_weights

        with tempfile.TemporaryDirectory(prefix="octavo-") as passing:
            prepared = self.prepared or Path(passing)
            if self.ray is None:
                predictions, failed = predict(self.folder, exams, prepared, seed=self.seed)
            else:
                predictions, failed = predict_on_ray(self.folder, exams, prepared, self.ray, seed=self.seed)
        failed = [*refused, *failed]
        if len(failed) < len(exams) + len(refused):
            unread = [unanswered(exam, reason, predictions[0]) for exam, reason in refused]
            write_predictions(self.out, [*predictions, *unread])
            drawn = write_slice_weights(self.out, predictions)
            print(
                f"{self.out}: {len(predictions) - len(failed) + len(refused)} exams answered by {predictions[0].model}"
            )
            if drawn:
                print(f"  how much each slice counted: {drawn[0].parent}")
            doubtful = sum(any(text.startswith(OUTSIDE) for text in one.warnings) for one in predictions)
            if doubtful:
                print(f"  {doubtful} of them {OUTSIDE}: see the column warnings")
            for caution in (PHANTOMS, UNTRAINED):
                if any(caution in one.warnings for one in predictions):
                    print(f"  {caution}")
            print("research software, not a medical device")
        for exam, reason in failed:
            print(f"octavo: {exam.exam_id}: {reason}", file=sys.stderr)
        if not failed:
            return 0
        return 1 if len(failed) < len(exams) + len(refused) else 2
