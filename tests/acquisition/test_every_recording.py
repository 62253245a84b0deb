"""Containers, codecs, rates, channels and names that are taken: one row each, none refused.

Every row is read as it is, in blocks, and after it was prepared, resampled as in stage 2.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from tests.sounds import speak
from vctool import audio
from vctool.acquisition import from_wavs
from vctool.data.datadir import DataDir, check

SECONDS, RATE = 1.0, 16000


class Row(NamedTuple):
    """One recording, and how alike the decoded sound is."""

    name: str
    container: str = "WAV"
    codec: str = "PCM_16"
    rate: int = RATE
    channels: int = 1
    like: float = 0.999
    """Least correlation of the decoded sound with what was written."""


CODECS = (
    *(Row(f"wav-{codec}.wav", "WAV", codec) for codec in ("PCM_16", "PCM_24", "PCM_32")),
    Row("wav-u8.wav", "WAV", "PCM_U8", like=0.99),
    *(Row(f"wav-{codec}.wav", "WAV", codec) for codec in ("FLOAT", "DOUBLE")),
    *(Row(f"wav-{codec}.wav", "WAV", codec, like=0.99) for codec in ("ULAW", "ALAW")),
    *(Row(f"wav-{codec}.wav", "WAV", codec, like=0.98) for codec in ("IMA_ADPCM", "MS_ADPCM")),
    Row("wav-gsm.wav", "WAV", "GSM610", 8000, like=0.45),
    Row("wav-g721.wav", "WAV", "G721_32", 8000, like=0.95),
    *(Row(f"wavex-{codec}.wav", "WAVEX", codec) for codec in ("PCM_16", "PCM_24", "FLOAT")),
    *(Row(f"rf64-{codec}.wav", "RF64", codec) for codec in ("PCM_16", "FLOAT")),
    Row("own.rf64", "RF64", "PCM_24"),
    *(Row(f"aiff-{codec}.aiff", "AIFF", codec) for codec in ("PCM_16", "PCM_24", "PCM_32")),
    Row("aiff-s8.aif", "AIFF", "PCM_S8", like=0.99),
    Row("aiff-float.aifc", "AIFF", "FLOAT"),
    Row("aiff-ulaw.aifc", "AIFF", "ULAW", like=0.99),
    *(Row(f"au-{codec}.au", "AU", codec) for codec in ("PCM_16", "PCM_24", "FLOAT")),
    Row("au-ulaw.snd", "AU", "ULAW", like=0.99),
    *(Row(f"caf-{codec}.caf", "CAF", codec) for codec in ("PCM_16", "PCM_24", "FLOAT", "ALAC_16")),
    *(Row(f"caf-{codec}.caf", "CAF", codec) for codec in ("ALAC_24", "ALAC_32")),
    *(Row(f"w64-{codec}.w64", "W64", codec) for codec in ("PCM_16", "PCM_24", "FLOAT")),
    *(Row(f"flac-{codec}.flac", "FLAC", codec) for codec in ("PCM_16", "PCM_24")),
    Row("flac-s8.flac", "FLAC", "PCM_S8", like=0.99),
    Row("vorbis.ogg", "OGG", "VORBIS", like=0.97),
    Row("vorbis.oga", "OGG", "VORBIS", like=0.97),
    Row("opus.opus", "OGG", "OPUS", like=0.95),
    Row("opus.ogg", "OGG", "OPUS", like=0.95),
    Row("layer3.mp3", "MP3", "MPEG_LAYER_III", like=0.95),
)
RATES = (
    *(Row(f"rate-{rate}.wav", rate=rate) for rate in (8000, 11025, 12000, 22050, 24000, 32000)),
    *(Row(f"rate-{rate}.wav", rate=rate) for rate in (44100, 47952, 48000, 88200, 96000, 192000)),
    *(Row(f"rate-{rate}.flac", "FLAC", rate=rate) for rate in (8000, 44100, 96000)),
    Row("rate-48000.mp3", "MP3", "MPEG_LAYER_III", 48000, like=0.95),
)
CHANNELS = tuple(Row(f"channels-{count}.wav", channels=count) for count in (2, 3, 4, 6, 8))
NAMES = tuple(
    Row(f"{name}.wav")
    for name in (
        *("with space", "two  spaces", "dots.in.it", "UPPER", "-dash", "under_score", "a+b"),
        *("caf\u00e9", "cafe\u0301-composed", "\u5f20\u4e09", "\u0627\u0628", "\u266b", "quote'd"),
        *("per%cent", "0010", "no", "null", "1e5", "a,b", "(copy)", "x" * 200),
    )
)
ROWS = (*CODECS, *RATES, *CHANNELS, *NAMES)


def test_the_table_is_of_different_recordings() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 70


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every row as a file of one voice, each with a sound of its own."""
    made = tmp_path_factory.mktemp("every") / "voice"
    made.mkdir()
    for number, row in enumerate(ROWS):
        wave = sound(number, row)
        wave = np.repeat(wave[:, None], row.channels, axis=1) if row.channels > 1 else wave
        soundfile.write(made / row.name, wave, row.rate, row.codec, format=row.container)
    return made


@cache
def voice(number: int) -> np.ndarray:
    return (0.8 * speak(number, 120 + number, SECONDS, RATE)).astype(np.float32)


def sound(number: int, row: Row) -> np.ndarray:
    return audio.resample(voice(number), RATE, row.rate)


def likeness(found: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest correlation over the delays that codecs have."""
    size = 1 << int(np.ceil(np.log2(len(found) + len(wanted))))
    cross = np.fft.irfft(np.fft.rfft(found, size) * np.fft.rfft(wanted, size).conj())
    return float(cross.max() / np.sqrt((found**2).sum() * (wanted**2).sum()))


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[ascii(row.name[:40]) for row in ROWS])
def test_a_recording_is_read_whole_and_in_blocks(folder: Path, number: int) -> None:
    row = ROWS[number]
    path = folder / row.name
    told = audio.info(path)
    assert (told.rate, told.channels) == (row.rate, row.channels)
    wave, rate = audio.read(path)
    assert rate == told.rate
    wanted = sound(number, row._replace(rate=rate))
    assert len(wave) == pytest.approx(len(wanted), abs=0.12 * rate)  # codecs pad
    assert likeness(wave, wanted) > row.like
    blocks = np.concatenate(list(audio.read_blocks(path, samples=3000)))
    np.testing.assert_allclose(blocks, wave, atol=1e-6)


def test_all_are_prepared_and_none_is_left_out(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "data" / "own"
    from_wavs.prepare(folder.parent, out, domain="speech")
    rejected = out / "rejected.tsv"
    assert not rejected.exists() or len(rejected.read_text().splitlines()) <= 1
    data = [DataDir.read(out / split) for split in ("train", "dev", "test")]
    assert all(check(one.path) == [] for one in data)
    kept = {one.wav.name: one for part in data for one in part}
    assert set(kept) == {row.name for row in ROWS}
    for number, row in enumerate(ROWS):
        wave = kept[row.name].load(RATE)  # the way of stage 2
        if row.rate >= RATE:
            assert likeness(wave, sound(number, row._replace(rate=RATE))) > row.like - 0.02, row
