"""One answer to an item of a reporting guideline."""

from dataclasses import dataclass

EVALUATION = "evaluation.json"
GROUPS = "groups.json"
PREDICTIONS = "predictions.csv"
SPLITS = "splits.csv"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Answer:
    """What a run says to an item."""

    text: str
    evidence: tuple[str, ...]
    complete: bool = False
    """Whether that is all the item asks."""
