"""How the program speaks: help, progress, warnings, defects, and Ctrl-C inside a command."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import warnings
from importlib.metadata import version

import pytest

from napari_lungcls.cli import app, console
from napari_lungcls.errors import InputError, LungclsWarning

COMMANDS = (
    "train", "augment", "classify", "evaluate", "agree", "convert", "paint", "info", "demo"
)  # fmt: skip
PATCHES = ("train", "evaluate", "predict", "info", "export")


def program(*words: object):
    """Run the program as users do, in a process of its own."""
    code = "from napari_lungcls.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_alone_it_shows_its_commands_and_is_no_success(run_cli):
    alone, asked = run_cli(), run_cli("--help")
    assert (alone.code, asked.code) == (2, 0)
    assert alone.out == asked.out
    assert all(f"  {name} " in asked.out for name in COMMANDS)


def test_it_tells_its_version(run_cli):
    found = run_cli("--version")
    assert (found.code, found.out.strip(), found.err) == (0, version("napari-lungcls"), "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run_cli, name):
    found = run_cli(name, "--help")
    assert (found.code, found.err) == (0, "")
    assert "--json" in found.out
    assert "..." not in run_cli("--help").out.split(f"  {name} ")[1].splitlines()[0]


@pytest.mark.parametrize("name", PATCHES)
def test_every_command_on_patches_explains_itself(run_cli, name):
    found = run_cli("patches", name, "--help")
    assert (found.code, found.err) == (0, "")
    assert "--json" in found.out
    assert f"  {name} " in run_cli("patches", "--help").out


def test_the_log_is_shown_where_it_is_asked_for(run_cli, lab, tmp_path):
    words = ["paint", lab.model, lab.image, "--stride", "8", "--overwrite", "--out"]
    out = tmp_path / "map.ome.zarr"
    quiet, steps, details = (run_cli(*words, out, *v) for v in ((), ("-v",), ("-vv",)))
    assert (quiet.code, steps.code, details.code) == (0, 0, 0)
    assert "wrote the map" not in quiet.err
    assert f"read the model {lab.model}: alveoli, septa, duct\n" in steps.err
    assert f"painting {out}: 1 of 1 blocks to paint\n" in steps.err
    assert f"wrote the map {out}\n" in steps.err
    assert "built the network" not in steps.err
    assert "built the network with torch on " in details.err
    assert run_cli(*words, out).err == quiet.err


def test_options_tell_their_defaults(run_cli):
    text = " ".join(run_cli("train", "--help").out.split())
    assert "[default: auto]" in text
    assert "[default: reflect]" in text
    assert "[default: lung]" in text
    assert "[default: on]" in text
    assert "[default: 4]" in " ".join(run_cli("paint", "--help").out.split())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--points a.csv b.csv i.png", "--points a.csv --points b.csv i.png"),
        ("i.png --points a.csv B.CSV --json", "i.png --points a.csv --points B.CSV --json"),
        ("--points a.csv --points b.csv", "--points a.csv --points b.csv"),
        ("--points a.csv --out b.csv", "--points a.csv --out b.csv"),
        ("--points a b.csv", "--points a b.csv"),
        ("--points", "--points"),
        ("", ""),
    ],
)
def test_points_takes_several_tables(given, meant):
    assert app.spread(given.split()) == meant.split()


def test_the_installed_program_answers_and_fails_as_promised(tmp_path):
    told = program("info", "--json")
    assert (told.returncode, told.stderr) == (0, "")
    assert list(json.loads(told.stdout)) == ["engines", "versions"]
    missing = tmp_path / "no.safetensors"
    failed = program("info", missing)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == f"lungcls: {missing}: there is no such model file\n"
    debugged = program("info", missing, "--debug")
    assert debugged.returncode == 1
    assert debugged.stderr.startswith("Traceback")
    assert "there is no such model file" in debugged.stderr


def test_a_defect_is_one_line_without_debug():
    code = (
        "from napari_lungcls.cli import app, info\n"
        "def broken(*_): raise ZeroDivisionError('division\\nby zero')\n"
        "info._installation = broken\n"
        "app.run(['info'{}])"
    )
    plain, debugged = (
        subprocess.run(
            [sys.executable, "-c", code.format(more)],
            capture_output=True, text=True, timeout=120, check=False,
        )
        for more in ("", ", '--debug'")
    )  # fmt: skip
    assert plain.returncode == debugged.returncode == 1
    assert plain.stdout == debugged.stdout == ""
    (line,) = plain.stderr.splitlines()
    assert line.startswith("lungcls: ZeroDivisionError: division by zero (")
    assert "--debug" in line
    assert debugged.stderr.startswith("Traceback")


def test_a_reader_that_leaves_is_no_defect():
    code = "from napari_lungcls.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "train", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said


def test_warnings_of_ours_are_sentences_and_others_say_where_they_are_from(capsys, monkeypatch):
    monkeypatch.setattr(app.info, "_installation", _warn)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            app.run(["info", "--json"])
    first, second = capsys.readouterr().err.splitlines()
    assert first == "lungcls: The section is thin."
    assert second.startswith("lungcls: test_usage.py:")
    assert second.endswith(": soon")


def _warn() -> dict[str, str]:
    warnings.warn("The section\nis thin.", LungclsWarning, stacklevel=1)
    warnings.warn("soon", FutureWarning, stacklevel=1)
    return {}


def test_a_log_gets_lines_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0, 8.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("painting") as show:
        for done in (1, 2, 3):
            show(done, 4, "blocks")
        show(4, 4, "")
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines() == ["painting 2/4 blocks", "painting 4/4"]


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with console.progress("painting") as show:
        show(3, 4, "blocks")
    assert "75 %" in screen.getvalue()
    assert "blocks" in screen.getvalue()


def test_the_first_ctrl_c_asks_and_the_second_insists(capsys):
    before = signal.getsignal(signal.SIGINT)
    with console.interruptible() as cancelled:
        assert not cancelled()
        signal.raise_signal(signal.SIGINT)
        assert cancelled()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "press Ctrl-C again" in capsys.readouterr().err


def test_bad_input_stays_bad_input_unless_ctrl_c_caused_it():
    with pytest.raises(InputError, match="outside"), console.interruptible():
        raise InputError("points lie outside")
    with pytest.raises(console.Interrupted, match="nothing is left"), console.interruptible():
        _cancelled()


def _cancelled() -> None:
    signal.raise_signal(signal.SIGINT)
    raise InputError("cancelled; nothing is left")


def test_an_interrupt_outside_of_long_work_ends_with_130(run_cli, monkeypatch):
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(app.info, "_installation", interrupted)
    found = run_cli("info", "--json")
    assert (found.code, found.out, found.err) == (130, "", "lungcls: interrupted\n")
