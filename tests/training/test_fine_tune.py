"""Fine-tuning from recordings on disk: a conversion system's mels, the recordings' sound."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vctool import checkpoints
from vctool.config import PROJECT_ROOT, read_yaml
from vctool.data.store import FeatureStore
from vctool.engine import checkpoint
from vctool.engine.distributed import Processes
from vctool.errors import CheckpointError, ConfigError
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe, resolve
from vctool.models.base import Condition, family
from vctool.stages import features, train
from vctool.training import fine_tune, setup

RATE = 16000
FEATURES = {"rate": RATE, "hop_length": 192, "n_fft": 1024, "n_mels": 40}
PACE = {"steps": 2, "save_every": 2, "validate_every": 2, "validate_batches": 1, "log_every": 1}


def write_corpus(data: Path) -> None:
    """Write three buzzing speakers with two recordings in each split."""
    rng = np.random.default_rng(0)
    for split in ("train", "dev"):
        folder = data / "tiny" / split
        folder.mkdir(parents=True)
        tables: dict[str, list[str]] = {name: [] for name in ("wav.scp", "utt2spk", "utt2domain")}
        tables |= {"utt2dur": [], "spk2utt": []}
        for speaker, f0 in (("ann", 180), ("bob", 130), ("cat", 220)):
            names = [f"{speaker}-{split}-{n}" for n in range(2)]
            for name in names:
                phase = 2 * np.pi * f0 * np.arange(2 * RATE) / RATE
                wave = sum(np.sin(k * phase) / k for k in range(1, 9))
                wave = 0.1 * wave + 0.01 * rng.standard_normal(2 * RATE)
                soundfile.write(folder / f"{name}.wav", wave, RATE)
                tables["wav.scp"].append(f"{name} {name}.wav")
                tables["utt2spk"].append(f"{name} {speaker}")
                tables["utt2domain"].append(f"{name} speech")
                tables["utt2dur"].append(f"{name} 2.0")
            tables["spk2utt"].append(f"{speaker} {' '.join(names)}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in sorted(lines)))


def recipe(family: str, name: str, corpus: dict[str, object], **fields: object) -> Recipe:
    tree = read_yaml(PROJECT_ROOT / "conf" / family / "tiny.yaml")
    own = {"name": name, "corpus": {"name": "tiny", **corpus}, "features": FEATURES}
    return resolve({**tree, **own, **fields, "train": {**tree["train"], **PACE}}, "the test's")


def tuned(
    name: str = "tuned", start: str | None = "before", mels_of: str | None = "maker"
) -> Recipe:
    return recipe("istft", name, {}, fine_tune={"start": start, "mels_of": mels_of})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversion system between two of the speakers, a vocoder, and one that is fine-tuned."""
    made = tmp_path_factory.mktemp("tune")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        torch.set_num_threads(1)
        write_corpus(Path("data"))
        before = recipe("istft", "before", {})
        maker = recipe("vae_gan", "maker", {"speakers": ["ann", "bob"]})
        for one in (before, maker):
            features.run(one, splits=("train", "dev"))
            train.run(one, device="cpu")
        train.run(tuned(), device="cpu")
    return made


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_mels_are_those_that_the_system_makes_of_its_own_speakers(split: str) -> None:
    made = FeatureStore(fine_tune.store(tuned(), "tiny", split))
    assert sorted(made) == [f"{who}-{split}-{n}" for who in ("ann", "bob") for n in (0, 1)]
    system, _ = checkpoint.load(Path("exp/maker"))
    kinds = system.reads(system.config)
    own = {kind: FeatureStore(tuned().dump("tiny", split, kind)) for kind in kinds}
    for name in made:
        source = {kind: store[name] for kind, store in own.items()}
        wanted = system.convert(source, Condition(), name.partition("-")[0])["mel"]
        np.testing.assert_allclose(made[name], wanted, atol=1e-4)
        assert not np.allclose(made[name], own["mel"][name], atol=0.5)


def test_what_is_drawn_is_the_made_mel_beside_the_recordings_own_sound() -> None:
    one = tuned()
    sets = setup.open_sets(one, plan.kinds(one), "train")["voices"]
    plain = setup.open_sets(tuned(mels_of=None), plan.kinds(one), "train")["voices"]
    made = FeatureStore(fine_tune.store(one, "tiny", "train"))
    assert len(sets) == 4
    assert len(plain) == 6  # the third speaker plays no role of the system
    for name in sets.ids:
        np.testing.assert_array_equal(sets.load(name, "mel"), made[name])
        np.testing.assert_array_equal(sets.load(name, "wave"), plain.load(name, "wave"))


def test_edited_recordings_are_reconstructed_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    store = fine_tune.store(tuned(), "tiny", "train")
    before = FeatureStore(store)["ann-train-0"]
    wav = Path("data/tiny/train/ann-train-0.wav")
    wave, rate = soundfile.read(wav)
    soundfile.write(wav, wave[::-1], rate)
    features.run(tuned(), splits=("train",))
    fine_tune.reconstruct(tuned(), ("train",), torch.device("cpu"))
    assert not np.allclose(FeatureStore(store)["ann-train-0"], before, atol=0.1)


def test_it_starts_from_the_weights_and_the_statistics_that_were_there() -> None:
    start = checkpoints.read_tensors(checkpoints.find(Path("exp/before")) / checkpoints.MODEL)
    fresh = setup.prepare(tuned("again", mels_of=None), Processes()).system.state_dict()
    assert fresh.keys() == start.keys()
    assert all(torch.equal(fresh[name], start[name]) for name in start)
    after, state = checkpoint.load(Path("exp/tuned"))
    assert state["step"] == 2
    trained = after.state_dict()
    assert torch.equal(trained["generator.mean"], start["generator.mean"])
    assert not torch.equal(trained["generator.head.weight"], start["generator.head.weight"])


def test_a_checkpoint_that_began_otherwise_is_not_gone_on_from() -> None:
    train.run(tuned(), device="cpu")  # has been trained already
    with pytest.raises(CheckpointError, match=r"began with before, and fine_tune.start says ran"):
        train.run(tuned(start=None), device="cpu")


def test_another_state_of_what_it_is_tuned_for_makes_training_due() -> None:
    before = plan.stage("train").inputs(tuned())
    assert before["fine_tune.start"] == "before"
    assert {"exp/before", "exp/maker"} <= before.keys()
    assert "exp/maker" not in plan.stage("train").inputs(tuned(mels_of=None))


def test_what_does_not_fit_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="is of the family vae_gan, not istft"):
        train.run(tuned("x", start="maker", mels_of=None), device="cpu")
    with pytest.raises(CheckpointError, match="other networks than x"):
        train.run(
            tuned("x", mels_of=None).model_copy(update={"model": {"width": 24}}), device="cpu"
        )
    with pytest.raises(CheckpointError, match="exp/nobody: no such experiment"):
        train.run(tuned("x", mels_of="nobody"), device="cpu")
    wider = tuned("x").model_copy(
        update={"features": tuned().features.model_copy(update={"f_min": 100.0})}
    )
    with pytest.raises(ConfigError, match="has other mel settings"):
        fine_tune.reconstruct(wider, ("train",), torch.device("cpu"))
    with pytest.raises(ConfigError, match="writes wave and no mel"):
        other = recipe(
            "vae_gan", "y", {"speakers": ["ann", "bob"]}, fine_tune={"mels_of": "before"}
        )
        fine_tune.reconstruct(other, ("train",), torch.device("cpu"))
    monkeypatch.setattr(family("vae_gan"), "reads", classmethod(lambda *_: ("mel", "chroma")))
    with pytest.raises(ConfigError, match="reads chroma, which istft does not"):
        fine_tune.reconstruct(tuned("x"), ("train",), torch.device("cpu"))
