from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from vctool import corpora
from vctool.acquisition.survey import survey, word
from vctool.data.datadir import DataDir, check
from vctool.errors import ConfigError, DataError

BROUGHT = ["librispeech", "mir1k", "musdb18", "ravdess", "vcc2016"]
"""Corpora of which the real recordings may be at hand."""


def prepare(name: str, shared_data: Path, out: Path) -> dict[str, DataDir]:
    module = corpora.get(name)
    report = module.prepare(module.find(shared_data), out, seed=0, nj=2)
    data = {split: DataDir.read(out / split) for split in ("train", "dev", "test")}
    assert {split: len(found) for split, found in data.items()} == {
        split: summary.utterances for split, summary in report.splits.items()
    }
    return data


def test_the_tree_is_the_registry() -> None:
    assert set(BROUGHT) <= set(corpora.names())
    assert not {"splits", "info", "from_wavs", "midi", "synthetic"} & set(corpora.names())
    for name in corpora.names():
        assert corpora.get(name).INFO.name == name
    with pytest.raises(ConfigError, match="no corpus 'libri'; did you mean 'librispeech'"):
        corpora.get("libri")


@pytest.mark.parametrize("name", BROUGHT)
def test_a_folder_without_the_corpus_says_what_is_expected(name: str, tmp_path: Path) -> None:
    module = corpora.get(name)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="--downloads"):
            module.find(folder)
    with pytest.raises(DataError, match=f"no {module.INFO.title.split()[0]}"):
        module.prepare(tmp_path, tmp_path / "out", seed=0)


@pytest.mark.parametrize("name", BROUGHT)
def test_real_corpora_give_disjoint_sound_data_dirs(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    module = corpora.get(name)
    folder = module.find(shared_data)
    assert module.find(folder) == folder
    data = prepare(name, shared_data, tmp_path / "data" / name)
    for split, found in data.items():
        assert check(found.path) == [], split
        rate = module.INFO.rate
        for one in list(found)[::9]:
            assert len(one.load(rate)) == pytest.approx(one.duration * rate, abs=1), one.id
    stretches = {split: {(one.wav, one.start) for one in found} for split, found in data.items()}
    for a, b in combinations(stretches.values(), 2):
        assert not a & b
    files = sorted((tmp_path / "data").rglob("*.*"))
    before = {file: file.read_bytes() for file in files if file.is_file()}
    prepare(name, shared_data, tmp_path / "data" / name)
    assert {file: file.read_bytes() for file in before} == before


def test_librispeech_holds_out_a_block_of_reading_with_its_text(
    shared_data: Path, tmp_path: Path
) -> None:
    data = prepare("librispeech", shared_data, tmp_path)
    assert data["test"].speakers == data["train"].speakers == ("19", "26")
    share = data["test"].seconds / sum(one.seconds for one in data.values())
    assert 0.18 < share < 0.27
    assert all(one.text and one.domain == "speech" for split in data.values() for one in split)
    for speaker in ("19", "26"):
        held = [one.id for one in data["test"] if one.speaker == speaker]
        others = [one.id for one in data["train"] if one.speaker == speaker]
        assert max(held) < min(others) or min(held) > max(others)


def test_mir1k_holds_out_songs_and_knows_voice_from_accompaniment(
    shared_data: Path, tmp_path: Path
) -> None:
    data = prepare("mir1k", shared_data, tmp_path)
    songs = {split: {one.id.rsplit("_")[0] for one in found} for split, found in data.items()}
    assert not songs["train"] & songs["test"] and not songs["dev"] & songs["test"]
    assert not songs["train"] & songs["dev"]
    assert len(data["test"].speakers) == len(data["train"].speakers) == 4
    one = data["test"].utterances[0]
    # where the corpus's own labels say that nobody sings, the voice is far quieter
    labels = np.loadtxt(one.wav.parent.parent / "vocal-nonvocalLabel" / f"{one.wav.stem}.vocal")
    gaps = {}
    for name, wave in {"voice": one.load(16000), "accomp": one.load_accomp(16000)}.items():
        power = np.array([np.mean(wave[k * 320 : k * 320 + 640] ** 2) for k in range(len(labels))])
        gaps[name] = 10 * np.log10(power[labels == 1].mean() / power[labels == 0].mean())
    assert gaps["voice"] > 10 > abs(gaps["accomp"])


def test_ravdess_trains_on_one_sentence_and_scores_on_the_other(
    shared_data: Path, tmp_path: Path
) -> None:
    data = prepare("ravdess", shared_data, tmp_path)
    for split, words in {"train": "KIDS", "dev": "KIDS", "test": "DOGS"}.items():
        assert data[split].domains == ("singing", "speech"), split
        assert {one.text.split()[0] for one in data[split] if one.text} == {words}
        assert data[split].speakers == ("actor01", "actor02")
        assert not any(one.accomp for one in data[split])


def test_musdb18_pairs_each_phrase_with_the_other_three_stems(
    shared_data: Path, tmp_path: Path
) -> None:
    from vctool import audio

    data = prepare("musdb18", shared_data, tmp_path)
    assert {one.wav.parent.parent.name for one in data["train"]} == {"train"}
    assert {one.wav.parent.parent.name for one in data["test"]} == {"test"}
    one = data["train"].utterances[-1]
    mixture, _ = audio.read(one.wav.with_name("mixture.wav"), start=one.start, end=one.end)
    # the mixture is exactly the sum of all stems, so this is also in time with the voice
    assert np.abs(one.load(44100) + one.load_accomp(44100) - mixture).max() < 1e-3
    assert audio.level_db(one.load(44100), 44100) > -40


def test_the_survey_names_what_cannot_be_used(tmp_path: Path) -> None:
    from vctool import audio

    waves = {
        "good": np.resize(np.array([0.1, -0.1], "f4"), 4000),
        "short": np.resize(np.array([0.1, -0.1], "f4"), 80),
        "silent": np.zeros(4000, "f4"),
    }
    for name, wave in waves.items():
        audio.write(tmp_path / f"{name}.wav", wave, 8000)
    (tmp_path / "empty.wav").touch()
    usable, rejected = survey(audio.list_audio(tmp_path), nj=2)
    assert [file.stem for file in usable] == ["good"]
    reasons = {one.file.stem: one.reason for one in rejected}
    assert reasons["empty"].startswith("empty file")
    assert reasons["short"].startswith("too short: 0.01 s")
    assert reasons["silent"].startswith("silent")


def test_words_sort_after_the_hyphen_that_ends_a_speaker() -> None:
    assert word("Mary-Ann O'Neil (2)") == "Mary_Ann_O_Neil__2"
    assert word("Zoë.b") == "Zoë.b"
    assert all(sign > "-" for sign in word("a!+,-b 1"))
    assert (word("!!"), word("\u266b"), word(".."), word("_")) == (
        "u21u21",
        "u266b",
        "u2eu2e",
        "u5f",
    )
