"""Recipes: where they are looked up, and whom their errors blame."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from vctool.config import PROJECT_ROOT
from vctool.errors import ConfigError
from vctool.experiment import plan
from vctool.experiment import recipe as recipes

ODD = ("0010", "0b11", "no", "1e3", "2024-01-02", "0x1F", "12.50")


@pytest.mark.parametrize("name", ODD)
def test_speakers_may_be_called_anything_that_can_be_typed(name: str, workdir: Path) -> None:
    pair = recipes.load("vcc2016_cyclegan_vc", [f"corpus.source={name}"])
    assert pair.roles == {name: "vcc2016", "TM3": "vcc2016"}
    assert pair.name == f"vcc2016_cyclegan_vc_{name}_TM3"
    many = recipes.load("vcc2016_vae_gan", [f"corpus.speakers=[{name}, b]", f"name={name}"])
    assert (list(many.roles), many.name) == ([name, "b"], name)
    Path("own.yaml").write_text(
        f"base: recipes/vcc2016_vae_gan.yaml\n"
        f"corpus: {{speakers: [{name}, b], also: {{x: {name}}}}}\n"
    )
    assert recipes.load("own.yaml").roles == {name: "vcc2016", "b": "vcc2016", "x": name}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.steps=-3", "train.steps = -3: Input should be greater than or equal to"),
        ("train.step=3", "no field 'train.step'; did you mean 'steps'"),
        ("features=conf/nothing.yaml", "features: conf/nothing.yaml: no such file"),
        ("features.rate=x", "features.rate = 'x': "),
        ("corpus.target=SF1", "corpus.source and corpus.target are both 'SF1'"),
        ("corpus.speakers=[a, a]", "corpus has speakers beside source and target"),
        ("evaluate.roles=[SF2]", "evaluate.roles: no role 'SF2'; did you mean 'SF1'"),
        ("evaluate.directions=[SF1_to_TM3]", "with less than three roles there is one"),
        ("name=x_{corpus.nobody}", "cannot be filled in: "),
        ("name=x/{corpus.source}", "name = 'x/{corpus.source}': "),
        ("model.chanels=3", "no field 'model.chanels'"),
        ("model.start=at once", "model.start = 'at once': "),
    ],
)
def test_an_error_of_an_option_names_the_option(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan.kinds(recipes.load("vcc2016_cyclegan_vc", ["train.save_every=7", setting]))
    assert str(caught.value).startswith(f"--set {setting}: ")


def test_an_error_of_a_file_names_the_file(workdir: Path) -> None:
    Path("own.yaml").write_text("base: recipes/mini.yaml\nmodel: {chanels: 3}\n")
    with pytest.raises(ConfigError, match=r"^own.yaml: no field 'model.chanels'"):
        plan.kinds(recipes.load("own.yaml", ["train.steps=5", "model.clip_frames=64"]))
    Path("own.yaml").write_text("base: recipes/mini.yaml\ntrain: {steps: -1}\n")
    with pytest.raises(ConfigError, match=r"^own.yaml: train.steps = -1: "):
        recipes.load("own.yaml", ["train.save_every=5"])


def test_recipes_of_the_work_folder_come_first(workdir: Path) -> None:
    shipped = recipes.load("mini")
    Path("recipes").mkdir()
    Path("recipes/mini.yaml").write_text("base: recipes/mini.yaml\ntrain: {steps: 7}\n")
    Path("recipes/mine.yaml").write_text("base: recipes/mini.yaml\nname: mine\n")
    assert {"mine", "mini", "vcc2016_vae_gan"} <= set(recipes.recipes())
    assert recipes.place("mini") == Path("recipes/mini.yaml")
    assert recipes.place("ravdess") == PROJECT_ROOT / "recipes" / "ravdess.yaml"
    assert recipes.load("mini").train.steps == recipes.load("mine").train.steps == 7
    assert recipes.load("mini").model == shipped.model
    with pytest.raises(ConfigError, match="--recipe mime: no such recipe; did you mean 'mine'"):
        recipes.load("mime")
    with pytest.raises(ConfigError, match=r"there are: .*, mine, mini, "):
        recipes.load("~")


def test_what_is_shown_can_be_read_again(workdir: Path) -> None:
    recipe = recipes.load("vcc2016_vae_gan", ["corpus.speakers=[0010, 1e3, no]"])
    lines = [line for line in recipes.show(recipe).splitlines() if not line.startswith("exp:")]
    Path("again.yaml").write_text("\n".join(lines))
    assert recipes.load("again.yaml") == recipe


def test_one_setting_of_features_leaves_the_others_as_the_conf_has_them(workdir: Path) -> None:
    conf = recipes.load("vcc2016_vae_gan").features
    assert (conf.rate, conf.f0_ceil) == (16000, 600)
    wider = conf.model_copy(update={"f0_ceil": 900.0})
    assert recipes.load("vcc2016_vae_gan", ["features.f0_ceil=900"]).features == wider
    Path("own.yaml").write_text("base: recipes/vcc2016_vae_gan.yaml\nfeatures: {f0_ceil: 900}\n")
    assert recipes.load("own.yaml").features == wider
    Path("above.yaml").write_text("base: own.yaml\nfeatures: {f0_floor: 50}\n")
    lower = wider.model_copy(update={"f0_floor": 50.0})
    assert recipes.load("above.yaml").features == lower
    named = recipes.load("above.yaml", ["features=conf/features/44k.yaml"]).features
    assert named == recipes.load("librispeech_musdb18_published").features
    with pytest.raises(ConfigError, match=r"features: nowhere\.yaml: no such file"):
        recipes.load("own.yaml", ["features.base=nowhere.yaml"])


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "../up", "a/b", "/root", "", "a b"])
def test_a_name_that_would_leave_its_folder_is_none(name: str) -> None:
    given = {"family": "toy", "corpus": {"name": "tiny"}, "features": {}, "train": {}}
    plain = {**given, "vocoder": "world"}
    with pytest.raises(ValidationError, match="name"):
        recipes.Recipe.model_validate({**plain, "name": name})
    for allowed in ("v1.2", "a..b", "+x", "{corpus.name}_big"):
        recipes.Recipe.model_validate({**plain, "name": allowed})
