"""Stages 4 and 5 with three voices and with one: every way has its place, and arrives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vctool.audio.tracks import ArrayTrack
from vctool.data.datadir import DataDir, Utterance
from vctool.data.store import FeatureStore, StoreWriter
from vctool.engine import checkpoint
from vctool.engine.settings import TrainConfig
from vctool.errors import ConfigError, DataError
from vctool.experiment import directions
from vctool.experiment.directions import Direction
from vctool.experiment.recipe import CorpusConfig, EvaluateConfig, Recipe
from vctool.features import world
from vctool.features.analysis import scan, voice_features
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.models import base
from vctool.models.base import Condition, Context
from vctool.stages import infer, synthesize

PITCH = {"ann": 120.0, "ben": 165.0, "cid": 220.0, "voices": 150.0}
"""F0 that the toy model gives every voice [Hz]."""
Make = Callable[..., np.ndarray]


def recipe(**changes: object) -> Recipe:
    plain: dict[str, object] = {
        "name": "toy",
        "family": "pitched",
        "corpus": CorpusConfig(name="talks", speakers=("ann", "ben", "cid")),
        "features": FeatureConfig(rate=16000, hop_length=128, n_fft=512, n_mels=40),
        "train": TrainConfig(),
        "vocoder": "world",
        "evaluate": EvaluateConfig(max_utterances=2),
    }
    return Recipe.model_validate(plain | changes)


@pytest.fixture
def talks(
    workdir: Path, features: FeatureConfig, speech: Make, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Recipe], Recipe]:
    """Three voices with three sentences each, their features, and a model that sets the pitch."""
    toys = base.family("toy")

    class Pitched(toys):  # type: ignore[misc, valid-type]
        @classmethod
        def reads(cls, config: object) -> tuple[str, ...]:
            return ("world",)

        def convert(self, source: Features, condition: Condition, to: str) -> Features:
            moved = source["world"].copy()
            moved[:, 0] = np.where(moved[:, 0] > 0, PITCH[to], 0)
            return {"world": moved}

    found = base.family
    monkeypatch.setattr(base, "family", lambda name: Pitched if name == "pitched" else found(name))

    def make(chosen: Recipe) -> Recipe:
        chosen = chosen.model_copy(update={"features": features})
        utterances = []
        for who in ("ann", "ben", "cid"):
            for number in range(3):
                wav = workdir / "wavs" / f"{who}{number}.wav"
                wav.parent.mkdir(exist_ok=True)
                soundfile.write(wav, speech(0.6, seed=number), 16000)
                one = Utterance(
                    f"{who}-{number}", who, "speech", wav, 0.6, sentence=f"said{number}"
                )
                utterances.append(one)
        data = DataDir(chosen.data("talks", "test"), tuple(utterances))
        data.write()
        settings = features.of_kind("world")
        with StoreWriter(chosen.dump("talks", "test", "world"), "world", settings) as writer:
            for one in data:
                wave = one.load(16000)
                known = scan(ArrayTrack(wave), features, ("world",), len(wave))
                writer.write(one.id, voice_features(wave, ("world",), features, known)["world"])
        context = Context(features=features, vocoder="world", roles=tuple(chosen.roles))
        system = Pitched(Pitched.Config(), context)
        folder = chosen.exp / "checkpoints"
        checkpoint.save(folder, system, family="pitched", step=1, recipe={})
        return chosen

    return make


def pitch_of(path: Path, features: FeatureConfig) -> float:
    f0 = world.estimate_f0(soundfile.read(path)[0], features)
    return float(np.median(f0[f0 > 0]))


def test_three_voices_go_six_ways_and_each_arrives(
    talks: Callable[[Recipe], Recipe], features: FeatureConfig
) -> None:
    chosen = talks(recipe())
    infer.run(chosen, "cpu")
    synthesize.run(chosen)
    ways = directions.of(chosen)
    assert [way.name for way in ways] == [
        *("ann_to_ben", "ann_to_cid", "ben_to_ann", "ben_to_cid", "cid_to_ann", "cid_to_ben"),
    ]
    rows = directions.read(chosen.exp, ways)
    drawn = {name.split("-")[1] for name, _ in rows[ways[0]]}
    for way in ways:
        # the same two sentences every way, each with what the target said of it
        assert rows[way] == [(f"{way.source}-{n}", f"{way.target}-{n}") for n in sorted(drawn)]
        sounds = sorted((chosen.exp / way.sounds).glob("*.wav"))
        assert [path.stem for path in sounds] == [name for name, _ in rows[way]]
        assert sounds[0].parent.name == f"{way.source}_to_{way.target}"
        for path in sounds:
            assert pitch_of(path, features) == pytest.approx(PITCH[way.target], rel=0.03)
        assert (chosen.exp / way.times / f"{rows[way][0][0]}.tsv").is_file()
    assert len(list(chosen.exp.glob("wav*/**/*.wav"))) == 12
    assert directions.read(chosen.exp, ways[2:3]) == {ways[2]: rows[ways[2]]}


def test_six_directions_read_a_data_dir_and_open_its_features_once(
    talks: Callable[[Recipe], Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = talks(recipe())
    seen: list[Path] = []
    read, opening = DataDir.read, FeatureStore.__init__

    def reading(path: Path) -> DataDir:
        seen.append(path)
        return read(path)

    def opened(self: FeatureStore, path: Path, *given: Any) -> None:
        seen.append(path)
        opening(self, path, *given)

    monkeypatch.setattr(DataDir, "read", reading)
    monkeypatch.setattr(FeatureStore, "__init__", opened)
    infer.run(chosen, "cpu")
    assert len(directions.of(chosen)) == 6
    corpus = [chosen.data("talks", "test"), chosen.dump("talks", "test", "world")]
    assert [path for path in seen if path.parts[0] != "exp"] == corpus


def test_a_stopped_run_continues_to_the_same_end(
    talks: Callable[[Recipe], Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = talks(recipe())
    infer.run(chosen, "cpu")
    kept = {path: path.read_bytes() for path in chosen.exp.glob("infer/**/*") if path.is_file()}
    for path in kept:
        path.unlink()
    real, seen = infer._convert_set, []

    def stopped(given: infer.Given, job: infer.Set) -> None:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(job.folder.name)
        real(given, job)

    monkeypatch.setattr(infer, "_convert_set", stopped)
    with pytest.raises(KeyboardInterrupt):
        infer.run(chosen, "cpu")
    with pytest.raises(DataError, match="nothing converted yet; run stage 4"):
        synthesize.run(chosen)
    monkeypatch.setattr(infer, "_convert_set", real)
    infer.run(chosen, "cpu")
    assert {path: path.read_bytes() for path in kept} == kept


def test_everyone_in_one_role_is_converted_to_it_without_pairs(
    talks: Callable[[Recipe], Recipe],
) -> None:
    chosen = talks(recipe(corpus=CorpusConfig(name="talks")))
    (way,) = directions.of(chosen)
    assert way == Direction("voices", "voices", "") and str(way.sounds) == "wav"
    infer.run(chosen, "cpu")
    synthesize.run(chosen)
    rows = directions.read(chosen.exp, [way])[way]
    assert len(rows) == 2 and all(other == "" for _, other in rows)
    assert len(list(chosen.exp.glob("wav/*.wav"))) == 2
    assert not list(chosen.exp.glob("infer/to_*"))


def test_two_roles_keep_their_places() -> None:
    (way,) = directions.of(recipe(corpus=CorpusConfig(name="talks", source="ann", target="ben")))
    places = (way.features, way.times, way.sounds, way.scores)
    assert [str(place) for place in places] == ["infer/matched", "infer/time_map", "wav", "."]


def test_some_roles_are_scored_to_and_from_all() -> None:
    some = recipe(evaluate=EvaluateConfig(roles=("cid",)))
    names = [way.name for way in directions.of(some)]
    assert names == ["ann_to_cid", "ben_to_cid", "cid_to_ann", "cid_to_ben"]


def test_ways_that_would_share_a_folder_are_refused() -> None:
    odd = recipe(corpus=CorpusConfig(name="talks", speakers=("a", "b_to_c", "a_to_b", "c")))
    with pytest.raises(ConfigError, match="a to b_to_c and a_to_b to c would share the folder"):
        directions.of(odd)


def test_a_way_that_was_not_converted_is_one_line(workdir: Path) -> None:
    chosen = recipe()
    first, second = directions.of(chosen)[:2]
    with pytest.raises(DataError, match=r"pairs.tsv: not there, so nothing was converted"):
        directions.read(chosen.exp, [first])
    directions.write(directions.table(chosen.exp), {first: [("ann-0", "ben-0"), ("ann-1", "")]})
    assert directions.read(chosen.exp, [first]) == {first: [("ann-0", "ben-0"), ("ann-1", "")]}
    with pytest.raises(DataError, match="nothing was converted from ann to cid; run stage 4"):
        directions.read(chosen.exp, [first, second])
