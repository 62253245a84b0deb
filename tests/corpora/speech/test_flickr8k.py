from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vctool.corpora import flickr8k
from vctool.data.datadir import Utterance
from vctool.errors import DataError

PHOTOS = [f"10002682{k:02d}_693b08cb0e" for k in range(16)]


@pytest.fixture
def corpus(tmp_path: Path, put: Callable[..., None]) -> Path:
    root = tmp_path / "flickr_audio"
    speakers, captions = [], []
    for k, photo in enumerate(PHOTOS):
        for caption in range(5):
            put(root / "wavs" / f"{photo}_{caption}.wav", 16000)
            speakers.append(f"{photo}_{caption}.wav {4 if (k + caption) % 2 else 7}")
            captions.append(f"{photo}_{caption}.wav {photo}.jpg #{caption}")
    (root / "wav2spk.txt").write_text("\n".join(speakers) + "\n")
    (root / "wav2capt.txt").write_text("\n".join(captions) + "\n")
    return tmp_path


def photo(utterance: Utterance) -> str:
    return utterance.wav.stem.rsplit("_", 1)[0]


def test_the_list_of_speakers_names_them_and_photos_are_held_out(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    found = prepared(flickr8k, corpus)
    assert found.apart(photo) and found.report.disjoint_by == "photo"
    assert {split: len(names) for split, names in found.of(photo).items()} == {
        "train": 12, "dev": 2, "test": 2,
    }  # fmt: skip
    assert all(data.speakers == ("spk4", "spk7") for data in found.splits.values())
    assert found.all[f"spk7-{PHOTOS[0]}_0"].wav.name == f"{PHOTOS[0]}_0.wav"
    assert all(one.text is None for one in found.all.values())


def test_the_publishers_splits_and_words_are_taken_where_they_are(
    corpus: Path, prepared: Callable[..., Any]
) -> None:
    texts = corpus / "flickr_audio" / "Flickr8k_text"
    texts.mkdir()
    lists = {"train": PHOTOS[:12], "dev": PHOTOS[12:13], "test": PHOTOS[13:15]}
    for split, names in lists.items():
        rows = "\n".join(f"{name}.jpg" for name in names)
        (texts / f"Flickr_8k.{split}Images.txt").write_text(rows + "\n")
    captions = [f"{name}.jpg#{k}\tA child  in dress {k} ." for name in PHOTOS for k in range(5)]
    (texts / "Flickr8k.token.txt").write_text("\n".join(captions))
    found = prepared(flickr8k, corpus)
    assert found.of(photo) == {split: set(names) for split, names in lists.items()}
    assert found.report.disjoint_by == "photo (the publisher's)"
    assert found.all[f"spk4-{PHOTOS[0]}_3"].text == "A child in dress 3 ."
    assert set(found.rejected.values()) == {"its photo is in none of the publisher's splits"}
    assert len(found.rejected) == 5


def test_a_recording_that_the_list_lacks_is_rejected(
    corpus: Path, prepared: Callable[..., Any], put: Callable[..., None]
) -> None:
    put(corpus / "flickr_audio" / "wavs" / "999_abc_0.wav", 16000)
    found = prepared(flickr8k, corpus)
    assert found.rejected == {"999_abc_0.wav": "has no speaker in wav2spk.txt"}


def test_another_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Flickr 8k Audio Caption Corpus there; expected"):
        flickr8k.prepare(tmp_path, tmp_path / "out", seed=0)
