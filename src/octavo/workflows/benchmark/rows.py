"""The table of a benchmark as plain rows, for CSV, LaTeX and people."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from octavo.metrics.model_table import Spread
from octavo.workflows.benchmark.table import BenchmarkTable, TableRow

Value = str | float | int | None

NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "macro_auroc": "Macro AUROC",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
}
"""What the measures are called."""


def flat_row(row: TableRow, measures: Sequence[str]) -> dict[str, Value]:
    """Everything about a model under flat names, for `table.csv`; what has no value is None."""
    compared = row.comparison
    area = compared.comparison.auroc if compared else None
    share = compared.comparison.accuracy if compared else None
    found: dict[str, Value] = {"model": row.name, "seeds": row.measured.seeds if row.measured else 0}
    found |= {"cells": row.cells, "failed_cells": len(row.failures)}
    for measure in measures:
        spread = row.measured.measures[measure] if row.measured else None
        found |= {
            f"{measure}_mean": spread.mean if spread else None,
            f"{measure}_sd": spread.sd if spread else None,
            f"{measure}_ci_low": spread.low if spread else None,
            f"{measure}_ci_high": spread.high if spread else None,
        }
    found |= {
        "calibration_slope": row.calibration_slope,
        "auroc_difference": area.difference if area else None,
        "auroc_difference_ci_low": area.low if area else None,
        "auroc_difference_ci_high": area.high if area else None,
        "auroc_p_value": compared.auroc_p_value if compared else None,
        "auroc_p_value_holm": compared.auroc_p_value_holm if compared else None,
        "accuracy_difference": share.difference if share else None,
        "accuracy_difference_ci_low": share.low if share else None,
        "accuracy_difference_ci_high": share.high if share else None,
        "accuracy_test": compared.comparison.accuracy_test if compared else None,
        "accuracy_p_value": compared.accuracy_p_value if compared else None,
        "accuracy_p_value_holm": compared.accuracy_p_value_holm if compared else None,
        "parameters": row.cost.parameters,
        "gmac": row.cost.gmac,
        "epochs": row.cost.epochs,
        "seconds": row.cost.seconds,
        "peak_memory_mib": row.cost.peak_memory_mib,
        "learning_rates": " ".join(f"{rate:g}" for rate in row.learning_rates) or None,
        "failures": "; ".join(row.failures) or None,
    }
    return found


def measure_rows(table: BenchmarkTable) -> list[tuple[Value, ...]]:
    """Model, seeds, and each measure as mean, spread and interval."""
    return [
        (
            row.name,
            seeds_text(row),
            *(spread_text(row, measure) for measure in table.measures),
            number(row.calibration_slope),
        )
        for row in table.rows
    ]


def comparison_rows(table: BenchmarkTable) -> list[tuple[Value, ...]]:
    """Each model against the reference: differences with intervals, tests, corrected p-values."""
    rows: list[tuple[Value, ...]] = []
    for row in table.rows:
        if row.comparison is None:
            continue
        found = row.comparison
        area, share = found.comparison.auroc, found.comparison.accuracy
        rows.append(
            (
                row.name,
                interval_text(area.difference, area.low, area.high) if area else found.comparison.auroc_undefined,
                p_text(found.auroc_p_value),
                p_text(found.auroc_p_value_holm),
                interval_text(share.difference, share.low, share.high)
                if share
                else found.comparison.accuracy_undefined,
                found.comparison.accuracy_test or "none",
                p_text(found.accuracy_p_value),
                p_text(found.accuracy_p_value_holm),
            )
        )
    return rows


def cost_rows(table: BenchmarkTable) -> list[tuple[Value, ...]]:
    """What each model costs, and what became of its trainings."""
    return [
        (
            row.name,
            None if row.cost.parameters is None else f"{row.cost.parameters:,}",
            number(row.cost.gmac, 2),
            number(row.cost.epochs, 1),
            number(row.cost.seconds, 1),
            number(row.cost.peak_memory_mib, 0),
            " ".join(f"{rate:g}" for rate in row.learning_rates) or "the recipe's",
            "; ".join(row.failures) or f"all {row.cells} trained",
        )
        for row in table.rows
    ]


def short_row(row: TableRow, ranking: str) -> tuple[str, ...]:
    """A model in a line of a terminal."""
    p_value = p_text(row.comparison.auroc_p_value_holm) if row.comparison else ""
    return (
        row.name,
        seeds_text(row),
        spread_text(row, ranking),
        _difference(row),
        p_value,
        number(row.cost.seconds, 0) or "",
    )


def seeds_text(row: TableRow) -> str:
    """How many seeds stand behind a row, and how many trainings failed."""
    seeds = row.measured.seeds if row.measured else 0
    return f"{seeds}, {len(row.failures)} failed" if row.failures else str(seeds)


def spread_text(row: TableRow, measure: str) -> str:
    """Mean ± sd (interval), or why there is none."""
    if row.measured is None:
        return "no seed is whole"
    spread = row.measured.measures[measure]
    if spread.mean is None:
        return f"not defined: {spread.undefined}"
    return _mean_text(spread)


def _mean_text(spread: Spread) -> str:
    sd = "" if spread.sd is None else f" ± {spread.sd:.3f}"
    interval = "" if spread.low is None or spread.high is None else f" ({spread.low:.3f} to {spread.high:.3f})"
    return f"{spread.mean:.3f}{sd}{interval}"


def interval_text(value: float, low: float, high: float) -> str:
    """A difference with its interval.

    Example:
        >>> interval_text(-0.02, -0.051, 0.011)
        '-0.020 (-0.051 to +0.011)'
    """
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def p_text(value: float | None) -> str:
    """A p-value as it is written in tables.

    Example:
        >>> p_text(0.0123), p_text(0.00001), p_text(None)
        ('0.012', '< 0.001', 'none')
    """
    if value is None:
        return "none"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float | None, digits: int = 3) -> str | None:
    """A number with that many digits behind the point."""
    return None if value is None else f"{value:.{digits}f}"


_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "#": r"\#",
        "_": r"\_",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "±": r"$\pm$",
        "<": r"$<$",
        ">": r"$>$",
    }
)


def latex_text(text: str) -> str:
    r"""Text as LaTeX shows it.

    Example:
        >>> print(latex_text("p_1 < 5 %"))
        p\_1 $<$ 5 \%
    """
    return text.translate(_LATEX)


_OF_A_PAPER = ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "macro_f1", "calibration_error")


def _of_a_paper(table: BenchmarkTable, reference: str) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table that goes into a paper or a page."""
    columns: Mapping[str, Callable[[TableRow], str]] = {
        "Model": lambda row: row.name,
        "Seeds": seeds_text,
        f"{NAMES[table.ranking]} (95 %)": lambda row: spread_text(row, table.ranking),
        f"Against {reference}": _difference,
        "p (Holm)": lambda row: p_text(row.comparison.auroc_p_value_holm) if row.comparison else "",
        **{NAMES[measure]: partial(_short, measure=measure) for measure in _OF_A_PAPER if measure in table.measures},
        "Parameters": lambda row: "" if row.cost.parameters is None else f"{row.cost.parameters:,}",
        "GMAC": lambda row: number(row.cost.gmac, 2) or "",
        "s": lambda row: number(row.cost.seconds, 0) or "",
        "MiB": lambda row: number(row.cost.peak_memory_mib, 0) or "",
    }
    return list(columns), [[cell(row) for cell in columns.values()] for row in table.rows]


def latex_table(table: BenchmarkTable, reference: str, caption: str) -> str:
    """The table for a paper; it needs the package booktabs."""
    heads, rows = _of_a_paper(table, reference)
    lines = [
        r"\begin{table}",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"\toprule",
        _latex_row(heads),
        r"\midrule",
        *map(_latex_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def markdown_table(table: BenchmarkTable, reference: str, caption: str) -> str:
    """The same table for a page that is written in Markdown."""
    heads, rows = _of_a_paper(table, reference)
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    written = ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
    return "\n".join([*written, "", caption]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex_text(cell) for cell in cells) + r" \\"


def _difference(row: TableRow) -> str:
    area = row.comparison.comparison.auroc if row.comparison else None
    return "" if area is None else interval_text(area.difference, area.low, area.high)


def _short(row: TableRow, measure: str) -> str:
    spread = row.measured.measures[measure] if row.measured else None
    if spread is None or spread.mean is None:
        return ""
    return f"{spread.mean:.3f}" + ("" if spread.sd is None else f" ± {spread.sd:.3f}")
