"""Recordings through vocoders: what is written, what it rests on, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from vctool import audio, vocoders
from vctool.config import build, read_yaml
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.errors import ConfigError, DataError
from vctool.evaluation.page import utterances
from vctool.evaluation.vocoders import copies, copy_synthesis
from vctool.experiment import recipe
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.metrics import resynthesis
from vctool.metrics.pitch import track
from vctool.models.base import Context
from vctool.models.istft.system import System
from vctool.stages import evaluate

CONFIG = FeatureConfig(rate=16000, n_fft=1024, hop_length=200, n_mels=80)


def sing(seed: int, seconds: float = 1.0) -> np.ndarray:
    """A gliding tone with harmonics whose strengths move, and a little noise: (T,) float32."""
    rng = np.random.default_rng(seed)
    at = np.linspace(0.0, 1.0, round(16000 * seconds))
    f0 = np.exp(np.interp(at, np.linspace(0, 1, 4), np.log(rng.uniform(110, 220, 4))))
    phase = 2 * np.pi * np.cumsum(f0) / 16000
    wave = 0.003 * rng.standard_normal(len(at))
    for order in range(1, 12):
        strength = np.interp(at, np.linspace(0, 1, 6), rng.uniform(0.1, 1.0, 6))
        wave += strength * np.sin(order * phase) / order
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "held out"
    for index in range(4):
        audio.write(place / "ann" / f"{index}.wav", sing(index), 16000)
    return place


@pytest.mark.usefixtures("no_judges")
def test_what_is_scored_is_what_the_vocoders_make(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folder / "results"
    said = copy_synthesis.run(folder, ["griffin_lim", "world"], CONFIG, out)
    assert len(copy_synthesis.gather(folder, 60, out)) == 4  # results are no recordings
    monkeypatch.chdir(folder)
    assert len(copy_synthesis.gather(folder, 60, Path("results"))) == 4
    for name in ("RESULTS.md", "results.json", "report.html", "plots/ann_0.png"):
        assert (out / name).is_file(), name
    values = utterances.read(out / utterances.NAME)
    assert sorted(values["lsd"]) == ["griffin_lim", "recording", "world"]
    assert sorted(values["lsd"]["world"]) == [f"ann_{index}" for index in range(4)]

    recording, _ = audio.read(folder / "ann" / "2.wav", 16000)
    vocoder = vocoders.get("griffin_lim")
    made = vocoder.synthesise({"mel": log_mel(recording, CONFIG)}, CONFIG, len(recording))
    expected = resynthesis.log_spectral_distance(
        *resynthesis.aligned(made, recording, 16000, 16000)
    )
    assert values["lsd"]["griffin_lim"]["ann_2"] == pytest.approx(expected, rel=1e-4)
    heard, _ = audio.read(out / "wav" / "griffin_lim" / "ann_2.wav", 16000)
    np.testing.assert_allclose(heard, made, atol=1e-4)

    results = json.loads((out / "results.json").read_text())
    difference = results["measures"]["lsd"]["world"]["versus"]["griffin_lim"][0]
    means = {row: np.mean(list(values["lsd"][row].values())) for row in ("world", "griffin_lim")}
    assert difference == pytest.approx(means["world"] - means["griffin_lim"])
    assert all(0 < one < 5 for one in values["rtf"]["world"].values())
    text = (out / "RESULTS.md").read_text()
    assert text.splitlines()[2].startswith("Against ")
    assert "## Each less griffin_lim" in text and "Gap closed" not in text
    assert "4 recordings are scored" in said and "| world |" in said
    assert "DNSMOS: not run" in text


def test_a_data_dir_and_a_folder_hold_the_same_recordings(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.rglob("*.wav"))
    data = DataDir(
        tmp_path / "data",
        tuple(Utterance(f"ann-{one.stem}", "ann", "speech", one, 1.0) for one in paths),
    )
    data.write()
    of_folder = copy_synthesis.gather(folder, 60, tmp_path / "out")
    of_data = copy_synthesis.gather(tmp_path / "data", 60, tmp_path / "out")
    waves = [copies.load(found, 16000) for found in (of_folder, of_data)]
    for one, other in zip(*waves, strict=True):
        np.testing.assert_array_equal(one, other)
    drawn = copy_synthesis.gather(folder, 2, tmp_path / "out")
    assert len(drawn) == 2 and set(drawn) < set(of_folder)


@pytest.mark.parametrize("vocoder", ["griffin_lim", "world"])
def test_each_vocoder_reads_its_own_kind_and_gives_pitch_and_length_back(vocoder: str) -> None:
    wave = sing(7, 1.013)
    made = copies.copy_wave(wave, vocoder, CONFIG)
    assert made.wave.shape == wave.shape and made.seconds > 0
    truth, found = track(wave.astype(float)), track(made.wave.astype(float))
    both = (truth > 0) & (found > 0)
    assert both.sum() > 0.6 * len(truth)
    assert np.median(np.abs(1200 * np.log2(found[both] / truth[both]))) < 30


@pytest.mark.usefixtures("no_judges")
def test_nothing_is_begun_where_a_vocoder_or_a_recording_cannot_be_used(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    wide = CONFIG.model_copy(update={"n_mels": 600})
    with pytest.raises(ConfigError, match="n_mels = 600"):
        copy_synthesis.run(folder, ["world", "griffin_lim"], wide, out)
    with pytest.raises(ConfigError, match="did you mean 'world'"):
        copy_synthesis.run(folder, ["griffin_lim", "wolrd"], CONFIG, out)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        copy_synthesis.run(tmp_path / "nowhere", ["world"], CONFIG, out)
    audio.write(folder / "ann" / "9.wav", np.zeros(16000, np.float32), 16000)
    with pytest.raises(DataError, match=r"9\.wav: silent"):
        copy_synthesis.run(folder, ["world"], CONFIG, out)
    audio.write(folder / "ann_0.wav", sing(0), 16000)
    with pytest.raises(DataError, match="two recordings are called ann_0"):
        copy_synthesis.run(folder, ["world"], CONFIG, out)
    assert not out.exists()
    (tmp_path / "one").mkdir()
    with pytest.raises(DataError, match="at least 2"):
        copy_synthesis.run(tmp_path / "one", ["world"], CONFIG, out)


@pytest.mark.usefixtures("no_judges")
def test_stage_six_of_a_vocoder_scores_what_stage_five_wrote(workdir: Path, root: Path) -> None:
    tiny = build(System.Config, read_yaml(root / "conf/istft/tiny.yaml")["model"], "tiny")
    settings = [f"model.{name}={value}" for name, value in tiny.model_dump(mode="json").items()]
    chosen = recipe.load("vcc2016_istft", ["evaluate.bootstrap=100", *settings])
    context = Context(features=chosen.features, vocoder="wave", roles=("voices",))
    checkpoint.save(chosen.exp / "checkpoints", System(tiny, context), family="istft", step=1)
    found = []
    for index in range(3):
        place = workdir / "wavs" / f"{index}.wav"
        audio.write(place, sing(index), 16000)
        found.append(Utterance(f"ann-{index}", "ann", "speech", place, 1.0))
        audio.write(chosen.exp / "wav" / f"ann-{index}.wav", 0.5 * sing(index), 16000)
    DataDir(chosen.data("vcc2016", "test"), tuple(found)).write()
    (chosen.exp / "infer").mkdir()
    rows = "".join(f"{one.id}\t\n" for one in found[:2])
    (chosen.exp / "infer" / "pairs.tsv").write_text("utt\ttarget_utt\n" + rows)

    evaluate.run(chosen)
    values = utterances.read(chosen.exp / utterances.NAME)
    assert sorted(values["lsd"]) == ["griffin_lim", "model", "recording", "world"]
    # The files are the recordings but for level and 16 bits; not what the weights would make.
    assert sorted(values["lsd"]["model"]) == ["ann-0", "ann-1"]
    assert max(values["lsd"]["model"].values()) < 0.3
    assert min(values["lsd"]["griffin_lim"].values()) > 1
    assert min(values["rtf"]["model"].values()) > 0
    assert not (chosen.exp / "wav" / "model").exists()
    text = (chosen.exp / "RESULTS.md").read_text()
    assert "| model |" in text and "## Each less griffin_lim" in text
