"""Stretches of tunes by many programs: the corpora nottingham_gm and pop909_gm."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.corpora import nottingham, nottingham_gm, pop909, pop909_gm
from vctool.corpora.midi import score, soundfonts, stretches
from vctool.corpora.midi.score import Control, Note, Track
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

SEEN, UNHEARD = (40, 71, 73), (41, 60)
SPLITS = ("train", "dev", "test")


def tune(seed: int, seconds: float = 33.0) -> list[Track]:
    """A melody of drawn notes, and chords."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.choice([0.25, 0.5, 0.75], 200))
    notes = [
        Note(start, start + 0.2, int(random.integers(60, 85)), 90)
        for start in times[times < seconds].tolist()
    ]
    chords = [
        Note(start, start + 0.9, key, 70)
        for start in np.arange(0.0, seconds, 1.0).tolist()
        for key in (48 + seed % 3, 52, 55)
    ]
    pedal = (Control(0.0, 64, 127),)
    return [Track("", 0, False, tuple(notes), pedal), Track("", 0, False, tuple(chords))]


@pytest.fixture
def folk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six tunes, one of which stands there twice; few programs, and the small font for both."""
    monkeypatch.setattr(stretches, "SEEN", SEEN)
    monkeypatch.setattr(stretches, "UNHEARD", UNHEARD)
    monkeypatch.setattr(stretches, "COUNTS", {"train": 8, "dev": 2, "test": 3})
    monkeypatch.setattr(stretches, "FONT", soundfonts.TIMGM)
    monkeypatch.setattr(stretches, "OTHER_FONT", stretches.replace(soundfonts.TIMGM, name="other"))
    folder = tmp_path / "MIDI" / "nottingham"
    folder.mkdir(parents=True)
    for number in range(6):
        score.write(folder / f"ashover{number}.mid", tune(number))
    score.write(folder / "ashover9.mid", [one.transposed(2) for one in tune(0)])
    return tmp_path / "MIDI"


def read(out: Path) -> dict[str, DataDir]:
    return {split: DataDir.read(out / split) for split in SPLITS}


def test_stretches_are_dealt_rendered_and_described(
    fluidsynth: str, small_font: Path, folk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data" / "nottingham_gm"
    source = nottingham_gm.find(folk)
    report = nottingham_gm.prepare(source, out, seed=0, nj=2)
    assert report.disjoint_by == "tune" and not report.rejected
    data = read(out)
    tunes = {split: {str(one.stretch).split("_")[0] for one in data[split]} for split in SPLITS}
    first, again = (
        {split for split in SPLITS if name in tunes[split]} for name in ("ashover0", "ashover9")
    )
    assert len(first | again) == 1  # one tune in two keys
    assert sum(map(len, tunes.values())) == len(set().union(*tunes.values()))
    for own in data.values():
        assert check(own.path) == []
        for one in own:
            assert one.duration == stretches.SECONDS
            assert audio.info(one.wav).samples == round(stretches.SECONDS * stretches.RATE)
            assert one.speaker == one.domain and one.id.startswith(f"{one.speaker}-")
    # in training every stretch by two programs, dry or with effects
    players: dict[str, set[str]] = {}
    for one in data["train"]:
        players.setdefault(str(one.stretch), set()).add(one.speaker.split("_")[0])
    assert {len(own) for own in players.values()} == {2}
    dealt = {name.split("_")[0] for name in data["train"].speakers}
    assert dealt == {f"timgm6mb-{program:03d}" for program in SEEN}
    assert any("_fx1" in name for name in data["train"].speakers)
    for split in ("dev", "test"):
        assert not any("_fx" in name for name in data[split].speakers)
    counts = Counter((one.group, one.voices) for one in data["test"].triplets)
    assert set(counts.values()) == {3} and len(counts) == 6
    for one in data["test"].triplets:
        player = data["test"][one.target].speaker
        assert player.startswith("other-") == (one.group == "unheard_font")
        program = int(player.rsplit("-", 1)[1])
        assert (program in UNHEARD) == (one.group == "unheard_programs")
        assert (program in SEEN) == (one.group != "unheard_programs")


def test_recordings_play_the_notes_that_are_told(
    fluidsynth: str, small_font: Path, folk: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data" / "nottingham_gm"
    nottingham_gm.prepare(nottingham_gm.find(folk), out, seed=0)
    test = DataDir.read(out / "test")
    one = next(one for one in test.triplets if one.voices == "mono")
    for name in (one.content, one.target):
        notes, wave = test.notes_of(name), test[name].load(stretches.RATE)
        assert audio.level_db(wave, stretches.RATE) == pytest.approx(stretches.LEVEL_DB, abs=0.3)
        for onset, offset, pitch in notes[:4]:
            part = wave[round(onset * stretches.RATE) : round(offset * stretches.RATE)]
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 16))
            strongest = np.argmax(spectrum) * stretches.RATE / (1 << 16)
            ratio = strongest / (440 * 2 ** ((pitch - 69) / 12))
            assert ratio == pytest.approx(round(ratio), rel=0.03) and 1 <= round(ratio) <= 5
    assert len(test.notes_of(next(o.content for o in test.triplets if o.voices == "poly"))) > 24
    # all is there: nothing is rendered again, and the same files give the same data dirs
    files = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    tables = {path: path.read_bytes() for path in out.glob("t*/*")}
    nottingham_gm.prepare(nottingham_gm.find(folk), out, seed=0)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")} == files
    assert {path: path.read_bytes() for path in tables} == tables


def test_an_instrument_has_the_same_effects_whatever_it_plays() -> None:
    assert stretches.chain_of("fluidr3-040", 0) == ()
    chains = [stretches.chain_of(f"fluidr3-040_fx{n}", 0) for n in (1, 2)]
    assert chains[0] and chains[1] and chains[0] != chains[1]
    assert stretches.chain_of("fluidr3-040_fx1", 0) == chains[0]
    assert stretches.chain_of("fluidr3-040_fx1", 1) != chains[0]
    assert not set(stretches.SEEN) & set(stretches.UNHEARD)
    assert (len(stretches.SEEN), len(stretches.UNHEARD)) == (27, 8)


def test_too_few_tunes_and_a_missing_font_are_one_line(
    fluidsynth: str, small_font: Path, folk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (0, 1, 2, 3):
        (folk / "nottingham" / f"ashover{number}.mid").unlink()
    with pytest.raises(DataError, match="3 usable tunes cannot be divided into three splits"):
        nottingham_gm.prepare(nottingham_gm.find(folk), tmp_path / "out", seed=0)
    monkeypatch.setattr(soundfonts, "SEARCHED", (tmp_path / "nowhere",))
    monkeypatch.delenv(soundfonts.VARIABLE, raising=False)
    with pytest.raises(DataError, match="sound font TimGM6mb: not found; apt-get install timgm"):
        nottingham_gm.prepare(nottingham_gm.find(folk), tmp_path / "out", seed=0)


def test_they_are_the_files_of_the_present_corpora() -> None:
    for one, other in ((nottingham_gm, nottingham), (pop909_gm, pop909)):
        assert one.INFO.folder == other.INFO.name
        assert one.INFO.archives == other.INFO.archives and one.INFO.rate == 16000


def test_real_tunes_are_dealt_without_common_stretches(shared_data: Path) -> None:
    files = sorted((shared_data / "MIDI" / "nottingham").rglob("*.mid"))[:60]
    if not files:
        pytest.skip("no tunes of Nottingham")
    tunes = {}
    for file in files:
        tune = stretches._look(file.stem, file, arrange=nottingham.arrange)
        if isinstance(tune, stretches.Tune):
            tunes[tune.name] = tune
    dealt = stretches._deal(nottingham_gm.INFO, tunes, 0, stretches.COUNTS)
    notes: dict[str, set[str]] = {split: set() for split in SPLITS}
    for stretch, tracks in dealt.items():
        notes[stretch.split].add(score.fingerprint(tracks[0]))
        assert all(0 <= note.pitch <= 127 for track in tracks for note in track.notes)
        assert max(note.end for track in tracks for note in track.notes) <= stretches.SECONDS
        assert (stretch.voices == "poly") == (len(tracks) > 1)
    assert notes["train"] and notes["dev"] and notes["test"]
    assert not notes["train"] & (notes["dev"] | notes["test"]) and not notes["dev"] & notes["test"]
