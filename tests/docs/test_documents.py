"""The documentation is whole: every command has its page, every link leads somewhere, every option exists."""

import importlib
import re
import shlex

import pytest
import tyro
from markdown_pages import ROOT, SHELLS, Page, all_pages

from octavo.cli import COMMANDS, find_command
from octavo.errors import OctavoError

PAGES = all_pages()
COMMAND_PAGES = [page for page in PAGES if page.path.startswith("docs/commands/")]
FOREIGN = re.compile(r"/work\b|\bsessions?\b|\bissues?\b|\bthis machine\b|\bsub-?agents?\b", re.I)
STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def page_of(command: str) -> str:
    return f"docs/commands/{command.replace(' ', '-')}.md"


def options_of(command: str) -> set[str]:
    """All options of a command, as its help names them."""
    return set(OPTION.findall(help_of(command)))


def help_of(command: str) -> str:
    home, _, name = COMMANDS[command][0].partition(":")
    kind = getattr(importlib.import_module(home), name)
    parser = tyro.extras.get_parser(kind, config=STYLE)
    return parser.format_help()


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    assert {page.path for page in COMMAND_PAGES} == {page_of(command) for command in COMMANDS}


def test_the_readme_has_a_row_for_every_command_in_order() -> None:
    rows = re.findall(r"^\| \[`octavo ([a-z0-9 -]+)`\]\((\S+)\) \|", Page("README.md").text, re.M)
    assert rows == [(command, page_of(command)) for command in COMMANDS]


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda page: page.path)
def test_a_command_page_names_its_command_and_its_exit_codes(page: Page) -> None:
    commands = {page_of(command): command for command in COMMANDS}
    command = commands[page.path]
    assert page.text.startswith(f"# octavo {command}\n")
    assert re.search(r"^Exit codes?: 0 ", page.text, re.M)


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda page: page.path)
def test_a_command_page_tells_only_of_options_that_exist(page: Page) -> None:
    command = {page_of(command): command for command in COMMANDS}[page.path]
    in_tables = {option for row in re.findall(r"^\| *(`--.*?`) *\|", page.text, re.M) for option in OPTION.findall(row)}
    assert in_tables <= options_of(command)
    anywhere = set().union(*(options_of(other) for other in COMMANDS))
    assert set(OPTION.findall(page.prose)) <= anywhere


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_commands_that_are_shown_and_not_run_would_be_understood(page: Page) -> None:
    """Lines of `sh` blocks name files that are not there; but command and options must be real."""
    for block in page.blocks:
        if block.language in {"sh", "shell"}:
            for line in block.text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["octavo"] and not words[1].startswith("--"):
                    command, rest = find_command(words[1:])
                    home, _, name = COMMANDS[command][0].partition(":")
                    kind = getattr(importlib.import_module(home), name)
                    try:
                        tyro.cli(kind, args=rest, config=STYLE)
                    except SystemExit:
                        pytest.fail(f"{page.path}: {line!r} is not understood")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_commands_named_in_a_sentence_exist(page: Page) -> None:
    for words in re.findall(r"`octavo ([a-z][^`]*)`", page.prose):
        try:
            find_command(words.split())
        except OctavoError:
            assert words in {"cohort", "train"}, f"{page.path}: `octavo {words}` is no command"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        path, _, name = link.partition("#")
        target = (ROOT / page.path).parent / path if path else ROOT / page.path
        assert target.exists(), f"{page.path}: {link} leads nowhere"
        assert target.resolve().is_relative_to(ROOT), f"{page.path}: {link} leads out of the repository"
        if name:
            there = Page(target.resolve().relative_to(ROOT).as_posix())
            assert name in there.anchors, f"{page.path}: {path} has no heading {name}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or not path.endswith(".md") or not (ROOT / path).exists():
            continue
        reached.add(path)
        page = Page(path)
        targets = [((ROOT / path).parent / link.partition("#")[0]).resolve() for link in page.links if link[0] != "#"]
        waiting += [target.relative_to(ROOT).as_posix() for target in targets]
    assert {page.path for page in PAGES} == reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_pages_speak_of_the_project_alone(page: Page) -> None:
    found = FOREIGN.search(page.text)
    assert found is None, f"{page.path}: says {found.group()!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_fences_are_closed_and_programs_can_be_read(page: Page) -> None:
    assert page.prose.count("```") == 0
    for block in page.blocks:
        looks_run = re.search(r"^(\$ |import |from |>>> )", block.text, re.M)
        assert block.language or not looks_run, f"{page.path}, line {block.line}: a block without a language is not run"
        if block.language in {"python", "py"}:
            compile(block.text, page.path, "exec")
        if block.language in SHELLS:
            assert block.commands, f"{page.path}, line {block.line}: no line starts with `$ `"


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


def test_a_page_is_taken_apart_as_it_is_written() -> None:
    page = Page("made-up.md")
    page.__dict__["text"] = (
        "# A `title`, twice\n\nSee [there](other.md#a-b) and [web](https://example.org).\n"
        "```console exit=2\n$ octavo inspect \\\n    eye.npy\noctavo: refused\n$ ls\n```\n"
        "<!-- goes on from docs/tutorial.md -->\n```python\nprint(1)\n```\n"
    )
    console, python = page.blocks
    assert (console.language, console.exit_code, console.line) == ("console", 2, 5)
    assert [command.words for command in console.commands] == [("octavo", "inspect", "eye.npy"), ("ls",)]
    assert console.commands[0].output == ("octavo: refused",)
    assert (python.text, python.line) == ("print(1)\n", 12)
    assert page.links == ["other.md#a-b"]
    assert page.anchors == {"a-title-twice"}
    assert page.goes_on_from == "docs/tutorial.md"
    assert page.is_run
