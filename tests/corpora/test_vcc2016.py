from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vctool.corpora import vcc2016
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import DataError

TONE = np.resize(np.array([0.1, 0.1, -0.1, -0.1], "f4"), 6400)
FIRST = [f"{number}" for number in range(100062, 100082)]
LAST = [f"{number}" for number in range(100082, 100102)]
SCORED = [f"{number}" for number in range(200001, 200006)]


def put(folder: Path, speaker: str, sentences: list[str]) -> None:
    (folder / speaker).mkdir(parents=True, exist_ok=True)
    for sentence in sentences:
        soundfile.write(folder / speaker / f"{sentence}.wav", TONE, 16000)


def prepare(source: Path, out: Path, seed: int = 0) -> tuple[dict[str, DataDir], str]:
    report = vcc2016.prepare(vcc2016.find(source), out, seed=seed)
    return {split: DataDir.read(out / split) for split in ("train", "dev", "test")}, str(report)


def content(data: dict[str, DataDir]) -> dict[str, list[tuple[str, str]]]:
    return {split: [(one.id, one.sentence or "") for one in found] for split, found in data.items()}


def said(utterances: list[Utterance]) -> dict[str, set[str]]:
    """List the sentences of every speaker."""
    found: dict[str, set[str]] = {}
    for one in utterances:
        found.setdefault(one.speaker, set()).add(one.sentence or "")
    return found


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The publisher's layout: everybody says every sentence."""
    for speaker in ("SF1", "SM1", "TF2", "TM3"):
        put(tmp_path / "VCC2016" / "vcc2016_training", speaker, FIRST + LAST)
        put(tmp_path / "VCC2016" / "evaluation_all", speaker, SCORED)
    return tmp_path


@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_is_scored_is_trained_on_and_no_pair_is_parallel(
    corpus: Path, tmp_path: Path, seed: int
) -> None:
    data, report = prepare(corpus, tmp_path / "out", seed)
    files = {split: {one.wav for one in found} for split, found in data.items()}
    sentences = {split: {one.sentence for one in found} for split, found in data.items()}
    for one, other in combinations(("train", "dev", "test"), 2):
        assert not files[one] & files[other]
        assert not sentences[one] & sentences[other]
    for split, found in data.items():
        for utterance in found:
            folder = "evaluation_all" if split == "test" else "vcc2016_training"
            assert utterance.wav.parent.parent.name == folder
    learnt = said([*data["train"], *data["dev"]])
    assert learnt["SF1"] == learnt["SM1"] == set(FIRST)
    assert learnt["TF2"] == learnt["TM3"] == set(LAST)
    assert all(own == set(SCORED) for own in said(list(data["test"])).values())
    held = said(list(data["dev"]))
    assert {speaker: len(own) for speaker, own in held.items()} == dict.fromkeys(learnt, 2)
    assert held["SF1"] == held["SM1"]
    assert "disjoint by sentence; 80 training recordings left out" in report


def test_half_of_the_corpus_gives_the_same_data_dirs_as_all_of_it(
    corpus: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    for speaker in ("SF1", "SM1", "TF2", "TM3"):
        own = FIRST if speaker.startswith("S") else LAST
        put(half / "vcc2016_training", speaker, own)
        put(half / "evaluation_all", speaker, SCORED)
    whole, _ = prepare(corpus, tmp_path / "a")
    data, report = prepare(half, tmp_path / "b")
    assert content(data) == content(whole)
    assert "left out" not in report


def test_another_seed_validates_on_other_sentences(corpus: Path, tmp_path: Path) -> None:
    drawn = {str(content(prepare(corpus, tmp_path / str(k), k)[0])["dev"]) for k in range(3)}
    assert len(drawn) == 3


def test_a_scored_sentence_among_the_training_ones_is_rejected(
    corpus: Path, tmp_path: Path
) -> None:
    put(corpus / "VCC2016" / "vcc2016_training", "SF1", [SCORED[0]])
    put(corpus / "VCC2016" / "evaluation_all", "TM3", [LAST[0]])
    data, _ = prepare(corpus, tmp_path / "out")
    assert "SF1-200001" in data["test"] and "TM3-100082" not in data["test"]
    assert not any("200001" in one.id for one in (*data["train"], *data["dev"]))
    rejected = (tmp_path / "out" / "rejected.tsv").read_text()
    assert "SF1/200001.wav\t'200001' is no sentence of vcc2016_training" in rejected
    assert "TM3/100082.wav\t'100082' is no sentence of evaluation_all" in rejected


def test_a_copy_without_the_evaluation_sentences_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "vcc2016_training", "SF1", FIRST)
    with pytest.raises(DataError, match="leave nothing for test"):
        vcc2016.prepare(tmp_path, tmp_path / "out", seed=0)


def test_the_real_corpus_is_parallel_only_where_it_is_scored(
    shared_data: Path, tmp_path: Path
) -> None:
    data, _ = prepare(shared_data, tmp_path / "out")
    learnt, scored = said([*data["train"], *data["dev"]]), said(list(data["test"]))
    assert not learnt["SF1"] & learnt["TM3"]
    assert scored["SF1"] == scored["TM3"] and len(scored["SF1"]) == 54
    assert data["test"]["SF1-200001"].sentence == data["test"]["TM3-200001"].sentence
    assert all(len(own) == 73 for own in said(list(data["train"])).values())
