"""Cohorts: exams gathered in a manifest, checked, and divided by patient."""

from octavo.cohorts.exam import PARTS, Exam, LateralityConflictError, read_exam, read_mask, voxel_hash
from octavo.cohorts.manifest import Cohort, read_manifest, write_manifest
from octavo.cohorts.splits import Split, apply_split, read_split, split_of, split_patients, write_split

__all__ = [
    "PARTS",
    "Cohort",
    "Exam",
    "LateralityConflictError",
    "Split",
    "apply_split",
    "read_exam",
    "read_manifest",
    "read_mask",
    "read_split",
    "split_of",
    "split_patients",
    "voxel_hash",
    "write_manifest",
    "write_split",
]
