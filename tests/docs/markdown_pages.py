"""Pages of the documentation as the tests see them: blocks, links, and what a page starts with.

A fenced block is run by its language: `python` as a program, `console` or `bash` line by line where a line starts with
`$ octavo`. A word `exit=2` behind the language is the exit code its commands are to leave with. Lines below a command are
what it prints, compared where they are given; `...` stands for anything. Blocks of other languages are not run.

A page that goes on with what another page made says so in a comment, `<!-- goes on from docs/tutorial.md -->`.
"""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SHELLS = {"console", "bash"}
_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)
_LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_GOES_ON = re.compile(r"<!-- goes on from (?P<page>\S+) -->")
_HEADING = re.compile(r"^#+ +(?P<text>.+?)\s*$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: The first word behind the fence.
        exit_code: What its commands are to leave with.
        text: What stands in it.
        line: The line of its first line in the page, counted from one.
    """

    language: str
    exit_code: int
    text: str
    line: int

    @property
    def commands(self) -> list["Invocation"]:
        """The lines of a shell block that call octavo."""
        found: list[Invocation] = []
        lines = iter(enumerate(self.text.splitlines(), start=self.line))
        for number, line in lines:
            if not line.startswith("$ "):
                if found and not line.startswith("#"):
                    found[-1] = found[-1].with_output(line)
                continue
            command = line.removeprefix("$ ")
            while command.endswith("\\"):
                command = command.removesuffix("\\") + " " + next(lines)[1].strip().removeprefix("> ")
            found.append(Invocation(tuple(shlex.split(command, comments=True)), number))
        return found


@dataclass(frozen=True)
class Invocation:
    """A command of a shell block and the lines it is said to print."""

    words: tuple[str, ...]
    line: int
    output: tuple[str, ...] = ()

    @property
    def is_octavo(self) -> bool:
        return self.words[:1] == ("octavo",)

    def with_output(self, line: str) -> "Invocation":
        return Invocation(self.words, self.line, (*self.output, line))


@dataclass(frozen=True)
class Page:
    """A page of the documentation, by its path from the root of the repository."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            language, *words = match["info"].split() or [""]
            codes = [int(word.removeprefix("exit=")) for word in words if word.startswith("exit=")]
            line = self.text.count("\n", 0, match.start("body")) + 1
            indent = len(match["indent"])
            body = "".join(row[indent:] for row in match["body"].splitlines(keepends=True))
            found.append(Block(language, codes[0] if codes else 0, body, line))
        return found

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def goes_on_from(self) -> str | None:
        """The page whose results this page needs."""
        match = _GOES_ON.search(self.text)
        return match["page"] if match else None

    @property
    def is_run(self) -> bool:
        """Whether anything on the page is run."""
        shells = (block for block in self.blocks if block.language in SHELLS)
        calls = any(command.is_octavo for block in shells for command in block.commands)
        return calls or any(block.language == "python" for block in self.blocks)

    @property
    def links(self) -> list[str]:
        """Targets of links and pictures that are not on the web."""
        targets = [match["target"] for match in _LINK.finditer(self.prose)]
        return [target for target in targets if not re.match(r"[a-z]+:", target)]

    @property
    def anchors(self) -> set[str]:
        """What a link may name behind `#`."""
        return {anchor(match["text"]) for match in _HEADING.finditer(self.prose)}


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to.

    Example:
        >>> anchor("What `octavo` writes, and where")
        'what-octavo-writes-and-where'
    """
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def all_pages() -> list[Page]:
    """README, CONTRIBUTING, CHANGELOG and everything below docs."""
    top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    below = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return [Page(path) for path in [*top, *below]]
