"""The built-in corpus of additive instruments."""

from pathlib import Path

import numpy as np
import pytest

from vctool import audio
from vctool.corpora import tones
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

SIZES = tones.Sizes(train=6, dev=4, test=4)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataDir]:
    folder = tmp_path_factory.mktemp("tones")
    source = tones.download(folder, sizes=SIZES, nj=1)
    tones.prepare(tones.find(folder), folder / "data" / "tones")
    assert tones.find(source) == source
    return {s: DataDir.read(folder / "data" / "tones" / s) for s in ("train", "dev", "test")}


def test_it_holds_out_stretches_and_instruments(built: dict[str, DataDir]) -> None:
    for data in built.values():
        assert check(data.path) == []
        for one in data:
            assert one.speaker == one.domain and one.id == f"{one.speaker}-{one.stretch}"
            assert one.duration == pytest.approx(audio.info(one.wav).seconds)
    stretches = [{one.stretch for one in data} for data in built.values()]
    assert not stretches[0] & stretches[1] | stretches[0] & stretches[2]
    assert not stretches[1] & stretches[2]
    tunes = {tuple(map(tuple, data.notes_of(one.id))) for data in built.values() for one in data}
    assert len(tunes) == sum(map(len, stretches))
    assert not set(tones.UNHEARD) & {*built["train"].speakers, *built["dev"].speakers}
    assert set(tones.UNHEARD) <= set(built["test"].speakers)
    for stretch in stretches[0]:
        players = {one.speaker for one in built["train"] if one.stretch == stretch}
        assert len(players) == 2


def test_dev_and_test_hold_triplets_of_every_group(built: dict[str, DataDir]) -> None:
    assert not built["train"].triplets
    assert {one.group for one in built["dev"].triplets} == {"seen"}
    cells = {(one.group, one.voices) for one in built["test"].triplets}
    assert cells == {(g, v) for g in ("seen", "unheard_programs") for v in ("mono", "poly")}
    data = built["test"]
    for one in data.triplets:
        assert (data[one.target].speaker in tones.UNHEARD) == (one.group == "unheard_programs")
        assert data[one.content].speaker in tones.SEEN
        starts = data.notes_of(one.content)[:, 0]
        assert (one.voices == "poly") == (len(set(starts.tolist())) < len(starts))


def test_renderings_of_a_stretch_play_its_notes_and_differ_in_sound(
    built: dict[str, DataDir],
) -> None:
    """The partials of the notes that are held stand out, whoever plays, at equal loudness."""
    data, rate = built["test"], tones.INFO.rate
    one = next(one for one in data.triplets if one.voices == "mono")
    spectra = {}
    for name in (one.content, one.target):
        wave = data[name].load(rate)
        assert audio.level_db(wave, rate) == pytest.approx(tones.LEVEL_DB, abs=0.2)
        assert 0.02 < np.abs(wave).max() < 1
        onset, offset, pitch = data.notes_of(name)[0]
        part = wave[round((onset + 0.05) * rate) : round((offset - 0.02) * rate)]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)), 4 * rate)) ** 2
        f0 = 440 * 2 ** ((pitch - 69) / 12)
        bins = [slice(round(4 * k * f0) - 40, round(4 * k * f0) + 40) for k in range(1, 9)]
        partials = np.array([power[one].sum() for one in bins])
        assert partials.sum() > 0.8 * power.sum(), name
        spectra[name] = 10 * np.log10(partials / partials.sum())
    assert np.abs(spectra[one.content] - spectra[one.target]).mean() > 3


def test_the_same_seed_and_sizes_give_the_same_bytes_and_are_not_built_again(
    built: dict[str, DataDir], tmp_path: Path
) -> None:
    again = tones.download(tmp_path, sizes=SIZES, nj=1)
    before = {file.name: file.stat().st_mtime_ns for file in again.glob("wav/*")}
    for data in built.values():
        for one in data:
            assert (again / "wav" / one.wav.name).read_bytes() == one.wav.read_bytes()
    tones.download(tmp_path, sizes=SIZES)
    assert {file.name: file.stat().st_mtime_ns for file in again.glob("wav/*")} == before
    one = tones.notes("train_mono_000", 0)
    assert one == tones.notes("train_mono_000") != tones.notes("train_mono_000", 1)
    small = tones.Sizes(train=2, dev=4, test=4)
    assert len(list(tones.download(tmp_path, sizes=small, nj=1).glob("wav/*"))) < len(before)
    (tmp_path / "tones" / "corpus.json").write_text("{")
    with pytest.raises(DataError, match=r"corpus\.json: .*delete"):
        tones.prepare(tmp_path / "tones", tmp_path / "out")
