"""The host in C: every block size, ten at once, bad samples, lateness."""

import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool.export.parity import sounds
from vctool.export.runtime import Exported
from vctool.stages.export import export

BLOCKS = (1, 17, 64, 441, 512, 1000, 4096)


@pytest.fixture
def exported(save_shade: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    export(save_shade(), folder, seconds=0.1)
    return folder


def run(host: Path, exported: Path, wave: np.ndarray, *words: str) -> tuple[np.ndarray, list[str]]:
    said = subprocess.run(
        [host, exported / "model.onnx", *words], input=wave.tobytes(), capture_output=True
    )
    assert said.returncode == 0, said.stderr
    return np.frombuffer(said.stdout, np.float32), said.stderr.decode().split()


def told(line: list[str]) -> dict[str, int]:
    return {name: int(value) for name, value in zip(line[::2], line[1::2], strict=True)}


def test_the_host_is_short() -> None:
    source = Path(__file__).parents[2] / "vctool" / "export" / "host.c"
    assert len(source.read_text().splitlines()) <= 250


@pytest.mark.parametrize("voice", ["ann", "ben lee"])
def test_every_block_size_gives_what_the_model_gives(
    host: Path, exported: Path, voice: str
) -> None:
    model = Exported.read(exported)
    known = model.facts
    wave = sounds(known.rate, 0.7)["voice"]
    run_alone = model.run(known.voices[voice])
    padded = np.pad(wave, (0, -len(wave) % known.granule)).reshape(-1, known.granule)
    expected = np.concatenate([run_alone.step(one) for one in padded])
    peak = float(np.abs(expected).max())
    assert peak > 0.05
    for block in BLOCKS:
        made, line = run(host, exported, wave, voice, str(block))
        said = told(line)
        unit = known.granule * max(1, block // known.granule)
        queue = block + unit - math.gcd(block, unit)
        assert said["latency"] == known.latency + queue
        assert (said["rate"], said["underruns"], said["bad"]) == (known.rate, 0, 0)
        assert len(made) == len(wave) and not made[:queue].any()
        heard = made[queue:]
        assert np.abs(heard - expected[: len(heard)]).max(initial=0.0) <= 1e-5 * peak, block


def test_ten_instances_sound_as_one_alone(host: Path, exported: Path) -> None:
    wave = sounds(16000, 0.5)["voice"]
    alone, _ = run(host, exported, wave, "ann", "441")
    first, line = run(host, exported, wave, "ann", "441", "10")
    assert told(line)["instances"] == 10 and told(line)["same"] == 1
    assert first.tobytes() == alone.tobytes()


def test_bad_samples_are_counted_and_silenced(host: Path, exported: Path) -> None:
    wave = sounds(16000, 0.5)["voice"]
    holes, silenced = wave.copy(), wave.copy()
    holes[1000:1007] = [np.nan, np.inf, -np.inf, 1e30, np.nan, np.nan, np.nan]
    silenced[1000:1007] = 0
    made, line = run(host, exported, holes, "ann", "512")
    assert told(line)["bad"] == 7
    assert made.tobytes() == run(host, exported, silenced, "ann", "512")[0].tobytes()


def test_what_comes_late_is_silent_counted_and_dropped(host: Path, exported: Path) -> None:
    """Blocks that come as fast as they can leave the worker behind; the delay stays."""
    wave = sounds(16000, 2.0)["voice"]
    intime, _ = run(host, exported, wave, "ann", "64")
    made, line = run(host, exported, wave, "ann", "64", "1", "hurry")
    assert told(line)["underruns"] > 0
    assert len(made) == len(wave)
    blocks, expected = made.reshape(-1, 64), intime.reshape(-1, 64)
    silent = ~blocks.any(axis=1)
    assert silent.sum() >= told(line)["underruns"] - 1
    same = (blocks == expected).all(axis=1)
    assert (same | silent).mean() > 0.95  # the rest are heard in part


def test_a_wrong_model_or_voice_is_one_line(host: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign.onnx").write_bytes(b"not a model")
    for words, text in [
        ((exported / "model.onnx", "nobody", "512"), "nobody: no such voice"),
        ((tmp_path / "foreign.onnx", "ann", "512"), "Protobuf parsing failed"),
        ((tmp_path / "none.onnx", "ann", "512"), "doesn't exist"),
        ((exported / "model.onnx", "ann", "0"), "usage: host model.onnx VOICE BLOCK"),
    ]:
        said = subprocess.run([host, *words], input="", capture_output=True, text=True)
        assert said.returncode == 2
        assert text in said.stderr and len(said.stderr.splitlines()) == 1
