"""Stage 6 between two speakers: what is compared with what, and everything that it writes."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vctool
from vctool import audio
from vctool.data.datadir import DataDir, Utterance
from vctool.data.speaker_table import SpeakerTable, Voice
from vctool.data.store import StoreWriter
from vctool.errors import DataError
from vctool.evaluation.voices import baselines
from vctool.evaluation.voices.baselines import FEATURES
from vctool.evaluation.voices.report import of_direction
from vctool.evaluation.voices.selection import (
    HeldOutVoices,
    load_task,
    select,
    stored_speaker,
)
from vctool.evaluation.voices.shared import shared
from vctool.experiment import directions, recipe
from vctool.experiment.recipe import Recipe
from vctool.stages import evaluate

RATE, SENTENCES, TRAINING = 16000, 4, 8
Say = Callable[..., np.ndarray]


@pytest.fixture
def spoken(workdir: Path, say: Say, no_judges: None) -> Recipe:
    """A recipe whose stages 1 to 5 are done: the outputs are the target's own recordings."""
    chosen = recipe.load(
        "vcc2016_cyclegan_vc",
        ["corpus.source=low", "corpus.target=high", "evaluate.bootstrap=100"],
    )
    for split, sentences in (("test", range(SENTENCES)), ("train", range(50, 50 + TRAINING))):
        found = []
        for who in ("low", "high"):
            for number in sentences:
                other = number + (100 if split == "train" and who == "high" else 0)
                wav = workdir / "wavs" / f"{who}-{other}.wav"
                audio.write(wav, say(other, who, 0.8), RATE)
                name = f"{who}-{other:03}"
                found.append(Utterance(name, who, "speech", wav, 1.0, sentence=str(other)))
        DataDir(chosen.data("vcc2016", split), tuple(found)).write()
    infer = chosen.exp / "infer"
    infer.mkdir(parents=True)
    rows = "".join(f"low-{k:03}\thigh-{k:03}\n" for k in range(SENTENCES))
    (infer / "pairs.tsv").write_text("utt\ttarget_utt\n" + rows)
    for k in range(SENTENCES):
        wav = workdir / "wavs" / f"high-{k}.wav"
        audio.write(chosen.exp / "wav" / f"low-{k:03}.wav", audio.read(wav, RATE)[0], RATE)
    (chosen.exp / "log").mkdir()
    lines = [
        {"step": 5, "split": split, "generator/cycle_source": 2.5} for split in ("train", "dev")
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (chosen.exp / "log" / "metrics.jsonl").write_text(text)
    return chosen


def chosen(recipe: Recipe) -> HeldOutVoices:
    """What stage 6 selects in the recipe's one direction."""
    ((way, rows),) = directions.read(recipe.exp, directions.of(recipe)).items()
    return select(recipe, way, rows)


def test_a_perfect_model_beside_every_baseline(spoken: Recipe) -> None:
    evaluate.run(spoken)
    result = json.loads((spoken.exp / "results.json").read_text())
    rows = set(baselines.SYSTEMS) | {"knn_vc", "model"}
    measures = result["measures"]
    assert set(measures["mcd"]) == rows == set(result["systems"])
    assert measures["mcd"]["model"]["value"] == 0.0 and measures["mcd"]["model"]["gap"] == 1.0
    for other in rows - {"model", "target"}:
        difference, low, high = measures["mcd"]["model"]["versus"][other]
        assert difference < 0 and low <= high < 0, other
    assert measures["f0_rmse"]["pitch only"]["value"] < 0.5 * measures["f0_rmse"]["copy"]["value"]
    assert set(result["not_run"]) == {"speaker", "DistillMOS", "DNSMOS", "CER, WER"}
    assert result["held_out_losses"] == {"generator/cycle_source": {"value": 2.5, "step": 5.0}}
    text = (spoken.exp / "RESULTS.md").read_text()
    for expected in (*rows, "alpha 0.42", "Not run", "95 % intervals", "seed 0", "pyworld"):
        assert expected in text
    first = text.splitlines()[2]
    assert first.startswith("The model is certainly better than the unconverted copy on ")
    assert "; than the formula to beat (mean-variance) on " in first
    assert "- corpus.source: low" in text and result["config"]["features.mcep_alpha"] == 0.42
    assert "- resemblyzer " in text
    assert f"target's voice is known from: {TRAINING}" in text
    with (spoken.exp / "utterances.tsv").open() as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    copies = [float(r["value"]) for r in table if (r["system"], r["measure"]) == ("copy", "mcd")]
    assert len(copies) == SENTENCES
    assert np.mean(copies) == pytest.approx(measures["mcd"]["copy"]["value"])
    names = {Path(plot).stem for plot in result["plots"]}
    assert names == {"low-000", "low-001", "low-002", "losses"}
    for plot in result["plots"]:
        assert (spoken.exp / plot).stat().st_size > 1000
    assert "data:audio" in (spoken.exp / "report.html").read_text()


def test_what_recordings_give_with_nothing_learnt_is_made_of_training_recordings(
    spoken: Recipe,
) -> None:
    held = chosen(spoken)
    (way,) = directions.of(spoken)
    with shared(spoken, 1) as common:
        job = of_direction(spoken, way, held, common)
        assert job.untrained is not None
        made = job.untrained()
        # the same as the family's own model gives, but for the range that F0 is searched in
        files = [one.wav for one in held.target_training]
        converter = vctool.load("knn_vc", "cpu")
        expected, _ = converter.convert(job.task.sources[0], RATE, to=converter.reference(*files))
        assert len(made) == len(held.sources) and made[0].shape == expected.shape
        heard = levels(made[0]) - levels(job.task.sources[0])
        wanted = levels(expected) - levels(job.task.sources[0])
        assert np.corrcoef(heard, wanted)[0, 1] > 0.9
        # a family that is this row has no other
        itself = spoken.model_copy(update={"family": "knn_vc"})
        assert of_direction(itself, way, held, common).untrained is None


def levels(wave: np.ndarray) -> np.ndarray:
    """The mean spectrum of a wave [dB], in 32 bands."""
    power = np.abs(np.fft.rfft(wave[: len(wave) // 1024 * 1024].reshape(-1, 1024))) ** 2
    return np.asarray(10 * np.log10(power.mean(axis=0)[:512].reshape(32, 16).mean(axis=1) + 1e-9))


def test_a_baseline_as_a_model_is_the_baseline(spoken: Recipe) -> None:
    held = chosen(spoken)
    task = load_task(held, RATE)
    formula = baselines.fit(task.source_training, task.target_training, RATE)
    made = baselines.build(task.sources, None, RATE, formula)[baselines.MEAN_VARIANCE]
    for one, wave in zip(held.sources, made, strict=True):
        audio.write(spoken.exp / "wav" / f"{one.id}.wav", wave, RATE)
    evaluate.run(spoken)
    first = (spoken.exp / "results.json").read_bytes()
    measures = json.loads(first)["measures"]
    for measure in ("mcd", "gv_ratio", "modulation"):  # but for 16 bits
        model, baseline = (measures[measure][row]["value"] for row in ("model", "mean-variance"))
        assert model == pytest.approx(baseline, rel=0.02), measure
    evaluate.run(spoken)
    assert (spoken.exp / "results.json").read_bytes() == first


def test_references_and_formulas_come_from_training_recordings(spoken: Recipe) -> None:
    held = chosen(spoken)
    assert [one.id for one in held.target_training] == [f"high-{150 + k}" for k in range(TRAINING)]
    assert [one.id for one in held.source_training] == [f"low-{50 + k:03}" for k in range(TRAINING)]
    assert held.targets is not None
    assert [one.sentence for one in held.targets] == [one.sentence for one in held.sources]
    task = load_task(held, RATE)
    assert len(task.target_training) == TRAINING and task.texts is None


def test_stored_features_give_the_formulas_that_analysis_gives(spoken: Recipe) -> None:
    held = chosen(spoken)
    task = load_task(held, RATE)
    assert stored_speaker(spoken, "high", held.target_training) is None  # stage 2 has not run
    fitted = baselines.fit(task.source_training, task.target_training, RATE)
    voices = []
    folder = spoken.dump("vcc2016", "train", "world")
    with StoreWriter(folder, "world", spoken.features.of_kind("world")) as writer:
        for group, known in (
            (held.target_training, fitted.target),
            (held.source_training, fitted.source),
        ):
            voices.append(Voice(speaker=group[0].speaker, domain="speech", stats=known.f0))
            for one in group:
                ends = known.f0.f0_floor, known.f0.f0_ceil
                writer.write(one.id, baselines.take_apart(one.load(RATE), RATE, *ends))
    SpeakerTable(voices=tuple(voices)).write(spoken.stats("vcc2016", "train"))
    target = stored_speaker(spoken, "high", held.target_training)
    source = stored_speaker(spoken, "low", held.source_training)
    assert target is not None and source is not None
    np.testing.assert_allclose(target.mean, fitted.target.mean, atol=1e-5)
    np.testing.assert_allclose(source.deviation, fitted.source.deviation, atol=1e-5)
    assert target.f0.log_f0_mean == pytest.approx(fitted.target.f0.log_f0_mean)
    other = spoken.features.model_copy(update={"hop_length": 160})
    assert FEATURES.of_kind("world") == spoken.features.of_kind("world")
    changed = spoken.model_copy(update={"features": other})
    assert stored_speaker(changed, "high", held.target_training) is None


def test_without_common_sentences_the_rest_is_scored(spoken: Recipe) -> None:
    rows = "".join(f"low-{k:03}\t\n" for k in range(SENTENCES))
    (spoken.exp / "infer" / "pairs.tsv").write_text("utt\ttarget_utt\n" + rows)
    evaluate.run(spoken)
    result = json.loads((spoken.exp / "results.json").read_text())
    assert "mcd" not in result["measures"] and "gv_ratio" in result["measures"]
    assert "target resynthesis" not in result["systems"]
    assert any("MCD" in name for name in result["not_run"])
    assert "not paired" in (spoken.exp / "RESULTS.md").read_text()


def test_too_little_and_missing_outputs_are_one_line(spoken: Recipe) -> None:
    (spoken.exp / "wav" / "low-001.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 4 outputs are missing.*stage 5"):
        evaluate.run(spoken)
    data = DataDir.read(spoken.data("vcc2016", "test"))
    kept = tuple(one for one in data if one.speaker == "low" or one.id == "high-000")
    shutil.rmtree(data.path)
    dataclasses.replace(data, utterances=kept).write()
    with pytest.raises(DataError, match=r"1 recordings of 'high'.*at least 2"):
        evaluate.run(spoken)
