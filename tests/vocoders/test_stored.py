"""Vocoders by the path of their weights: experiments, single files, those that come along."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vctool import checkpoints, vocoders
from vctool.config import build, read_yaml
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Condition, Context
from vctool.models.cyclegan_vc.system import System as OtherSystem
from vctool.models.istft.system import System
from vctool.vocoders import stored
from vctool.vocoders.istft.vocoder import IstftConfig, Vocoder
from vctool.vocoders.stored import packaged

FEATURES = FeatureConfig(rate=16000, n_fft=512, hop_length=128, n_mels=40)


def save(exp: Path, seed: int = 0, step: int = 1) -> System:
    """Save an untrained istft as an experiment."""
    torch.manual_seed(seed)
    tiny = build(
        System.Config,
        read_yaml(Path(__file__).parents[2] / "conf/istft/tiny.yaml")["model"],
        "tiny",
    )
    system = System(tiny, Context(features=FEATURES, vocoder="wave", roles=("voices",)))
    with torch.no_grad():
        system.generator.head.weight.normal_(0.0, 0.1)
    checkpoint.save(exp / "checkpoints", system, family="istft", step=step)
    return system.eval()


def mel(frames: int = 30) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"mel": rng.uniform(-60, 0, (frames, FEATURES.n_mels)).astype(np.float32)}


def sound(vocoder: vocoders.Vocoder) -> np.ndarray:
    return vocoder.synthesise(mel(), FEATURES, 3000)


def test_an_experiment_is_a_vocoder(tmp_path: Path) -> None:
    exp = tmp_path / "exp" / "mine"
    system = save(exp)
    vocoder = vocoders.get(str(exp))
    assert vocoder.features == FEATURES
    expected = sound(Vocoder(system.generator))
    np.testing.assert_array_equal(sound(vocoder), expected)
    # What the family converts is the same sound.
    frames = system.convert(mel(), Condition(), "voices")["wave"].reshape(-1)
    np.testing.assert_allclose(frames[64:][:3000], expected, atol=1e-6)
    weights = exp / "checkpoints" / "step-00000001" / "model.safetensors"
    files = {"weights": weights, "settings": weights.with_name("state.json")}
    assert vocoders.files(str(exp)) == vocoders.files(str(weights.parent)) == files
    assert vocoders.get(str(weights.parent)) is vocoders.get(str(exp))
    assert vocoders.absolute("griffin_lim") == "griffin_lim"
    assert vocoders.absolute("exp/mine") == str(Path.cwd() / "exp" / "mine")


def test_what_it_is_is_told_without_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.safetensors"
    package(save(tmp_path / "mine"), file)
    monkeypatch.setattr(checkpoints, "read_tensors", None)
    assert stored.told(tmp_path / "mine") == stored.told(file) == ("istft", FEATURES)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="not readable"):
        stored.told(file)


def test_training_on_changes_the_vocoder(tmp_path: Path) -> None:
    exp = tmp_path / "mine"
    save(exp)
    before = sound(vocoders.get(str(exp)))
    save(exp, seed=1, step=2)
    after = sound(vocoders.get(str(exp)))
    assert np.abs(after - before).max() > 1e-3
    save(exp, seed=0, step=2)  # the same name again, with other weights
    np.testing.assert_array_equal(sound(vocoders.get(str(exp))), before)


def test_what_a_vocoder_was_not_trained_on_is_named_with_both_values(tmp_path: Path) -> None:
    save(tmp_path / "mine")
    vocoder = vocoders.get(str(tmp_path / "mine"))
    vocoder.accepts(FEATURES.model_copy(update={"top_db": 60.0, "envelope_dim": 24}), ["mel"])
    other = FEATURES.model_copy(update={"rate": 22050, "hop_length": 256, "n_mels": 80})
    with pytest.raises(ConfigError) as caught:
        vocoder.accepts(other, ["mel"])
    said = str(caught.value)
    for told in ("rate = 16000 (here 22050)", "hop_length = 128 (here 256)", "n_mels = 40 (here 8"):
        assert told in said, said
    assert "n_fft" not in said and "\n" not in said
    with pytest.raises(ConfigError, match="needs 'mel' features, this model writes world"):
        vocoder.accepts(FEATURES, ["world"])


def test_paths_without_a_vocoder_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such file or folder"):
        vocoders.get(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        vocoders.get(str(tmp_path / "empty"))
    save(tmp_path / "mine")
    folder = tmp_path / "mine" / "checkpoints" / "step-00000001"
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="half written"):
        vocoders.get(str(tmp_path / "mine"))
    conf = read_yaml(Path(__file__).parents[2] / "conf/cyclegan_vc/tiny.yaml")["model"]
    voice = SpeakerStats(log_f0_mean=5, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=9)
    voices = {"a": voice, "b": voice}
    context = Context(
        features=FEATURES.model_copy(update={"envelope_dim": 36}),
        vocoder="world", roles=("a", "b"), speakers=voices, domains=voices,
    )  # fmt: skip
    system = OtherSystem(build(OtherSystem.Config, conf, "tiny"), context)
    checkpoint.save(tmp_path / "voices" / "checkpoints", system, family="cyclegan_vc", step=1)
    with pytest.raises(ConfigError, match="cyclegan_vc, which is not a vocoder"):
        vocoders.get(str(tmp_path / "voices"))
    with pytest.raises(ConfigError, match="cyclegan_vc, which is not a vocoder"):
        stored.told(tmp_path / "voices")


def package(system: System, path: Path) -> None:
    config = system.config.model_dump(mode="json")
    own = {name: config[name] for name in IstftConfig.model_fields}
    weights = system.generator.state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packaged.content("istft", own, FEATURES, weights, "for a test"))


def test_one_file_holds_a_whole_vocoder_in_16_bits(tmp_path: Path) -> None:
    system = save(tmp_path / "mine")
    path = tmp_path / "istft.safetensors"
    package(system, path)
    vocoder = vocoders.get(str(path))
    assert vocoder.features == packaged.features_of(path) == FEATURES
    expected = sound(Vocoder(system.generator))
    np.testing.assert_allclose(sound(vocoder), expected, atol=0.02 * np.abs(expected).max())
    numbers = sum(one.numel() for one in system.generator.state_dict().values())
    assert path.stat().st_size < 2 * numbers + 8192
    assert packaged.read_header(path)["about"] == "for a test"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="not readable"):
        vocoders.get(str(path))


@pytest.mark.parametrize("where", ["tensors", "about", "config"])
def test_a_packaged_vocoder_that_is_damaged_is_refused(tmp_path: Path, where: str) -> None:
    path = tmp_path / "own.safetensors"
    package(save(tmp_path / "exp"), path)
    content = path.read_bytes()
    assert vocoders.get(str(path)).features == FEATURES
    place = {"about": b"for a test", "config": b'width\\": '}.get(where)
    at = len(content) - 3 if place is None else content.index(place) + len(place) - 1
    changed = b"3" if content[at : at + 1] == b" " else bytes([content[at] ^ 1])
    path.write_bytes(content[:at] + changed + content[at + 1 :])
    with pytest.raises(CheckpointError, match=r"own.safetensors: damaged.*copy it again"):
        vocoders.get(str(path))


def test_a_packaged_vocoder_of_before_there_were_digests_loads(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    package(save(tmp_path / "exp"), path)
    expected = sound(vocoders.get(str(path)))
    with safe_open(path, framework="pt") as file:
        header = {key: value for key, value in file.metadata().items() if key != "digest"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, path, header)
    np.testing.assert_array_equal(sound(vocoders.get(str(path))), expected)
    save_file(tensors, path, header | {"features": "[]"})
    with pytest.raises(CheckpointError, match="its features are no settings; copy it again"):
        vocoders.get(str(path))


def test_weights_beyond_16_bits_are_not_packaged() -> None:
    with pytest.raises(ConfigError, match="weight w: too large for 16 bits"):
        packaged.content("istft", {}, FEATURES, {"w": torch.tensor([1e6])}, "")


def test_bare_names_mean_the_weights_that_come_along_and_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "FOLDER", tmp_path / "weights")
    with pytest.raises(ConfigError, match=r"istft has no weights here; train .* exp/vcc2016_istft"):
        vocoders.get("istft")
    package(save(tmp_path / "mine"), tmp_path / "weights" / "istft-16k.safetensors")
    assert vocoders.get("istft").features == FEATURES
    assert vocoders.get("istft", FEATURES) is vocoders.get("istft")
    kept = tmp_path / "weights" / "istft-16k.safetensors"
    assert vocoders.files("istft") == {"weights": kept}
    other = FEATURES.model_copy(update={"hop_length": 160})
    with pytest.raises(ConfigError, match=r"are for hop_length = 128 \(here 160\)"):
        vocoders.get("istft", other)
    with pytest.raises(ConfigError, match="hifigan has no weights here"):
        vocoders.get("hifigan", FEATURES)
    assert vocoders.files("griffin_lim") == {}
