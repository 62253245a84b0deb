"""Time and memory of everything that is done with very many recordings.

Preparing and listing a folder: `VCTOOL_BENCH_ENTRIES` sets how many recordings; the target is
stated for 100,000. They are hard links to a few files, so the disk holds megabytes. Time and memory
must grow no faster than the count.

The stages after it, with a network and a vocoder that cost next to nothing, at 1,000, 4,000 and
16,000 utterances (`VCTOOL_BENCH_COUNTS`): the exponent of the time, which is the slope over these
counts in a log-log plot, must stay below 1.15. Time is that of all cores together.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from vctool.acquisition import from_wavs
from vctool.config import PROJECT_ROOT, Config
from vctool.data import datadir, extraction
from vctool.data.atomic import write_text
from vctool.data.batches import Role, UnpairedClips
from vctool.data.datadir import DataDir
from vctool.data.feature_set import FeatureSet
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.engine.distributed import Processes
from vctool.engine.settings import TrainConfig
from vctool.experiment import plan, state
from vctool.experiment.recipe import VOICES, CorpusConfig, EvaluateConfig, Recipe
from vctool.features import framing
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.inference.pairs import Pair, shuffle
from vctool.models import base
from vctool.stages import features, infer, synthesize
from vctool.training import setup

ENTRIES = int(os.environ.get("VCTOOL_BENCH_ENTRIES", "100000"))
SPEAKERS = 100
RATE = 8000

COUNTS = [int(one) for one in os.environ.get("VCTOOL_BENCH_COUNTS", "1000,4000,16000").split(",")]
PER_SPEAKER = 50
"""Utterances of a speaker, of whom there are more in a larger corpus."""
MOST_EXPONENT = 1.15
FEATURES = FeatureConfig(rate=RATE, hop_length=80, n_fft=256, n_mels=8)

_CHILD = """
import json, sys, time
from pathlib import Path
from vctool.acquisition import from_wavs
from vctool import cache
from vctool.data.datadir import DataDir
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
began, used, taken = time.monotonic(), time.process_time(), {}
with cache.use(out.parent / "measured.sqlite"):
    report = from_wavs.prepare(folder, out, domain="speech", nj=2)
taken |= {"prepare": time.monotonic() - began, "prepare_cpu": time.process_time() - used}
began, used = time.monotonic(), time.process_time()
count = sum(len(DataDir.read(out / split)) for split in ("train", "dev", "test"))
taken |= {"list": time.monotonic() - began, "list_cpu": time.process_time() - used}
# not getrusage: its maximum holds that of the process that this one was forked from
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps({"count": count, "mib": peak, **taken}))
"""


def make(folder: Path, entries: int) -> None:
    """Link a few noises under very many names, shared out over speakers."""
    random = np.random.default_rng(0)
    sources = []
    for number in range(8):
        sources.append(folder / f"source{number}.wav")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(sources[-1], random.uniform(-0.3, 0.3, RATE // 2), RATE)
    for number in range(entries):
        place = folder / "speakers" / f"s{number % SPEAKERS:03d}" / f"{number:06d}.wav"
        if number < SPEAKERS:
            place.parent.mkdir(parents=True)
        os.link(sources[number % len(sources)], place)


def run(folder: Path, out: Path) -> dict[str, float]:
    """Prepare and list a folder in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder / "speakers"), str(out)],
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_time_and_memory_grow_no_faster_than_the_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ENTRIES // 10
    rows = {}
    for entries in (few, ENTRIES):
        make(tmp_path / str(entries), entries)
        for name in ("first", "again"):
            rows[entries, name] = run(tmp_path / str(entries), tmp_path / f"out{entries}")
            assert rows[entries, name]["count"] == entries
    with capsys.disabled():
        for (entries, name), row in rows.items():
            print(
                f"\n{entries} recordings, {name}: prepared in {row['prepare']:.1f} s (CPU "
                f"{row['prepare_cpu']:.1f}), listed in {row['list']:.1f} s (CPU "
                f"{row['list_cpu']:.1f}), peak {row['mib']:.0f} MiB",
                end="",
            )
    for name in ("first", "again"):
        small, large = rows[few, name], rows[ENTRIES, name]
        for what in ("prepare_cpu", "list_cpu", "mib"):
            # what does not grow, such as starting Python, only makes the ratio smaller
            assert large[what] < 1.3 * ENTRIES / few * small[what], (name, what)
    assert rows[ENTRIES, "again"]["prepare_cpu"] < rows[ENTRIES, "first"]["prepare_cpu"]


class Echo(base.System):
    """Gives a voice back as it is: a network that costs nothing, and learns nothing."""

    Config = Config

    def __init__(self, config: Any, context: base.Context) -> None:
        super().__init__(config, context)
        self.weight = nn.Parameter(torch.zeros(1))

    @classmethod
    def reads(cls, config: Any) -> tuple[str, ...]:
        return ("wave",)

    @classmethod
    def writes(cls, config: Any) -> tuple[str, ...]:
        return ("wave",)

    @classmethod
    def dataset(
        cls,
        config: Any,
        context: base.Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        roles = {role: Role(found) for role, found in sets.items()}
        return UnpairedClips(
            roles, lambda found, name: found.load(name, "wave"), None, 8, batch_size, seed
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        return {"generator": [self.weight]}

    def convert(self, source: Features, condition: Features | None, to: str) -> Features:
        return {"wave": source["wave"]}


def many(count: int) -> Recipe:
    """Lay out a corpus of many utterances, all of them for training and all of them held out."""
    utterances = []
    for number in range(count):
        speaker = f"s{number // PER_SPEAKER:04d}"
        wav = Path("links").absolute() / speaker / f"{number:06d}.wav"
        utterances.append(Utterance(f"{speaker}-{number:06d}", speaker, "speech", wav, 0.5))
    recipe = Recipe(
        name="many",
        family="echo",
        corpus=CorpusConfig(name="many"),
        features=FEATURES,
        train=TrainConfig(batch_size=1, weights={}),
        vocoder="wave",
        evaluate=EvaluateConfig(max_utterances=count),
    )
    for split in ("train", "test"):
        DataDir(recipe.data("many", split), tuple(utterances)).write()
    return recipe


def link(count: int) -> None:
    """Link a few noises under many names below `links/`, a folder for each speaker."""
    random = np.random.default_rng(0)
    Path("sources").mkdir()
    for number in range(8):
        noise = random.uniform(-0.3, 0.3, RATE // 2)
        soundfile.write(f"sources/{number}.wav", noise, RATE)
    for number in range(count):
        place = Path(f"links/s{number // PER_SPEAKER:04d}/{number:06d}.wav")
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(f"sources/{number % 8}.wav", place)


def stand_in(task: extraction.Task) -> extraction.Result:
    """Compute features that cost nothing: a steady tone's F0, and the wave itself."""
    found: Features = {}
    for kind in task.kinds:
        wave = task.utterance.load(RATE)
        frames = task.config.frames(len(wave))
        flat = np.full((frames, 1), 200, np.float32)
        found[kind] = framing.frame(wave, task.config) if kind == "wave" else flat
    return extraction.Result(task.utterance.id, found, "")


class Costs:
    """CPU seconds of named works, by number of utterances."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[int, float]] = {}

    def take(self, name: str, count: int, work: Callable[[], object]) -> None:
        """Do some work and note what it took, child processes included."""
        before = _cpu()
        work()
        self.seconds.setdefault(name, {})[count] = _cpu() - before

    def exponent(self, name: str) -> float:
        """Return the slope of log time over log count."""
        counts, seconds = zip(*sorted(self.seconds[name].items()), strict=True)
        return float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])

    def table(self) -> str:
        """Lay it out: a row for every work."""
        counts = sorted(next(iter(self.seconds.values())))
        rows = [f"{'CPU seconds':<32}" + "".join(f"{n:>9,}" for n in counts) + " exponent"]
        for name, taken in self.seconds.items():
            cells = "".join(f"{taken[count]:>9.2f}" for count in counts)
            rows.append(f"{name:<32}{cells}{self.exponent(name):>9.2f}")
        return "\n".join(rows)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def half_of_stage_4(recipe: Recipe, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start stage 4 over and stop it half-way."""
    real = Echo.convert
    left = iter(range(count // 2))

    def stopped(self: Echo, *given: Any) -> Features:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(self, *given)

    _remove(recipe.exp / "infer")
    with monkeypatch.context() as patch:
        patch.setattr(Echo, "convert", stopped)
        with pytest.raises(KeyboardInterrupt):
            infer.run(recipe, "cpu")


def _remove(folder: Path) -> None:
    subprocess.run(["rm", "-r", str(folder)], check=True)


def shuffled(count: int) -> None:
    """Give all utterances but one the same accompaniment, and shuffle them."""
    plain = Utterance("a-0", "a", "singing", Path("a.wav"), 1.0, accomp=(Path("song.wav"),))
    other = Utterance("b-0", "b", "singing", Path("b.wav"), 1.0, accomp=(Path("b-side.wav"),))
    assert len(shuffle([Pair(plain, plain)] * (count - 1) + [Pair(other, other)])) == count


def go_through(count: int, costs: Costs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do everything once with a number of utterances."""

    def take(name: str, work: Callable[[], object]) -> None:
        costs.take(name, count, work)

    link(count)
    take("prepare", lambda: from_wavs.prepare(Path("links"), Path("data/own"), domain="speech"))
    recipe = many(count)
    held = recipe.data("many", "test")
    take("check", lambda: datadir.check(held))
    take("stage 2", lambda: features.run(recipe, nj=1))
    take("stage 2, nothing new", lambda: features.run(recipe, nj=1))
    take("start of training", lambda: setup.prepare(recipe, Processes()).data.batch(0))
    context = base.Context(features=FEATURES, vocoder="wave", roles=(VOICES,))
    system = Echo(Config(), context)
    checkpoint.save(recipe.exp / "checkpoints", system, family="echo", step=1)
    take("stage 4", lambda: infer.run(recipe, "cpu"))
    half_of_stage_4(recipe, count, monkeypatch)
    take("stage 4, half of it done", lambda: infer.run(recipe, "cpu"))
    take("stage 4, all of it done", lambda: infer.run(recipe, "cpu"))
    _remove(recipe.exp / "infer")
    take("stage 4, --nj 2", lambda: infer.run(recipe, "cpu", nj=2))
    take("its shuffled accompaniments", lambda: shuffled(count))
    take("stage 5", lambda: synthesize.run(recipe))
    for path in sorted((recipe.exp / "wav").iterdir())[::2]:
        path.unlink()
    take("stage 5, half of it done", lambda: synthesize.run(recipe))
    take("stage 5, all of it done", lambda: synthesize.run(recipe))
    _remove(recipe.exp / "wav")
    take("stage 5, --nj 2", lambda: synthesize.run(recipe, nj=2))
    assert len(list((recipe.exp / "wav").iterdir())) == count
    for entry in plan.STAGES:
        record = {"status": "done", "inputs": entry.inputs(recipe), "started": "", "seconds": 0}
        write_text(state.record_path(recipe, entry), json.dumps(record))
    take("status", lambda: state.survey(recipe))


def test_time_grows_with_the_number_of_utterances_and_not_with_its_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (base, setup):
        monkeypatch.setattr(module, "family", lambda name: Echo)
    monkeypatch.setattr(extraction, "attempt", stand_in)
    costs = Costs()
    for count in (64, *COUNTS):  # the first is for warming up
        folder = tmp_path / str(count)
        folder.mkdir()
        monkeypatch.chdir(folder)
        go_through(count, Costs() if count not in COUNTS else costs, monkeypatch)
    with capsys.disabled():
        print(f"\n{costs.table()}")
    steep = {name: costs.exponent(name) for name in costs.seconds}
    assert {name: one for name, one in steep.items() if one > MOST_EXPONENT} == {}
