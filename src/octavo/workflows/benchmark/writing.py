"""The files a benchmark leaves: a table for programs, one for a paper, a page for people."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from octavo.figures.forest import ForestRow, forest_png
from octavo.figures.group_sections import group_sections
from octavo.figures.report import Picture, Report, Section, Table, write_report
from octavo.files import write_bytes, write_json, write_text
from octavo.workflows.benchmark import rows as shown
from octavo.workflows.benchmark.cells import Outcome
from octavo.workflows.benchmark.plan import Plan
from octavo.workflows.benchmark.rows import Value
from octavo.workflows.benchmark.table import BenchmarkTable, TableRow


@dataclass(frozen=True)
class Said:
    """What readers must know beside the shown."""

    warnings: tuple[str, ...]
    """Such as a second look at the test part."""
    provenance: dict[str, Any]


def write_benchmark(run: Path, plan: Plan, table: BenchmarkTable, outcomes: Sequence[Outcome], said: Said) -> Path:
    """Write `table.csv`, `table.tex`, `table.md`, `cells.csv`, `results.json`, `forest.png` and `report.html`.

    Returns:
        The page for people.
    """
    rows = [shown.flat_row(row, table.measures) for row in table.rows]
    write_text(run / "table.csv", _csv(rows))
    write_text(run / "cells.csv", _csv([_cell(one) for one in outcomes]))
    said_of_it = caption(plan, table)
    write_text(run / "table.tex", shown.latex_table(table, plan.reference, said_of_it))
    write_text(run / "table.md", shown.markdown_table(table, plan.reference, said_of_it))
    write_json(run / "results.json", {"table": rows, "detail": _plain(table), "warnings": list(said.warnings)})
    forest = _forest(plan, table)
    (run / "forest.png").unlink(missing_ok=True)
    if forest is not None:
        write_bytes(run / "forest.png", forest.image)
    page = run / "report.html"
    write_report(page, _report(run, plan, table, said, forest))
    return page


def caption(plan: Plan, table: BenchmarkTable) -> str:
    """What the table is of, in a sentence or two."""
    divided = "one division of the patients"
    if plan.folds is not None:
        divided = f"{plan.folds} folds by patient, their answers taken together"
    elif plan.transfer is not None:
        divided = f"every {plan.transfer} tested by what was learnt from the others, all answers taken together"
    budget = "each recipe's own epochs" if plan.budget.epochs is None else f"at most {plan.budget.epochs} epochs each"
    tried = len(plan.budget.learning_rates)
    tuning = f"{tried} learning rates tried by each, chosen on validation" if tried else "no tuning"
    counted = f"{table.by_label[1]} positive"
    if len(table.by_label) > 2:
        counted = "of the classes " + ", ".join(map(str, table.by_label))
    tested = "DeLong by patient" if table.ranking == "auroc" else "drawing patients"
    return (
        f"{len(plan.models)} models on {table.exams} exams of {table.patients} patients never seen "
        f"({counted}); {divided}; {len(plan.seeds)} seeds; {budget}; {tuning}. Mean ± standard deviation "
        f"over seeds, 95 % intervals from drawing patients; against {plan.reference}: means of the seeds' probabilities, "
        f"{tested}, p-values corrected by Holm."
    )


def _kept_together(row: tuple[Value, ...]) -> tuple[Value, ...]:
    """Cells that break before an interval and nowhere within numbers."""

    def kept(cell: Value) -> Value:
        if not isinstance(cell, str) or not re.fullmatch(r"[\d.+-]+( ± [\d.]+)?( \([\d.+-]+ to [\d.+-]+\))?", cell):
            return cell
        number, bracket, interval = cell.partition(" (")
        glued = (part.replace(" ", "\N{NO-BREAK SPACE}") for part in (number, bracket.strip() + interval))
        return " ".join(part for part in glued if part)

    return tuple(kept(cell) for cell in row)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["model"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(one: Outcome) -> dict[str, Any]:
    return {**asdict(one.cell), **{name: value for name, value in asdict(one).items() if name != "cell"}}


def _plain(table: BenchmarkTable) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(table)))
    return plain


def _forest(plan: Plan, table: BenchmarkTable) -> Picture | None:
    rows = [row for row in (_forest_row(row, table.ranking) for row in table.rows) if row is not None]
    if not rows:
        return None
    rows.sort(key=lambda row: -row.mean)
    image = forest_png(rows, measure=shown.NAMES[table.ranking], reference=plan.reference, chance=0.5)
    best = rows[0]
    alt = (
        f"Forest plot of {len(rows)} models. The highest mean is that of {best.name}, {best.mean:.3f}; the numbers of "
        "all stand in the tables."
    )
    return Picture(image, alt, "Mean over seeds with its interval, and the difference of each model to the reference.")


def _forest_row(row: TableRow, ranking: str) -> ForestRow | None:
    spread = row.measured.measures[ranking] if row.measured else None
    if spread is None or spread.mean is None:
        return None
    area = row.comparison.comparison.auroc if row.comparison else None
    mark = f"p {shown.p_text(row.comparison.auroc_p_value_holm)}" if row.comparison and area else ""
    return ForestRow(
        name=row.name,
        values=spread.values,
        mean=spread.mean,
        interval=None if spread.low is None or spread.high is None else (spread.low, spread.high),
        difference=None if area is None else (area.difference, area.low, area.high),
        mark=mark,
    )


def _report(run: Path, plan: Plan, table: BenchmarkTable, said: Said, forest: Picture | None) -> Report:
    measures = Table(
        "Mean ± standard deviation over seeds (95 % interval over patients). Threshold, temperature and epoch were "
        "chosen on validation. Calibration slope: of the mean over seeds; 1 is neither too sure nor too timid. The "
        "calibration error is larger the fewer different exams there are, so its interval lies high.",
        ("Model", "Seeds", *(shown.NAMES[measure] for measure in table.measures), "Calibration slope"),
        tuple(_kept_together(row) for row in shown.measure_rows(table)),
    )
    name = shown.NAMES[table.ranking]
    compared = Table(
        f"Each model minus {plan.reference}, both by the mean of their seeds' probabilities. All p-values of this table are "
        "one family.",
        (
            "Model",
            name,
            "p (DeLong)" if table.ranking == "auroc" else "p (bootstrap)",
            "p (Holm)",
            "Accuracy",
            "test",
            "p",
            "p (Holm)",
        ),
        tuple(_kept_together(row) for row in shown.comparison_rows(table)),
    )
    costs = Table(
        "Parameters and multiplications with addition are of one volume; the others of one training.",
        ("Model", "Parameters", "GMAC", "Epochs", "Seconds", "Peak MiB", "Learning rate", "Trainings"),
        tuple(shown.cost_rows(table)),
    )
    sections = [
        Section("Measures", tables=(measures,), pictures=() if forest is None else (forest,)),
        Section(f"Against {plan.reference}", tables=(compared,)),
        Section("Costs", tables=(costs,)),
        *_division_section(plan, table),
        *_group_sections(table),
        Section("Budget", paragraphs=(budget_text(plan),)),
    ]
    return Report(
        title=f"Benchmark {run.resolve().name}",
        summary=(caption(plan, table),),
        warnings=said.warnings,
        metrics=(),
        sections=tuple(sections),
        exams=(),
        provenance=said.provenance,
    )


def budget_text(plan: Plan) -> str:
    """What every model was given."""
    epochs = plan.budget.epochs
    given = "Every model was trained by its own recipe's epochs"
    if epochs is not None:
        given = f"Every model was given at most {epochs} epochs in all its stages together"
    rates = plan.budget.learning_rates
    tuned = "none was tuned: each has its recipe's own learning rate"
    if rates:
        listed = ", ".join(f"{rate:g}" for rate in rates)
        tuned = (
            f"each tried the learning rates {listed} with the first seed of each division and kept the one of the highest "
            "AUROC on validation; what is fitted at once has none to try"
        )
    return f"{given}; {tuned}. The recipes stand in benchmark.json. The test part decided nothing."


def _division_section(plan: Plan, table: BenchmarkTable) -> list[Section]:
    names = sorted({name for row in table.rows for name in row.by_division})
    if not names:
        return []
    rows = []
    for row in table.rows:
        cells: list[str] = []
        for name in names:
            spread = row.by_division[name].measures[table.ranking] if name in row.by_division else None
            cells.append("none" if spread is None or spread.mean is None else _mean(spread))
        rows.append((row.name, *cells))
    title = "Folds" if plan.folds is not None else f"By {plan.transfer}"
    said = "AUROC on the test part of each fold" if plan.folds is not None else "AUROC where nothing was learnt from"
    return [Section(title, tables=(Table(f"{said}: mean over seeds (95 %).", ("Model", *names), tuple(rows)),))]


def _mean(spread: Any) -> str:
    interval = "" if spread.low is None else f" ({spread.low:.3f} to {spread.high:.3f})"
    return f"{spread.mean:.3f}{interval}"


def _group_sections(table: BenchmarkTable) -> list[Section]:
    covariates = dict.fromkeys(name for row in table.rows for name in row.by_group)
    found = {
        covariate: {row.name: row.by_group[covariate] for row in table.rows if covariate in row.by_group}
        for covariate in covariates
    }
    return group_sections(found, "the mean over seeds")
