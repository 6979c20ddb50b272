"""The shell: one command per file, one frozen dataclass per command, each calling one workflow.

The command line is made from the dataclass by tyro: fields are options, their docstrings the help. Only the chosen
command's module is imported, so that asking for help costs nothing.
"""

import importlib
import io
import logging
import signal
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Protocol

from octavo.errors import OctavoError, unknown_name

COMMANDS: dict[str, tuple[str, str]] = {
    "inspect": (
        "octavo.cli.inspect:Inspect",
        "say what a scan is: size, millimetres, eye, pattern, and how each is known",
    ),
    "convert": ("octavo.cli.convert:Convert", "write a scan in another format, geometry included"),
    "compare-scan": ("octavo.cli.compare_scan:CompareScan", "compare two readings of one scan, B-scan by B-scan"),
    "deidentify": ("octavo.cli.deidentify:Deidentify", "write copies of DICOM files that name nobody"),
    "report-problem": (
        "octavo.cli.report_problem:ReportProblem",
        "write the skeleton of a file that will not open, which may be shared",
    ),
    "phantom": ("octavo.cli.phantom:Phantom", "make a cohort of synthetic eyes whose truth is known"),
    "phantom-heads": (
        "octavo.cli.phantom_heads:PhantomHeads",
        "make head-like volumes of which some are changed in a few slices",
    ),
    "cohort adopt": ("octavo.cli.cohort_adopt:CohortAdopt", "make a manifest from a folder laid out in a known way"),
    "cohort check": ("octavo.cli.cohort_check:CohortCheck", "read every exam of a manifest and list what is wrong"),
    "cohort pack": ("octavo.cli.cohort_pack:CohortPack", "prepare every exam once, into a store that training reads"),
    "cohort split": ("octavo.cli.cohort_split:CohortSplit", "divide patients into training, validation and test"),
    "models": ("octavo.cli.models:Models", "list what can be trained: parameters, cost, and what each needs"),
    "train ai-cnet3d": (
        "octavo.cli.train_ai_cnet3d:TrainAICNet3D",
        "train AI-CNet3D in two stages, over one or more seeds",
    ),
    "train dino-atten3d": (
        "octavo.cli.train_dino_atten3d:TrainDinoAtten3D",
        "train attention over slices that a frozen DINOv2 has read",
    ),
    "train peer": (
        "octavo.cli.train_peer:TrainPeer",
        "train what people use otherwise: ResNet, DenseNet, ViT, TimeSformer and simpler ones",
    ),
    "evaluate": ("octavo.cli.evaluate:Evaluate", "measure a finished run on patients it never saw"),
    "benchmark": (
        "octavo.cli.benchmark:Benchmark",
        "compare models on one cohort, on the same terms, and test them once",
    ),
    "predict": ("octavo.cli.predict:Predict", "give a probability for each scan, and say when not to trust it"),
    "explain": ("octavo.cli.explain:Explain", "show where a model looked, on the scan's own grid"),
    "demo": ("octavo.cli.demo:Demo", "the whole way on synthetic eyes: cohort, training, evaluation, explanation"),
}
"""Every command: its words, where its dataclass lives, and one line about it."""

COHORT_FIRST = ("benchmark", "train ai-cnet3d", "train dino-atten3d", "train peer")
"""Commands whose first word may be the cohort, without `--cohort` before it."""


class Command(Protocol):
    """What a command's dataclass offers."""

    def run(self) -> int:
        """Do it, and return the exit code."""


def overview_of(group: str) -> str | None:
    """The text of `octavo GROUP --help`, where there are commands of several words that begin so.

    Example:
        >>> overview_of("cohort").splitlines()[0], overview_of("inspect")
        ('usage: octavo cohort COMMAND [options]', None)
    """
    lines = _lines([name for name in COMMANDS if name.startswith(f"{group} ")])
    if not lines:
        return None
    last = f"`octavo {group} COMMAND --help` explains a command."
    return "\n".join([f"usage: octavo {group} COMMAND [options]", "", "commands:", *lines, "", last])


def _lines(names: Iterable[str]) -> list[str]:
    width = max(map(len, COMMANDS)) + 2
    return [f"  {name:<{width}}{COMMANDS[name][1]}" for name in names]


def overview() -> str:
    """The text of `octavo --help`."""
    return "\n".join(
        [
            "usage: octavo COMMAND [options]",
            "",
            "Reads three-dimensional scans of the eye, learns from them, and shows where it looked.",
            "Research software, not a medical device.",
            "",
            "commands:",
            *_lines(COMMANDS),
            "",
            "`octavo COMMAND --help` explains a command. Exit codes: 0 done; 1 done, but some items failed or a check",
            "found faults; 2 refused, nothing changed; 130 or 143 stopped.",
        ]
    )


def find_command(words: list[str]) -> tuple[str, list[str]]:
    """Split the shell's words into the command and what is left for it; a cohort that stands first gets its option.

    Raises:
        OctavoError: If the first words are no command.

    Example:
        >>> find_command(["cohort", "check", "manifest.csv"])
        ('cohort check', ['manifest.csv'])
        >>> find_command(["benchmark", "study.csv"])
        ('benchmark', ['--cohort', 'study.csv'])
    """
    for length in (2, 1):
        name, rest = " ".join(words[:length]), words[length:]
        if len(words) >= length and name in COMMANDS:
            stands_first = name in COHORT_FIRST and rest and not rest[0].startswith("-")
            return name, ["--cohort", *rest] if stands_first else rest
    group = [name for name in COMMANDS if name.split()[0] == words[0]]
    got = " ".join(words[:2]) if group else words[0]
    raise OctavoError(unknown_name("a command", got, group or COMMANDS))


def run_command(words: list[str]) -> int:
    """Build the command named by the words and run it."""
    import tyro

    name, rest = find_command(words)
    home, _, attribute = COMMANDS[name][0].partition(":")
    command_type = getattr(importlib.import_module(home), attribute)
    style = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    command: Command = tyro.cli(command_type, prog=f"octavo {name}", args=rest, config=style)
    return command.run()


def _stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def _show_any_name() -> None:
    """Let names of files that are not UTF-8 be printed with their odd bytes as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main(argv: list[str] | None = None) -> int:
    """Run one command; refusals become one line on standard error and exit code 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    _show_any_name()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _stop)
    if not words or words[0] in {"-h", "--help"}:
        print(overview())
        return 0
    group = overview_of(words[0]) if len(words) == 2 and words[1] in {"-h", "--help"} else None
    if group is not None:
        print(group)
        return 0
    if words == ["--version"]:
        from octavo import __version__

        print(f"octavo {__version__}")
        return 0
    try:
        return run_command(words)
    except OctavoError as refusal:
        print(f"octavo: {refusal}", file=sys.stderr)
        return 2
    except UnicodeEncodeError as error:
        passage = error.object[max(error.start - 40, 0) : error.end + 40]
        print(
            f"octavo: {passage!a} cannot be written as {error.encoding}; wanted names in UTF-8; rename the file or folder",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("octavo: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"octavo: {where}{error.strerror or type(error).__name__}; wanted files and folders that can be read and "
            "written; check the path, its permissions and the space that is left",
            file=sys.stderr,
        )
        return 2
