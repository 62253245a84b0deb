"""What a recipe asks of its family and its vocoder, seen to before any stage runs."""

from pathlib import Path

import pytest

from vctool.errors import ConfigError
from vctool.experiment import plan, recipe, state
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
