"""Training the network that tells instruments apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vctool.corpora import tones
from vctool.data.datadir import DataDir
from vctool.errors import ConfigError, DataError
from vctool.metrics import timbre_network
from vctool.metrics.timbre_network import TimbreNetwork
from vctool.tools import timbre_judge


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    source = tones.download(folder, sizes=tones.Sizes(train=12, dev=4, test=4), nj=1)
    tones.prepare(source, folder / "data" / "tones")
    return folder / "data" / "tones"


def test_examples_share_the_instrument_or_the_notes(corpus: Path) -> None:
    data = DataDir.read(corpus / "train")
    examples = timbre_judge.Examples(data)
    drawn = [examples.draw(0, step, number) for step in range(6) for number in range(8)]
    assert drawn == [examples.draw(0, step, number) for step in range(6) for number in range(8)]
    assert len(set(drawn)) > 20
    for one in drawn:
        anchor, positive, negative = (data[name] for name in one)
        assert anchor.speaker == positive.speaker and anchor.stretch != positive.stretch
        assert negative.speaker != positive.speaker and negative.stretch == positive.stretch
    with pytest.raises(DataError, match="no stretch of notes that two instruments play"):
        timbre_judge.Examples(data.subset(lambda one: one.speaker == "reed"))


def test_training_tells_instruments_better_apart_and_is_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus.parent.parent)
    config = timbre_judge.load(timbre_judge.RECIPE, ["corpus=tones", "steps=40"])
    assert (config.batch_size, config.margin) == (16, 0.1)
    text = timbre_judge.run(config, tmp_path / "t.safetensors", "judge.yaml")
    rows = [line.split("|")[1:-1] for line in text.splitlines()[2:]]
    shares = np.array([[float(one) for one in row[3:]] for row in rows])
    counts = np.array([int(row[2]) for row in rows])
    before, after = counts @ shares / counts.sum()
    assert after >= 0.8 and after > before - 0.1
    stored = load_file(tmp_path / "t.safetensors")
    network = TimbreNetwork()
    network.load_state_dict({name: one.float() for name, one in stored.items()}, strict=False)
    assert all(one.dtype == torch.float16 for one in stored.values())
    card = (tmp_path / "t.md").read_text()
    assert text in card and "the recipe `judge.yaml`" in card and "tones: 40 batches" in card


def test_training_widens_the_margin_on_stretches_that_it_never_heard(corpus: Path) -> None:
    train, test = (DataDir.read(corpus / split) for split in ("train", "test"))
    known, held = (
        {one.id: timbre_network.mfcc(one.load(timbre_network.RATE)) for one in data}
        for data in (train, test)
    )
    examples = [
        timbre_judge.Example(one.style, one.target, one.content)
        for one in test.triplets
        if one.group == "seen"
    ]
    torch.manual_seed(0)
    network = TimbreNetwork()
    with torch.no_grad():
        before = float(timbre_judge.hinge(network.eval(), examples, held, 0.1))
        timbre_judge.accuracy(network, examples, held)
    with torch.enable_grad():
        timbre_judge.fit(network, train, known, timbre_judge.JudgeConfig(corpus="tones", steps=40))
    with torch.no_grad():
        after = float(timbre_judge.hinge(network, examples, held, 0.1))
    assert after < 0.7 * before


def test_the_weights_that_ship_are_those_of_their_card() -> None:
    card = timbre_network.WEIGHTS.with_suffix(".md").read_text()
    config = timbre_judge.load(timbre_judge.RECIPE)
    assert "| test | unheard_font |" in card and timbre_judge.RECIPE.as_posix() in card
    assert f"on {config.corpus}: {config.steps} batches of {config.batch_size} triplets" in card
    told = f"{config.learning_rate:g}, hinge of {config.margin:g} on cosines, seed {config.seed}"
    assert told in card
    with pytest.raises(ConfigError, match=r"did you mean.*margin"):
        timbre_judge.load(timbre_judge.RECIPE, ["margn=0.2"])
    size = sum(one.numel() for one in load_file(timbre_network.WEIGHTS).values())
    assert size == 45_312
