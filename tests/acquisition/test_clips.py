from pathlib import Path

import soundfile

from tests.sounds import sine
from vctool.acquisition import clips
from vctool.acquisition.info import CorpusInfo

INFO = CorpusInfo("own", "Own", 0.1, "mine", "https://example.org", 16000, "own/*.wav")


def put(path: Path, seconds: float, rate: int = 16000) -> Path:
    soundfile.write(path, sine(seconds, 220, rate), rate)
    return path


def test_clips_get_their_lengths_and_the_rest_its_reasons(tmp_path: Path) -> None:
    made = {
        "good": put(tmp_path / "good.wav", 0.5),
        "finer": put(tmp_path / "finer.wav", 0.5, 48000),
        "low": put(tmp_path / "low.wav", 0.5, 8000),
        "long": put(tmp_path / "long.wav", 2.0),
    }
    drafts = [clips.clip(file, "ann", name, text="") for name, file in made.items()]
    found, rejected = clips.measured(drafts, INFO, longest=1.0)
    assert [(one.id, one.duration, one.text) for one in found] == [
        ("ann-good", 0.5, None), ("ann-finer", 0.5, None),
    ]  # fmt: skip
    assert {one.file.stem: one.kind for one in rejected} == {
        "low": "wrong rate", "long": "too long",
    }  # fmt: skip
    found, _ = clips.measured(drafts, INFO, longest=None)
    assert [one.id for one in found] == ["ann-good", "ann-finer", "ann-long"]


def test_a_song_has_one_split_whoever_else_sings_it() -> None:
    """Two singers have a song of the same number, which is their own all the same."""
    songs = {f"{s}-{n}_{k}": (s, n) for s in ("ann", "ben") for n in "1234" for k in range(3)}
    assigned, disjoint_by = clips.by_singer(songs, 0, "own")
    assert disjoint_by == "song (only 2 singers)"
    for singer in ("ann", "ben"):
        split = {n: {assigned[f"{singer}-{n}_{k}"] for k in range(3)} for n in "1234"}
        assert all(len(found) == 1 for found in split.values())
        assert sorted(found.pop() for found in split.values()) == ["dev", "test", "train", "train"]


def test_speakers_who_are_elsewhere_are_drawn_among(tmp_path: Path) -> None:
    names = [f"s{k}" for k in range(12)]
    whole = [clips.clip(tmp_path / name, name, "1") for name in names]
    first, _ = clips.by_speaker(whole, 0, "own")
    missing = next(one.speaker for one in whole if first[one.id] == "test")
    part = [one for one in whole if one.speaker != missing]
    second, _ = clips.by_speaker(part, 0, "own", others=names)
    assert second == {one.id: first[one.id] for one in part}
    alone, _ = clips.by_speaker(part, 0, "own")
    assert alone != second


def test_sentences_are_the_same_whatever_their_case_and_punctuation() -> None:
    assert clips.spoken("Six spoons, of fresh snow-peas!") == "six_spoons_of_fresh_snow_peas"
    assert clips.spoken("She can't.") == clips.spoken("she CAN'T") == "she_can't"
    assert clips.spoken("Ça va?") == "ça_va"
    assert clips.spoken(" ... ") is None
