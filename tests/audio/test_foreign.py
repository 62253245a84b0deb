"""What phones and browsers write is decoded by ffmpeg, or the line names it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import Needs
from tests.sounds import make_speech
from vctool import audio
from vctool.audio import foreign
from vctool.errors import AudioError

Encode = Callable[..., Path]
FORMATS = {".m4a": "aac", ".mp4": "aac", ".webm": "libopus", ".mka": "flac", ".aac": "aac",
           ".3gp": "aac", ".wma": "wmav2"}  # fmt: skip
"""By ending, what encodes them. Debian's ffmpeg has no encoder for AMR, and decodes it."""


@pytest.fixture
def encode(tmp_path: Path, needs: Needs) -> Encode:
    """Encode a wave as a phone or a browser would."""
    program = needs("ffmpeg")

    def made(name: str, wave: np.ndarray, rate: int = 48000) -> Path:
        soundfile.write(tmp_path / "plain.wav", wave, rate)
        out = tmp_path / name
        words = ["-loglevel", "error", "-y", "-i", tmp_path / "plain.wav"]
        codec = FORMATS[out.suffix.lower()]
        subprocess.run([program, *words, "-c:a", codec, "-b:a", "128k", out], check=True)
        return out

    return made


@pytest.mark.parametrize("suffix", FORMATS)
def test_it_is_heard_as_it_was_encoded(encode: Encode, suffix: str) -> None:
    wave = make_speech(2.0, 48000)
    path = encode(f"phone{suffix.upper()}", wave)  # endings are taken in either case
    heard, rate = audio.read(path)
    assert rate == 48000 and len(heard) == pytest.approx(len(wave), abs=5000)
    lags = np.arange(-2500, 2500, 5)
    middle = slice(20000, 60000)
    best = max(
        float(np.corrcoef(wave[middle], heard[20000 + lag : 60000 + lag])[0, 1]) for lag in lags
    )
    assert best > 0.97
    assert audio.info(path).rate == 48000
    blocks = np.concatenate(list(audio.read_blocks(path, 16000, samples=5000)))
    assert np.array_equal(blocks, audio.read(path, 16000)[0])
    stretch, _ = audio.read(path, start=0.5, end=1.0)
    assert np.array_equal(stretch, heard[24000:48000])


@pytest.mark.parametrize(
    ("magic", "mode", "size", "rate"),
    [(b"#!AMR\n", 0, 12, 8000), (b"#!AMR\n", 7, 31, 8000), (b"#!AMR-WB\n", 0, 17, 16000)],
)
def test_amr_is_decoded(
    tmp_path: Path, needs: Needs, magic: bytes, mode: int, size: int, rate: int
) -> None:
    """Frames by hand (RFC 4867, section 5): a byte with the mode, then the bits of 20 ms."""
    needs("ffmpeg")
    bits = np.random.default_rng(0).integers(0, 256, (50, size), dtype=np.uint8)
    path = tmp_path / "memo.amr"
    path.write_bytes(magic + b"".join(bytes([mode << 3 | 4]) + one.tobytes() for one in bits))
    heard, found = audio.read(path)
    assert (found, len(heard)) == (rate, rate)  # 50 frames of 20 ms
    assert -60 < audio.rms_db(heard) < 0


def test_a_file_that_changes_is_decoded_anew_and_leaves_nothing(
    encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(foreign.tempfile, "tempdir", str(tmp_path / "tmp"))
    foreign.decoded.cache_clear()
    assert audio.info(encode("a.m4a", make_speech(1.0, 48000))).seconds < 1.2
    assert audio.info(encode("a.m4a", make_speech(2.0, 48000))).seconds > 1.8
    foreign.decoded.cache_clear()
    assert os.listdir(tmp_path / "tmp") == []


def test_stereo_stays_stereo_and_a_silent_side_is_left_out(encode: Encode) -> None:
    wave = make_speech(1.0, 48000)
    path = encode("a.m4a", np.stack([wave, np.zeros_like(wave)], axis=1))
    assert audio.info(path).channels == 2
    alone, _ = audio.read(path, channel=0)
    assert audio.rms_db(audio.read(path)[0]) == pytest.approx(audio.rms_db(alone), abs=0.1)


def test_a_line_says_what_is_wrong(
    encode: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode("a.m4a", make_speech(1.0, 48000)).read_bytes()
    (tmp_path / "half.m4a").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "list.m4a").write_text("ffconcat version 1.0\nfile plain.wav\n")  # another file
    (tmp_path / "text.webm").write_text("no sound")
    for name in ("half.m4a", "list.m4a", "text.webm"):
        with pytest.raises(AudioError, match=rf"{name}: ffmpeg cannot decode it \(.+\); export"):
            audio.read(tmp_path / name)
    with pytest.raises(AudioError, match="no such file"):
        audio.read(tmp_path / "gone.m4a")
    monkeypatch.setenv("PATH", str(tmp_path))
    path = encode_copy(tmp_path)
    with pytest.raises(AudioError, match=r"b\.m4a: .*ffmpeg, which is not installed; install"):
        audio.read(path)


def encode_copy(folder: Path) -> Path:
    (folder / "b.m4a").write_bytes((folder / "a.m4a").read_bytes())
    return folder / "b.m4a"


def test_flac_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    wave = make_speech(1.0)
    audio.write(tmp_path / "a.flac", wave, 16000)
    audio.write(tmp_path / "a.wav", wave, 16000)
    flac, plain = (
        soundfile.read(tmp_path / f"a.{form}", dtype="int16")[0] for form in ("flac", "wav")
    )
    assert soundfile.info(tmp_path / "a.flac").format == "FLAC" and np.array_equal(flac, plain)
    with pytest.raises(ZeroDivisionError), audio.AudioWriter(tmp_path / "b.flac", 16000) as file:
        file.write(wave)
        _ = 1 / 0
    assert not (tmp_path / "b.flac").exists() and len(list(tmp_path.iterdir())) == 2


def test_a_flac_that_lacks_its_end_is_not_put_in_place(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="the disk is full"):
        with audio.AudioWriter(tmp_path / "a.flac", 16000) as file:
            file.write(make_speech(2.0))
            file._file.close()
            content = file._beside.read_bytes()
            file._beside.write_bytes(content[: len(content) // 2])
    assert list(tmp_path.iterdir()) == []
