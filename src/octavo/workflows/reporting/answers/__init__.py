"""Reporting answers: what a run says to an item of a reporting guideline, and in which of its files.

An answer is complete only where the run says all that the item asks. Where an author may have done more elsewhere, or where
a reason is asked for that no file holds, what is known is said and the item stays the author's.
"""

from collections.abc import Callable

from octavo.workflows.reporting.answers.answer import Answer
from octavo.workflows.reporting.answers.of_data import OF_DATA
from octavo.workflows.reporting.answers.of_model import OF_MODEL
from octavo.workflows.reporting.answers.of_results import OF_RESULTS
from octavo.workflows.reporting.run_facts import RunFacts

ANSWERS: dict[str, Callable[[RunFacts], Answer]] = {**OF_DATA, **OF_MODEL, **OF_RESULTS}
"""By the name that the tables of `guidelines` give an item."""

__all__ = ["ANSWERS", "Answer"]
