"""A cohort of synthetic patients, one patient at a time.

Each patient follows from the seed and its own number alone, so patient 7 is the same person among ten as among a
thousand, and any eye can be made again without the others.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from octavo.errors import OctavoError
from octavo.phantom.difficulty import Difficulty, find_difficulty
from octavo.phantom.eye import PhantomEye, check_shape, make_eye
from octavo.phantom.layers import Bundle
from octavo.phantom.streams import stream
from octavo.volume import Laterality, SlowAxis

GOLDEN = (math.sqrt(5) - 1) / 2

MOST_VOXELS = 2**29
"""The largest volume that octavo's readers take."""

ONE_SIDED = 0.2
"""Share of diseased patients with two eyes of whom only one eye is diseased."""

INFERIOR_FIRST = 0.3
"""Share of patients recorded by a scanner that starts inferior."""


@dataclass(frozen=True, slots=True)
class PhantomExam:
    """One eye of a cohort: what it will be, before it is made.

    Args:
        exam_id: Names the eye within its cohort.
        patient_id: Names the patient; both eyes have the same.
        patient_seed: Seed of the patient's anatomy.
        laterality: Which eye.
        severity: 0 if this eye is healthy.
        bundles: Damaged bundles of this eye.
        slow_axis: How the patient's scanner runs.
        difficulty: The setting all eyes of the cohort share.
        shape: Samples along `bscan depth ascan`.
    """

    exam_id: str
    patient_id: str
    patient_seed: int
    laterality: Laterality
    severity: float
    bundles: tuple[Bundle, ...]
    slow_axis: SlowAxis
    difficulty: Difficulty
    shape: tuple[int, int, int]

    @property
    def label(self) -> int:
        """1 if this eye has glaucoma, else 0."""
        return int(self.severity > 0)

    def make(self) -> PhantomEye:
        """Make the eye."""
        return make_eye(
            self.patient_seed,
            self.laterality,
            severity=self.severity,
            bundles=self.bundles,
            difficulty=self.difficulty,
            shape=self.shape,
            slow_axis=self.slow_axis,
        )


def plan_cohort(
    patients: int,
    seed: int,
    *,
    difficulty: str | Difficulty = "standard",
    shape: tuple[int, int, int] = (32, 64, 48),
    prevalence: float = 0.5,
    two_eyes: float = 0.7,
) -> list[PhantomExam]:
    """Say what a cohort holds, without making a scan.

    Glaucoma belongs to the patient: of two eyes usually both have it, one worse than the other, and in one patient of
    five only one. Sides and directions of scanning say nothing about the disease.

    Args:
        patients: How many patients.
        seed: Names the cohort.
        difficulty: Name of a setting, or one of your own.
        shape: Samples along `bscan depth ascan`.
        prevalence: Share of patients with glaucoma in at least one eye; kept to within two patients at any number.
        two_eyes: Share of patients of whom both eyes are scanned.

    Raises:
        OctavoError: If a number is out of range.

    Example:
        >>> few, many = plan_cohort(3, seed=1), plan_cohort(30, seed=1)
        >>> few == many[: len(few)]
        True
    """
    setting = find_difficulty(difficulty)
    check_shape(shape)
    if math.prod(shape) > MOST_VOXELS:
        raise OctavoError(
            f"shape is {' x '.join(map(str, shape))}; wanted at most {MOST_VOXELS} samples, which is what can be read "
            "again; make an axis shorter"
        )
    if patients < 1:
        raise OctavoError(f"{patients} patients were asked for; wanted at least one")
    if seed < 0:
        raise OctavoError(f"seed is {seed}; wanted a whole number from 0")
    for name, share in (("prevalence", prevalence), ("two_eyes", two_eyes)):
        if not 0 <= share <= 1:
            raise OctavoError(f"{name} is {share}; wanted a share between 0 and 1")
    exams: list[PhantomExam] = []
    start = float(stream(seed, "prevalence").random())
    for number in range(1, patients + 1):
        # golden steps fill the unit interval evenly, so that small cohorts are not one-sided by chance
        diseased = (start + number * GOLDEN) % 1.0 < prevalence
        exams += _plan_patient(seed, number, diseased, setting, shape, two_eyes)
    return exams


def make_cohort(
    patients: int,
    seed: int,
    *,
    difficulty: str | Difficulty = "standard",
    shape: tuple[int, int, int] = (32, 64, 48),
    prevalence: float = 0.5,
    two_eyes: float = 0.7,
) -> Iterator[tuple[PhantomExam, PhantomEye]]:
    """Make a cohort eye by eye; arguments and refusals as in `plan_cohort`.

    Example:
        >>> exam, eye = next(make_cohort(2, seed=1))
        >>> exam.exam_id.startswith("p00001-"), eye.glaucoma == bool(exam.label)
        (True, True)
    """
    exams = plan_cohort(patients, seed, difficulty=difficulty, shape=shape, prevalence=prevalence, two_eyes=two_eyes)
    return ((exam, exam.make()) for exam in exams)


def _plan_patient(
    seed: int, number: int, diseased: bool, setting: Difficulty, shape: tuple[int, int, int], two_eyes: float
) -> list[PhantomExam]:
    draw = stream(seed, "patient", number)
    patient_seed = int(draw.integers(2**63))
    both, first_is_right, healthy_fellow, inferior_first = draw.random(4)
    sides = [Laterality.OD, Laterality.OS] if first_is_right < 0.5 else [Laterality.OS, Laterality.OD]
    slow_axis = SlowAxis.INFERIOR_TO_SUPERIOR if inferior_first < INFERIOR_FIRST else SlowAxis.SUPERIOR_TO_INFERIOR
    worst = draw.uniform(setting.severity_low, setting.severity_high)
    exams = []
    for place, side in enumerate(sides):
        better, which = draw.random(2)
        severity = 0.0
        bundles: tuple[Bundle, ...] = ()
        if diseased and (place == 0 or healthy_fellow >= ONE_SIDED):
            severity = worst if place == 0 else worst - better * (worst - setting.severity_low)
            bundles = _affected(float(which), setting.both_bundles)
        exams.append(
            PhantomExam(
                exam_id=f"p{number:05d}-{side}",
                patient_id=f"p{number:05d}",
                patient_seed=patient_seed,
                laterality=side,
                severity=severity,
                bundles=bundles,
                slow_axis=slow_axis,
                difficulty=setting,
                shape=shape,
            )
        )
    # the eye that is always there is the diseased one, so that a patient's label does not hang on who was scanned twice
    kept = exams if both < two_eyes else exams[:1]
    return sorted(kept, key=lambda exam: exam.laterality)


def _affected(draw: float, both: float) -> tuple[Bundle, ...]:
    if draw < both:
        return (Bundle.SUPERIOR, Bundle.INFERIOR)
    # the inferior bundle is hit first somewhat more often
    return (Bundle.INFERIOR,) if (draw - both) < 0.55 * (1 - both) else (Bundle.SUPERIOR,)
