"""CPU of one run of FluidSynth for many recordings beside one run for each.

Run with `python -m pytest tests/bench -s`.
"""

import resource
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vctool.corpora.midi import batches, rendering, soundfonts, stretches
from vctool.corpora.midi.rendering import Rendering
from vctool.corpora.midi.score import Note, Track

PROGRAMS = (0, 24, 40, 48, 56, 68, 73)


def melody(seed: int) -> Track:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.choice([0.25, 0.375, 0.5], 40))
    times = times[times < stretches.SECONDS - 0.5].tolist()
    notes = (Note(start, start + 0.24, int(random.integers(57, 84)), 90) for start in times)
    return Track("", 0, False, tuple(notes))


def cpu(work: Callable[[], object]) -> float:
    """Processor time of this process and its children [s]."""

    def taken() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    before = taken()
    work()
    return taken() - before


def test_many_recordings_take_a_fifth_of_the_cpu() -> None:
    font = soundfonts.find(soundfonts.FLUID)
    if font is None:
        pytest.skip("no FluidR3 GM, local/debian.txt")
    total = {"one by one": 0.0, "together": 0.0}
    for program in PROGRAMS:
        jobs = [
            Rendering((replace(melody(n), program=program),), font, 16000, stretches.SECONDS)
            for n in range(batches.AT_ONCE)
        ]
        one = cpu(lambda jobs=jobs: [rendering.render(job) for job in jobs[:8]]) / 8
        many = cpu(lambda jobs=jobs: list(batches.render(jobs))) / len(jobs)
        print(f"program {program}: {one:.4f} s alone, {many:.4f} s together, {one / many:.1f}")
        total["one by one"] += one
        total["together"] += many
    print({name: round(value / len(PROGRAMS), 4) for name, value in total.items()})
    assert total["one by one"] > 5 * total["together"]
