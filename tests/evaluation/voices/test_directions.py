"""Stage 6 with three voices: every direction as if it were alone, and all of them in one report."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from vctool import audio
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import ConfigError, DataError
from vctool.evaluation.page import compare, figures, utterances
from vctool.evaluation.voices import baselines, neighbours, scoreboard, shared
from vctool.experiment import directions, recipe
from vctool.experiment.recipe import Recipe
from vctool.metrics import distillmos, naturalness, speaker, unavailable
from vctool.metrics.pitch import at_scoring_rate, track
from vctool.stages import evaluate

RATE, SENTENCES, TRAINING = 16000, 2, 3
VOICES = ("low", "mid", "high")
SETTINGS = ["evaluate.bootstrap=100", "train.seed=3"]
COPIED = "high_to_low"
"""The direction in which the toy model only copies."""


class Judge:
    """Tells voices apart by their pitch alone: a cosine of 1 is the same pitch."""

    asked = 0

    def embed_all(self, waves: list[np.ndarray], rate: int) -> np.ndarray:
        Judge.asked += len(waves)
        f0s = [track(at_scoring_rate(wave, rate).astype(np.float64)) for wave in waves]
        pitches = [np.median(f0[f0 > 0]) if f0.any() else 100.0 for f0 in f0s]
        angles = [np.log2(pitch / 100.0) * np.pi / 2 for pitch in pitches]
        return np.stack([[np.cos(angle), np.sin(angle)] for angle in angles])


class Scored(NamedTuple):
    """An experiment that went through stage 6, and what was counted meanwhile."""

    recipe: Recipe
    analysed: int
    """Waves that were analysed."""
    asked: int
    """Waves that the judge of voices was asked about."""
    read: int
    """Data dirs that were read."""
    taken_apart: int
    """Recordings that the baselines' WORLD analysed."""
    results: dict[str, Any]
    text: str


def stand_in(chosen: Recipe, ways: list[directions.Direction]) -> Recipe:
    """Leave what stages 4 and 5 would: the target's recordings, but for one copied direction."""
    rows = {
        way: [(f"{way.source}-{k:03}", f"{way.target}-{k:03}") for k in range(SENTENCES)]
        for way in ways
    }
    directions.write(directions.table(chosen.exp), rows)
    for way, found in rows.items():
        for name, other in found:
            wave = audio.read(Path("wavs") / f"{name if way.name == COPIED else other}.wav", RATE)
            audio.write(chosen.exp / way.sounds / f"{name}.wav", wave[0], RATE)
    return chosen


def count_calls(patch: pytest.MonkeyPatch, owner: Any, name: str) -> list[None]:
    """Let a function leave a mark whenever it is called."""
    real, calls = getattr(owner, name), list[None]()

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        return real(*arguments, **named)

    patch.setattr(owner, name, counted)
    return calls


@pytest.fixture(scope="module")
def scored(
    tmp_path_factory: pytest.TempPathFactory, say: Callable[..., np.ndarray]
) -> Iterator[Scored]:
    """Three voices, six directions, one report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("voices"))
        patch.setattr(speaker, "SpeakerEncoder", Judge)

        def absent() -> None:
            raise unavailable.MetricUnavailable("naturalness", "speechmos", "local/setup.sh")

        patch.setattr(naturalness, "OpinionPredictor", absent)
        patch.setattr(distillmos, "NaturalnessPredictor", absent)
        patch.setattr(figures, "SHOWN", 1)
        for split, first in (("test", 0), ("train", 50)):
            found = []
            for place, who in enumerate(VOICES):
                for number in range(SENTENCES if split == "test" else TRAINING):
                    said = first + number + (100 * place if split == "train" else 0)
                    name = f"{who}-{said:03}"
                    audio.write(Path("wavs") / f"{name}.wav", say(said, who, 0.6), RATE)
                    wav = Path("wavs").absolute() / f"{name}.wav"
                    found.append(Utterance(name, who, "speech", wav, 0.9, sentence=str(said)))
            DataDir(Path("data/vcc2016") / split, tuple(found)).write()
        settings = ["corpus={source: null, target: null, speakers: [low, mid, high]}", *SETTINGS]
        chosen = recipe.load("vcc2016_cyclegan_vc", [*settings, "name=all"])
        stand_in(chosen, directions.of(chosen))
        real, analysed = shared.analyse, []

        def counted(wave: np.ndarray, rate: int) -> object:
            analysed.append(1)
            return real(wave, rate)

        patch.setattr(shared, "analyse", counted)
        reads = count_calls(patch, DataDir, "read")
        taken = count_calls(patch, baselines, "take_apart")
        Judge.asked = 0
        evaluate.run(chosen)
        text = (chosen.exp / "RESULTS.md").read_text()
        results = json.loads((chosen.exp / "results.json").read_text())
        yield Scored(chosen, len(analysed), Judge.asked, len(reads), len(taken), results, text)


def test_the_overview_is_the_mean_of_all_directions(scored: Scored) -> None:
    ways = scored.results["directions"]
    assert list(ways) == [f"{a}_to_{b}" for a in VOICES for b in VOICES if a != b]
    for measure, systems in scored.results["measures"].items():
        for system, score in systems.items():
            own = [way["measures"][measure][system]["value"] for way in ways.values()]
            if None in own:  # what has no value in one direction has none over all
                assert score["value"] is None, (measure, system)
            else:
                assert score["value"] == pytest.approx(np.mean(own)), (measure, system)
    rows = set(baselines.SYSTEMS) | {neighbours.FAMILY, "model"}
    assert set(scored.results["measures"]["mcd"]) == rows == set(scored.results["systems"])
    perfect = {name: way["measures"]["mcd"]["model"]["value"] for name, way in ways.items()}
    assert perfect.pop(COPIED) > 1 and set(perfect.values()) == {0.0}
    assert scored.results["counts"]["sources"] == 6 * SENTENCES
    cautions = scored.results["cautions"]  # those of the directions, each once
    assert len(cautions) == len(set(cautions)) == 2 and f"{SENTENCES} utterances" in cautions[0]


def test_each_voice_is_named_nearer_where_it_is(scored: Scored) -> None:
    assert "In 5 of 6 directions the outputs are nearer to the target's training" in scored.text
    lines = scored.text.splitlines()
    start = lines.index("## Whose voice, in every direction")
    table = {line.split(" | ")[0][2:]: line for line in lines[start : start + 13] if "|" in line}
    margins = {name: row.split(" | ")[3] for name, row in table.items() if " to " in name}
    assert len(margins) == 6
    for name, margin in margins.items():
        assert margin.startswith("**-" if name == "high to low" else "**0."), (name, margin)
    assert "| mean |" in scored.text
    assert "## The model less the best formula" in scored.text


def test_a_direction_is_scored_as_if_it_were_alone(scored: Scored) -> None:
    pair = ["corpus.source=low", "corpus.target=high"]
    alone = recipe.load("vcc2016_cyclegan_vc", [*pair, *SETTINGS])
    stand_in(alone, directions.of(alone))
    evaluate.run(alone)
    own = json.loads((alone.exp / "results.json").read_text())
    among = json.loads((scored.recipe.exp / "low_to_high" / "results.json").read_text())
    for key in ("measures", "data_hash", "systems", "counts", "settings", "not_run"):
        assert own[key] == among[key], key
    # so the two can be compared utterance by utterance: they made the same
    found = compare.compare(alone.exp, scored.recipe.exp / "low_to_high")
    assert len(found.differences) > 5
    assert all(one.value == 0 and one.count == SENTENCES for one in found.differences.values())


def remember(chosen: Recipe) -> Path:
    """Leave the state of a checkpoint, which holds the recipe, and no weights."""
    folder = chosen.exp / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True, exist_ok=True)
    state: dict[str, Any] = {name: {} for name in ("config", "context", "train", "files")}
    state |= {"format": 1, "family": chosen.family, "step": 1}
    state |= {"recipe": chosen.model_dump(mode="json", by_alias=True)}
    (folder / "state.json").write_text(json.dumps(state))
    return chosen.exp


def test_experiments_of_one_pair_stand_in_one_table(scored: Scored) -> None:
    copies = recipe.load(
        "vcc2016_cyclegan_vc",
        ["corpus.source=low", "corpus.target=high", *SETTINGS, "name=copies"],
    )
    (way,) = directions.of(copies)
    rows = [("low-001", "high-001"), ("low-000", "high-000"), ("low-007", "high-007")]
    directions.write(directions.table(copies.exp), {way: rows})  # more than the other, elsewhere
    for name, _ in rows[:2]:
        path = copies.exp / "wav" / f"{name}.wav"
        audio.write(path, audio.read(Path("wavs") / f"{name}.wav", RATE)[0], RATE)
    both = [remember(scored.recipe), remember(copies)]
    table = scoreboard.run(both, Path("exp/pair"))  # the pair is that of the second
    measures = json.loads(Path("exp/pair/results.json").read_text())["measures"]
    own = json.loads((scored.recipe.exp / "low_to_high" / "results.json").read_text())["measures"]
    for measure, systems in own.items():
        for system, score in systems.items():  # the same values as on its own
            again = measures[measure][system]["value"]
            assert again == pytest.approx(score["value"], nan_ok=True), (measure, system)
    assert measures["mcd"]["copies"] == measures["mcd"]["copy"] | {
        "gap": 0.0,
        "gap_low": 0.0,
        "gap_high": 0.0,
        "versus": measures["mcd"]["copies"]["versus"],
    }
    assert measures["mcd"]["model"]["versus"]["copies"][2] < 0
    assert "| copies |" in table
    with pytest.raises(DataError, match="exp/copies: does not convert mid to low; it converts low"):
        scoreboard.run(both, Path("exp/pair"), "mid", "low")
    with pytest.raises(ConfigError, match="name two experiments or more, each once"):
        scoreboard.run(both[:1], Path("exp/pair"))
    with pytest.raises(ConfigError, match="would have the row 'copy', which is another's"):
        scoreboard.run([both[0], Path("exp/copy")], Path("exp/pair"))


def test_what_directions_share_is_measured_once(scored: Scored) -> None:
    held, made = 3 * SENTENCES, 6 * SENTENCES
    # Of every direction seven formulas, knn_vc and two resyntheses; each voice's two come out
    # alike, and what the model made are recordings. Training recordings once each.
    assert scored.analysed == held + 3 * TRAINING + 8 * made + held
    assert scored.asked == scored.analysed
    # test and train; to be fitted and to be resynthesised
    assert scored.read == 2
    assert scored.taken_apart == 3 * TRAINING + held
    everyone = utterances.read(scored.recipe.exp / "utterances.tsv")["mcd"]["model"]
    assert len(everyone) == made and everyone["low_to_mid/low-001"] == 0.0


def test_another_experiment_is_compared_and_what_is_known_is_not_asked_again(
    scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("a speaker was fitted, or a recording judged, again")

    monkeypatch.setattr(shared, "fit_speaker", never)
    monkeypatch.setattr(Judge, "embed_all", never)
    settings = ["corpus={source: null, target: null, speakers: [low, mid, high]}", *SETTINGS]
    other = recipe.load("vcc2016_cyclegan_vc", [*settings, "name=other"])
    ways = directions.of(other)
    stand_in(other, ways)
    for way in ways:  # a model that copies
        for path in (other.exp / way.sounds).glob("*.wav"):
            path.write_bytes((Path("wavs") / path.name).read_bytes())
    evaluate.run(other)
    found = compare.compare(scored.recipe.exp, other.exp).differences
    assert found["mcd"].count == 6 * SENTENCES and found["mcd"].high < 0
    assert found["speaker_margin"].low > 0


def test_the_page_plays_every_direction(scored: Scored) -> None:
    page = (scored.recipe.exp / "report.html").read_text()
    rows = "copy", "mean-variance", "half variance", "knn_vc", "model", "target"
    for way in directions.of(scored.recipe):
        _, _, after = page.partition(f"<h3>{way.title}: {way.source}-000</h3>")
        players, _, _ = after.partition("</div>")
        assert re.findall(r"<span>(.*?)</span>\s*<audio", players) == list(rows)
        own = (scored.recipe.exp / way.scores / "report.html").read_text()
        heard = re.findall(r"<span>(.*?)</span>\s*<audio", own)
        assert heard == [*[*baselines.SYSTEMS][:-1], "knn_vc", "model", "target"]


def test_a_missing_output_names_its_direction(scored: Scored) -> None:
    path = scored.recipe.exp / "wav" / "mid_to_low" / "mid-001.wav"
    path.rename(path.with_suffix(".kept"))
    with pytest.raises(DataError, match=r"wav/mid_to_low: 1 of 2 outputs are missing.*stage 5"):
        evaluate.run(scored.recipe)
    path.with_suffix(".kept").rename(path)
