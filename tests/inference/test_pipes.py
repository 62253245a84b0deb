"""Streams over pipes: as many samples out as in, the same bytes however they arrive."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sounds import speak
from vctool.audio.resampling import resample
from vctool.audio.tracks import ArrayTrack
from vctool.errors import AudioError, ConfigError
from vctool.export.parity import cut
from vctool.inference import pipes, realtime
from vctool.inference.converter import Converter
from vctool.stages.export import export


@pytest.fixture
def model(save_shade: Any) -> Path:
    path: Path = save_shade()
    return path


@pytest.fixture
def voice() -> np.ndarray:
    return speak(0, 140.0, 1.0)[:-7].astype(np.float32)


def piped(run: Any, content: bytes, form: Any, rate: int, sizes: Iterator[int]) -> bytes:
    """Push bytes through `pump` in pieces of these sizes, as other programs would."""
    (inlet, given), (taken, outlet) = os.pipe(), os.pipe()
    found: list[bytes] = []

    def write() -> None:
        at = 0
        for size in sizes:
            at += os.write(given, content[at : at + size])
            if at >= len(content):
                break
        os.close(given)

    def read() -> None:
        while part := os.read(taken, 65536):
            found.append(part)

    threads = [threading.Thread(target=one) for one in (write, read)]
    for thread in threads:
        thread.start()
    try:
        pipes.pump(run, form, rate, inlet, outlet, lambda line: None)
    finally:
        os.close(outlet)
        for thread in threads:
            thread.join()
        os.close(inlet)
        os.close(taken)
    return b"".join(found)


def forever(size: int | None) -> Iterator[int]:
    rng = np.random.default_rng(2)
    while True:
        yield int(rng.integers(1, 9000)) if size is None else size


@pytest.mark.parametrize("size", [1001, 4, 2**16, None])
def test_over_pipes_come_the_bytes_of_offline(
    model: Path, voice: np.ndarray, size: int | None
) -> None:
    converter = Converter(model)
    request, track = converter.request("ann"), ArrayTrack(voice)
    known = converter.scan(track, request)
    offline = np.concatenate(list(converter.pieces(track, None, request, known)))
    run = realtime.model(model, "ann", None).run
    made = piped(run, voice.tobytes(), "f32le", converter.rate, forever(size))
    assert made == offline.tobytes()


def test_sixteen_bits_are_those_of_a_file(model: Path, voice: np.ndarray) -> None:
    raw = np.rint(voice * 32767).astype("<i2")
    run = realtime.model(model, "ann", None).run
    made = piped(run, raw.tobytes(), "s16le", run.rate, forever(1013))
    wave, _ = Converter(model).convert(raw.astype(np.float32) / 32768, run.rate, to="ann")
    expected = np.rint(wave.astype(np.float64) * 32768).astype("<i2")
    assert made == expected.tobytes()


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 192000])
@pytest.mark.parametrize("samples", [1, 5000, 20011])
def test_another_rate_keeps_the_number_of_samples(model: Path, rate: int, samples: int) -> None:
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1
    one, other = (
        np.concatenate(list(pipes.through(realtime.model(model, "ann", None).run, blocks, rate)))
        for blocks in ([wave], cut(wave, 441))
    )
    assert len(one) == samples and one.tobytes() == other.tobytes()


def test_another_rate_is_aligned(model: Path) -> None:
    """A click comes out where it went in, through two resamplers and the network."""
    voice = resample(speak(0, 140.0, 1.0).astype(np.float32), 16000, 48000)
    clicked = voice.copy()
    clicked[20000] += 0.5
    one, other = (
        np.concatenate(list(pipes.through(realtime.model(model, "ann", None).run, [wave], 48000)))
        for wave in (voice, clicked)
    )
    assert abs(int(np.abs(one - other).argmax()) - 20000) <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_samples_are_counted_and_heard_as_silence(
    model: Path, voice: np.ndarray, bad: float
) -> None:
    holes, silenced = voice.copy(), voice.copy()
    holes[5000:5003] = bad
    silenced[5000:5003] = 0
    for rate in (16000, 48000):
        one, other = (
            np.concatenate(
                list(pipes.through(realtime.model(model, "ann", None).run, [wave], rate))
            )
            for wave in (holes, silenced)
        )
        assert one.tobytes() == other.tobytes()
    lines: list[str] = []
    meter = pipes.Meter(16000, lines.append)
    for block in cut(holes, 512):
        meter.add(block, 0.001)
    assert "blocks with NaN or infinity 1" in meter.line()


def test_a_second_take_is_the_same_for_any_chunking_and_another_for_another_seed() -> None:
    wave = speak(0, 140.0, 1.2).astype(np.float32)
    made = {
        (seed, block): np.concatenate(
            list(pipes.through(realtime.double(16000, seed).run, cut(wave, block), 16000))
        )
        for seed, block in ((3, 100), (3, None), (4, 100))
    }
    assert len(made[3, 100]) == len(wave)
    assert made[3, 100].tobytes() == made[3, None].tobytes()
    assert np.abs(made[3, 100] - made[4, 100]).max() > 0.01
    assert np.abs(made[3, 100]).max() > 0.05


def test_onnx_sounds_as_torch(model: Path, voice: np.ndarray) -> None:
    export(model, seconds=0.05)
    torch, onnx, folder = (
        np.concatenate(list(pipes.through(realtime.model(path, "ann", how).run, [voice], 16000)))
        for path, how in ((model, "torch"), (model, "onnx"), (model / "export", None))
    )
    np.testing.assert_allclose(torch, onnx, rtol=0, atol=1e-5 * np.abs(torch).max())
    assert onnx.tobytes() == folder.tobytes() and onnx.tobytes() != torch.tobytes()


def test_bytes_that_end_within_a_sample_or_never_come_are_one_line() -> None:
    parts = iter([b"\0" * 6, b"\0" * 5, b""])
    blocks = pipes.decoded(lambda: next(parts), "f32le")
    assert [len(block) for block in (next(blocks), next(blocks))] == [1, 1]
    with pytest.raises(AudioError, match=r"ends within a sample, with 3 bytes of 4; is it f32le\?"):
        next(blocks)
    with pytest.raises(AudioError, match="--stdin: empty"):
        list(pipes.decoded(lambda: b"", "s16le"))


def test_loud_samples_are_clipped_and_never_wrapped() -> None:
    made = np.frombuffer(pipes.encoded(np.float32([1.5, -1.5, 1.0, 0.5]), "s16le"), "<i2")
    assert made.tolist() == [32767, -32768, 32767, 16384]


def test_faults_and_load_are_told_every_ten_seconds() -> None:
    now, lines = [0.0], list[str]()
    meter = pipes.Meter(1000, lines.append, lambda: now[0])
    for _ in range(2100):  # 21 s in blocks of 10 ms that take 2 ms, then 4 ms
        now[0] += 0.01
        meter.add(np.zeros(10, np.float32), 0.002 if now[0] < 10 else 0.004)
    assert [line.partition(", underruns")[0] for line in lines] == [
        "10.0 s, load 20 %",
        "20.0 s, load 40 %",
    ]
    assert meter.line(whole=True).startswith("21.0 s, load 30 %, underruns 0, blocks with NaN")


def test_the_sum_of_a_latency_is_right() -> None:
    for parts in ((512, 1024, 512, 512), (1, 7, 0, 333), (441, 999, 1000, 3)):
        named = dict(zip(("block", "model", "queue", "device"), parts, strict=True))
        line = realtime.latency_line(44100, **named)
        total, terms = line.removeprefix("latency ").split(" ms = ")
        assert float(total) == pytest.approx(
            sum(float(term.split()[1]) for term in terms.split("+"))
        )
        assert float(total) == pytest.approx(1000 * sum(parts) / 44100, abs=0.25)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda path: realtime.model(path, "nobody", None), "--to nobody"),
        (lambda path: realtime.model(path, "ann", "onnx"), "is not exported yet; vctool export"),
        (lambda path: realtime.double(7000, 1), "--rate 7000: expected a sampling rate from"),
        (lambda path: realtime.double(None, -1), "--seed -1"),
        (lambda path: realtime.require_block(0, None), "--block 0: expected at least 1"),
        (lambda path: realtime.require_block(44101, 44100), "--block 44101: .* at most 44100"),
    ],
)
def test_a_mistake_is_one_line(model: Path, asked: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        asked(model)
    assert "\n" not in str(told.value)


def test_a_wrong_voice_of_an_export_is_one_line(model: Path) -> None:
    export(model, seconds=0.05)
    with pytest.raises(ConfigError, match=r"--to bn lee: .* did you mean 'ben lee'"):
        realtime.model(model / "export", "bn lee", None)
    with pytest.raises(ConfigError, match=r"--backend torch: .* is an export"):
        realtime.model(model / "export", "ann", "torch")


def test_a_model_that_does_not_stream_says_why(save_echo: Any) -> None:
    with pytest.raises(ConfigError, match="does not run in real time: "):
        realtime.model(save_echo(), None, None)
