"""Stage 2 stopped, damaged, spread over a cluster or begun twice: the bytes are the same."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stages.dumps import KINDS, compute, digests, recipe
from vctool import cluster
from vctool.data import extraction
from vctool.data.datadir import DataDir
from vctool.experiment import state
from vctool.experiment.recipe import Recipe
from vctool.stages import features


def test_killed_and_run_again_it_ends_with_the_same_bytes(corpus: Path) -> None:
    compute(recipe())
    whole = digests(corpus / "dump")
    os.rename("dump", "dump1")
    code = (
        "import time; from vctool.stages import features\n"
        "from vctool.data import extraction\nfrom vctool.experiment.recipe import *\n"
        "original = extraction.attempt\n"
        "def slow(task): time.sleep(0.1); return original(task)\n"
        "extraction.attempt = slow\n"
        "import sys; it = Recipe.model_validate_json(sys.argv[1])\n"
        f"wanted = dict.fromkeys(['train', 'test'], {KINDS!r})\n"
        "features.extract(it, 'tiny', wanted, extraction.Workers(1))\n"
    )
    shard = recipe().dump("tiny", "train", "world") / "feats-000.ark"
    process = subprocess.Popen([sys.executable, "-c", code, recipe().model_dump_json()])
    while not (shard.is_file() and shard.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (shard.parent / "feats.scp").exists()
    compute(recipe())
    assert digests(corpus / "dump") == whole


def test_a_cluster_gives_the_same_bytes_also_when_a_worker_is_killed_midway(
    corpus: Path, loopback: Callable[..., Any]
) -> None:
    compute(recipe())
    alone = digests(corpus / "dump")
    os.rename("dump", "dump1")
    made = loopback()
    with cluster.use(made.address):
        compute(recipe())
    assert digests(corpus / "dump") == alone
    os.rename("dump", "dump2")

    def kill_midway() -> None:
        wide = recipe().dump("tiny", "train", "f0") / "feats-000.ark"
        while not (wide.is_file() and wide.stat().st_size):
            time.sleep(0.005)
        made.workers[0].kill()

    killer = threading.Thread(target=kill_midway, daemon=True)
    killer.start()
    with cluster.use(made.address):
        compute(recipe())
    killer.join()
    assert made.workers[0].poll() is not None and made.workers[1].poll() is None
    assert digests(corpus / "dump") == alone


def test_two_recipes_that_begin_at_once_end_with_the_bytes_of_one(corpus: Path) -> None:
    compute(recipe())
    whole = digests(corpus / "dump")
    os.rename("dump", "dump1")
    code = (
        "import sys, time; from vctool.stages import features\n"
        "from vctool.data import extraction\nfrom vctool.experiment.recipe import *\n"
        "original = extraction.attempt\n"
        "def slow(task): time.sleep(0.05); return original(task)\n"
        "extraction.attempt = slow\n"
        "it = Recipe.model_validate_json(sys.argv[1])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "wanted = dict.fromkeys(['train', 'test'], sys.argv[2].split())\n"
        "features.extract(it, 'tiny', wanted, extraction.Workers(1))\n"
    )
    other = recipe().model_copy(update={"name": "other"})
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, one.model_dump_json(), " ".join(kinds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for one, kinds in ((recipe(), KINDS), (other, reversed(KINDS)))
    ]
    for process in both:  # at the same moment
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=120)
    assert [process.returncode for process in both] == [0, 0]
    assert digests(corpus / "dump") == whole


def stage_2(it: Recipe, caplog: pytest.LogCaptureFixture, fresh: bool = False) -> str:
    """Ask for stage 2 as the command does, and return what it said."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        state.run(it, "features", lambda: features.run(it, fresh=fresh), force=fresh)
    return caplog.text


def test_stage_2_names_what_is_damaged_and_computes_that_again(
    corpus: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = recipe()
    assert "features: compute" in stage_2(it, caplog)
    assert "done already" in stage_2(it, caplog)
    whole = digests(corpus / "dump")
    folder = it.dump("tiny", "train", "world")
    shard = folder / "feats-000.ark"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    done: list[tuple[str, tuple[str, ...]]] = []
    original = extraction.attempt

    def counting(task: extraction.Task) -> extraction.Result:
        done.append((task.utterance.id, task.kinds))
        return original(task)

    monkeypatch.setattr(extraction, "attempt", counting)
    said = stage_2(it, caplog)
    assert f"(half done: {folder}: 'bert-speech-train-2' is damaged)" in said
    assert done == [("bert-speech-train-2", ("world",))]
    assert digests(corpus / "dump") == whole
    assert "done already" in stage_2(it, caplog)
    done.clear()
    assert "features: compute" in stage_2(it, caplog, fresh=True)
    names = {name for name, _ in done}
    assert names == {one.id for s in ("train", "test") for one in DataDir.read(it.data("tiny", s))}
    assert digests(corpus / "dump") == whole
