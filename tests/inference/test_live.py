"""Blocks of a sound card: the declared delay, lateness, and the command itself through ALSA."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.sounds import speak
from vctool.errors import ConfigError
from vctool.inference import live, realtime

ALSA = """\
pcm.vctool_test { type null }
pcm.vctool_none { type plug slave.pcm "none" }
ctl.vctool_test { type null }
"""
"""A sound card of our own: it hears silence, takes everything, and waits for nobody.

The second cannot be opened: PortAudio 19.6 aborts where ALSA knows none that cannot."""


class Slow:
    """Passes sound on, 30 samples late, when it is let."""

    rate, granule, latency = 8000, 20, 30

    def __init__(self) -> None:
        self.tail = np.zeros(30, np.float32)
        self.let = threading.Event()
        self.let.set()

    def step(self, wave: np.ndarray) -> np.ndarray:
        assert self.let.wait(60)
        joined = np.concatenate([self.tail, wave])
        self.tail = joined[len(wave) :]
        return joined[: len(wave)]


@pytest.mark.parametrize("block", [1, 7, 20, 64, 100])
def test_the_delay_is_what_is_declared(block: int) -> None:
    wave = np.arange(1, 601, dtype=np.float32)
    through = live.Live(Slow(), block, lambda line: None)
    made = []
    for at in range(0, len(wave) - block + 1, block):
        made.append(through.process(wave[at : at + block]))
        through.wait()
    through.stop()
    late = Slow.latency + through.queue
    heard = np.concatenate(made)
    np.testing.assert_array_equal(heard[late:], wave[: len(heard) - late])
    assert not heard[:late].any() and through.meter.underruns == 0
    assert through.queue == block + through.unit - np.gcd(block, through.unit)


def test_what_comes_late_is_silent_counted_and_dropped() -> None:
    wave = np.arange(1, 1001, dtype=np.float32)
    slow = Slow()
    through = live.Live(slow, 20, lambda line: None)
    slow.let.clear()
    made = [through.process(wave[at : at + 20]) for at in range(0, 400, 20)]
    slow.let.set()
    through.wait()
    for at in range(400, 1000, 20):
        made.append(through.process(wave[at : at + 20]))
        through.wait()
    through.stop()
    late = Slow.latency + through.queue
    heard = np.concatenate(made)
    expected = np.concatenate([np.zeros(late), wave])[: len(heard)]
    assert through.meter.underruns == 20 - through.queue // 20
    assert ((heard == expected) | (heard == 0)).all()
    np.testing.assert_array_equal(heard[500:], expected[500:])


def test_a_thread_that_cannot_follow_is_given_no_more() -> None:
    slow = Slow()
    through = live.Live(slow, 100, lambda line: None)
    slow.let.clear()
    for _ in range(1000):  # 12.5 s at once
        through.process(np.ones(100, np.float32))
    assert len(through._in) <= 82
    slow.let.set()
    through.wait()
    for _ in range(20):
        last = through.process(np.ones(100, np.float32))
        through.wait()
    through.stop()
    np.testing.assert_array_equal(last, np.ones(100))


def test_a_second_take_is_heard_live() -> None:
    wave = speak(0, 140.0, 1.2).astype(np.float32)
    chosen = realtime.double(16000, 1)
    through = live.Live(chosen.run, 512, lambda line: None)
    made = []
    for at in range(0, len(wave) - 512, 512):
        made.append(through.process(wave[at : at + 512]))
        through.wait()
    through.stop()
    assert np.abs(np.concatenate(made)).max() > 0.05 and through.meter.underruns == 0


def test_without_sounddevice_or_portaudio_it_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"sounddevice: not installed; .* extra stream.*--stdin"):
        live.portaudio()

    class Finder:
        def find_spec(self, name: str, *given: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(ConfigError, match=r"PortAudio: .* install libportaudio2; .* --stdin"):
        live.portaudio()


@pytest.fixture
def alsa(tmp_path: Path, needs: Any) -> dict[str, str]:
    try:
        live.portaudio()
    except ConfigError as error:
        needs.lacks(str(error))
    (tmp_path / "asound.conf").write_text(ALSA)
    return os.environ | {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}


def _hear_ctrl_c() -> None:
    # Started in the background of a shell, the tests ignore SIGINT, and so would what they start.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*words: str, **given: Any) -> "subprocess.Popen[str]":
    whole = [sys.executable, "-m", "vctool", "stream", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        whole, stdout=pipe, stderr=pipe, text=True, preexec_fn=_hear_ctrl_c, **given
    )


def test_from_microphone_to_loudspeakers(alsa: dict[str, str], tmp_path: Path) -> None:
    """Devices are listed, the latency adds up, and Ctrl-C ends with what happened."""
    listed, _ = command("--list-devices", env=alsa).communicate(timeout=120)
    assert "vctool_test" in listed
    words = ("--double", "--rate", "16000", "--input", "vctool_test", "--output", "0")
    running = command(*words, "--block", "320", env=alsa)
    assert running.stderr is not None
    assert running.stderr.readline() == "a second take, seed 1, at 16000 Hz\n"
    line = running.stderr.readline()
    found = re.fullmatch(
        r"latency ([\d.]+) ms = block 20 \+ model ([\d.]+) \+ queue 20 \+ device ([\d.]+)\n", line
    )
    assert found is not None, line
    total, model, device = map(float, found.groups())
    assert total == pytest.approx(40 + model + device)
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 0, rest
    last = rest.splitlines()[-1]
    assert re.fullmatch(
        r"[\d.]+ s, load \d+ %, underruns \d+, blocks with NaN or infinity 0", last
    ), rest


def test_no_device_or_a_wrong_one_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = realtime.double(16000, 1)
    through = live.Live(chosen.run, 320, lambda line: None)

    class Library:
        PortAudioError = RuntimeError
        found: ClassVar[list[str]] = []

        def query_devices(self) -> list[str]:
            return self.found

        def Stream(self, **given: Any) -> None:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    monkeypatch.setattr(live, "portaudio", Library)
    with pytest.raises(ConfigError, match=r"no sound card is found by PortAudio .* --stdin"):
        live.open_stream(chosen, through, None, None)
    Library.found.append("card")
    with pytest.raises(ConfigError, match=r"--input 3 --output default: cannot be opened at 16000"):
        live.open_stream(chosen, through, "3", None)
    through.stop()
