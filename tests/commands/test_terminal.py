"""What commands print: plain, a row a line, into a pipe; drawn, within its width, on a terminal."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vctool import cli, corpora
from vctool.commands import terminal
from vctool.experiment import plan

LONG = "word " * 50
ROWS = [("one", 1.5, "stale", LONG), ("two", 12, "[red]done[/red]", ":smile: x")]
HEADS = ("name", "count", "state", "reason")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
BOXES = re.compile(r"[\u2500-\u257f]")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_screen(monkeypatch: pytest.MonkeyPatch, columns: int = 60) -> Screen:
    """Put a terminal in place of both outputs."""
    made = Screen()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_a_pipe_gets_a_row_a_line_and_nothing_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(HEADS, ROWS, right=("count",), styles={"stale": "yellow"})
    assert capsys.readouterr().out.splitlines() == [
        "name  count  state            reason",
        f"one     1.5  stale            {LONG.strip()}",
        "two      12  [red]done[/red]  :smile: x",
    ]


def test_stages_and_corpora_are_a_line_each_in_a_pipe(workdir: Path) -> None:
    said = CliRunner().invoke(cli.app, ["status", "--recipe", "mini"])
    assert said.exit_code == 0, said.output
    first, head, *lines = said.output.splitlines()
    assert first == "mini: exp/mini" and head.split() == ["#", "stage", "state", "reason"]
    assert lines[:2] == ["1  download    not done", "2  features    not done"]
    assert [line.split()[1] for line in lines] == [entry.name for entry in plan.STAGES]
    said = CliRunner().invoke(cli.app, ["corpora"])
    assert said.exit_code == 0, said.output
    head, *lines = said.output.splitlines()
    assert [line.split()[0] for line in lines] == corpora.names()
    assert head.index("licence") == lines[0].index("free to use and share")
    assert max(len(line) for line in lines) > 100 and not BOXES.search(said.output)


def test_a_terminal_gets_a_table_of_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_screen(monkeypatch)
    terminal.table(HEADS, ROWS, right=("count",), styles={"stale": "yellow"})
    drawn = screen.getvalue()
    assert "\x1b[33mstale" in drawn and BOXES.search(drawn)
    plain = ANSI.sub("", drawn)
    assert max(len(line) for line in plain.splitlines()) <= 60
    assert plain.split().count("word") == 50
    assert "[red]done[/red]" in plain and ":smile:" in plain  # names are no markup


def test_a_mistake_is_one_line_coloured_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = open_screen(monkeypatch)
    message = f"[bold]a/{LONG}: no such recipe :smile:; did you mean 'b'?"
    terminal.complain(message)
    told = screen.getvalue()
    assert ANSI.search(told) and ANSI.sub("", told) == f"vctool: {message}\n"
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.complain("again")
    assert "\x1b[3" not in screen.getvalue().removeprefix(told)
    monkeypatch.undo()
    terminal.complain(message)
    assert capsys.readouterr().err == f"vctool: {message}\n"


def commands(group: object, *path: str) -> Iterator[tuple[str, ...]]:
    """Walk through a group and all that is below it."""
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *path, name)


def help_of(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, screen: io.StringIO
) -> list[str]:
    """Return the words of a command's help, without what frames them."""
    screen.seek(0)
    screen.truncate()
    monkeypatch.setattr(sys, "argv", ["vctool", *path, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    return BOXES.sub(" ", ANSI.sub("", screen.getvalue())).split()


def test_drawn_help_says_all_that_plain_help_says(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_screen(monkeypatch, columns=300)
    paths = list(commands(typer.main.get_command(cli.app)))
    assert ("data", "show") in paths and len(paths) > 15
    monkeypatch.setattr(cli.app, "rich_markup_mode", None)
    drawn = {path: help_of(path, monkeypatch, screen) for path in paths}
    monkeypatch.setattr(cli.app, "rich_markup_mode", None)
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stdout", plain)
    for path in paths:
        said = help_of(path, monkeypatch, plain)
        if not path:
            assert " ".join(said).index("Stages of a recipe: download") > 0
        words = {word.strip(".:;,[]()") for word in said}
        missing = words - {word.strip(".:;,[]()") for word in drawn[path]}
        # A flag with two names is `--open / --no-open` here and in two columns there.
        assert missing <= {"/"}, (path, missing)


def test_help_names_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    command = typer.main.get_command(cli.app)
    command.main(["--help"], standalone_mode=False)
    said = capsys.readouterr().out
    groups = re.split(r"\n\n(?=\S)", said)[-5:]
    found = {group.split(":\n")[0]: re.findall(r"^  (\S+)", group, re.M) for group in groups}
    panels = ["Stages of a recipe", "Recordings", "Models", "Results", "This machine"]
    assert list(found) == panels
    assert found["Recordings"] == ["corpora", "prepare", "data"]
    assert found["Results"] == ["compare", "scoreboard"]
    assert sorted(name for names in found.values() for name in names) == sorted(command.commands)
