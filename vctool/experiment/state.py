"""Records of stages: what is done, what is stale, and running a stage with a record.

    exp/<name>/stages/<stage>.json   status, inputs, command, seconds, cause of a failure
                      <stage>.lock   held while the stage runs; released when the process ends
                      <stage>.files  what the stage has written (`experiment.written`)
               log/<stage>.log       everything that the stage logged

A stage is skipped while its inputs are those of its record and its outputs exist. It continues
unfinished work on the same inputs, and deletes results of other inputs before it begins.
"""

import contextlib
import errno
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vctool import locks
from vctool.data.atomic import commit_text, write_text
from vctool.errors import DataError, VctoolError
from vctool.experiment import hashes, plan, written
from vctool.experiment.hashes import HASH_PREFIX
from vctool.experiment.plan import STAGES, Inputs, Stage, stage, upstream
from vctool.experiment.recipe import Recipe
from vctool.json_files import Kind, read_fields

TAIL_LINES = 12
"""Number of log lines that a failure shows."""

RECORD_FIELDS: dict[str, Kind] = {"status": str, "inputs": dict, "started": str, "seconds": float}
"""Fields that every record has."""

RERUN_VARIABLE = "VCTOOL_RERUN"
"""Environment variable in which `run.sh` passes the command that reruns it from this stage."""

State = Literal["done", "stale", "half done", "running", "not done"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """State of a stage, and the reason."""

    state: State
    reason: str = ""
    """What changed, what is missing, or how the last run ended."""
    changed: bool = False
    """Whether the inputs differ from those that the results on disk were made from."""


class StageFailed(VctoolError):
    """A stage ended early; its message holds the cause, the log's tail and the way to rerun it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def record_path(recipe: Recipe, entry: Stage) -> Path:
    """Return the path of a stage's record."""
    return recipe.exp / "stages" / f"{entry.name}.json"


def _lock_path(recipe: Recipe, entry: Stage) -> Path:
    return record_path(recipe, entry).with_suffix(".lock")


def log_path(recipe: Recipe, entry: Stage) -> Path:
    """Return the path of a stage's log."""
    return recipe.exp / "log" / f"{entry.name}.log"


def read_record(recipe: Recipe, entry: Stage) -> dict[str, Any] | None:
    """Read a stage's record; None if it never started.

    Raises:
        DataError: it is not a record.
    """
    path = record_path(recipe, entry)
    if not path.exists():
        return None
    try:
        return read_fields(path, RECORD_FIELDS)
    except ValueError as error:
        raise DataError(
            f"{path}: not a stage's record ({error}); delete it to redo the stage"
        ) from None


def differences(old: Inputs, new: Inputs) -> list[str]:
    """List the inputs that changed, with old and new values where these are readable.

    >>> differences({"train.steps": 10, "data/x": "sha256:0"}, {"train.steps": 20, "data/x": 1})
    ['train.steps 10 -> 20', 'data/x changed']
    """
    lines = []
    for label in [*old, *(label for label in new if label not in old)]:
        before, after = old.get(label), new.get(label)
        if label in old and label in new and before == after:
            continue
        if any(str(value).startswith(HASH_PREFIX) for value in (before, after)):
            lines.append(f"{label} changed")
        else:
            lines.append(f"{label} {before} -> {after}")
    return lines


def judge(recipe: Recipe, entry: Stage) -> Verdict:
    """Return the state of one stage, regardless of the stages before it."""
    lock = _lock_path(recipe, entry)
    held, record = locks.is_held(lock), read_record(recipe, entry)  # a stage ends with its record
    if record is not None and record["status"] == "begun" and not held:
        held = locks.is_held(lock)  # it may have begun between the two
    if held:
        return Verdict("running", f"since {record['started']}" if record else "")
    if record is None:
        return Verdict("not done", changed=True)
    changes = differences(record["inputs"], entry.inputs(recipe))
    if changes:
        return Verdict("stale", "; ".join(changes), changed=True)
    if record["status"] != "done":
        ended = {"begun": "was killed", "interrupted": "was interrupted"}
        return Verdict("half done", ended.get(record["status"], f"failed: {record.get('cause')}"))
    missing = [path for path in entry.outputs(recipe) if not path.exists()]
    if missing:
        return Verdict("half done", f"{missing[0]} is gone")
    return Verdict("done", f"in {record['seconds']:.0f} s on {record['started']}")


@hashes.taken_once()
def survey(recipe: Recipe) -> list[tuple[Stage, Verdict]]:
    """Return the state of every stage; one is also stale if a stage that it needs is not done."""
    verdicts: dict[str, Verdict] = {}
    for entry in STAGES:
        verdict = judge(recipe, entry)
        waits = [other.name for other in upstream(entry) if verdicts[other.name].state != "done"]
        if verdict.state == "done" and waits:
            verdict = Verdict("stale", f"{waits[0]} is {verdicts[waits[0]].state}")
        verdicts[entry.name] = verdict
    return [(entry, verdicts[entry.name]) for entry in STAGES]


@hashes.taken_once()
def run(
    recipe: Recipe,
    name: str,
    work: Callable[[], None],
    *,
    force: bool = False,
    dry_run: bool = False,
    options: str = "",
) -> bool:
    """Run one stage unless it is done, keeping its record, its lock and its log.

    Args:
        recipe: the experiment.
        name: name of the stage.
        work: what the stage does; it continues unfinished work.
        force: run even if the record says that it is done.
        dry_run: only say what would happen.
        options: the recipe's options as typed, such as `--recipe mini`, for advice.

    Returns:
        Whether the stage was run.

    Raises:
        ConfigError, CheckpointError: parts of the recipe do not go together (`plan.check`).
        StageFailed: with the cause, the log's tail, and the exact command to rerun.
        DataError: a stage that it needs was never run, or another process is running this one.
    """
    entry = stage(name)
    plan.check(recipe)
    if int(os.environ.get("RANK", "0")) > 0:
        # torchrun: rank 0 judges, records and logs; the others decide alike, as they read the same.
        if force or judge(recipe, entry).state != "done":
            work()
        return True
    verdict = judge(recipe, entry)
    if verdict.state == "done" and not force:
        verdict = _read_through(recipe, entry, verdict)
    title = f"stage {entry.number} {name}"
    if dry_run:
        run_it = force or verdict.state != "done"
        reason = f" ({verdict.reason})" if verdict.reason else ""
        print(f"{title}: {verdict.state}{reason}: {'would run' if run_it else 'would be skipped'}")
        return False
    _require(recipe, entry, options)
    if verdict.state == "done" and not force:
        logger.info("%s: done already, nothing changed", title)
        return False
    with _alone(recipe, entry), _logged(log_path(recipe, entry)):
        reason = f": {verdict.reason}" if verdict.reason else ""
        logger.info("%s: %s (%s%s)", title, entry.does, verdict.state, reason)
        if verdict.changed or force:
            written.remove(recipe.exp, name)
        seconds = _recorded(recipe, entry, work)
        logger.info("%s: done in %.1f s", title, seconds)
    return True


def _read_through(recipe: Recipe, entry: Stage, verdict: Verdict) -> Verdict:
    """Check whether the outputs of a finished stage are intact."""
    damage = list(entry.damage(recipe))
    if not damage:
        return verdict
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return Verdict("half done", f"{damage[0]}{more}")


def _recorded(recipe: Recipe, entry: Stage, work: Callable[[], None]) -> float:
    """Do the work, with a record before and after it; turn every failure into a `StageFailed`."""
    record: dict[str, Any] = {
        "status": "begun",
        "inputs": entry.inputs(recipe),
        "command": rerun_command(),
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    begin = time.monotonic()

    def keep(**ending: object) -> None:
        record.update(ending, seconds=round(time.monotonic() - begin, 2))
        text = json.dumps(record, indent=1) + "\n"
        if record["status"] == "done":  # and so it is, even if power fails now
            places = (path.parent for path in entry.outputs(recipe))
            commit_text(record_path(recipe, entry), text, beside=(Path("data"), *places))
        else:
            write_text(record_path(recipe, entry), text)

    def note(**ending: object) -> None:
        try:
            keep(**ending)
        except DataError as error:  # what ended the stage must be told all the same
            logger.warning("%s; the stage counts as killed", error)

    keep()
    try:
        work()
    except (KeyboardInterrupt, SystemExit) as error:
        # The engine saves a checkpoint on Ctrl-C and leaves with status 130.
        note(status="interrupted")
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 130
        text = f"stage {entry.number} {entry.name} was interrupted; what is done is kept"
        raise StageFailed(f"{text}\nrerun: {rerun_command()}", code) from None
    except Exception as error:
        user = isinstance(error, VctoolError | OSError)
        cause = _one_line(error) if user else f"{type(error).__name__}: {error}"
        logger.debug("%s", cause, exc_info=not user)
        note(status="failed", cause=cause)
        raise StageFailed(_failure(recipe, entry, cause), 2 if user else 1) from error
    missing = [path for path in entry.outputs(recipe) if not path.exists()]
    assert not missing, f"stage {entry.name} ended well but left no {missing[0]}"
    keep(status="done")
    return time.monotonic() - begin


def _one_line(error: Exception) -> str:
    """Describe an error by its cause, place and remedy; a full disk's own message has neither."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = error.filename or "the disk of data/, dump/ and exp/"
        return f"{place}: {error.strerror}; free some space, finished work is kept"
    return " ".join(str(error).split())


def _failure(recipe: Recipe, entry: Stage, cause: str) -> str:
    log = log_path(recipe, entry)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    tail = "\n".join(f"  | {line}" for line in lines)
    return (
        f"stage {entry.number} {entry.name} failed: {cause}\n"
        f"last lines of {log}:\n{tail}\nrerun: {rerun_command()}"
    )


def rerun_command() -> str:
    """Return the command line that reruns this stage."""
    return os.environ.get(RERUN_VARIABLE) or shlex.join(["vctool", *sys.argv[1:]])


def _require(recipe: Recipe, entry: Stage, options: str) -> None:
    """Check that the stages before were run; warn if their results are out of date."""
    for name in entry.needs:
        needed = stage(name)
        missing = [path for path in needed.outputs(recipe) if not path.exists()]
        if missing:
            raise DataError(
                f"stage {entry.number} {entry.name} needs {missing[0]}, which stage "
                f"{needed.number} {name} makes: run ./run.sh {options} --stage {needed.number}"
            )
        verdict = judge(recipe, needed)
        if verdict.state != "done":
            logger.warning("stage %d %s is %s: %s", needed.number, name, *_plain(verdict))


def _plain(verdict: Verdict) -> tuple[str, str]:
    return verdict.state, verdict.reason or "no record of it"


def _alone(recipe: Recipe, entry: Stage) -> AbstractContextManager[None]:
    """Keep other processes from running the same stage."""
    return locks.hold(
        _lock_path(recipe, entry),
        lambda holder: (
            f"stage {entry.number} {entry.name} of {recipe.name} is running already ({holder}); "
            "wait for it, or give this run another --set name=..."
        ),
    )


class _Log(logging.FileHandler):
    """The log of a stage, which stops where the disk is full: messages are on the terminal too."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # lines that could not be written before
            super().close()


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Also write all log messages to a file, tracebacks included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.DEBUG)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
