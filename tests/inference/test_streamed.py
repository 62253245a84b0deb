"""A model that runs in real time, at work: however the sound arrives, the same bytes come out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.sounds import speak
from tests.toy import FEATURES
from tests.toys.fixtures import kept
from vctool.audio import resample
from vctool.export.stream import Streamed, TorchRun
from vctool.inference.converter import Converter
from vctool.inference.files import convert_files
from vctool.models import base
from vctool.models.base import Context
from vctool.nn.streaming import whole


@pytest.fixture
def model(toys: None, tmp_path: Path) -> Path:
    """An experiment of `shade`, whose voices are ann and ben."""
    shade = base.family("shade")
    context = Context(features=FEATURES, vocoder="wave", roles=("ann", "ben"))
    return kept(tmp_path, "shade", shade(shade.Config(), context), "shade", {})


@pytest.fixture
def voice() -> np.ndarray:
    return speak(0, 140.0, 1.7)[:-7].astype(np.float32)


def cut(wave: np.ndarray, sizes: Any) -> Iterator[np.ndarray]:
    at = 0
    while at < len(wave):
        size = next(sizes)
        yield wave[at : at + size]
        at += size


def sizes_of(block: int | str) -> Iterator[int]:
    rng = np.random.default_rng(0)
    while True:
        yield int(rng.integers(0, 5000)) if block == "random" else int(block)


@pytest.mark.parametrize("block", [1, 17, 64, 441, 512, 1000, 4096, 100000, "random"])
def test_any_chunking_gives_the_bytes_of_offline(
    model: Path, voice: np.ndarray, block: int | str
) -> None:
    converter = Converter(model)
    request = converter.request("ann")
    assert converter.stream is not None
    known = converter.scan(base_track(voice), request)
    offline = np.concatenate(list(converter.pieces(base_track(voice), None, request, known)))
    assert offline.shape == voice.shape and np.abs(offline).max() > 0.01
    controls = converter.controls(request)
    live = Streamed(TorchRun(converter.stream, controls))
    made = np.concatenate(list(live.through(cut(voice, sizes_of(block)))))
    tensors = {name: torch.tensor(value) for name, value in controls.items()}
    aligned = whole(converter.stream, torch.from_numpy(voice), tensors).numpy()
    np.testing.assert_allclose(made, aligned, rtol=0, atol=1e-6)
    assert made.tobytes() == offline.tobytes()


def base_track(wave: np.ndarray) -> Any:
    from vctool.audio.tracks import ArrayTrack

    return ArrayTrack(wave)


def test_what_a_file_holds_is_what_is_heard_live(
    model: Path, voice: np.ndarray, workdir: Path
) -> None:
    """Its level too, which a stream cannot match to that of a sound that has not ended."""
    soundfile.write("in.wav", voice, FEATURES.rate, subtype="FLOAT")
    convert_files(["in.wav"], model=model, to="ben", out=Path("out.wav"))
    written, rate = soundfile.read("out.wav", dtype="int16")
    converter = Converter(model)
    assert converter.stream is not None
    live = Streamed(TorchRun(converter.stream, converter.controls(converter.request("ben"))))
    made = np.concatenate(list(live.through([voice])))
    assert rate == converter.rate
    np.testing.assert_array_equal(written, np.rint(made.astype(np.float64) * 32768).astype(int))


def test_a_stretched_or_transposed_conversion_is_still_made(model: Path, voice: np.ndarray) -> None:
    converter = Converter(model)
    plain, rate = converter.convert(voice, FEATURES.rate, to="ann")
    longer, _ = converter.convert(voice, FEATURES.rate, to="ann", stretch=1.5)
    higher, _ = converter.convert(voice, FEATURES.rate, to="ann", transpose=12)
    assert (len(plain), len(longer)) == (len(voice), round(1.5 * len(voice)))
    assert not np.allclose(plain, higher, atol=1e-3)
    other = resample(voice, FEATURES.rate, 2 * FEATURES.rate)
    again, _ = converter.convert(other, 2 * FEATURES.rate, to="ann")
    assert len(again) == len(plain) and rate == FEATURES.rate


@pytest.mark.parametrize("samples", [1, 55, 56, 57, 4095, 4096, 4097])
def test_as_many_samples_come_out_as_go_in(model: Path, samples: int) -> None:
    stream = Converter(model).stream
    assert stream is not None
    for sizes in ([samples], [1] * min(samples, 60) + [max(samples - 60, 0)]):
        live = Streamed(TorchRun(stream))
        parts = [live.process(np.ones(size, np.float32)) for size in sizes]
        assert sum(map(len, [*parts, live.flush()])) == sum(sizes)


def test_the_run_is_that_of_torch(model: Path, voice: np.ndarray) -> None:
    stream = Converter(model).stream
    assert stream is not None
    run = TorchRun(stream)
    chunk = voice[: 2 * run.granule]
    with torch.no_grad():
        state = stream.initial_state()
        first, state = stream(torch.tensor(chunk).view(1, 1, -1), *stream.values(), state)
        second, _ = stream(torch.tensor(chunk).view(1, 1, -1), *stream.values(), state)
    np.testing.assert_array_equal(run.step(chunk), first[0, 0].numpy())
    np.testing.assert_array_equal(run.step(chunk), second[0, 0].numpy())
