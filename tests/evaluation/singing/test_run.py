"""Stage 6 on a small paired corpus whose model output is the truth itself."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vctool import audio
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError
from vctool.evaluation.page import utterances
from vctool.evaluation.singing import neighbours, run
from vctool.experiment import recipe
from vctool.experiment.recipe import Recipe
from vctool.features import sphinx
from vctool.stages import evaluate

RATE, COUNT = 16000, 6
NOTES = (57.0, 60.0, 64.0)


def voice(pitch: np.ndarray, seed: int) -> np.ndarray:
    """Pulses at a pitch (T,) [MIDI] through a filter of its own for every tenth of a second."""
    phase = np.cumsum(440.0 * 2 ** ((pitch - 69) / 12) / RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    rng = np.random.default_rng(seed)
    pieces = []
    for piece in np.array_split(pulses, 20):
        spectrum = np.fft.rfft(piece)
        knots = np.linspace(0, len(spectrum), 9)
        curve = np.interp(np.arange(len(spectrum)), knots, rng.normal(-0.3, 1.0, 9))
        pieces.append(np.fft.irfft(spectrum * np.exp(curve), len(piece)))
    return (0.1 * np.concatenate(pieces) / np.std(pulses)).astype(np.float32).clip(-0.9, 0.9)


@pytest.fixture
def paired(workdir: Path, no_judges: None) -> Recipe:
    """A recipe whose stages 1 to 5 are done: the outputs are the true singing."""
    chosen = recipe.load(
        "mini", ["features.rate=16000", "evaluate.bootstrap=100", "convert.stretch=1.0"]
    )
    time = np.arange(2 * RATE)
    utterances, pairs, maps = [], [], {}
    for index in range(COUNT):
        rng = np.random.default_rng(index)
        tune = np.repeat(rng.permutation(NOTES), len(time) // 3 + 1)[: len(time)]
        glide = 52 + 4 * np.sin(time / RATE * 9 + index)
        for domain, pitch in (("speech", glide), ("singing", tune)):
            name = f"ann-{domain}-{index}"
            wav = workdir / "wavs" / f"{name}.wav"
            audio.write(wav, voice(pitch, index), RATE)
            accomp: tuple[Path, ...] = ()
            if domain == "singing":
                sounds = np.sin(2 * np.pi * np.cumsum(440 * 2 ** ((tune - 57) / 12) / RATE))
                accomp = (workdir / "wavs" / f"{name}-music.wav",)
                audio.write(accomp[0], 0.3 * sounds.astype(np.float32), RATE)
            utterances.append(Utterance(name, "ann", domain, wav, 2.0, accomp=accomp))
        pairs.append((f"ann-speech-{index}", f"ann-singing-{index}"))
        maps[pairs[-1][0]] = workdir / "wavs" / f"{index}.tsv"
        maps[pairs[-1][0]].write_text("speech_seconds\tsung_seconds\n0.0\t0.0\n2.0\t2.0\n")
    data = DataDir(chosen.data("mini", "test"), tuple(utterances), tuple(pairs), maps)
    data.write()
    known = workdir / "wavs" / "bob-singing.wav"
    audio.write(known, voice(np.repeat(NOTES, RATE), 50), RATE)
    train = (Utterance("bob-singing", "bob", "singing", known, 3.0),)
    DataDir(chosen.data("mini", "train"), train).write()
    infer = chosen.exp / "infer"
    infer.mkdir(parents=True)
    rows = "".join(f"{speech}\t{sung}\n" for speech, sung in pairs)
    (infer / "pairs.tsv").write_text("utt\tsinging_utt\n" + rows)
    for index, (speech, sung) in enumerate(pairs):
        other = pairs[(index + 1) % COUNT][1]
        audio.write(chosen.exp / "wav" / f"{speech}.wav", data[sung].load(RATE), RATE)
        audio.write(chosen.exp / "wav_shuffled" / f"{speech}.wav", data[other].load(RATE), RATE)
    (chosen.exp / "log").mkdir()
    lines = [
        {"step": 10, "split": "train", "generator/cycle_singing": 3.0},
        {"step": 10, "split": "dev", "generator/cycle_singing": 4.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (chosen.exp / "log" / "metrics.jsonl").write_text(text + '{"step": 11, "sp')
    return chosen


def test_a_perfect_model_scores_perfectly_beside_every_anchor(
    paired: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = []

    def noted(
        sources: object, rate: int, training: list[np.ndarray], *rest: Any, **more: Any
    ) -> Any:
        known.extend(len(wave) for wave in training)
        return neighbours.sing(sources, rate, training, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "sing", noted)
    evaluate.run(paired)
    assert known == [3 * RATE]  # the training singer's, and nothing that is scored
    result = json.loads((paired.exp / "results.json").read_text())
    measures = result["measures"]
    rows = {"copy", "resynthesis", "F0 snap", "drone", "random singing", "model", "real singing"}
    rows |= {"real singing, WORLD", "knn_vc"}
    assert rows | {"model, shuffled"} == set(measures["distance"])
    assert measures["f0_error"]["model"]["value"] < 5
    assert measures["f0_error"]["model"]["gap"] > 0.95
    assert measures["f0_error"]["copy"]["value"] > 200
    assert measures["f0_error"]["model, shuffled"]["value"] > 100
    assert measures["chroma"]["model"]["value"] > 2 * measures["chroma"]["copy"]["value"]
    assert measures["content"]["copy"]["value"] == 1.0
    low, high = measures["distance"]["model"]["versus"]["copy"][1:]
    assert low < high < 0
    assert result["held_out_losses"] == {"cycle_singing": {"value": 4.5, "step": 10.0}}
    assert set(result["not_run"]) == {"words", "CER, WER", "DistillMOS"}
    assert result["not_run"]["words"] == "the corpus has no slot grammar"
    text = (paired.exp / "RESULTS.md").read_text()
    for expected in (*rows, "Not run", "config", "seed 0", "pyworld", "dimension 30"):
        assert expected in text
    assert "published" not in text  # these are not the published features
    for plot in result["plots"]:
        assert (paired.exp / plot).stat().st_size > 1000
    assert len(result["plots"]) == 5
    page = (paired.exp / "report.html").read_text()
    table = utterances.read(paired.exp / "utterances.tsv")
    assert {"content", "chroma_gain", "f0_error"} <= set(table) and "distance" not in table
    assert len(table["f0_error"]["model"]) == COUNT
    assert max(table["f0_error"]["model"].values()) < min(table["f0_error"]["copy"].values())
    # three utterances by nine systems and the truth, each with its spectrograms
    assert page.count("<audio") == 3 * 10 and page.count("<img") == 5


def test_scores_do_not_depend_on_the_run(paired: Recipe) -> None:
    evaluate.run(paired)
    first = (paired.exp / "results.json").read_bytes()
    evaluate.run(paired)
    assert (paired.exp / "results.json").read_bytes() == first


def test_what_a_small_corpus_lacks_is_named_and_the_rest_is_scored(paired: Recipe) -> None:
    """Three held-out recordings, no accompaniments, no pairs: a smoke test that must run."""
    data = DataDir.read(paired.data("mini", "test"))
    kept = [one for one in data if one.domain == "speech" or one.id[-1] in "024"]
    bare = tuple(dataclasses.replace(one, accomp=()) for one in kept)
    shutil.rmtree(data.path)
    DataDir(data.path, bare).write()
    shutil.rmtree(paired.exp / "wav_shuffled")
    (paired.exp / "infer" / "pairs.tsv").write_text(
        "utt\tsinging_utt\n" + "".join(f"ann-speech-{n}\t\n" for n in range(COUNT))
    )
    evaluate.run(paired)
    result = json.loads((paired.exp / "results.json").read_text())
    assert set(result["not_run"]) == {
        "chroma",
        "drone",
        "F0 error",
        "model, shuffled",
        "words",
        "CER, WER",
        "DistillMOS",
    }
    assert set(result["measures"]["distance"]) == {
        "copy",
        "resynthesis",
        "F0 snap",
        "knn_vc",
        "random singing",
        "real singing, WORLD",
        "model",
        "real singing",
    }
    text = (paired.exp / "RESULTS.md").read_text()
    assert "- chroma: not run: " in text and "- drone: not run: " in text
    assert "smoke test" in text and "has 1 recording(s)" in text


def test_one_recording_of_singing_is_too_little(paired: Recipe) -> None:
    data = DataDir.read(paired.data("mini", "test"))
    kept = tuple(one for one in data if one.domain == "speech" or one.id[-1] == "0")
    shutil.rmtree(data.path)
    DataDir(data.path, kept).write()
    with pytest.raises(DataError, match=r"1 recordings of 'singing'.*at least 2"):
        evaluate.run(paired)


def test_missing_outputs_name_the_stage_to_run(paired: Recipe) -> None:
    (paired.exp / "wav" / "ann-speech-2.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 6 outputs are missing.*stage 5"):
        evaluate.run(paired)
    (paired.exp / "infer" / "pairs.tsv").unlink()
    with pytest.raises(DataError, match=r"stage 4 \(infer\)"):
        evaluate.run(paired)


def test_a_missing_recogniser_is_listed_not_fatal(
    paired: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataDir.read(paired.data("mini", "test"))
    said = tuple(dataclasses.replace(one, text="red") for one in data)
    dataclasses.replace(data, utterances=said).write()
    grammar = data.path / "grammar.json"
    grammar.write_text('{"positions": [["red", "blue"]]}')
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    sphinx.shipped.cache_clear()
    evaluate.run(paired)
    result = json.loads((paired.exp / "results.json").read_text())
    for title in ("words", "content kept"):
        assert "pocketsphinx is not installed" in result["not_run"][title]
    assert "pocketsphinx" in result["not_run"]["knn_vc"]
    assert not {"words", "retention"} & set(result["measures"])
    assert "words" not in result["settings"]


def test_published_losses_stand_beside_ours_only_where_features_are_theirs(
    paired: Recipe,
) -> None:
    from vctool.evaluation.singing.report import held_out_losses

    features = paired.features.model_copy(update={"rate": 44100, "n_mels": 128, "f_max": None})
    sizes = {name: paired.model[name] for name in ("singing_channels", "speech_channels")}
    mel = {**sizes, "voice": "mel"}
    theirs = paired.model_copy(update={"features": features, "model": mel})
    assert held_out_losses(theirs).values["cycle_singing"]["published (training set)"] == 1.17
    for change in ({"model": mel}, {"features": features}):  # WORLD's envelope is no log-mel
        assert len(held_out_losses(paired.model_copy(update=change)).values["cycle_singing"]) == 2
