"""How the losses of a run went down, or did not."""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.errors import OctavoError
from octavo.figures.plotting import (
    INK,
    QUIET,
    add_legend,
    label_axes,
    new_figure,
    png_bytes,
    series_style,
    whole_numbers,
    with_report_look,
)


@dataclass(frozen=True)
class TrainingHistory:
    """What was logged while a stage learnt: for each name, epochs and the values they had."""

    values: Mapping[str, tuple[tuple[int, float], ...]]

    def best_epoch(self, name: str) -> int | None:
        """The first epoch with the lowest value, or None if there is none.

        Example:
            >>> TrainingHistory({"val_loss": ((0, 0.7), (1, 0.5), (2, 0.6))}).best_epoch("val_loss")
            1
        """
        logged = [(value, epoch) for epoch, value in self.values.get(name, ()) if math.isfinite(value)]
        return min(logged)[1] if logged else None


def read_training_history(path: Path, names: Sequence[str] | None = None) -> TrainingHistory:
    """Read a table of what was logged: a column `epoch`, and one column for each name, with empty fields between.

    Training and validation are logged at different moments, so a row rarely fills all columns. Where a name was logged
    more than once in an epoch, the mean counts.

    Args:
        path: A `metrics.csv`.
        names: Which columns to read; all whose name holds `loss` if not given.

    Raises:
        OctavoError: If the file cannot be read, has no epochs, lacks a column or holds something that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OctavoError(f"{path}: cannot be read ({error}); wanted the metrics.csv of a run") from error
    columns = list(rows[0]) if rows else []
    wanted = [name for name in columns if name and "loss" in name] if names is None else list(names)
    missing = [name for name in ["epoch", *wanted] if name not in columns]
    if missing or not wanted:
        raise OctavoError(f"{path}: no column {', '.join(missing) or 'with a loss'}; wanted the metrics.csv of a run")
    logged: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in wanted}
    for line, row in enumerate(rows, start=2):
        for name in wanted:
            if row[name]:
                logged[name][_epoch(path, line, row)].append(_number(path, line, row, name))
    return TrainingHistory(
        {
            name: tuple((epoch, math.fsum(values) / len(values)) for epoch, values in sorted(epochs.items()))
            for name, epochs in logged.items()
        }
    )


def _number(path: Path, line: int, row: Mapping[str, str | None], name: str) -> float:
    text = row[name] or ""
    try:
        return float(text)
    except ValueError:
        raise OctavoError(
            f"{path} line {line}: {name} is {text!r}; wanted a number; the file may have been cut off"
        ) from None


def _epoch(path: Path, line: int, row: Mapping[str, str | None]) -> int:
    epoch = _number(path, line, row, "epoch")
    if not epoch.is_integer():
        raise OctavoError(f"{path} line {line}: epoch is {row['epoch']!r}; wanted a whole number")
    return int(epoch)


@with_report_look
def training_png(stages: Mapping[str, TrainingHistory], selected_by: str = "") -> bytes:
    """Draw the losses of each stage by epoch, one panel for each stage.

    Args:
        stages: Histories by the name of their stage, in order.
        selected_by: The loss whose lowest epoch was kept; a line stands there.

    Raises:
        OctavoError: If there is no stage, or a stage has no values.
    """
    empty = [name for name, history in stages.items() if not any(history.values.values())]
    if not stages or empty:
        raise OctavoError(f"nothing was logged in {', '.join(empty) or 'any stage'}; wanted a loss for each epoch")
    figure, all_axes = new_figure((4.2 * len(stages) + 0.2, 3.3), columns=len(stages))
    for axes, (stage, history) in zip(all_axes, stages.items(), strict=True):
        for number, (name, points) in enumerate(history.values.items()):
            epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
            every = max(1, len(points) // 20)
            axes.plot(epochs, values, label=name, markersize=4, markevery=every, linewidth=1.6, **series_style(number))
        best = history.best_epoch(selected_by)
        if best is not None:
            axes.axvline(best, color=QUIET, linewidth=1, linestyle=":", label=f"kept: epoch {best}")
        whole_numbers(axes.xaxis)
        label_axes(axes, "Epoch", "Loss")
        axes.set_title(stage, fontsize=10, color=INK)
        add_legend(axes, "best")
    return png_bytes(figure)
