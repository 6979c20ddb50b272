"""The shell: what it lists, what it refuses, what it imports, and how it leaves."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import octavo
from octavo import cli
from octavo.cli import COMMANDS, find_command, main, overview
from octavo.errors import OctavoError

HEAVY = ("torch", "lightning", "scipy", "nibabel", "pydicom", "matplotlib", "PIL", "sklearn", "tensorboard", "mlflow")

PROBE = """
import json, sys
from octavo.cli import main
code = 0
try:
    code = main(json.loads(sys.argv[1]))
except SystemExit as left:
    code = left.code
print("PROBED" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.fixture(autouse=True)
def calm_signals():
    """The command line takes over SIGTERM; the test process gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def probe(words, folder):
    """Run a command in a process of its own, and say how it left and what it had imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(words)], capture_output=True, text=True, check=True, cwd=folder
    )
    text, _, probed = done.stdout.rpartition("PROBED")
    code, modules = json.loads(probed)
    return code, set(modules), text + done.stderr


@pytest.mark.parametrize("words", [["--help"], [], ["--version"]])
def test_asking_for_help_imports_next_to_nothing(tmp_path, words):
    code, modules, text = probe(words, tmp_path)
    assert code == 0
    assert "octavo" in text
    assert not modules & {*HEAVY, "numpy", "tyro"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_imports_nothing_heavy(tmp_path, command):
    code, modules, text = probe([*command.split(), "--help"], tmp_path)
    assert code == 0
    assert f"octavo {command}" in text
    assert not modules & set(HEAVY), modules & set(HEAVY)
    assert list(tmp_path.iterdir()) == []


def test_commands_that_train_nothing_and_need_no_model_run_without_torch(tmp_path):
    code, modules, text = probe(["phantom", "eyes", "--patients", "3", "--shape", "12", "32", "16"], tmp_path)
    assert code == 0, text
    assert "torch" not in modules
    manifest = str(tmp_path / "eyes" / "manifest.csv")
    (scan, *_) = sorted((tmp_path / "eyes" / "scans").iterdir())
    for words in (
        ["inspect", str(scan)],
        ["convert", str(scan), "other.nii.gz"],
        ["cohort", "check", manifest],
        ["cohort", "split", manifest, "--out", "split.csv", "--fractions", "1", "0", "0"],
    ):
        code, modules, text = probe(words, tmp_path)
        assert code == 0, text
        assert not modules & {"torch", "lightning"}, words


def test_the_overview_lists_every_command_with_its_line_and_the_exit_codes():
    text = overview()
    for name, (_, summary) in COMMANDS.items():
        assert f"  {name} " in text
        assert summary in text
    assert "Exit codes: 0 done; 1 done, but some items failed" in text
    assert "not a medical device" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("group", ["cohort", "train"])
@pytest.mark.parametrize("help_", ["-h", "--help"])
def test_a_group_lists_its_commands(capsys, group, help_):
    assert main([group, help_]) == 0
    text = capsys.readouterr().out
    for name, (_, summary) in COMMANDS.items():
        assert (f"  {name} " in text) == (summary in text) == name.startswith(f"{group} ")
    assert main([f"{group}s", help_]) == 2


def test_every_command_lives_where_the_table_says():
    for home, _ in COMMANDS.values():
        module, _, attribute = home.partition(":")
        assert callable(getattr(__import__(module, fromlist=[attribute]), attribute).run)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["inspect"], ("inspect", [])),
        (["inspect", "--json", "a"], ("inspect", ["--json", "a"])),
        (["cohort", "split", "m.csv"], ("cohort split", ["m.csv"])),
        (["train", "ai-cnet3d", "--run", "r"], ("train ai-cnet3d", ["--run", "r"])),
    ],
)
def test_commands_are_found_by_their_words(words, found):
    assert find_command(words) == found


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["inspct"], "'inspct' is not a command; wanted one of: inspect, "),
        (["predcit", "run"], "did you mean 'predict'?"),
        (["cohort"], "'cohort' is not a command; wanted one of: cohort adopt, cohort check, cohort pack"),
        (["cohort", "chek"], "did you mean 'cohort check'?"),
        (["train", "ai-cnet"], "did you mean 'train ai-cnet3d'?"),
        (["train"], "wanted one of: train ai-cnet3d"),
        (["split"], "'split' is not a command"),
        (["--verbose"], "'--verbose' is not a command"),
        ([""], "'' is not a command"),
    ],
)
def test_an_unknown_command_is_refused_with_the_nearest(words, says, capsys):
    with pytest.raises(OctavoError):
        find_command(words)
    assert main(words) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.err.startswith("octavo: ")
    assert len(told.err.splitlines()) == 1
    assert told.out == ""


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"octavo {octavo.__version__}\n"


def test_an_unknown_option_leaves_with_2_and_says_which(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["phantom", "out", "--patiens", "3"])
    assert left.value.code == 2
    assert "--patiens" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


class Ends:
    """A command that ends in one way."""

    def __init__(self, ending):
        self.ending = ending

    def __call__(self, words):
        if isinstance(self.ending, int):
            return self.ending
        raise self.ending


@pytest.mark.parametrize(
    ("ending", "code", "says"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (OctavoError("got this; wanted that; do so"), 2, "octavo: got this; wanted that; do so\n"),
        (KeyboardInterrupt(), 130, "octavo: stopped\n"),
        (PermissionError(13, "Permission denied", "/x/y.csv"), 2, "octavo: /x/y.csv: Permission denied; wanted "),
        (OSError(28, "No space left on device"), 2, "octavo: No space left on device; wanted "),
        (
            UnicodeEncodeError("utf-8", "Gr\udcfcn", 2, 3, "surrogates not allowed"),
            2,
            r"octavo: 'Gr\udcfcn' cannot be written as utf-8; wanted names in UTF-8; rename the file or folder",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_a_command_ends_is_the_exit_code(monkeypatch, capsys, ending, code, says):
    monkeypatch.setattr(cli, "run_command", Ends(ending))
    assert main(["inspect"]) == code
    told = capsys.readouterr().err
    assert told.startswith(says)
    assert len(told.splitlines()) == bool(says)


def test_a_name_that_is_not_utf8_is_shown_with_escapes_and_no_traceback(tmp_path):
    """As a process, because it is about the bytes on the streams."""
    odd = os.fsencode(tmp_path) + b"/gr\xfcn_OD.npy"
    with open(odd, "wb") as file:
        np.save(file, np.arange(24).reshape(2, 4, 3))
    for words, code in ((["inspect", odd], 0), (["inspect", odd, odd + b".gone"], 1), (["inspect", tmp_path], 0)):
        done = subprocess.run(
            [sys.executable, "-m", "octavo", *words],
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == code, done.stderr
        assert rb"gr\udcfcn_OD.npy" in done.stdout
        assert b"Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == code


def test_a_name_that_no_file_can_hold_is_one_line(tmp_path, capsys):
    """A manifest that names a scan whose name is not UTF-8 cannot be written, and says so."""
    for name in ("glaucoma", "Non-Glaucomas"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", np.arange(24).reshape(2, 4, 3))
    os.rename(tmp_path / "glaucoma" / "glaucoma.npy", os.fsencode(tmp_path / "glaucoma") + b"/gr\xfcn.npy")
    words = ["cohort", "adopt", "ai-cnet3d-folders", str(tmp_path), "--out", str(tmp_path / "m.csv")]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("octavo: ")
    assert line.endswith("; wanted names that are; rename the file or folder")
    assert not (tmp_path / "m.csv").exists()


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    monkeypatch.setattr(cli, "run_command", Ends(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["inspect"])


def test_a_polite_kill_leaves_with_143(tmp_path):
    waiting = (
        "import sys, time\nfrom octavo import cli\n"
        "def run(words):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "cli.run_command = run\nsys.exit(cli.main(['inspect']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(timeout=30) == 143


def test_a_reader_that_goes_away_is_no_fault(tmp_path):
    """`octavo --help | head -1`: nothing to complain about."""
    command = f"{sys.executable} -m octavo inspect {tmp_path}/none.npy --json 2>/dev/null | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[", "")


def test_the_package_is_a_command_too(tmp_path):
    done = subprocess.run([sys.executable, "-m", "octavo", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout == overview() + "\n"
