"""A misspelt speaker is named when data are prepared, not when training begins."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from vctool.data.datadir import DataDir, Utterance
from vctool.errors import ConfigError, DataError
from vctool.experiment import recipe as recipes
from vctool.experiment import roles
from vctool.experiment.recipe import Recipe, resolve
from vctool.stages import download, features

TREE = {
    "name": "x_{corpus.source}_{corpus.target}",
    "family": "vocal_cyclegan",
    "features": {"n_mels": 40},
    "train": {"steps": 1},
    "vocoder": "griffin_lim",
}


def recipe(**corpus: object) -> Recipe:
    return resolve(TREE | {"corpus": corpus}, "a.yaml")


@pytest.fixture
def corpus(workdir: Path) -> None:
    """The corpus `talks`: ann and bob in all splits, cid in training alone."""
    for split, names in {"train": "ann bob cid", "dev": "ann bob", "test": "ann bob"}.items():
        found = [Utterance(f"{n}-1", n, "speech", Path("/x.wav"), 1.0) for n in names.split()]
        DataDir(Path("data/talks") / split, tuple(found)).write()
    download.write_stamp(Path("data/talks"), Path("talks"), "prepared from nowhere")


Run = Callable[[Recipe], None]


@pytest.mark.parametrize("run", [roles.check, download.run, features.run])
def test_an_unknown_speaker_is_one_line_that_names_those_there_are(corpus: None, run: Run) -> None:
    with pytest.raises(ConfigError, match="talks: has no speaker 'anne'; there are: ann, bob, cid"):
        run(recipe(name="talks", source="anne", target="bob"))
    with pytest.raises(DataError, match="speaker 'cid' has nothing in dev and test"):
        run(recipe(name="talks", source="cid", target="ann"))


def test_of_many_speakers_the_nearest_are_named(workdir: Path) -> None:
    found = [Utterance(f"p{n}-1", f"p{n}", "speech", Path("/x.wav"), 1.0) for n in range(200, 310)]
    DataDir(Path("data/many/train"), tuple(found)).write()
    with pytest.raises(
        ConfigError, match=r"of its 110 speakers the nearest are: p255, p225, "
    ) as caught:
        roles.check(recipe(name="many", source="p2255", target="p226"))
    assert len(str(caught.value).split(", ")) == roles.MOST_LISTED


def test_speakers_of_the_corpus_and_recipes_between_domains_pass(corpus: None) -> None:
    roles.check(recipe(name="talks", source="ann", target="bob"))
    roles.check(resolve(TREE | {"name": "x", "corpus": {"speech": "a", "singing": "b"}}, "x"))


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"source": "a", "target": "b"}, "names the speakers a and b but not their corpus"),
        ({"name": "c", "source": "a", "target": "a"}, "are both 'a'"),
        ({"name": "c", "source": "a"}, "go together; set both"),
        ({"name": "c", "source": "a", "target": "b", "singing": "s"}, "name 'c' beside speech or"),
        (
            {"name": "c", "source": "../a", "target": "b"},
            r"becomes 'x_../a_b', which is not a valid name",
        ),
    ],
)
def test_roles_that_contradict_each_other_are_refused(corpus: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"a.yaml: .*{message}"):
        recipe(**corpus)


def test_what_is_no_text_is_no_name() -> None:
    with pytest.raises(ConfigError, match=r"corpus\.source = True"):
        recipe(name="c", source=True, target="b")
    with pytest.raises(ValidationError):
        recipes.CorpusConfig(name=["c"])
