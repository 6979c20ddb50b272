"""`octavo demo`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """The whole way on synthetic eyes: cohort, two stages of training, evaluation, explanation.

    Takes a few minutes on two cores. Called again with the same OUT it goes on where it stopped.
    """

    out: Path
    """Where everything goes."""
    seed: int = 1
    """Of the cohort, the split and the training."""
    patients: int = 210
    """How many synthetic patients; a fifth of them are tested."""

    def run(self) -> int:
        """Run it, and say where to look."""
        from octavo.cli.evaluate import describe
        from octavo.workflows.demo import demo

        done = demo(self.out, seed=self.seed, patients=self.patients)
        print(describe(done.evaluation))
        for row in done.explained:
            share = row.get("grad_cam_recall_of_hottest_0.1")
            hit = "" if share is None else f", hottest tenth of Grad-CAM holds {share:.0%} of the thinned tissue"
            print(f"  {row['exam_id']}: probability {float(row['probability']):.2f}{hit}")
        print(f"done in {done.seconds:.0f} s; look at")
        print(f"  {done.folder / 'run' / 'report.html'}")
        print(f"  {done.folder / 'explanations' / 'index.html'}")
        print("these eyes are synthetic; research software, not a medical device")
        return 0
