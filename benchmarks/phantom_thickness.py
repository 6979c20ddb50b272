"""How thick the layers of healthy phantoms are where clinics measure them, beside what is published of normal eyes.

Nerve fibres on a circle of 3.46 mm around the disc, in quadrants; ganglion cells with inner plexiform layer in the ring
between ellipses of 0.5 x 0.6 and 2.0 x 2.4 mm (half axes, vertical and horizontal) around the fovea; the retina within
0.5 mm of the fovea, down to Bruch's membrane; the choroid under the fovea. Mean and standard deviation over eyes, one of
each person. Run it with

    python benchmarks/phantom_thickness.py --eyes 100
"""

import argparse

import numpy as np

from octavo.phantom import LAYERS, PhantomEye, plan_cohort
from octavo.phantom.person import SCAN_MM
from octavo.volume import Laterality, SlowAxis

CIRCLE_MM = 1.73
CIRCLE_WIDTH_MM = 0.12


def thicknesses_um(eye: PhantomEye) -> dict[str, float]:
    """The measures of one eye."""
    bscans, _, ascans = eye.volume.shape
    superior_first = eye.volume.slow_axis is not SlowAxis.INFERIOR_TO_SUPERIOR
    nasal = 1 if eye.volume.laterality is Laterality.OD else -1
    rows_mm, columns_mm = np.arange(bscans) * SCAN_MM[0] / bscans, np.arange(ascans) * SCAN_MM[1] / ascans

    def from_place(place: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        up = (place[0] * SCAN_MM[0] / bscans - rows_mm)[:, None] * (1 if superior_first else -1)
        return up, (columns_mm - place[1] * SCAN_MM[1] / ascans)[None, :] * nasal

    up, towards_nose = from_place(eye.disc_centre)
    ring = np.abs(np.hypot(up, towards_nose) - CIRCLE_MM) < CIRCLE_WIDTH_MM
    angle = np.degrees(np.arctan2(up, towards_nose))
    up, across = from_place(eye.fovea)
    from_fovea = np.hypot(up, across)
    ellipse = (np.hypot(up / 2.0, across / 2.4) < 1) & (np.hypot(up / 0.5, across / 0.6) > 1)
    nerve_fibres = eye.thickness_um("rnfl")
    retina = sum(eye.thickness_um(layer) for layer in LAYERS if layer != "choroid")

    def mean(thickness: np.ndarray, where: np.ndarray) -> float:
        return float(np.nanmean(thickness[where]))

    return {
        "nerve fibres, circle": mean(nerve_fibres, ring),
        "nerve fibres, superior": mean(nerve_fibres, ring & (np.abs(angle - 90) < 45)),
        "nerve fibres, inferior": mean(nerve_fibres, ring & (np.abs(angle + 90) < 45)),
        "nerve fibres, nasal": mean(nerve_fibres, ring & (np.abs(angle) < 45)),
        "nerve fibres, temporal": mean(nerve_fibres, ring & (np.abs(angle) > 135)),
        "ganglion cells with inner plexiform": mean(eye.thickness_um("gcl_ipl"), ellipse),
        "retina, central millimetre": mean(retina, from_fovea < 0.5),
        "choroid under the fovea": mean(eye.thickness_um("choroid"), from_fovea < 0.3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eyes", type=int, default=100)
    parser.add_argument("--difficulty", default="standard")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    plan = plan_cohort(
        chosen.eyes, chosen.seed, difficulty=chosen.difficulty, shape=(90, 64, 120), prevalence=0.0, two_eyes=0.0
    )
    measured = [thicknesses_um(exam.make()) for exam in plan]
    print(f"| where, in {len(measured)} healthy eyes, {chosen.difficulty} | mean, um | standard deviation, um |")
    print("| --- | --- | --- |")
    for name in measured[0]:
        values = [one[name] for one in measured]
        print(f"| {name} | {np.mean(values):.0f} | {np.std(values, ddof=1):.0f} |")


if __name__ == "__main__":
    main()
