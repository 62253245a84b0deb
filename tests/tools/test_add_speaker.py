"""A voice is added to a trained model: what was there stays to the bit, wherever it is stopped."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from vctool.commands import stages
from vctool.engine import checkpoint, manifest
from vctool.errors import CheckpointError, ConfigError, DataError
from vctool.experiment import directions, state
from vctool.experiment import recipe as recipes
from vctool.experiment.features import open_set
from vctool.experiment.recipe import Recipe
from vctool.features.base import Features
from vctool.inference.converter import Converter
from vctool.models import base
from vctool.stages import features, train
from vctool.stages.download import write_stamp
from vctool.tools import add_speaker
from vctool.training import extend

RATE = 16000
OLD = ("ann", "bob", "cid")
F0 = {"ann": 210.0, "bob": 110.0, "cid": 150.0, "eve": 240.0, "zoe": 180.0, "dan": 130.0}
CHOIR = {
    "base": "conf/vae_gan/tiny.yaml",
    "name": "choir",
    "corpus": {"name": "choir", "speakers": list(OLD)},
    "features": {"rate": RATE, "n_fft": 512, "hop_length": 200, "n_mels": 32, "f0_ceil": 500},
    "train": {"steps": 3, "save_every": 1},
}


def voice(f0: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A buzz whose pitch and colour wander."""
    time = np.arange(int(seconds * RATE)) / RATE
    glide = f0 * 2 ** (0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 1) * time))
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    wave = sum(np.sin(k * phase + k) / k ** (f0 / 100) for k in range(1, 12))
    return np.asarray(0.1 * wave + 1e-3 * rng.standard_normal(len(time)))


def write_corpus(name: str, speakers: tuple[str, ...]) -> None:
    for number, split in enumerate(("train", "test")):  # held-out samples take long
        folder = Path("data") / name / split
        folder.mkdir(parents=True)
        rng = np.random.default_rng(number)
        tables: dict[str, list[str]] = {"wav.scp": [], "utt2spk": [], "utt2dur": [], "spk2utt": []}
        for speaker in speakers:
            names = [f"{speaker}-{split}-{n}" for n in range(2)]
            for one in names:
                soundfile.write(folder / f"{one}.wav", voice(F0[speaker], 1.2, rng), RATE)
                tables["wav.scp"].append(f"{one} {one}.wav")
                tables["utt2spk"].append(f"{one} {speaker}")
                tables["utt2dur"].append(f"{one} 1.2")
            tables["spk2utt"].append(f"{speaker} {' '.join(names)}")
        for table, lines in tables.items():
            (folder / table).write_text("".join(f"{line}\n" for line in sorted(lines)))
    write_stamp(Path("data") / name, Path("data") / name, "made up")


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two corpora and a model of three voices."""
    folder = tmp_path_factory.mktemp("choir")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_num_threads(1)
        write_corpus("choir", OLD)
        write_corpus("guests", ("eve",))
        write_corpus("others", ("dan", "zoe"))
        (folder / "choir.yaml").write_text(yaml.safe_dump(CHOIR))
        recipe = recipes.load("choir.yaml")
        features.run(recipe)
        train.run(recipe, device="cpu")
        larger = load(add_speaker.write_recipe("choir.yaml", (), "guests/eve"))
        features.run(larger)
        train.run(larger, device="cpu")
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def here(choir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(choir)
    torch.set_num_threads(1)
    return choir


def load(title: str, *settings: str) -> Recipe:
    return recipes.load(f"recipes/{title}.yaml", settings)


def tensors(experiment: Path | str) -> dict[str, torch.Tensor]:
    folder = manifest.find(Path(experiment))
    return {
        f"{file}/{name}": value
        for file in ("model", "optimizer")
        for name, value in checkpoint.read_tensors(folder / f"{file}.safetensors").items()
    }


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def converted(experiment: str, to: str) -> Features:
    converter = Converter(experiment, "cpu")
    store = open_set(recipes.load("choir.yaml"), "choir", "test")
    source = {kind: store.load("ann-test-0", kind) for kind in converter.reads}
    return converter.infer(source, None, converter.request(to))


def test_old_voices_stay_as_they_were_to_the_bit(here: Path) -> None:
    before, after = tensors("exp/choir"), tensors("exp/choir+eve")
    model = {name for name in before if name.startswith("model/")}
    assert [name for name in model if not torch.equal(before[name], after[name])] == []
    for role in OLD:
        one, two = converted("exp/choir", role), converted("exp/choir+eve", role)
        for kind in one:
            np.testing.assert_array_equal(one[kind], two[kind])
    small, large = (checkpoint.load(Path(f"exp/{n}"))[0].context for n in ("choir", "choir+eve"))
    assert large.roles == (*OLD, "eve") and large.added == ("eve",)
    for role in OLD:
        assert large.domains[role] == small.domains[role]
        assert large.speakers[role] == small.speakers[role]


def test_the_new_voice_learns_and_is_converted_to_by_default(here: Path) -> None:
    first = checkpoint.read_tensors(
        Path("exp/choir+eve/checkpoints/step-00000002/model.safetensors")
    )
    last = checkpoint.read_tensors(manifest.find(Path("exp/choir+eve")) / "model.safetensors")
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    own = {name for name in last if name.startswith(("decoders.3.", "discriminators.3."))}
    measured = {name for name, _ in checkpoint.load(Path("exp/choir+eve"))[0].named_buffers()}
    assert moved == own - measured, "what is measured stays as it was set up"
    assert Converter("exp/choir+eve", "cpu").request().to == "eve"
    eve, cid = converted("exp/choir+eve", "eve"), converted("exp/choir+eve", "cid")
    assert np.abs(eve["mel"] - cid["mel"]).max() > 1
    domain = checkpoint.load(Path("exp/choir+eve"))[0].context.domains["eve"]
    assert np.exp(domain.log_f0_mean) == pytest.approx(F0["eve"], rel=0.1)


def test_only_the_new_voice_has_an_optimizer(here: Path) -> None:
    moments = {name for name in tensors("exp/choir+eve") if name.startswith("optimizer/")}
    assert moments
    assert all("/decoders.3." in name or "/discriminators.3." in name for name in moments)


def test_the_old_experiment_is_only_read(here: Path) -> None:
    before = digests(here / "exp" / "choir")
    train.run(load("choir+eve", "name=again"), device="cpu")
    assert digests(here / "exp" / "choir") == before


def test_stopped_and_resumed_equals_undisturbed(here: Path) -> None:
    fixed = ("train.decay_from=1.0",)
    train.run(load("choir+eve", "name=whole", *fixed), device="cpu")
    train.run(load("choir+eve", "name=parts", "train.steps=1", *fixed), device="cpu")
    torch.manual_seed(5)
    train.run(load("choir+eve", "name=parts", *fixed), device="cpu")
    whole, parts = tensors("exp/whole"), tensors("exp/parts")
    assert whole.keys() == parts.keys()
    assert [name for name in whole if not torch.equal(whole[name], parts[name])] == []


def test_a_voice_joins_a_model_that_was_extended_before(here: Path) -> None:
    title = add_speaker.write_recipe("recipes/choir+eve.yaml", ("train.steps=1",), "others/dan")
    recipe = load(title)
    assert recipe.extends == "choir+eve"
    assert recipe.roles == {**dict.fromkeys(OLD, "choir"), "eve": "guests", "dan": "others"}


def test_a_base_that_was_trained_on_is_noticed(here: Path) -> None:
    train.run(recipes.load("choir.yaml", ["name=other", "train.steps=1"]), device="cpu")
    title = add_speaker.write_recipe("choir.yaml", ("name=other", "train.steps=1"), "guests/eve")
    assert title == "other+eve"
    train.run(load(title), device="cpu")
    stage = state.stage("train")
    inputs = stage.inputs(load(title))
    train.run(recipes.load("choir.yaml", ["name=other", "train.steps=2"]), device="cpu")
    changes = state.differences(inputs, stage.inputs(load(title)))
    assert changes == ["exp/other changed"]
    with pytest.raises(CheckpointError, match=r"another state of exp/other .*start over with --fr"):
        train.run(load(title), device="cpu")
    train.run(load(title), device="cpu", fresh=True)
    before, after = tensors("exp/other"), tensors("exp/other+eve")
    assert torch.equal(before["model/shared.up.weight"], after["model/shared.up.weight"])


def test_other_settings_than_the_models_are_named(here: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.latent_channels: 4 -> 8.*set them as they"):
        train.run(load("choir+eve", "model.latent_channels=8", "name=wide"), device="cpu")
    with pytest.raises(CheckpointError, match="is of the family vae_gan, not cyclegan_vc"):
        recipe = load("choir+eve").model_copy(update={"family": "cyclegan_vc", "model": {}})
        Fixed = base.family("cyclegan_vc")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Fixed, "takes_more_roles", True)
            extend.read(recipe)


def test_a_family_of_two_roles_says_so(here: Path) -> None:
    recipe = load("choir+eve").model_copy(update={"family": "cyclegan_vc", "model": {}})
    with pytest.raises(ConfigError, match="cyclegan_vc has a fixed number of roles; take a family"):
        train.run(recipe, device="cpu")


@pytest.mark.parametrize(
    ("name", "voice", "settings", "message"),
    [
        ("choir.yaml", "bob", (), "--add-speaker bob: exp/choir has bob already"),
        ("choir.yaml", "guests/", (), "expected NAME or CORPUS/NAME"),
        ("choir.yaml", "../x", (), r"no corpus '\.\.'.*vctool prepare from-wavs DIR --name"),
        ("choir.yaml", "..", (), "expected NAME or CORPUS/NAME"),
        ("mini", "eve", (), "--add-speaker eve: mini does not name speakers"),
        ("choir.yaml", "eve", ("name=untrained",), "exp/untrained: no such experiment"),
        ("choir.yaml", "dan", (), "^--add-speaker dan: corpus choir: has no speaker 'dan'; there"),
        ("choir.yaml", "guests/evi", (), "^--add-speaker guests/evi: corpus guests: has no speak"),
    ],
)
def test_what_cannot_be_added_is_refused_in_one_line(
    here: Path, name: str, voice: str, settings: tuple[str, ...], message: str
) -> None:
    before = digests(here / "recipes")
    with pytest.raises((ConfigError, CheckpointError, DataError), match=message) as caught:
        add_speaker.write_recipe(name, settings, voice)
    assert "\n" not in str(caught.value)
    assert digests(here / "recipes") == before


def test_the_recipe_goes_to_the_work_folder_and_says_what_was_typed(here: Path, root: Path) -> None:
    before = [digests(root / name) for name in ("recipes", "conf")]
    settings = ("train.steps=1e3", "evaluate.split=no")
    assert add_speaker.write_recipe("choir.yaml", settings, "others/zoe") == "choir+zoe"
    path = here / "recipes" / "choir+zoe.yaml"
    assert "steps: 1e3\n" in path.read_text() and "split: no\n" in path.read_text()
    recipe = recipes.load("choir+zoe")
    assert (recipe.train.steps, recipe.evaluate.split) == (1000, "no")
    assert [digests(root / name) for name in ("recipes", "conf")] == before
    path.unlink()


def test_a_voice_that_is_added_again_keeps_the_settings_of_the_first_time(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def write(*settings: str) -> Recipe:
        caplog.clear()
        return load(add_speaker.write_recipe("choir.yaml", settings, "others/zoe"))

    kept = "recipes/choir+zoe.yaml: the settings that it was written with before stay"
    assert write("train.steps=2", "train.seed=5").train.steps == 2
    assert kept not in caplog.messages
    again = write()
    assert (again.train.steps, again.train.seed) == (2, 5) and kept in caplog.messages
    later = write("train.steps=4")
    assert (later.train.steps, later.train.seed) == (4, 5) and later.extends == "choir"
    (here / "recipes" / "choir+zoe.yaml").unlink()
    assert write().train.steps == 3 and kept not in caplog.messages  # as in choir.yaml
    (here / "recipes" / "choir+zoe.yaml").unlink()


def test_a_wrong_voice_leaves_nothing_behind(here: Path) -> None:
    before = sorted(here.rglob("*"))
    with pytest.raises(ConfigError, match="--add-speaker choir/dan: corpus choir: has no speaker"):
        stages.train(recipe="choir.yaml", add_speaker="choir/dan")
    with pytest.raises(ConfigError, match="--add-speaker choir/dan: corpus choir: has no speaker"):
        stages.train(recipe="choir.yaml", add_speaker="choir/dan", dry_run=True)
    assert sorted(here.rglob("*")) == before


def test_a_recipe_of_the_users_own_is_not_overwritten(here: Path) -> None:
    own = here / "recipes" / "choir+zoe.yaml"
    own.write_text("# mine\n")
    with pytest.raises(DataError, match=r"choir\+zoe.yaml: was not written by --add-speaker"):
        add_speaker.write_recipe("choir.yaml", (), "others/zoe")
    assert own.read_text() == "# mine\n"
    own.unlink()


def test_only_directions_of_the_new_voice_are_scored(here: Path) -> None:
    ways = [(way.source, way.target) for way in directions.of(load("choir+eve"))]
    assert sorted(ways) == sorted([(a, "eve") for a in OLD] + [("eve", a) for a in OLD])
    with pytest.raises(ConfigError, match=r"evaluate.roles: no role 'evi'; did you mean 'eve'"):
        load("choir+eve", "evaluate.roles=[evi]")


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"also": {"ann": "guests"}}, "corpus.also: 'ann' is there already"),
        ({"also": {"a/b": "guests"}}, "corpus.also: 'a/b' is not a valid name"),
        ({"also": {"eve": "guests"}, "speakers": None}, "corpus.also goes with corpus.speakers"),
    ],
)
def test_impossible_further_voices_are_refused(
    here: Path, corpus: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tree = recipes.load("choir.yaml").model_dump(by_alias=True)
        recipes.resolve({**tree, "corpus": {**tree["corpus"], **corpus}}, "x.yaml")


def test_the_command_does_all_that_the_new_voice_needs(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus("late", ("zoe",))
    asked: dict[str, Any] = {"recipe": "choir.yaml", "settings": ["train.steps=1"]}
    stages.train(**asked, add_speaker="late/zoe", dry_run=True)
    assert "recipes/choir+zoe.yaml: would be written" in capsys.readouterr().out
    assert not Path("recipes/choir+zoe.yaml").exists()
    stages.train(**asked, add_speaker="late/zoe")  # analyses the new corpus, and nothing twice
    assert Converter("exp/choir+zoe", "cpu").request().to == "zoe"
    stages.train(recipe="choir+zoe")
    assert load("choir+zoe").roles["zoe"] == "late"
