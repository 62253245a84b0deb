"""The list of corpora, and what of them is on this machine."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from vctool import corpora
from vctool.errors import ConfigError
from vctool.stages.download import DOWNLOADS, Prepared
from vctool.tools import inventory


def test_every_corpus_has_a_line_with_hours_size_licence_and_state(workdir: Path) -> None:
    assert inventory.HEADS == ("name", "hours", "to fetch", "here", "licence")
    found = {name: list(cells) for name, *cells in inventory.rows()}
    assert list(found) == corpora.names()
    assert found["librispeech"] == ["982", "61.8 GB", "no", "CC BY 4.0"]
    assert found["mini"][:3] == ["0.27", "-", "built when needed"]
    assert found["mir1k"][2:] == [
        "no: must be asked for",
        "for research; no licence is stated (non-commercial)",
    ]
    assert found["vcc2016"][:2] == ["about 2.2", "unstated"]
    assert found["ljspeech"][0] == "23.9"  # its publisher's number


def test_the_state_follows_what_is_on_the_disk(workdir: Path) -> None:
    folder = DOWNLOADS / "ravdess"
    part = folder / ".archives" / "Audio_Song_Actors_01-24.zip.part"
    part.parent.mkdir(parents=True)
    part.touch()
    assert inventory.state("ravdess") == "half fetched"
    (folder / ".complete").mkdir()
    for kind, state in (("Song", "1 of 2 files fetched"), ("Speech", "fetched")):
        (folder / ".complete" / f"Audio_{kind}_Actors_01-24.zip.json").touch()
        assert inventory.state("ravdess") == state
    data = Path("data/ravdess")
    (data / "train").mkdir(parents=True)
    (data / "train" / "wav.scp").touch()
    stamp = Prepared("ravdess", str(folder), 0, "2 utterances")
    (data / "prepared.json").write_text(json.dumps(asdict(stamp)))
    assert inventory.state("ravdess") == "prepared"


def test_one_corpus_is_told_in_full(workdir: Path) -> None:
    stamp = DOWNLOADS / "librispeech" / ".complete" / "dev-clean.tar.gz.json"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    lines = inventory.details("librispeech")
    assert lines[0] == "LibriSpeech: CC BY 4.0"
    assert "--subset dev-clean, 5.4 h, taken unless others are chosen" in lines
    assert "--subset train-other-500, 496.7 h" in lines and "--subset all" in lines
    here = [line for line in lines if ", here;" in line]
    assert len(here) == 1 and "resources/12/dev-clean.tar.gz (337.9 MB, sha256" in here[0]
    assert any(line.startswith("to get it: ") for line in inventory.details("mir1k"))
    assert any("NON-COMMERCIAL" in line for line in inventory.details("ravdess"))
    assert any(line.startswith("about 2.2 h, 16000 Hz") for line in inventory.details("vcc2016"))
    told = [line for line in inventory.details("cmu_arctic") if "licence taken from: " in line]
    assert len(told) == 1 and "unverified" in told[0]
    assert any("no checksum is stated" in line for line in inventory.details("vcc2016"))
    with pytest.raises(ConfigError, match="did you mean 'ravdess'"):
        inventory.details("ravdes")
