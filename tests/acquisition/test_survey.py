"""What is left out and why, what is not measured again, and the report of both."""

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vctool import audio, cache, cluster
from vctool.acquisition import activity, from_wavs, survey
from vctool.acquisition.report import Rejected
from vctool.data.datadir import DataDir

RATE = 8000


def noise(seconds: float, peak: float = 0.3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-peak, peak, round(seconds * RATE)).astype("f4")


def put(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)
    return path


def test_every_reason_is_named(tmp_path: Path) -> None:
    flat = np.clip(10 * noise(1.0), -1, 1)
    put(tmp_path / "good.wav", noise(1.0))
    put(tmp_path / "touching.wav", np.where(np.arange(RATE) % 100, noise(1.0), 1.0))
    put(tmp_path / "short.wav", noise(0.2))
    put(tmp_path / "long.wav", noise(3.0))
    put(tmp_path / "silent.wav", np.zeros(RATE))
    put(tmp_path / "clipped.wav", flat)
    put(tmp_path / "rate.wav", noise(1.0), RATE // 2)
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    usable, rejected = survey.survey(audio.list_audio(tmp_path), nj=2, longest=2.0, rate=RATE)
    assert {file.stem for file in usable} == {"good", "touching"}
    assert {one.file.stem: one.kind for one in rejected} == {
        "short": "too short",
        "long": "too long",
        "silent": "silent",
        "clipped": "clipped",
        "rate": "wrong rate",
        "nan": "holds NaN or infinity",
        "text": "not audio that can be read",
    }


def test_clipping_is_counted_in_samples_at_full_scale_beside_another(tmp_path: Path) -> None:
    wave = np.zeros(1000, "f4")
    wave[[10, 11, 12, 500, 999]] = [1.0, -1.0, 0.995, 1.0, 1.0]
    soundfile.write(tmp_path / "x.wav", wave, RATE, "PCM_24")
    assert audio.measure(tmp_path / "x.wav").clipped == 3 / 1000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded or cut."""
    found: list[str] = []
    for module, name in ((audio, "measure"), (activity, "segments")):
        original = getattr(module, name)

        def counted(path: Path, *, _original: Any = original, **settings: Any) -> Any:
            found.append(path.stem)
            return _original(path, **settings)

        monkeypatch.setattr(module, name, counted)
    return found


def prepared(folder: Path, out: Path) -> dict[str, bytes]:
    with cache.use(out.parent / ".measured.sqlite"):
        from_wavs.prepare(folder, out, domain="speech")
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_preparing_again_decodes_only_what_is_new_and_writes_the_same(
    tmp_path: Path, calls: list[str]
) -> None:
    folder, out = tmp_path / "wavs", tmp_path / "data" / "own"
    for number in range(12):
        put(folder / "ann" / f"{number}.wav", noise(1 + number / 8, seed=number))
    put(folder / "ann" / "talk.wav", np.concatenate([noise(20), np.zeros(RATE), noise(20)]))
    (folder / "ann" / "bad.wav").write_text("no sound")
    first = prepared(folder, out)
    assert len(calls) == 15 and calls.count("talk") == 2  # measured, and cut

    calls.clear()
    shutil.rmtree(out)
    assert prepared(folder, out) == first
    assert calls == ["bad"]  # failures are looked at again: they may have been mended

    calls.clear()
    put(folder / "ann" / "3.wav", noise(2.5, seed=99))
    put(folder / "ann" / "new.wav", noise(1.0, seed=98))
    prepared(folder, out)
    assert sorted(calls) == ["3", "bad", "new"]
    lengths = {one.id: one.duration for one in DataDir.read(out / "train")}
    lengths |= {
        one.id: one.duration for name in ("dev", "test") for one in DataDir.read(out / name)
    }
    assert lengths["ann-3"] == 2.5 and lengths["ann-new"] == 1.0


def test_what_was_found_with_other_settings_is_not_taken(tmp_path: Path) -> None:
    both = np.stack([noise(4.0), 0.5 * noise(4.0)], axis=1)
    file = put(tmp_path / "x.wav", both)
    with cache.use(tmp_path / "m.sqlite"):
        for _ in range(2):
            assert survey.survey([file])[0][file].peak == pytest.approx(0.225, abs=0.01)
            assert survey.survey([file], channel=0)[0][file].peak == pytest.approx(0.3, abs=0.01)
            assert survey.survey([file], channel=1)[0][file].peak == pytest.approx(0.15, abs=0.01)
            assert len(activity.segments_of([file])[file]) == 1
            assert len(activity.segments_of([file], shortest=1.0, longest=2.0)[file]) > 1


def test_memory_grows_no_faster_than_the_number_of_recordings(tmp_path: Path) -> None:
    """`tests/bench/test_many_recordings.py` does this with a hundred thousand."""
    peaks = []
    for count in (40, 160):
        folder = tmp_path / str(count)
        for number in range(count):
            put(folder / f"s{number % 10}" / f"{number}.wav", noise(0.4, seed=number))
        for _ in range(2):  # the second time all is remembered
            tracemalloc.start()
            prepared(folder, tmp_path / f"out{count}")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[2] < 4 * peaks[0] and peaks[3] < 4 * peaks[1]


def test_the_report_counts_files_hours_rates_and_reasons(tmp_path: Path) -> None:
    folder, out = tmp_path / "wavs", tmp_path / "own"
    for speaker, rate in {"ann": 8000, "ben": 16000}.items():
        for number in range(10):
            wave = np.resize(noise(0.9, seed=number), 36 * rate // 10)
            put(folder / speaker / f"{number}.wav", wave, rate)
    put(folder / "ann" / "x.wav", np.zeros(RATE))
    put(folder / "ann" / "y.wav", noise(0.1))
    put(folder / "ann" / "z.wav", noise(0.05))
    report = from_wavs.prepare(folder, out, domain="speech")
    assert report.hours == pytest.approx(20 * 3.6 / 3600)
    assert report.rates == ((8000, 10), (16000, 10))
    assert sum(split.files for split in report.splits.values()) == 20
    text = (out / "report.md").read_text()
    assert "- 10 files at 8000 Hz\n- 10 files at 16000 Hz\n" in text
    assert "Left out: 3 of 23 files." in text
    assert "| silent | 1 |\n| too short | 2 |\n" in text
    assert "| train | 14 | 14 | 0.01 | 2 |" in text


def test_a_long_recording_that_all_splits_are_cut_from_is_one_file(tmp_path: Path) -> None:
    folder, out = tmp_path / "wavs", tmp_path / "own"
    put(folder / "ann" / "long.wav", np.resize(noise(1.0), 120 * RATE))
    put(folder / "ann" / "still.wav", np.zeros(RATE))
    report = from_wavs.prepare(folder, out, domain="speech")
    assert report.files == 1 and report.rates == ((RATE, 1),)
    assert [split.files for split in report.splits.values()] == [1, 1, 1]
    assert "Left out: 1 of 2 files." in (out / "report.md").read_text()


def test_reasons_are_counted_without_what_is_special_to_a_file() -> None:
    reasons = {
        "empty file; copy it again": "empty file",
        "has 1 channels, wanted channel 1": "has 1 channels, wanted channel 1",
        "truncated: 3 of 9 samples can be read": "truncated",
        "not audio that can be read (Format not recognised)": "not audio that can be read",
    }
    for reason, kind in reasons.items():
        assert Rejected(Path("x.wav"), reason).kind == kind


def test_a_cluster_measures_the_same(tmp_path: Path, loopback: Any) -> None:
    files = [put(tmp_path / f"{number}.wav", noise(0.5, seed=number)) for number in range(9)]
    (tmp_path / "bad.wav").write_text("no sound")
    files.append(tmp_path / "bad.wav")
    alone = survey.survey(files)
    with cluster.use(loopback().address):
        assert survey.survey(files) == alone
