"""Who plays a role is decided in one place, whatever names the roles: every stage asks it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from vctool.data.datadir import DataDir, Utterance
from vctool.errors import ConfigError, DataError
from vctool.experiment import directions, plan, roles, state
from vctool.experiment import recipe as recipes
from vctool.experiment.recipe import Recipe, resolve

TREE = {
    "name": "x_{corpus.joined}",
    "family": "vocal_cyclegan",
    "features": {"n_mels": 40},
    "train": {"steps": 1},
    "vocoder": "world",
}
BAND = (
    *(Utterance(f"ann-{n}", "ann", "flute", Path("/x.wav"), 1.0) for n in range(3)),
    *(Utterance(f"bob-{n}", "bob", "flute", Path("/x.wav"), 1.0) for n in range(2)),
    *(Utterance(f"cid-{n}", "cid", "viola", Path("/x.wav"), 1.0) for n in range(2)),
    Utterance("dan-0", "dan", "tuba", Path("/x.wav"), 1.0),
)
"""ann and bob play the flute, cid the viola, dan the tuba."""


def recipe(**corpus: object) -> Recipe:
    return resolve(TREE | {"corpus": corpus}, "a.yaml")


def cast(found: Recipe) -> Mapping[str, list[str]]:
    """Name the utterances of every role."""
    return {role: [one.id for one in BAND if found.plays(role)(one)] for role in found.roles}


def test_speakers_play_themselves_in_the_recipes_order() -> None:
    found = recipe(name="band", speakers=["dan", "ann", "cid"])
    assert found.roles == {"dan": "band", "ann": "band", "cid": "band"}
    assert list(found.roles) == ["dan", "ann", "cid"]  # the last is the target by default
    assert cast(found) == {
        "dan": ["dan-0"],
        "ann": ["ann-0", "ann-1", "ann-2"],
        "cid": ["cid-0", "cid-1"],
    }
    assert found.name == "x_dan_ann_cid"


def test_source_and_target_are_two_speakers() -> None:
    both = recipe(name="band", source="ann", target="bob")
    assert both.roles == recipe(name="band", speakers=["ann", "bob"]).roles
    assert cast(both) == {"ann": ["ann-0", "ann-1", "ann-2"], "bob": ["bob-0", "bob-1"]}


def test_domains_gather_all_who_play_the_instrument() -> None:
    found = recipe(name="band", domains=["viola", "flute"])
    assert cast(found) == {
        "viola": ["cid-0", "cid-1"],
        "flute": ["ann-0", "ann-1", "ann-2", "bob-0", "bob-1"],
    }


def test_a_corpus_alone_is_one_role_that_holds_everyone() -> None:
    found = recipe(name="band")
    assert found.roles == {"voices": "band"} and found.name == "x_voices"
    assert cast(found) == {"voices": [one.id for one in BAND]}


def test_domains_of_two_corpora_stay_as_they_were() -> None:
    found = recipe(speech="a", singing="b")
    assert found.roles == {"speech": "a", "singing": "b"}
    said = Utterance("e-1", "e", "speech", Path("/x.wav"), 1.0)
    assert found.plays("speech")(said) and not found.plays("singing")(said)


def test_lists_are_set_on_the_command_line_and_numbers_are_names() -> None:
    found = recipes.load("vcc2016_cyclegan_vc", ["corpus={name: l, source: 19, target: 26}"])
    assert list(found.roles) == ["19", "26"]
    settings = ["corpus.source=null", "corpus.target=null", "corpus.speakers=[19, b, 26]"]
    assert list(
        recipes.load("vcc2016_cyclegan_vc", [*settings, "name=n_{corpus.joined}"]).roles
    ) == ["19", "b", "26"]
    scored = recipes.load(
        "vcc2016_cyclegan_vc", [*settings, "name=n_{corpus.joined}", "evaluate.roles=[26]"]
    )
    assert scored.evaluate.roles == ("26",)


def test_the_directions_that_are_scored_may_be_named() -> None:
    def scored(*settings: str) -> list[str]:
        return [one.name for one in directions.of(recipes.load("vcc2016_vae_gan", settings))]

    assert len(scored()) == 12
    assert scored("evaluate.directions=[TM3_to_SF1, SF1_to_TM3]") == ["SF1_to_TM3", "TM3_to_SF1"]
    both = "evaluate.roles=[SM1]", "evaluate.directions=[SF1_to_TM3, SF1_to_SM1]"
    assert scored(*both) == ["SF1_to_SM1"]
    with pytest.raises(ConfigError, match=r"none of evaluate.directions is from or to one of"):
        scored("evaluate.roles=[TF2]", "evaluate.directions=[SF1_to_TM3]")
    with pytest.raises(ConfigError, match="no direction 'SF1_to_TM4'; did you mean 'SF1_to_TM3'"):
        scored("evaluate.directions=[SF1_to_TM4]")


def test_naming_the_directions_converts_anew() -> None:
    one, other = (
        recipes.load("vcc2016_vae_gan", [f"evaluate.directions=[{name}]"])
        for name in ("SF1_to_TM3", "TM3_to_SF1")
    )
    assert plan._infer_inputs(one) != plan._infer_inputs(other)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"speakers": ["a", "b"]}, "names the speakers a and b but not their corpus"),
        ({"domains": ["a", "b"]}, "names the domains a and b but not their corpus"),
        ({"name": "c", "speakers": ["a"]}, r"corpus.speakers = \['a'\]: name at least two"),
        ({"name": "c", "domains": []}, r"corpus.domains = \[\]: name at least two"),
        ({"name": "c", "speakers": ["a", "b", "a"]}, "corpus.speakers names 'a' twice"),
        ({"name": "c", "speakers": ["a", "../b"]}, r"names '../b', which is not a valid name"),
        ({"name": "c", "speakers": ["a", "b"], "domains": ["d", "e"]}, "speakers beside domains"),
        (
            {"name": "c", "speakers": ["a", "b"], "source": "a", "target": "b"},
            "speakers beside source and target",
        ),
    ],
)
def test_contradictions_are_one_line(corpus: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"a.yaml: .*{message}"):
        recipe(**corpus)


def test_an_absent_domain_is_named_when_data_are_prepared(workdir: Path) -> None:
    DataDir(Path("data/band/train"), BAND).write()
    DataDir(Path("data/band/test"), BAND[:7]).write()
    roles.check(recipe(name="band"))
    roles.check(recipe(name="band", domains=["flute", "viola"]))
    with pytest.raises(ConfigError, match="band: has no domain 'lute'; there are: flute, tuba, "):
        roles.check(recipe(name="band", domains=["lute", "viola"]))
    with pytest.raises(DataError, match="domain 'tuba' has nothing in test"):
        roles.check(recipe(name="band", domains=["tuba", "viola"]))
    talk = Utterance("e-1", "e", "speech", Path("/x.wav"), 1.0)
    DataDir(Path("data/talk/train"), (talk,)).write()
    with pytest.raises(ConfigError, match="talk: has no domain 'flute'; there are: speech"):
        roles.check(recipe(name="talk", domains=["flute", "viola"]))


def test_a_role_more_makes_what_was_done_stale_and_the_same_roles_do_not(workdir: Path) -> None:
    entry = plan.stage("download")
    three = recipe(name="band", speakers=["ann", "bob", "cid"])
    for path in entry.outputs(three):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    state.run(three, "download", lambda: None, force=True)
    again = recipe(name="band", speakers=["ann", "bob", "cid"])
    assert state.judge(again, entry).state == "done"  # a list read back from JSON is the same list
    fewer = recipe(name="band", speakers=["ann", "bob"]).model_copy(update={"name": three.name})
    assert state.judge(fewer, entry).state == "stale"
