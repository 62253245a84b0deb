"""What a recipe asks of its family and its vocoder, seen to before any stage runs."""

import re
from pathlib import Path

import pytest

from vctool.errors import ConfigError
from vctool.experiment import losses, plan, recipe, state
from vctool.models import base


def test_what_stage_2_computes_is_what_is_learnt_from_and_what_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toy = base.family("toy")
    monkeypatch.setattr(toy, "learns", classmethod(lambda *_: ("wave", "mel")))
    monkeypatch.setattr(toy, "reads", classmethod(lambda *_: ("mel", "accomp_chroma")))
    assert plan.kinds(toy_recipe()) == ("wave", "mel", "accomp_chroma", "world")
    assert plan.kinds(toy_recipe(), "train") == ("wave", "mel")
    # samples are heard beside their sources, which the vocoder makes sound of too
    assert plan.kinds(toy_recipe(), "dev") == ("wave", "mel", "accomp_chroma", "world")
    # stage 4 analyses accompaniments itself, and no sound of what it converts is read
    assert plan.kinds(toy_recipe(), "test") == ("mel",)
    tuned = toy_recipe(evaluate={"split": "dev"})
    assert plan.kinds(tuned, "test") == ()
    assert plan.kinds(tuned, "dev") == plan.kinds(toy_recipe(), "dev")


def test_a_stage_refuses_what_does_not_go_together(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(one: recipe.Recipe) -> str:
        with pytest.raises(ConfigError) as error:
            state.run(one, "download", lambda: pytest.fail("the stage was run"))
        assert not Path("exp").exists()
        return str(error.value)

    assert refused(toy_recipe(vocoder="griffin_lim")) == (
        "recipe sings: vocoder: griffin_lim needs 'mel' features, this model writes world"
    )
    assert refused(toy_recipe(vocoder="wrld")) == (
        "recipe sings: vocoder: no vocoder 'wrld'; did you mean 'world'?; or the path of a trained "
        "one, such as exp/NAME"
    )
    assert "no field 'model.poisened'; did you mean 'poisoned'?" in refused(
        toy_recipe(model={"poisened": True})
    )
    monkeypatch.setattr(base.family("toy"), "learns", classmethod(lambda *_: ("accomp_crhoma",)))
    assert refused(toy_recipe()) == (
        "recipe sings: family toy: learns 'accomp_crhoma', no such kind of features; did you mean "
        "'chroma'?"
    )


def toy_recipe(**changes: object) -> recipe.Recipe:
    tree = {
        "name": "sings",
        "family": "toy",
        "corpus": {"speech": "talks", "singing": "songs"},
        "features": {"n_mels": 40},
        "train": {"steps": 1},
        "vocoder": "world",
    }
    return recipe.Recipe.model_validate(tree | changes)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "train.weights.generator.cyclee=1",
            "train.weights.generator.cyclee: no such loss term in conf/vae_gan/; did you mean "
            "'cycle'",
        ),
        (
            "train.weights.generatr.cycle=1",
            "train.weights.generatr: no such group of losses; did you mean 'generator'",
        ),
        (
            "train.learning_rates.generatr=1",
            "train.learning_rates.generatr: no such group of losses; did you mean 'generator'",
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_loss_that_does_not_exist_is_found_before_anything_is_done(
    workdir: Path, setting: str, told: str, dry_run: bool
) -> None:
    one = recipe.load("vcc2016_vae_gan", [setting])
    with pytest.raises(ConfigError, match=rf"^--set {re.escape(setting)}: {re.escape(told)}"):
        state.run(one, "train", lambda: pytest.fail("the stage was run"), dry_run=dry_run)
    assert not Path("exp").exists()


def test_losses_of_a_variant_and_of_families_without_a_conf_are_let_be(workdir: Path) -> None:
    variant = "base: conf/cyclegan_vc/cyclegan_vc2.yaml\nname: x\nfeatures: {rate: 16000}\n"
    corpus = "corpus: {name: vcc2016, source: SF1, target: TM3}\n"
    Path("variant.yaml").write_text(variant + corpus)
    losses.check(recipe.load("variant.yaml"))
    weighed = {"weights": {"generator": {"anything": 1.0}}}
    losses.check(toy_recipe(train=weighed))
    # a family's own conf in the work folder counts too
    Path("conf/vae_gan").mkdir(parents=True)
    Path("conf/vae_gan/mine.yaml").write_text("train: {weights: {generator: {cyclee: 1}}}\n")
    losses.check(recipe.load("vcc2016_vae_gan", ["train.weights.generator.cyclee=1"]))
