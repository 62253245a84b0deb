"""The command line: assembles `vctool.commands` and reports errors.

A command parses, calls one function, and prints. Nothing heavy is imported before its body runs. A
user's mistake, also in the command line itself, is one line on stderr and exit status 2; an
interrupted command exits with 130.
"""

import errno
import io
import logging
import os
import sys
import warnings
from typing import Annotated

import typer

import vctool
from vctool.commands import (
    convert,
    corpora,
    data,
    double,
    evaluate,
    export,
    judges,
    machine,
    models,
    page,
    prepare,
    recipes,
    scores,
    stages,
    stream,
    vocoders,
)
from vctool.commands.options import RECORDINGS
from vctool.commands.terminal import Commands, complain
from vctool.errors import VctoolError
from vctool.numba_cache import ensure_writable
from vctool.openmp import wait_asleep

app = typer.Typer(
    name="vctool",
    cls=Commands,
    help="Unpaired conversion of voices: speech to singing, one speaker to another.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    # --stop_stage and --stop-stage are the same option, as Kaldi's users expect.
    context_settings={"token_normalize_func": lambda token: token.replace("_", "-")},
)
for group in (
    stages,
    evaluate,
    export,
    recipes,
    corpora,
    convert,
    double,
    stream,
    models,
    judges,
    page,
    vocoders,
    scores,
    machine,
):
    app.add_typer(group.app)
app.add_typer(prepare.app, name="prepare", rich_help_panel=RECORDINGS)
app.add_typer(data.app, name="data", rich_help_panel=RECORDINGS)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"vctool {vctool.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_tell_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Unpaired conversion of voices: speech to singing, one speaker to another."""


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def main() -> None:
    """Run the command line and turn errors into one line and an exit status."""
    for text in (sys.stdout, sys.stderr):
        if isinstance(text, io.TextIOWrapper):  # names of files may hold any bytes
            text.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("vctool").setLevel(logging.DEBUG)
    logging.getLogger().handlers[0].setLevel(logging.INFO)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # its cache of fonts is no news
    # pyworld asks pkg_resources for its own version; the pinned setuptools still answers.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    # The same for worker processes, unless the user has set it.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:pkg_resources is deprecated:UserWarning")
    wait_asleep()
    ensure_writable()
    if sys.stdout.isatty():
        app.rich_markup_mode = "rich"  # the help in frames
    try:
        if machine.COMPLETE in os.environ:
            from typer.completion import completion_init

            completion_init()
            sys.exit(app(standalone_mode=False, prog_name="vctool"))
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        advice = f"; {context.command_path} --help lists what there is" if context else ""
        complain(" ".join(error.format_message().split()).rstrip(".") + advice)
        sys.exit(error.exit_code)
    except VctoolError as error:
        complain(str(error))
        sys.exit(getattr(error, "exit_code", 2))
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        advice = "make room there, or allow writing to it"
        complain(f"{place}cannot be written ({error.strerror}); {advice}")
        sys.exit(2)
