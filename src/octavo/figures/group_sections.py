"""The sections of a report about groups of people."""

from collections.abc import Mapping

from octavo.figures.report import Section, Table
from octavo.figures.report_html import number_text
from octavo.metrics.fairness import GroupAuroc, GroupReport


def group_sections(found: Mapping[str, Mapping[str, GroupReport | str]], of: str) -> list[Section]:
    """How well each model ranks in each group, one section for each covariate.

    Args:
        found: By covariate and model; a text says why there is nothing.
        of: What was measured, such as "the mean over seeds".
    """
    sections = []
    for covariate, by_model in found.items():
        reports = {name: one for name, one in by_model.items() if isinstance(one, GroupReport)}
        if reports:
            sections.append(_section(covariate, reports, of))
        elif by_model:
            reason = next(str(one) for one in by_model.values())
            sections.append(Section(f"Groups by {covariate}", paragraphs=(f"Nothing to compare: {reason}.",)))
    return sections


def _section(covariate: str, reports: Mapping[str, GroupReport], of: str) -> Section:
    first = next(iter(reports.values()))
    columns = ("Model", *(f"{one.group} (n = {one.exams})" for one in first.groups), "Equity-scaled", "Worst", "Gap")
    rows = []
    for name, report in reports.items():
        scaled, gap = report.equity_scaled_auroc, report.largest_gap
        numbers = ["none" if value is None else number_text(value) for value in (scaled, gap)]
        rows.append((name, *map(_area, report.groups), numbers[0], report.worst_group, numbers[1]))
    note = (
        f"{first.exams_unknown} exams have no {covariate} and are left out. Small groups lie apart by chance alone: read a "
        "gap beside the intervals."
    )
    table = Table(f"AUROC of {of} (95 %, DeLong by patient).", columns, tuple(rows))
    return Section(f"Groups by {covariate}", paragraphs=(note,), tables=(table,))


def _area(group: GroupAuroc) -> str:
    if group.auroc is None:
        return group.undefined
    if group.low is None or group.high is None:
        return number_text(group.auroc)
    return f"{number_text(group.auroc)} ({number_text(group.low)} to {number_text(group.high)})"
