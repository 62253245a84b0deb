"""Stage 6 of timbre transfer, and folders of any system's recordings: what is written."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toys.fixtures import laid
from vctool import audio, models
from vctool.corpora import tones
from vctool.data.datadir import DataDir
from vctool.engine.settings import TrainConfig
from vctool.errors import ConfigError, DataError
from vctool.evaluation.page.report import MODEL
from vctool.evaluation.task import score_folder
from vctool.evaluation.timbre import board, report
from vctool.evaluation.timbre.baselines import GRAINS, MUSAICING, REAL, RESYNTHESIS, STYLE, SWAP
from vctool.evaluation.timbre.board import TimbreTask
from vctool.experiment.recipe import CorpusConfig, EvaluateConfig, Recipe
from vctool.features.settings import FeatureConfig
from vctool.metrics import heard_notes
from vctool.metrics.unavailable import MetricUnavailable
from vctool.stages import evaluate

Fill = Callable[[str], Recipe]
RATE = tones.INFO.rate


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small `tones`, prepared, in the folder that the tests run in."""
    folder = tmp_path_factory.mktemp("timbre")
    with pytest.MonkeyPatch.context() as patch, laid(models, folder / "toys"):
        patch.chdir(folder)
        source = tones.download(folder, sizes=tones.Sizes(train=2, dev=4, test=4), nj=1)
        tones.prepare(source, folder / "data" / "tones")
        yield folder


@pytest.fixture
def converted(corpus: Path, request: pytest.FixtureRequest) -> Fill:
    """Make a recipe whose stage 5 has written the `content`, `style` or `target` of triplets."""

    def fill(what: str) -> Recipe:
        made = Recipe(
            name=f"{what}_{request.node.name[:20]}",
            family="tilt",
            corpus=CorpusConfig(name="tones"),
            features=FeatureConfig(rate=RATE, hop_length=200, n_fft=1024, n_mels=40),
            train=TrainConfig(),
            vocoder="griffin_lim",
            evaluate=EvaluateConfig(bootstrap=100, task="timbre"),
        )
        data = DataDir.read(made.data("tones", "test"))
        rows = [one for one in data.triplets if one.group == "seen"]
        (made.exp / "infer").mkdir(parents=True)
        lines = "".join(f"{one.id}\t{one.target}\n" for one in rows)
        (made.exp / "infer" / "pairs.tsv").write_text("utt\ttarget_utt\n" + lines)
        for one in rows:
            wave = data[getattr(one, what)].load(RATE)
            audio.write(made.exp / "wav" / f"{one.id}.wav", wave, RATE)
        return made

    return fill


@pytest.fixture
def hears_notes(needs: Any) -> None:
    """The network that hears notes: it is installed."""
    try:
        heard_notes.require()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))


@pytest.mark.usefixtures("hears_notes")
def test_the_target_itself_closes_every_gap(converted: Fill) -> None:
    recipe = converted("target")
    evaluate.run(recipe)
    found = json.loads((recipe.exp / "results.json").read_text())
    rows = found["measures"]["timbre_target"]
    assert set(rows) == {"copy", STYLE, GRAINS, MUSAICING, SWAP, RESYNTHESIS, MODEL, REAL}
    for measure in ("music_lsd", "timbre_target"):
        row = found["measures"][measure]
        assert abs(row[MODEL]["value"]) < 1e-3 and row[MODEL]["gap"] == pytest.approx(1, abs=0.01)
        assert row["copy"]["value"] > row[MODEL]["value"]
    assert found["measures"]["nearer_style"]["copy"]["value"] == 0
    assert found["measures"]["nearer_style"][STYLE]["value"] == 1
    assert found["measures"]["midi_pitch"][MODEL] == {
        **found["measures"]["midi_pitch"][MODEL],
        "value": found["measures"]["midi_pitch"][REAL]["value"],
    }
    # the cheats have the sound and not the notes
    out = found["pitch_gate"]["fails"]
    assert {STYLE, GRAINS} <= set(out) and not {MODEL, REAL, "copy", SWAP} & set(out)
    text = (recipe.exp / "RESULTS.md").read_text()
    ranked = text.split("## Ranking")[1].split("\n## ")[0]
    assert f"| 1 | {MODEL} |" in ranked.replace("  ", " ")
    for name in (STYLE, GRAINS):
        assert f"| - | {name} (fails the pitch gate) | - |" in ranked
        assert f"*{name}*: **fails the pitch gate" in text
    assert "## seen, mono, 2 triplets" in text and "## seen, poly, 2 triplets" in text
    assert set(found["groups"]) == {"seen, mono", "seen, poly"}
    with (recipe.exp / "utterances.tsv").open() as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert len(table) >= 4 and (recipe.exp / "report.html").stat().st_size > 10000


@pytest.mark.usefixtures("hears_notes")
def test_a_model_with_the_sound_and_other_notes_fails_the_gate(corpus: Path) -> None:
    data = DataDir.read(Path("data/tones/test"))
    rows = data.triplets[:2]
    contents, styles, targets = (
        [data[name].load(RATE) for name in names]
        for names in zip(*((one.content, one.style, one.target) for one in rows), strict=True)
    )
    notes = [data.notes_of(one.target) for one in rows]
    made = TimbreTask(RATE, contents, styles, targets, notes).board()
    made.add("copy", contents)
    made.add(MODEL, styles)
    scores = made.scores(100)
    assert board.failing(scores)[MODEL] > 0.3
    (told,) = report.gate_notes(scores)
    assert told.startswith("The model fails the pitch gate: its notes are")
    assert f"{MODEL} (fails the pitch gate)" in "\n".join(report.ranking(scores, made.layout))
    made.add(MODEL, targets)
    assert not board.failing(made.scores(100)) and not report.gate_notes(made.scores(100))


def test_missing_outputs_and_triplets_are_named(converted: Fill) -> None:
    recipe = converted("content")
    path = next((recipe.exp / "wav").glob("*.wav"))
    path.unlink()
    with pytest.raises(DataError, match=r"1 of 4 outputs are missing.*run stage 5"):
        evaluate.run(recipe)
    table = recipe.exp / "infer" / "pairs.tsv"
    table.write_text(table.read_text().replace("seen_mono_000", "seen_mono_777"))
    with pytest.raises(DataError, match=r"no triplet 'seen_mono_777'; run stage 4"):
        evaluate.run(recipe)


@pytest.fixture
def folders(corpus: Path, tmp_path: Path) -> dict[str, Path]:
    data = DataDir.read(Path("data/tones/test"))
    places = {name: tmp_path / name for name in ("out", "target", "content", "style")}
    for one in data.triplets[:2]:
        for place, name in (
            ("out", one.target),
            ("target", one.target),
            ("content", one.content),
            ("style", one.style),
        ):
            audio.write(places[place] / f"{one.id}.wav", data[name].load(RATE), RATE)
    return places


def test_folders_of_any_system_are_scored(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard_notes, "find_spec", lambda name: None)
    given = {
        "reference": folders["target"],
        "source": folders["content"],
        "style": folders["style"],
    }
    text = score_folder(folders["out"], "timbre", given)
    assert "| model" in text and "nearer style" in text
    assert "The pitch gate was not taken: basic-pitch is not installed" in text
    told = (folders["out"] / "evaluation" / "RESULTS.md").read_text()
    assert "No ranking: without the notes heard" in told
    assert "- notes heard: not run: notes: basic-pitch is not installed; local/setup.sh" in told
    found = json.loads((folders["out"] / "evaluation" / "results.json").read_text())
    assert abs(found["measures"]["music_lsd"][MODEL]["value"]) < 1e-3
    assert found["not_run"]["notes of the score"] == board.LACKING["notes"]
    with pytest.raises(ConfigError, match="--style: not given"):
        score_folder(folders["out"], "timbre", {k: v for k, v in given.items() if k != "style"})
    next(folders["style"].glob("*.wav")).unlink()
    with pytest.raises(DataError, match=r"style: no style of 'seen_mono_00\d' \(1 of"):
        score_folder(folders["out"], "timbre", given)


def test_a_board_for_scripts(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard_notes, "find_spec", lambda name: None)
    data = DataDir.read(Path("data/tones/test"))
    rows = data.triplets[:2]

    def load(what: str) -> list[np.ndarray]:
        return [data[getattr(one, what)].load(RATE) for one in rows]

    task = TimbreTask(RATE, load("content"), load("style"), load("target"))
    made = task.board()
    made.add("copy", task.contents)
    made.add(MODEL, task.targets)
    scores = made.scores(100)
    assert scores["music_lsd"][MODEL].value < 1e-3 < scores["music_lsd"]["copy"].value
    assert board.failing(scores) == {} and not board.measured(scores)
    assert "tensorflow" not in sys.modules
