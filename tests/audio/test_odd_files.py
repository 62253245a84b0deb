"""Files that recorders, phones and other programs really write."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool import audio
from vctool.errors import AudioError

RATE = 16000


def voice(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    time_ = np.arange(round(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (200 + 100 * time_) * time_)
    return (0.3 * sweep * (1 + np.sin(2 * np.pi * 3 * time_)) / 2).astype(np.float32)


CODECS = [
    *(("wav", sub) for sub in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *(("wav", sub) for sub in ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32")),
    *(("wav", sub) for sub in ("NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")),
    *(
        ("aiff", sub)
        for sub in ("PCM_S8", "PCM_16", "FLOAT", "ULAW", "ALAW", "IMA_ADPCM", "GSM610")
    ),
    *(("au", sub) for sub in ("PCM_16", "ULAW", "G721_32", "G723_24", "G723_40")),
    *(("caf", sub) for sub in ("PCM_16", "PCM_24", "ALAC_16", "ALAC_24")),
    *(("w64", sub) for sub in ("PCM_16", "FLOAT", "GSM610")),
    *(("rf64", sub) for sub in ("PCM_16", "PCM_24")),
    *(("flac", sub) for sub in ("PCM_S8", "PCM_16", "PCM_24")),
    *(("ogg", sub) for sub in ("VORBIS", "OPUS")),
    ("mp3", "MPEG_LAYER_III"),
]
RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000)


@pytest.mark.parametrize(("container", "codec"), CODECS, ids="-".join)
def test_what_is_read_whole_is_read_in_stretches_too(
    tmp_path: Path, container: str, codec: str
) -> None:
    path = tmp_path / f"x.{container}"
    soundfile.write(path, voice(2.0), RATE, format=container.upper(), subtype=codec)
    whole, rate = audio.read(path)
    assert rate == RATE
    assert len(whole) == audio.measure(path).samples
    assert abs(len(whole) / RATE - 2.0) < 0.15
    assert np.corrcoef(whole[:RATE], np.pad(voice(2.0), (0, 8000))[:RATE])[0, 1] > 0.8
    parts = [audio.read(path, start=begin, end=begin + 0.25)[0] for begin in (0.5, 0.75, 0.25)]
    for begin, part in zip((0.5, 0.75, 0.25), parts, strict=True):
        first = round(begin * RATE)
        tolerance = 2e-3 if codec == "OPUS" else 0  # libopus predicts from before the seek point
        assert np.abs(part - whole[first : first + len(part)]).max() <= tolerance


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_rates_and_channel_counts_that_recorders_write_are_read(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.tile(voice(0.5, rate)[:, None], channels), rate, subtype="FLOAT")
    assert np.abs(audio.read(path)[0] - voice(0.5, rate)).max() < 1e-6


def ogg_pages(content: bytes) -> list[int]:
    return [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]


def checksum(page: bytes) -> bytes:
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x104C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return struct.pack("<I", crc)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_ogg_without_the_mark_of_its_last_page_is_read(
    tmp_path: Path, codec: str, channels: int
) -> None:
    path = tmp_path / "x.ogg"
    wave = np.tile(voice()[:, None], channels)
    soundfile.write(path, wave, RATE, format="OGG", subtype=codec)
    marked, _ = audio.read(path)
    content = bytearray(path.read_bytes())
    last = ogg_pages(bytes(content))[-1]
    assert content[last + 5] & 4
    content[last + 5] &= ~4
    content[last + 22 : last + 26] = bytes(4)
    content[last + 22 : last + 26] = checksum(bytes(content[last:]))
    path.write_bytes(content)
    assert np.array_equal(audio.read(path)[0], marked)
    path.write_bytes(content[:-100])  # still refused where it breaks off within a page
    with pytest.raises(AudioError, match="truncated"):
        audio.read(path)


def id3(text: bytes, footer: bool = False) -> bytes:
    frame = b"TXXX" + struct.pack(">I", len(text) + 1) + b"\0\0\0" + text
    length = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    end = b"3DI\x04\0\x10" + length if footer else b""
    return b"ID3\x04\0" + flags + length + frame + end


@pytest.mark.parametrize(
    "text", [b"Info", b"Xing", b"Info\0\0\0\x03\x7f\xff\xff\xff\x7f\xff\xff\xff"]
)
@pytest.mark.parametrize("footer", [False, True])
def test_a_tag_that_says_info_is_no_promise_of_length(
    tmp_path: Path, text: bytes, footer: bool
) -> None:
    path = tmp_path / "x.mp3"
    soundfile.write(path, voice(), RATE)
    whole, _ = audio.read(path)
    plain = path.read_bytes()
    path.write_bytes(id3(text, footer) + plain)
    assert np.array_equal(audio.read(path)[0], whole)
    path.write_bytes(id3(text, footer) + plain[: len(plain) // 2])
    with pytest.raises(AudioError, match="truncated"):
        audio.read(path)


@pytest.mark.parametrize("gain", [1.0, 2.0, 8.0])
def test_floats_above_full_scale_are_not_clipped_but_flat_tops_are(
    tmp_path: Path, gain: float
) -> None:
    loud = gain * voice() / np.abs(voice()).max()
    path = tmp_path / "x.wav"
    soundfile.write(path, loud, RATE, subtype="FLOAT")
    found = audio.measure(path)
    assert found.clipped < 0.001
    assert found.peak == pytest.approx(gain, rel=1e-3)
    soundfile.write(path, np.clip(4 * gain * loud, -1, 1), RATE, subtype="FLOAT")
    assert audio.measure(path).clipped > 0.1
    soundfile.write(path, np.clip(4 * gain * loud, -1, 1), RATE, subtype="PCM_16")
    assert audio.measure(path).clipped > 0.1


@pytest.mark.parametrize("huge", [1e20, -1e30, 3e38])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_a_huge_sample_is_named(tmp_path: Path, huge: float, subtype: str) -> None:
    path = tmp_path / "x.wav"
    wave = voice().astype(np.float64)
    wave[100] = huge
    soundfile.write(path, wave, RATE, subtype=subtype)
    for reader in (audio.read, audio.measure):
        with pytest.raises(AudioError, match=r"x\.wav: holds a sample of .*e\+"):
            reader(path)


def test_integers_that_were_written_as_floats_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, 32768 * voice(), RATE, subtype="FLOAT")
    assert np.abs(audio.read(path)[0]).max() > 9000


def stated_length(path: Path, length: int) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", length)
    content[4:8] = struct.pack("<I", 0)
    path.write_bytes(content)


@pytest.mark.parametrize("codec", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_whose_recorder_crashed_reaches_to_its_end(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, voice(), RATE, subtype=codec)
    whole, _ = audio.read(path)
    stated_length(path, 0)
    assert np.array_equal(audio.read(path)[0], whole)
    assert np.array_equal(audio.read(path, start=0.5)[0], whole[RATE // 2 :])
    assert audio.measure(path).samples == audio.info(path).samples == len(whole)


@pytest.mark.parametrize("rate", [1, 999, 2_000_000, 2_000_000_000])
def test_a_rate_that_no_recording_has_is_refused_at_once(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, voice(), RATE)
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", rate)
    path.write_bytes(content)
    begin = time.process_time()
    with pytest.raises(AudioError, match=f"says {rate} Hz"):
        audio.read(path, 16000)
    assert time.process_time() - begin < 1.0


def inverted(wave: np.ndarray) -> np.ndarray:
    return np.stack([wave, -wave], 1)


def dead(wave: np.ndarray) -> np.ndarray:
    return np.stack([wave, 1e-4 * np.random.default_rng(0).standard_normal(len(wave))], 1)


def surround(wave: np.ndarray) -> np.ndarray:
    channels = np.zeros((len(wave), 6))
    channels[:, 2] = wave
    return channels


def karaoke(wave: np.ndarray) -> np.ndarray:
    # the centre is taken out of a stereo mix: what is left is the difference of the sides
    side = np.sin(2 * np.pi * 330 * np.arange(len(wave)) / RATE) * 0.3
    return np.stack([wave - side, side - wave], 1) / 2


def offset(wave: np.ndarray) -> np.ndarray:
    return np.stack([wave + 0.2, -wave - 0.2], 1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (inverted, "cancel"),
        (dead, "nothing"),
        (surround, "nothing"),
        (karaoke, "cancel"),
        (offset, "cancel"),
    ],
)
def test_no_voice_is_lost_in_the_mean_of_channels(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[np.ndarray], np.ndarray],
    said: str,
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "x.wav"
    wave = make(voice())
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    strongest = wave[:, np.argmax(wave.var(axis=0))]
    for read in (audio.read(path)[0], np.concatenate(list(audio.read_blocks(path, samples=777)))):
        assert audio.rms_db(read) == pytest.approx(audio.rms_db(strongest), abs=0.1)
    assert audio.measure(path).level == pytest.approx(audio.level_db(strongest, RATE), abs=0.1)
    part, _ = audio.read(path, start=0.5, end=0.75)
    assert np.array_equal(part, audio.read(path)[0][8000:12000])
    assert f"{path}: channel" in caplog.text
    assert said in caplog.text


def test_stereo_that_does_not_cancel_is_its_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    both, left, right = rng.standard_normal((3, RATE)) * 0.1
    for wave in (
        np.stack([both + left, both + right], 1),  # a room
        np.stack([left, right], 1),  # two strangers
        np.stack([both, 0.1 * both], 1),  # panned by 20 dB
    ):
        path = tmp_path / "x.wav"
        soundfile.write(path, wave, RATE, subtype="FLOAT")
        assert np.abs(audio.read(path)[0] - wave.mean(axis=1)).max() < 1e-6


@pytest.mark.parametrize(
    ("channels", "mode"), [(1, "CONSTANT"), (2, "CONSTANT"), (1, "VARIABLE"), (1, "AVERAGE")]
)
def test_segments_of_a_long_mp3_cost_the_same_wherever_they_lie(
    tmp_path: Path, channels: int, mode: str
) -> None:
    decoded: list[int] = []
    path = tmp_path / "x.mp3"
    wave = np.tile(voice(4.0, 44100)[:, None], (16, channels))
    soundfile.write(path, wave, 44100, bitrate_mode=mode, compression_level=0.5)
    whole, _ = audio.read(path)
    original = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, *args: object, **how: object) -> np.ndarray:
        block = original(self, *args, **how)
        decoded.append(len(block))
        return block

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "read", counted)
        for start in range(1, 60, 3):  # they overlap by a second
            part, _ = audio.read(path, start=float(start), end=start + 4.0)
            assert np.array_equal(part, whole[44100 * start : 44100 * (start + 4)])
    assert sum(decoded) <= len(whole)
    os.utime(path, ns=(0, 0))  # another file may stand under the name
    part, _ = audio.read(path, start=2.0, end=3.0)
    assert np.array_equal(part, whole[88200:132300])
