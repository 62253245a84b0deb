"""Stages 4 and 5: which utterances are converted under what, resume, and the sound of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.toy import NOTES
from vctool.data.datadir import DataDir
from vctool.data.store import FeatureStore
from vctool.errors import CheckpointError, DataError
from vctool.experiment import written
from vctool.experiment.recipe import ConvertConfig, Recipe
from vctool.features import world
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.inference.pairs import Pair
from vctool.inference.request import Request
from vctool.inference.utterance import Outcome, Prepared
from vctool.stages import infer, synthesize

Make = Callable[..., np.ndarray]


def read_tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


def note_of(path: Path, features: FeatureConfig) -> float:
    f0 = world.estimate_f0(soundfile.read(path)[0], features)
    return float(np.median(69 + 12 * np.log2(f0[f0 > 0] / 440)))


def test_pairs_are_sung_to_their_own_accompaniment_and_shuffled_to_another(
    sung_pairs: Recipe, features: FeatureConfig
) -> None:
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    pairs = read_tsv(sung_pairs.exp / "infer" / "pairs.tsv")
    assert pairs == [[f"s-speech{name}", f"s-singing{name}"] for name in NOTES]
    shuffled = dict(read_tsv(sung_pairs.exp / "infer" / "pairs_shuffled.tsv"))
    for source, target in pairs:
        assert shuffled[source] not in (target, "")
        for folder, sung_to in (("wav", target), ("wav_shuffled", shuffled[source])):
            away = note_of(sung_pairs.exp / folder / f"{source}.wav", features)
            away -= NOTES[sung_to[-1]]
            assert abs((away + 6) % 12 - 6) < 0.4, (source, folder)
    # The other direction is there to be listened to.
    assert len(list((sung_pairs.exp / "wav_to_speech").glob("s-singing*.wav"))) == len(NOTES)


def test_the_sound_is_what_convert_gives(sung_pairs: Recipe) -> None:
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    converter = Converter(sung_pairs.exp, "cpu")
    for one in DataDir.read(sung_pairs.data("toy", "test")).by_domain("speech"):
        song = soundfile.read(f"wavs/song{one.id[-1]}.wav", dtype="float32")[0]
        expected, _ = converter.convert(one.load(16000), 16000, song, stretch=1.4)
        written, _ = soundfile.read(sung_pairs.exp / "wav" / f"{one.id}.wav", dtype="float32")
        np.testing.assert_allclose(written, expected, atol=1e-4)


def test_time_maps_tell_where_time_went(sung_pairs: Recipe) -> None:
    infer.run(sung_pairs, "cpu")
    rows = read_tsv(sung_pairs.exp / "infer" / "time_map" / "s-speech0.tsv")
    knots = np.array(rows, dtype=float)
    outputs = read_tsv(sung_pairs.exp / "infer" / "matched" / "outputs.tsv")
    samples = {name: int(count) for name, count, _ in outputs}
    assert np.all(np.diff(knots, axis=0) > 0) and np.all(knots[0] == 0)
    assert knots[-1, 0] * 1.4 == pytest.approx(knots[-1, 1], abs=1e-4)
    assert knots[-1, 1] == pytest.approx(samples["s-speech0"] / 16000, abs=1e-4)
    # Voiced frames lengthen more than others, so it is not the straight line.
    assert np.abs(knots[:, 1] - 1.4 * knots[:, 0]).max() > 0.02


def wavs(recipe: Recipe) -> dict[str, bytes]:
    found = sorted(recipe.exp.glob("wav*/*.wav"))
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in found}


def test_a_stopped_run_continues_to_the_same_end(
    sung_pairs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    undisturbed = wavs(sung_pairs)
    ark = sung_pairs.exp / "infer" / "matched" / "world" / "feats-000.ark"
    converted = ark.read_bytes()
    for path in [*sung_pairs.exp.glob("infer/**/*"), *sung_pairs.exp.glob("wav*/*")]:
        if path.is_file():
            path.unlink()

    real, calls = Converter.infer, []

    def stopped(self: Converter, *args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Converter, "infer", stopped)
    with pytest.raises(KeyboardInterrupt):
        infer.run(sung_pairs, "cpu")
    assert not (sung_pairs.exp / "infer" / "pairs.tsv").exists()
    with pytest.raises(DataError, match=r"nothing converted yet; run stage 4"):
        synthesize.run(sung_pairs)
    infer.run(sung_pairs, "cpu", nj=2)
    assert ark.read_bytes() == converted
    # Two utterances were there, of the first four.
    assert len(calls) == 3 + 2 + 4 + 4
    synthesize.run(sung_pairs)
    assert wavs(sung_pairs) == undisturbed
    victim = sung_pairs.exp / "wav" / "s-speech2.wav"
    kept = (sung_pairs.exp / "wav" / "s-speech1.wav").stat().st_mtime_ns
    victim.unlink()
    synthesize.run(sung_pairs)
    assert wavs(sung_pairs) == undisturbed
    assert (sung_pairs.exp / "wav" / "s-speech1.wav").stat().st_mtime_ns == kept


def test_what_is_done_is_not_prepared_again(
    sung_pairs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer.run(sung_pairs, "cpu")
    exp = sung_pairs.exp
    whole = {path: path.read_bytes() for path in exp.glob("infer/**/*") if path.is_file()}
    real, asked = infer.prepare, []

    def counted(converter: Converter, features: Any, pair: Pair, request: Request) -> Prepared:
        asked.append((pair.source.id, request.to))
        return real(converter, features, pair, request)

    monkeypatch.setattr(infer, "prepare", counted)
    (exp / "infer" / "pairs.tsv").unlink()
    infer.run(sung_pairs, "cpu")
    assert asked == []
    # How long the sound will be was being written, and a time map was lost, when power failed.
    table = exp / "infer" / "to_speech" / "outputs.tsv"
    table.write_bytes(table.read_bytes()[:-5])
    (exp / "infer" / "time_map" / "s-singing1.tsv").write_text("")
    infer.run(sung_pairs, "cpu")
    assert asked == [("s-singing1", "speech"), ("s-singing3", "speech")]
    assert {path: path.read_bytes() for path in whole} == whole


def test_no_more_is_prepared_ahead_of_the_model_than_is_in_flight(
    sung_pairs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[str] = []
    most = []

    def prepared(converter: Converter, features: Any, pair: Pair, request: Request) -> Prepared:
        waiting.append(pair.source.id)
        return prepare(converter, features, pair, request)

    def finished(converter: Converter, one: Prepared, request: Request, wanted: bool) -> Outcome:
        if not most:  # a slow network: what is prepared ahead of it piles up
            time.sleep(0.5)
        most.append(len(waiting))
        waiting.remove(one.name)
        return finish(converter, one, request, wanted)

    prepare, finish = infer.prepare, infer.finish
    monkeypatch.setattr(infer, "AHEAD", 2)
    monkeypatch.setattr(infer, "prepare", prepared)
    monkeypatch.setattr(infer, "finish", finished)
    infer.run(sung_pairs, "cpu")
    assert max(most) <= 2 + 1 < len(NOTES)


def test_both_stages_note_all_that_they_write_and_write_behind_links(sung_pairs: Recipe) -> None:
    exp = sung_pairs.exp
    for name in ("infer", "wav"):
        (exp.parent / "disk" / name).mkdir(parents=True)
        (exp / name).symlink_to((exp.parent / "disk" / name).absolute())
    own = exp / "wav_before" / "notes.md"
    own.parent.mkdir()
    own.write_text("years of work")
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    whole = wavs(sung_pairs)
    for stage in ("infer", "synthesize"):
        written.remove(exp, stage)
    left = sorted(path for path in exp.rglob("*") if "checkpoints" not in path.parts)
    assert left == [exp / "infer", exp / "stages", exp / "wav", own.parent, own]
    assert list((exp.parent / "disk").rglob("*.*")) == []
    stranger = exp / "wav" / "s-speech0.wav"
    stranger.write_bytes(bytes(100_000))
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    assert wavs(sung_pairs) == whole


def test_the_sound_does_not_depend_on_the_number_of_processes(sung_pairs: Recipe) -> None:
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs, nj=1)
    one = wavs(sung_pairs)
    for path in sung_pairs.exp.glob("wav*/*.wav"):
        path.unlink()
    synthesize.run(sung_pairs, nj=2)
    assert wavs(sung_pairs) == one and len(one) == 3 * len(NOTES)


def test_stores_are_opened_once_whatever_the_number_of_utterances(
    sung_pairs: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer.run(sung_pairs, "cpu")
    opened: list[Path] = []
    real = FeatureStore.__init__

    def counted(self: FeatureStore, path: Path, *given: Any) -> None:
        opened.append(path)
        real(self, path, *given)

    monkeypatch.setattr(FeatureStore, "__init__", counted)
    synthesize.run(sung_pairs)
    assert len(opened) == len(set(opened)) == 3  # matched, shuffled, to_speech
    opened.clear()
    synthesize.run(sung_pairs)
    assert opened == []  # all is there


def test_missing_accompaniments_are_told(sung_pairs: Recipe) -> None:
    (sung_pairs.data("toy", "test") / "accomp.scp").unlink()
    with pytest.raises(DataError, match=r"no utterance has an accompaniment, which converting"):
        infer.run(sung_pairs, "cpu")


def test_other_feature_settings_are_refused(sung_pairs: Recipe, features: FeatureConfig) -> None:
    changed = sung_pairs.model_copy(
        update={"features": features.model_copy(update={"hop_length": 160})}
    )
    with pytest.raises(CheckpointError, match="trained with other feature settings"):
        infer.run(changed, "cpu")


def test_a_changed_recording_is_told(sung_pairs: Recipe, speech: Make) -> None:
    soundfile.write("wavs/speech0.wav", speech(0.5), 16000)
    with pytest.raises(DataError, match=r"s-speech0: .* frames of mel for .*run stage 2"):
        infer.run(sung_pairs, "cpu")


def test_what_is_sung_to_an_edited_accompaniment_is_converted_again(
    sung_pairs: Recipe, features: FeatureConfig, note: Make
) -> None:
    infer.run(sung_pairs, "cpu")
    song = Path("wavs/song1.wav")
    size = song.stat().st_size
    soundfile.write(song, note(1.3, NOTES["1"] + 3), 16000)
    assert song.stat().st_size == size
    infer.run(sung_pairs, "cpu")
    synthesize.run(sung_pairs)
    away = note_of(sung_pairs.exp / "wav" / "s-speech1.wav", features) - NOTES["1"] - 3
    assert abs((away + 6) % 12 - 6) < 0.4


def test_another_stretch_starts_the_features_over(
    sung_pairs: Recipe, save_toy: Callable[..., Path]
) -> None:
    infer.run(sung_pairs, "cpu")
    store = sung_pairs.exp / "infer" / "matched" / "world"
    source = FeatureStore(store).config["source"]
    shorter = sung_pairs.model_copy(update={"convert": ConvertConfig(stretch=1.2)})
    infer.run(shorter, "cpu")
    again = FeatureStore(store)
    assert again.config["source"] != source and len(again) == len(NOTES)
