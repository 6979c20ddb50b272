"""How well a phantom's label can be told from what it should not be told from, and from what it should.

For every setting, size and seed a cohort is made and two readers are tried on it:

* `global`: logistic regression on what a scan looks like as a whole (moments, percentiles, histogram as stored and
  standardised, mean and spread at every depth), in five folds that keep patients together. The largest AUROC over all
  sets of numbers and two strengths of regularisation is reported, so it errs on the side of finding a leak.
* `layers`: a rule that knows the anatomy and is given the true surfaces: the thinnest sector of nerve fibre and ganglion
  cell layers along the fibres, each relative to this eye's own mean and to the same ratio in healthy eyes of another
  seed. It is what a perfect reader of thickness would reach.

Intervals are from a bootstrap over patients. Run it with

    python benchmarks/phantom_difficulty.py --settings standard hard --seeds 1 2 3 --patients 200 --shape 32 64 48
"""

import argparse
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from octavo.phantom import DIFFICULTIES, PhantomExam, PhantomEye, plan_cohort
from octavo.phantom.fibres import fibre_course
from octavo.phantom.person import SCAN_MM
from octavo.volume import Laterality, SlowAxis

LIMITS = {"standard": 0.75, "hard": 0.65}
"""What `global` must stay under."""

SECTORS_DEG = np.arange(25, 85, 12)
STRENGTHS = (0.01, 1.0)
RESAMPLES = 1000
PROFILE = 32


def global_statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """What a scan looks like as a whole, in sets of numbers."""
    flat = values.astype(np.float32).ravel()
    mean, spread = flat.mean(), flat.std()
    standardised = (flat - mean) / spread
    depths = np.linspace(0, values.shape[1] - 1, PROFILE)

    def profile(along_depth: np.ndarray) -> np.ndarray:
        return np.interp(depths, np.arange(len(along_depth)), along_depth)

    sets = {
        "moments": np.r_[
            mean,
            spread,
            (standardised**3).mean(),
            (standardised**4).mean(),
            np.percentile(flat, [1, 5, *range(10, 100, 10), 95, 99]),
        ],
        "histogram": np.histogram(flat, 32, (0, 256))[0] / flat.size,
        "standardised histogram": np.histogram(standardised, 32, (-3, 5))[0] / flat.size,
        "depth profile": profile(values.mean(axis=(0, 2))),
        "standardised depth profile": (profile(values.mean(axis=(0, 2))) - mean) / spread,
        "depth spread": profile(values.std(axis=(0, 2))),
    }
    sets["everything"] = np.concatenate(list(sets.values()))
    return sets


def global_auroc(
    sets: Sequence[dict[str, np.ndarray]], labels: np.ndarray, patients: np.ndarray
) -> tuple[str, np.ndarray]:
    """The set of numbers that gives the label away best, and the scores it gives."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    best = ("", -1.0, np.zeros(len(labels)))
    for name in sets[0]:
        features = np.array([each[name] for each in sets])
        for strength in STRENGTHS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            scores = cross_val_predict(model, features, labels, groups=patients, cv=folds, method="predict_proba")[:, 1]
            auroc = roc_auc_score(labels, scores)
            if auroc > best[1]:
                best = (f"{name}, C {strength:g}", auroc, scores)
    return best[0], best[2]


def sector_thickness(eye: PhantomEye) -> np.ndarray:
    """Mean thickness of both inner layers in sectors along the fibres, relative to the eye's own mean."""
    bscans, _, ascans = eye.volume.shape
    flip = [eye.volume.slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR, eye.volume.laterality is Laterality.OS]
    counts, step = (bscans, ascans), (SCAN_MM[0] / bscans, SCAN_MM[1] / ascans)

    def millimetres(place: tuple[float, float]) -> tuple[float, float]:
        rows = [count - 1 - at if turned else at for at, count, turned in zip(place, counts, flip, strict=True)]
        return ((rows[1] + 0.5) * step[1], (rows[0] + 0.5) * step[0])

    course = fibre_course(
        (np.arange(ascans) + 0.5) * step[1],
        (np.arange(bscans) + 0.5) * step[0],
        millimetres(eye.disc_centre),
        millimetres(eye.fovea),
    )
    sectors = []
    for layer in ("rnfl", "gcl_ipl"):
        thickness = eye.thickness_um(layer)[:: -1 if flip[0] else 1, :: -1 if flip[1] else 1]
        for side in (1, -1):
            for angle in SECTORS_DEG:
                inside = np.abs(course.angle_deg - side * angle) < 8
                sectors.append(np.nanmean(thickness[inside]) / np.nanmean(thickness))
    return np.array(sectors)


def layer_scores(eyes: Sequence[np.ndarray], healthy: Sequence[np.ndarray]) -> np.ndarray:
    """How far below the healthy mean the thinnest sector is, nerve fibres and ganglion cells together."""
    relative = np.log(np.array(eyes)) - np.log(np.array(healthy)).mean(axis=0)
    both = relative.reshape(len(relative), 2, -1).mean(axis=1)
    return -both.min(axis=1)


def interval(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of AUROC over patients drawn again with replacement."""
    draw = np.random.default_rng(0)
    rows = [np.flatnonzero(patients == name) for name in np.unique(patients)]
    aurocs = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([rows[k] for k in draw.integers(len(rows), size=len(rows))])
        if 0 < labels[chosen].sum() < len(chosen):
            aurocs.append(roc_auc_score(labels[chosen], scores[chosen]))
    low, high = np.percentile(aurocs, [2.5, 97.5])
    return float(low), float(high)


def measure(setting: str, seed: int, patients: int, shape: tuple[int, int, int]) -> bool:
    """Print one line for each reader; whether the global one stays under its limit."""
    exams: list[PhantomExam] = plan_cohort(patients, seed, difficulty=setting, shape=shape)
    labels = np.array([exam.label for exam in exams])
    names = np.array([exam.patient_id for exam in exams])
    sets, sectors = [], []
    for exam in exams:
        eye = exam.make()
        sets.append(global_statistics(eye.volume.values))
        sectors.append(sector_thickness(eye))
    healthy = [
        sector_thickness(exam.make())
        for exam in plan_cohort(60, seed + 10_000, difficulty=setting, shape=shape, prevalence=0.0)
    ]
    told, scores = global_auroc(sets, labels, names)
    under = True
    for reader, told_by, given in (
        ("global", told, scores),
        ("layers", "true surfaces", layer_scores(sectors, healthy)),
    ):
        auroc, (low, high) = roc_auc_score(labels, given), interval(labels, given, names)
        limit = LIMITS.get(setting, 1.0) if reader == "global" else 1.0
        under &= auroc < limit
        size = "x".join(map(str, shape))
        print(
            f"{setting:<9}{size:<13}seed {seed}  {len(labels)} exams, {labels.sum()} positive  "
            f"{reader}: AUROC {auroc:.3f} ({low:.3f} to {high:.3f}) by {told_by}",
            flush=True,
        )
    return under


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=["easy", "standard", "hard"], choices=list(DIFFICULTIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--shape", nargs=3, type=int, default=[32, 64, 48], metavar=("BSCAN", "DEPTH", "ASCAN"))
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", message="Mean of empty slice")
    under = [
        measure(setting, seed, chosen.patients, tuple(chosen.shape))
        for setting in chosen.settings
        for seed in chosen.seeds
    ]
    return int(not all(under))


if __name__ == "__main__":
    raise SystemExit(main())
