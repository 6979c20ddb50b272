"""A synthetic eye of known truth: for the demo, the tests, and for asking an explanation whether it is right."""

from octavo.phantom.cohort import PhantomExam, make_cohort, plan_cohort
from octavo.phantom.difficulty import DIFFICULTIES, Difficulty
from octavo.phantom.eye import DEVICE, THINNED_UM, VERSION, PhantomEye, make_eye
from octavo.phantom.layers import LAYERS, Bundle

__all__ = [
    "DEVICE",
    "DIFFICULTIES",
    "LAYERS",
    "THINNED_UM",
    "VERSION",
    "Bundle",
    "Difficulty",
    "PhantomExam",
    "PhantomEye",
    "make_cohort",
    "make_eye",
    "plan_cohort",
]
