"""Reporting: the items of TRIPOD+AI and CLAIM, filled where a run says what they ask for, and left to the author elsewhere.

The tables in `guidelines` hold the numbers and sections of TRIPOD+AI (Collins et al., BMJ 2024; 27 items, 52 with their
letters) and of the 2024 update of CLAIM (Tejani et al., Radiology: Artificial Intelligence 2024; 44 items). What an item is
about stands there in our words; the guidelines themselves say it in full.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

from octavo.files import write_text
from octavo.workflows.reporting.answers import ANSWERS
from octavo.workflows.reporting.run_facts import MUST_FILL, NOT_A_DEVICE, RunFacts, read_run

FILLED = "filled"
GUIDELINES = {"TRIPOD+AI (2024)": "tripod_ai", "CLAIM (2024 update)": "claim"}
"""The guidelines, and their tables."""
_TABLES = Path(__file__).with_name("guidelines")
_INTRODUCTION = (
    f"What this run says to the items of two reporting guidelines. {NOT_A_DEVICE.capitalize()}. `{FILLED}`: the files that "
    f"are named say all that the item asks. `{MUST_FILL}`: they do not; what they say stands beside it as a beginning. Read "
    "the guidelines themselves for what each item asks: the words here are shorter and not theirs."
)


@dataclass(frozen=True)
class Item:
    """One item of a guideline."""

    item: str
    section: str
    about: str
    answer: str
    """One of `ANSWERS`; empty where no file of a run can say anything to it."""


@dataclass(frozen=True)
class Row:
    """One item, and what a run says to it."""

    item: str
    section: str
    about: str
    status: str
    """`filled`, or `author must fill`."""
    answer: str
    evidence: str
    """Files of the run, with spaces between them."""


def write_checklists(run: Path) -> list[Path]:
    """Write `tripod-ai.csv`, `claim.csv` and, for people, `reporting.md` into a run.

    Args:
        run: A run's folder; items about performance need an evaluation.

    Returns:
        The three files.

    Raises:
        OctavoError: If the folder is no run, or a file of it is damaged.
    """
    facts = read_run(run)
    lists = {title: [_row(item, facts, run) for item in guideline(table)] for title, table in GUIDELINES.items()}
    files = []
    for title, table in GUIDELINES.items():
        files.append(run / f"{table.replace('_', '-')}.csv")
        write_text(files[-1], _table(lists[title]))
    files.append(run / "reporting.md")
    write_text(files[-1], _page(lists))
    return files


@cache
def guideline(table: str) -> tuple[Item, ...]:
    """The items of a guideline, in order.

    Example:
        >>> len(guideline("tripod_ai")), len(guideline("claim"))
        (52, 44)
    """
    with (_TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Item(**line) for line in csv.DictReader(file))


def _row(item: Item, facts: RunFacts, run: Path) -> Row:
    """What the run says to an item; nothing is filled that does not rest on a file that is there."""
    if not item.answer:
        return Row(item.item, item.section, item.about, MUST_FILL, MUST_FILL, "")
    answer = ANSWERS[item.answer](facts)
    there = [name for name in answer.evidence if (run / name).exists()]
    is_filled = answer.complete and bool(there) and len(there) == len(answer.evidence)
    status = FILLED if is_filled else MUST_FILL
    return Row(item.item, item.section, item.about, status, answer.text or MUST_FILL, " ".join(there))


def _table(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def _page(lists: dict[str, list[Row]]) -> str:
    lines = ["# Reporting", "", _INTRODUCTION]
    for title, rows in lists.items():
        filled = sum(row.status == FILLED for row in rows)
        lines += ["", f"## {title}", "", f"{filled} of {len(rows)} rows are filled."]
        section = ""
        for row in rows:
            if row.section != section:
                section = row.section
                lines += ["", f"### {section}", "", "| item | about | status | answer | from |"]
                lines += ["| --- | --- | --- | --- | --- |"]
            # what is known is a beginning, and must not look like an end
            known = "" if row.answer == MUST_FILL else row.answer
            cells = (row.item, row.about, row.status, known, ", ".join(row.evidence.split()))
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
