"""URMP's layout, made up: pieces with their parts, mixes, scores and notes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import sine
from vctool.corpora import urmp
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

RATE = 48000

PIECES = (
    "01_Jupiter_vn_vc",
    "02_Sonata_vn_vn",
    "08_Spring_fl_vn",
    "12_Spring_vn_vn_vc",
    "13_Hark_vn_vn_va",
    "15_Surprise_tpt_tpt_tbn",
    "17_Nocturne_vn_fl_cl",
    "19_Pavane_cl_vn_vc",
)


def tone(frequency: float, seconds: float = 5.0) -> np.ndarray:
    """A part that rests for two seconds first."""
    wave = sine(seconds, frequency, RATE)
    wave[: 2 * RATE] = 0
    return wave


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "URMP"
    (root / "Supplementary_Files").mkdir(parents=True)
    for piece in PIECES:
        number, title, *instruments = piece.split("_")
        folder = root / "Dataset" / piece
        folder.mkdir(parents=True)
        waves = [tone(200.0 + 50 * part) for part in range(len(instruments))]
        for part, (instrument, wave) in enumerate(zip(instruments, waves, strict=True), 1):
            if piece.startswith("15_Surprise"):
                instrument = "tpt"  # as the corpus calls its trombone there
            name = f"{part}_{instrument}_{number}_{title}"
            soundfile.write(folder / f"AuSep_{name}.wav", wave, RATE, subtype="PCM_24")
            (folder / f"F0s_{name}.txt").write_text("0.023\t0\n")
            (folder / f"Notes_{name}.txt").write_text("2.0\t200\t6.0\n")
        soundfile.write(folder / f"AuMix_{piece}.wav", np.sum(waves, axis=0), RATE)
        (folder / f"Sco_{piece}.mid").touch()
        (folder / f"Vid_{piece}.mp4").touch()
    return root


def prepared(source: Path, out: Path) -> dict[str, DataDir]:
    report = urmp.prepare(source, out, seed=0, nj=2)
    return {split: DataDir.read(out / split) for split in report.splits}


def test_a_part_is_an_instrument_and_the_other_parts_accompany_it(
    corpus: Path, tmp_path: Path
) -> None:
    assert urmp.find(tmp_path) == urmp.find(corpus) == corpus
    data = prepared(corpus, tmp_path / "data/urmp")
    everything = {one.id: one for found in data.values() for one in found}
    one = everything["violin-08_Spring_2_0001850"]
    assert (one.speaker, one.domain) == ("violin", "violin")
    assert one.recording == "violin-08_Spring_2"
    assert [path.name for path in one.accomp] == ["AuSep_1_fl_08_Spring.wav"]
    # the part rests for two seconds; what comes out is where it sounds, and its neighbour's tone
    assert (one.start, one.end) == (pytest.approx(1.85, abs=0.02), 5.0)
    spectrum = np.abs(np.fft.rfft(one.load_accomp(RATE)[RATE:]))
    peak = np.argmax(spectrum) * RATE / (len(one.load_accomp(RATE)) - RATE)
    assert peak == pytest.approx(200, abs=1)
    assert everything["trombone-15_Surprise_3_0001850"].wav.name == "AuSep_3_tpt_15_Surprise.wav"
    trio = everything["cello-12_Spring_3_0001850"]
    assert len(trio.accomp) == 2
    assert all(check(found.path) == [] for found in data.values())


@pytest.mark.parametrize("seed", range(5))
def test_a_title_is_in_one_split_and_every_instrument_in_training(
    corpus: Path, tmp_path: Path, seed: int
) -> None:
    report = urmp.prepare(corpus, tmp_path / "out", seed=seed)
    data = {split: DataDir.read(tmp_path / "out" / split) for split in report.splits}
    titles = {
        split: {one.wav.parent.name.split("_")[1] for one in found} for split, found in data.items()
    }
    # Spring is there twice, arranged for other instruments
    assert sum(map(len, titles.values())) == len({piece.split("_")[1] for piece in PIECES})
    for split in ("dev", "test"):
        assert set(data[split].speakers) <= set(data["train"].speakers)
    assert {"trumpet", "trombone", "viola"} <= set(data["train"].speakers)


def test_what_is_no_part_or_cannot_be_used_is_named(corpus: Path, tmp_path: Path) -> None:
    piece = corpus / "Dataset" / PIECES[0]
    soundfile.write(piece / "AuSep_1_vn_01_Jupiter.wav", np.zeros(RATE), RATE)
    soundfile.write(piece / "AuSep_3_kazoo_01_Jupiter.wav", tone(200), RATE)
    report = urmp.prepare(corpus, tmp_path / "out", seed=0)
    reasons = {one.file.name: one.reason for one in report.rejected}
    assert reasons["AuSep_1_vn_01_Jupiter.wav"].startswith("silent")
    assert reasons["AuSep_3_kazoo_01_Jupiter.wav"].startswith("not named AuSep_<part>_<vn|va|")
    (cello,) = (
        one
        for split in report.splits
        for one in DataDir.read(tmp_path / "out" / split)
        if one.recording == "cello-01_Jupiter_2"
    )
    assert cello.accomp == ()


def test_a_single_piece_leaves_nothing_to_hold_out(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave nothing for dev and test"):
        lonely = tmp_path / "lonely"
        lonely.mkdir()
        (corpus / "Dataset" / PIECES[0]).rename(lonely / PIECES[0])
        urmp.prepare(urmp.find(lonely), tmp_path / "out", seed=0)
