import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.sounds import sine
from vctool import audio
from vctool.audio import decoding
from vctool.errors import AudioError

Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {
    "read": audio.read,
    "measure": audio.measure,
    "read_blocks": lambda path: list(audio.read_blocks(path, samples=1000)),
}
QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "a name with spaces.wav"
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 24000).astype("f4")
    soundfile.write(path, wave, 24000, subtype="PCM_16")
    return path


@QUICK
@given(
    rate=st.sampled_from([8000, 11025, 22050, 44100, 192000]),
    channels=st.integers(1, 3),
    samples=st.integers(1, 5000),
    kind=st.sampled_from(
        [("wav", "PCM_U8"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16")]
    ),
)
def test_any_rate_depth_and_channel_count_is_read_as_written(
    tmp_path: Path, rate: int, channels: int, samples: int, kind: tuple[str, str]
) -> None:
    path = tmp_path / f"x.{kind[0]}"
    wave = np.random.default_rng(samples).uniform(-0.9, 0.9, (samples, channels))
    soundfile.write(path, wave, rate, subtype=kind[1])
    step = 2 / 256 if kind[1] == "PCM_U8" else 2**-14
    mono, own = audio.read(path)
    assert (own, mono.dtype, mono.shape) == (rate, np.float32, (samples,))
    assert np.abs(mono - wave.mean(axis=1)).max() <= step
    last, _ = audio.read(path, channel=channels - 1)
    assert np.abs(last - wave[:, -1]).max() <= step
    assert audio.measure(path).samples == samples


@QUICK
@given(cut=st.integers(0, 100_000))
@example(cut=0)  # within the last page or frame
@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_a_file_cut_anywhere_gives_one_line_and_never_a_short_wave(
    tmp_path: Path, format: str, cut: int
) -> None:
    whole = tmp_path / f"whole.{format}"
    if not whole.exists():
        # noise fills several Ogg pages, each of which is a place to break off
        wave = np.random.default_rng(0).uniform(-0.3, 0.3, 48000)
        soundfile.write(whole, wave, 16000)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{format}"
    # containers are allowed to be off by a few bytes, so cut more than that
    left = len(content) - 65 - cut % (len(content) - 64)
    assume(content[left : left + 4] != b"OggS")  # between two pages: whole, as far as can be told
    path.write_bytes(content[:left])
    for name, reader in READERS.items():
        with pytest.raises(AudioError) as caught:
            reader(path)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name


@QUICK
@given(content=st.binary(max_size=400))
@pytest.mark.parametrize("name", ["x.wav", "x.mp3", "x.raw", "x"])
def test_bytes_that_are_no_audio_never_raise_anything_but_audio_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        wave, _ = audio.read(path)
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert len(wave)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.touch(), "empty file"),
        (lambda path: path.write_text("words, not sound, " * 20), "not audio"),
        (lambda path: soundfile.write(path, np.zeros((0, 1)), 8000), "holds no samples"),
        (
            lambda path: soundfile.write(path, np.array([0, np.nan, 0]), 8000, subtype="FLOAT"),
            "holds NaN or infinity",
        ),
        (
            lambda path: soundfile.write(path, np.array([0, np.inf, 0]), 8000, subtype="FLOAT"),
            "holds NaN or infinity",
        ),
    ],
)
@pytest.mark.parametrize("reader", READERS)
def test_unusable_files_are_named_with_the_reason(
    tmp_path: Path, make: Callable[[Path], None], reason: str, reader: str
) -> None:
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(AudioError, match=reason) as caught:
        READERS[reader](path)
    assert str(caught.value).startswith(f"{path}: ")


def test_odd_but_sound_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros(80), 8000)  # 0.01 s of silence
    assert np.array_equal(audio.read(path)[0], np.zeros(80, "f4"))
    assert audio.read(path, 44100)[0].shape == (441,)
    assert audio.measure(path).level == audio.SILENCE_DB


def test_a_wav_of_unknown_length_from_a_streaming_writer_is_read(noise: Path) -> None:
    content = bytearray(noise.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    noise.write_bytes(content)
    assert audio.read(noise)[0].shape == (24000,)


def test_mp3_lengths_are_those_of_the_decoded_samples(shared_data: Path) -> None:
    # the headers of these files promise about 8000 samples more than there are
    path = next((shared_data / "Philharmonia").rglob("*.mp3"))
    assert len(audio.read(path)[0]) == audio.measure(path).samples < audio.info(path).samples


def test_a_stretch_is_the_same_as_cutting_the_whole(noise: Path, tmp_path: Path) -> None:
    whole, rate = audio.read(noise)
    part, _ = audio.read(noise, start=0.25, end=0.5)
    assert np.array_equal(part, whole[6000:12000])
    soundfile.write(tmp_path / "x.mp3", whole, rate)
    whole, _ = audio.read(tmp_path / "x.mp3")
    part, _ = audio.read(tmp_path / "x.mp3", start=0.25, end=0.5)
    assert np.array_equal(part, whole[6000:12000])


def test_a_stretch_beyond_the_end_is_refused_but_for_a_rounding(noise: Path) -> None:
    assert audio.read(noise, start=0.5, end=1.04)[0].shape == (12000,)
    for start, end in [(0.5, 1.2), (1.5, None), (0.5, 0.5), (-1.0, 0.5)]:
        with pytest.raises(AudioError, match=r"holds 1\.00 s|not a stretch"):
            audio.read(noise, start=start, end=end)


def test_a_channel_that_is_not_there_is_refused(noise: Path) -> None:
    with pytest.raises(AudioError, match="has 1 channels, wanted channel 1"):
        audio.read(noise, channel=1)


@pytest.mark.parametrize("rate", [None, 16000, 44100])
@pytest.mark.parametrize("samples", [37, 5000, 10**6])
def test_blocks_joined_are_the_whole_file_without_a_seam(
    noise: Path, monkeypatch: pytest.MonkeyPatch, rate: int | None, samples: int
) -> None:
    whole, _ = audio.read(noise, rate)
    monkeypatch.setattr(decoding, "_CHUNK", 777)
    blocks = list(audio.read_blocks(noise, rate, samples=samples))
    assert {len(block) for block in blocks[:-1]} <= {samples}
    joined = np.concatenate(blocks)
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 1e-5


def test_pcm16_comes_back_bit_for_bit_and_clips_without_wrapping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "x.wav"
    steps = (np.arange(-32768, 32768) / 32768).astype("f4")
    audio.write(path, steps, 16000)
    assert np.array_equal(audio.read(path)[0], steps)
    assert not caplog.records
    audio.write(path, np.array([1.7, -1.7, 0.5], "f4"), 16000)
    assert audio.read(path)[0].tolist() == [32767 / 32768, -1.0, 0.5]
    assert "clipped" in caplog.text


def test_a_failed_write_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    audio.write(path, sine(0.1, 440, 8000), 8000)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), audio.AudioWriter(path, 8000) as file:
        file.write(sine(0.2, 440, 8000))
        raise RuntimeError("interrupted")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.wav"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(AudioError, match="cannot be written"):
            audio.write(tmp_path / "x.wav", sine(10.0, 440, 8000), 8000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_cannot_be_written_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match="cannot be written"):
        audio.write(tmp_path / "file" / "x.wav", sine(0.1, 440, 8000), 8000)


def test_list_audio_finds_endings_of_any_case_below_and_skips_hidden_files(tmp_path: Path) -> None:
    for name in ["b/deep/x.FLAC", "a.wav", "b/notes.txt", ".hidden/y.wav", "b/.z.wav"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert audio.list_audio(tmp_path) == [tmp_path / "a.wav", tmp_path / "b/deep/x.FLAC"]


def test_list_audio_follows_links_once_and_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("elsewhere/a.wav", "here/b.caf", "here/c.m4a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    here = tmp_path / "here"
    (here / "link").symlink_to("../elsewhere")
    (here / "again").symlink_to("../elsewhere")
    (here / "circle").symlink_to(".")
    (here / "d.wav").symlink_to("../elsewhere/a.wav")
    assert audio.list_audio(here) == [here / "again/a.wav", here / "b.caf", here / "d.wav"]
    assert audio.list_audio(here, suffixes=audio.UNREAD) == [here / "c.m4a"]
