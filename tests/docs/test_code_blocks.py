"""Every example of the documentation runs, and prints what the page says it prints."""

import doctest
import importlib.util
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_pages import ROOT, SHELLS, Block, Invocation, Page, all_pages

from octavo.cli import main

PAGES = [page for page in all_pages() if page.is_run]

SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(autouse=True)
def calm_signals() -> Iterator[None]:
    """The command line takes over SIGTERM; the test process gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class Runner:
    """Runs pages in folders of their own; one that another page goes on from runs once, and is copied."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folders: dict[str, Path] = {}
        self.failures: dict[str, str] = {}

    def folder(self, page: Page, capture: pytest.CaptureFixture[str]) -> Path:
        """What is left when a page has run."""
        if page.path in self.failures:
            pytest.fail(f"{page.path} did not run: {self.failures[page.path]}")
        if page.path not in self.folders:
            place = self.home / page.path.replace("/", "-")
            if page.goes_on_from:
                shutil.copytree(self.folder(Page(page.goes_on_from), capture), place)
            else:
                place.mkdir()
            try:
                with pytest.MonkeyPatch.context() as patch:
                    patch.chdir(place)
                    run_page(page, capture)
            except BaseException as error:
                self.failures[page.path] = f"{type(error).__name__}: {error}"
                raise
            self.folders[page.path] = place
        return self.folders[page.path]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("pages"))


def run_page(page: Page, capture: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for block in page.blocks:
        if block.language == "python":
            # padded with empty lines, so that a traceback names the line of the page
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, page.path, "exec", dont_inherit=True), names)
        if block.language in SHELLS:
            for command in block.commands:
                if command.is_octavo:
                    run_command(page, block, command, capture)


def run_command(page: Page, block: Block, command: Invocation, capture: pytest.CaptureFixture[str]) -> None:
    where = f"{page.path}, line {command.line}: {' '.join(command.words)}"
    capture.readouterr()
    try:
        code = main(list(command.words[1:]))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    printed = "".join(capture.readouterr())
    assert code == block.exit_code, f"{where}: exit code {code}, the page says {block.exit_code}\n{printed}"
    wanted = "\n".join(command.output).strip()
    if wanted:
        same = doctest.OutputChecker().check_output(wanted + "\n", printed.strip() + "\n", SAME)
        assert same, f"{where}: printed\n{printed}\nand the page says\n{wanted}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_examples_of_a_page_run_and_print_what_it_says(
    page: Page, runner: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.folder(page, capsys)


def test_a_block_that_fails_or_prints_something_else_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    page = Page("docs/tutorial.md")

    def run(text: str, exit_code: int = 0) -> None:
        block = Block("console", exit_code, text, 1)
        run_command(page, block, block.commands[0], capsys)

    run("$ octavo --version\noctavo 0...\n")
    run("$ octavo evaluate \\\n    no-such-run\noctavo: no-such-run: there is no such folder; ...\n", exit_code=2)
    with pytest.raises(AssertionError, match="the page says 0"):
        run("$ octavo evaluate no-such-run\n")
    with pytest.raises(AssertionError, match="and the page says"):
        run("$ octavo --version\noctavo 9\n")
    with pytest.raises(AssertionError, match="the page says 0"):
        run("$ octavo inspect eye.npy --no-such-option\n")


def test_the_picture_of_the_readme_is_drawn_from_a_run_on_phantoms(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    script = ROOT / "docs" / "make_pictures.py"
    spec = importlib.util.spec_from_file_location("make_pictures", script)
    assert spec is not None
    assert spec.loader is not None
    make_pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_pictures)
    demo = runner.folder(Page("docs/commands/demo.md"), capsys) / "demo"
    drawn = make_pictures.draw(demo, tmp_path)
    committed = ROOT / "docs" / "pictures" / drawn.name
    assert f"docs/pictures/{drawn.name}" in Page("README.md").links
    # not more alike than that: a map without heat, as so small a model may have, brings another line of caption
    assert Image.open(drawn).width == Image.open(committed).width
    assert Image.open(drawn).convert("L").getextrema() != (0, 0)
