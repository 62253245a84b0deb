"""A user's own recordings: into the other domain, or into each other."""

import logging
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.sounds import speak
from vctool import audio
from vctool.data.datadir import DataDir
from vctool.errors import ConfigError, DataError
from vctool.experiment import recipe as recipes
from vctool.stages import download
from vctool.tools.own_voices import prepare_own

DOMAINS = {
    "name": "base",
    "family": "vocal_cyclegan",
    "corpus": {"speech": "talks", "singing": "songs"},
    "features": {"n_mels": 40},
    "train": {"steps": 1},
    "vocoder": "griffin_lim",
}
SPEAKERS = DOMAINS | {
    "name": "vcc_{corpus.source}_{corpus.target}",
    "corpus": {"name": "vcc2016", "source": "SF1", "target": "TM3"},
    "features": {"n_mels": 24},
}
CHOIR = SPEAKERS | {
    "name": "choir",
    "corpus": {"name": "vcc2016", "speakers": ["SF1", "SM1", "TM3"]},
    "features": {"n_mels": 16},
}
BAND = CHOIR | {"corpus": {"name": "philharmonia", "domains": ["flute", "violin"]}}
VOCODER = CHOIR | {"corpus": {"name": "vcc2016"}}
SPLITS = ("train", "dev", "test")


def write_voice(folder: Path, speaker: str, count: int) -> None:
    rng = np.random.default_rng(zlib.crc32(speaker.encode()))
    for index in range(count):
        path = folder / speaker / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, (0.1 * rng.standard_normal(8000)).astype(np.float32), 16000)


@pytest.fixture
def project(workdir: Path) -> Path:
    """A work folder with recipes of both sorts, some in place of those that come with vctool."""
    (workdir / "recipes").mkdir()
    plain: dict[str, Any] = {"base": DOMAINS, "mini": DOMAINS, "vcc2016_cyclegan_vc": SPEAKERS}
    plain |= {"vcc2016_vae_gan": CHOIR, "band": BAND, "vocoder": VOCODER}
    for name, tree in plain.items():
        (workdir / "recipes" / f"{name}.yaml").write_text(yaml.safe_dump(tree))
    return workdir


@pytest.fixture
def voices(project: Path) -> Path:
    """A folder of three speakers, twelve recordings each."""
    for speaker in ("anna", "ben", "Zoë B"):
        write_voice(project / "wavs", speaker, 12)
    return Path("wavs")


def said_by(name: str) -> dict[str, set[str]]:
    return {split: set(DataDir.read(Path("data") / name / split).speakers) for split in SPLITS}


def test_own_recordings_become_a_corpus_and_a_recipe(project: Path) -> None:
    for speaker in ("ann", "bob"):
        write_voice(project / "wavs", speaker, 12)
    path = prepare_own(Path("wavs"), name="mine", domain="speech", base="base")
    assert path == Path("recipes/mine.yaml") and path.exists()
    recipe = recipes.load("mine")
    assert recipe.name == "mine"
    assert recipe.roles == {"speech": "mine", "singing": "songs"}
    assert recipe.features.n_mels == 40
    assert Path("data/mine/train/wav.scp").exists()
    # stage 1 of the new recipe takes them as they are
    assert download.prepare("mine").source == str((project / "wavs").resolve())


def test_two_speakers_are_converted_into_each_other_the_first_two_of_more(
    project: Path, voices: Path
) -> None:
    prepare_own(voices, name="mine", base="vcc2016_cyclegan_vc")
    recipe = recipes.load("mine")
    assert recipe.roles == {"Zoë_B": "mine", "anna": "mine"}
    assert (recipe.name, recipe.features.n_mels) == ("mine_Zoë_B_anna", 24)
    download.run(recipe)
    other = recipes.load("mine", ["corpus.source=anna", "corpus.target=ben"])
    assert other.roles == {"anna": "mine", "ben": "mine"}
    assert other.exp == Path("exp/mine_anna_ben")
    download.run(other)
    assert set(said_by("mine")["test"]) == {"anna", "ben", "Zoë_B"}
    domains = {one.domain for one in DataDir.read(Path("data/mine/train"))}
    assert domains == {"speech"}


@pytest.mark.parametrize("base", [None, "vcc2016_vae_gan", "band"])
def test_more_than_two_speakers_are_converted_into_one_another(
    voices: Path, base: str | None
) -> None:
    path = prepare_own(voices, name="mine", base=base)
    recipe = recipes.load("mine")
    assert recipe.roles == {"Zoë_B": "mine", "anna": "mine", "ben": "mine"}
    assert (recipe.name, recipe.features.n_mels) == ("mine", 16)
    assert path.read_text().startswith("# Zoë_B, anna, ben into one another, from wavs;")
    assert said_by("mine") == {split: {"Zoë_B", "anna", "ben"} for split in SPLITS}
    download.run(recipe)


def test_two_speakers_make_a_recipe_of_many_too_where_it_is_named(project: Path) -> None:
    for speaker in ("ann", "bob"):
        write_voice(project / "wavs", speaker, 12)
    prepare_own(Path("wavs"), name="both", base="vcc2016_vae_gan")
    assert list(recipes.load("both").roles) == ["ann", "bob"]
    prepare_own(Path("wavs"), name="mine")
    assert recipes.load("mine").name == "mine_ann_bob"


def test_a_vocoder_is_trained_on_everyone(voices: Path) -> None:
    prepare_own(voices, name="mine", base="vocoder")
    recipe = recipes.load("mine")
    assert recipe.roles == {"voices": "mine"} and recipe.name == "mine"


@pytest.mark.parametrize(
    ("asked", "roles"),
    [
        ({"source": "ben"}, ["ben", "Zoë_B"]),
        ({"target": "Zoë_B"}, ["anna", "Zoë_B"]),
        ({"source": "ben", "target": "anna", "domain": "singing"}, ["ben", "anna"]),
    ],
)
def test_speakers_are_those_that_are_asked_for(
    voices: Path, asked: dict[str, Any], roles: list[str]
) -> None:
    prepare_own(voices, name="mine", **asked)
    assert list(recipes.load("mine").roles) == roles
    found = {one.domain for one in DataDir.read(Path("data/mine/train"))}
    assert found == {asked.get("domain", "speech")}


def test_many_speakers_all_stay_in_training_where_they_become_each_other(project: Path) -> None:
    names = {f"s{number}" for number in range(9)}
    for name in names:
        write_voice(project / "wavs", name, 3)
    prepare_own(Path("wavs"), name="mine", source="s0")
    assert said_by("mine") == dict.fromkeys(SPLITS, names)
    files = [{one.wav for one in DataDir.read(Path("data/mine") / split)} for split in SPLITS]
    assert sum(map(len, files)) == len(set.union(*files)) == 27
    prepare_own(Path("wavs"), name="sung", domain="speech")  # into singing: by speaker as ever
    assert not said_by("sung")["train"] & said_by("sung")["test"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"source": "bne"}, "--source bne: no such speaker; did you mean 'ben'"),
        ({"target": "x"}, "--target x: no such speaker; there are: Zoë_B, anna, ben"),
        ({"source": "ben", "target": "ben"}, "--source ben: is also --target"),
        ({"accomp": Path("wavs")}, "converts between speakers, without any"),
        ({"base": "vcc2016_vae_gan", "source": "ben"}, "is for all speakers of a folder; leave"),
        ({"base": "base"}, "--recipe base: converts between domains; pass --domain"),
        ({"base": "base", "source": "ben"}, "base converts between domains; leave them"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(
    project: Path, voices: Path, asked: dict[str, Any], message: str
) -> None:
    before = sorted(project.rglob("*"))
    with pytest.raises(ConfigError, match=message):
        prepare_own(voices, name="mine", **asked)
    assert sorted(project.rglob("*")) == before


def test_one_speaker_cannot_be_converted_into_another(project: Path) -> None:
    write_voice(project / "wavs", "ann", 12)
    with pytest.raises(ConfigError, match=r"holds one speaker, 'ann', and .* pass --domain"):
        prepare_own(Path("wavs"), name="mine", source="ann")


def test_a_single_voice_is_prepared_to_be_added_to_a_trained_model(project: Path) -> None:
    write_voice(project / "wavs", "ann", 12)
    assert prepare_own(Path("wavs"), name="mine") is None
    assert said_by("mine") == {split: {"ann"} for split in SPLITS}
    assert not (project / "recipes" / "mine.yaml").exists()


def test_a_speaker_with_too_little_for_three_splits_is_named(project: Path) -> None:
    write_voice(project / "wavs", "ann", 12)
    write_voice(project / "wavs", "bob", 2)
    with pytest.raises(DataError, match="speaker 'bob' has nothing in dev"):
        prepare_own(Path("wavs"), name="mine")


@pytest.mark.parametrize("name", ["a/b", "../out", "", ".", "-x", "a b", "{corpus}"])
def test_a_name_that_is_a_path_is_refused_before_anything_is_written(
    project: Path, name: str
) -> None:
    write_voice(project / "wavs", "ann", 12)
    before = sorted(project.rglob("*"))
    with pytest.raises(ConfigError, match="must be a name of letters"):
        prepare_own(Path("wavs"), name=name, domain="speech", base="base")
    assert sorted(project.rglob("*")) == before


def test_taken_names_are_refused(project: Path) -> None:
    write_voice(project / "wavs", "ann", 12)
    for name, match in (("mini", "built-in"), ("base", "exists")):
        with pytest.raises((ConfigError, DataError), match=match):
            prepare_own(Path("wavs"), name=name, domain="speech", base="base")
    with pytest.raises(ConfigError, match="did you mean 'base'"):
        prepare_own(Path("wavs"), name="mine", domain="speech", base="bas")
    assert not Path("data/mine").exists()


def test_two_readers_of_librispeech_become_each_other(project: Path, shared_data: Path) -> None:
    for reader in ("19", "26"):
        source = shared_data / "LibriSpeech" / "train-clean-100" / reader
        for file in sorted(source.rglob("*.flac"))[:20]:
            (project / "wavs" / reader).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, project / "wavs" / reader)
    prepare_own(Path("wavs"), name="readers")
    recipe = recipes.load("readers", ["corpus.source=26", "corpus.target=19"])
    assert recipe.roles == {"26": "readers", "19": "readers"}
    assert recipes.load("readers").name == "readers_19_26"
    download.run(recipe)
    assert said_by("readers") == {split: {"19", "26"} for split in SPLITS}


def test_the_f0_range_of_the_recipe_covers_the_voices_and_that_is_said(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for speaker, hz in (("alto", 250.0), ("bass", 52.0), ("sopran", 1100.0)):
        for index in range(4):
            path = project / "wavs" / speaker / f"{index}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, speak(index, hz).astype(np.float32), 16000)
    with caplog.at_level(logging.INFO):
        prepare_own(Path("wavs"), name="mine", source="alto", target="sopran")
    features = recipes.load("mine").features
    assert (features.f0_floor, features.n_mels) == (35, 24) and 1300 < features.f0_ceil < 1700
    said = [one for one in caplog.messages if "F0 of" in one]
    assert len(said) == 2 and all("recipes/mine.yaml sets it" in one for one in said)
    caplog.clear()
    shutil.rmtree(project / "wavs" / "bass")
    shutil.rmtree(project / "wavs" / "sopran")
    shutil.copytree(project / "wavs" / "alto", project / "wavs" / "tenor")
    with caplog.at_level(logging.INFO):
        path = prepare_own(Path("wavs"), name="plain")
    assert path is not None and "features" not in path.read_text()
    assert not [one for one in caplog.messages if "F0" in one]
