"""Stages 1 to 5 of a family whose only targets are recordings, on the triplets of `tones`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.toys.fixtures import laid
from vctool import models
from vctool.corpora import tones
from vctool.data.datadir import DataDir
from vctool.engine.settings import TrainConfig
from vctool.errors import CheckpointError, ConfigError, DataError
from vctool.experiment.recipe import CorpusConfig, EvaluateConfig, Recipe
from vctool.features.settings import FeatureConfig
from vctool.inference import discover
from vctool.inference.converter import Converter
from vctool.inference.pairs import HeldOut, triplets
from vctool.models import base
from vctool.stages import features, infer, synthesize, train

FEATURES = FeatureConfig(rate=16000, hop_length=200, n_fft=1024, n_mels=40, f0_ceil=1500.0)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    """A model of `tilt`, set up on a small `tones` in the folder that the tests run in."""
    folder = tmp_path_factory.mktemp("triplets")
    with pytest.MonkeyPatch.context() as patch, laid(models, folder / "toys"):
        patch.chdir(folder)
        source = tones.download(folder, sizes=tones.Sizes(train=2, dev=4, test=4), nj=1)
        tones.prepare(source, folder / "data" / "tones")
        made = Recipe(
            name="toy",
            family="tilt",
            corpus=CorpusConfig(name="tones"),
            features=FEATURES,
            train=TrainConfig(),
            vocoder="griffin_lim",
            evaluate=EvaluateConfig(max_utterances=6),
        )
        features.run(made)
        train.run(made, "cpu")
        yield made


def read_tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()[1:]]


def test_contents_are_converted_to_their_styles(recipe: Recipe) -> None:
    data = DataDir.read(recipe.data("tones", "test"))
    known = {one.id: one for one in data.triplets}
    heard = base.family(recipe.family).heard  # type: ignore[attr-defined]
    heard.clear()
    infer.run(recipe, "cpu")
    synthesize.run(recipe)
    pairs = read_tsv(recipe.exp / "infer" / "pairs.tsv")
    drawn = [known[name] for name, _ in pairs]
    assert [target for _, target in pairs] == [one.target for one in drawn]
    # evenly from every group, and each style analysed once
    cells = [(one.group, one.voices) for one in drawn]
    assert len(drawn) == 6 and set(cells) == {(o.group, o.voices) for o in data.triplets}
    assert len(heard) == len({one.style for one in drawn})
    converter = Converter(recipe.exp, "cpu")
    for one in drawn[:2]:
        expected, _ = converter.convert(
            data[one.content].load(16000), 16000, to=data[one.style].wav
        )
        written, _ = soundfile.read(recipe.exp / "wav" / f"{one.id}.wav", dtype="float32")
        np.testing.assert_allclose(written, expected, atol=1e-3)
    other = converter.convert(
        data[drawn[0].content].load(16000), 16000, to=data[drawn[2].style].wav
    )
    same, _ = soundfile.read(recipe.exp / "wav" / f"{drawn[0].id}.wav", dtype="float32")
    assert np.abs(other[0] - same).max() > 0.01
    assert not (recipe.exp / "infer" / "to_voices").exists()
    stamp = (recipe.exp / "infer" / "matched" / "mel" / "feats.scp").stat().st_mtime_ns
    infer.run(recipe, "cpu")  # all of it is done
    assert (recipe.exp / "infer" / "matched" / "mel" / "feats.scp").stat().st_mtime_ns == stamp
    assert len(heard) == len({one.style for one in drawn}) + len({o.style for o in drawn[:3]})


def test_no_f0_is_searched_for_a_family_that_has_no_use_for_it(recipe: Recipe) -> None:
    dump = recipe.dump("tones", "train", "f0")
    assert [path.name for path in dump.iterdir()] == ["stats.json"]
    assert Converter(recipe.exp, "cpu").system.context.domains == {}


def test_which_triplets_are_drawn_depends_on_the_seed(recipe: Recipe) -> None:
    held = HeldOut(recipe)
    few = recipe.model_copy(update={"evaluate": EvaluateConfig(max_utterances=4)})
    drawn = triplets(few, held)
    assert len(drawn) == 4 and drawn == triplets(few, held)
    others = few.model_copy(update={"train": recipe.train.model_copy(update={"seed": 1})})
    assert [one.id for one in triplets(others, held)] != [one.id for one in drawn]
    (recipe.data("tones", "test") / "triplets.tsv").rename("aside.tsv")
    with pytest.raises(DataError, match=r"no triplets\.tsv .*tones"):
        triplets(recipe, HeldOut(recipe))
    Path("aside.tsv").rename(recipe.data("tones", "test") / "triplets.tsv")


def test_it_has_no_role_to_convert_to(recipe: Recipe) -> None:
    converter = Converter(recipe.exp, "cpu")
    assert converter.roles == ()
    with pytest.raises(ConfigError, match="needs a target: pass --to"):
        converter.request()
    with pytest.raises(ConfigError, match="--to voices: no such file or folder"):
        converter.request("voices")
    wav = DataDir.read(recipe.data("tones", "test")).utterances[0].wav
    found = discover.fitting(Path("exp"), discover.Asked([str(wav)], False))
    # A recording that nobody calls an instrument is taken for a voice.
    assert [one.path for one in found.fitting] == [Path("knn_vc")]
    with pytest.raises(CheckpointError, match="needs a target: pass --to"):
        discover.fitting(Path("exp"), discover.Asked([None], False))
