import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from vctool import audio, corpora
from vctool.corpora import mini
from vctool.corpora.synthetic import builder, espeak, music, sentences, singing
from vctool.corpora.synthetic.espeak import Phone, Speech
from vctool.data.datadir import DataDir, check
from vctool.errors import DataError

SIZES = mini.Sizes(train=4, dev=2, test=4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini.download(tmp_path_factory.mktemp("corpora"), seed=3, nj=1, sizes=SIZES)


@pytest.fixture(scope="module")
def data(corpus: Path) -> Path:
    out = corpus.parent / "data"
    mini.prepare(corpus, out)
    return out


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = (path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in files)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def semitones(f0: np.ndarray) -> np.ndarray:
    return 69 + 12 * np.log2(f0 / 440)


def track(wave: np.ndarray, rate: int) -> np.ndarray:
    import pyworld

    signal = wave.astype(np.float64)
    f0, time = pyworld.dio(signal, rate, f0_floor=65.0, f0_ceil=500.0, frame_period=10.0)
    return np.asarray(pyworld.stonemask(signal, f0, time, rate))


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_processes(
    corpus: Path, tmp_path: Path
) -> None:
    again = mini.download(tmp_path, seed=3, nj=2, sizes=SIZES)
    assert digest(again) == digest(corpus)


def test_a_complete_corpus_is_kept_and_one_of_another_seed_is_replaced(tmp_path: Path) -> None:
    sizes = mini.Sizes(train=1, dev=1, test=1)
    folder = mini.download(tmp_path, seed=0, nj=1, sizes=sizes)
    (folder / "mark").touch()
    assert mini.download(tmp_path, seed=0, nj=1, sizes=sizes) == folder
    assert (folder / "mark").exists()
    before = digest(folder / "wav")
    mini.download(tmp_path, seed=1, nj=1, sizes=sizes)
    assert not (folder / "mark").exists() and digest(folder / "wav") != before
    assert [path.name for path in tmp_path.iterdir()] == ["mini"]


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, task: object) -> None:
        raise DataError("no")

    monkeypatch.setattr(builder, "_perform", fail)
    with pytest.raises(DataError, match="no"):
        mini.download(tmp_path, nj=1, sizes=SIZES)
    assert list(tmp_path.iterdir()) == []


def test_it_is_a_registered_corpus_that_says_it_is_synthetic(corpus: Path, data: Path) -> None:
    assert "mini" in corpora.names()
    assert "synthetic" in mini.INFO.licence
    readme = (corpus / "README.txt").read_text()
    assert "SYNTHETIC" in readme and "CC0" in readme and "GPL" in readme
    assert mini.find(corpus.parent) == corpus == mini.find(corpus)
    with pytest.raises(DataError, match="vctool download mini"):
        mini.find(data)


def test_training_is_unpaired_and_no_sentence_is_in_two_splits(data: Path) -> None:
    split = {name: DataDir.read(data / name) for name in ("train", "dev", "test")}
    for name in split:
        assert check(data / name) == []
    texts = {
        (name, domain): {utterance.text for utterance in split[name].by_domain(domain)}
        for name in split
        for domain in ("speech", "singing")
    }
    assert texts["test", "speech"] == texts["test", "singing"]
    groups = [texts[key] for key in texts if key != ("test", "singing")]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 2 * 4 + 2 * 2 + 4
    for name in split:
        for domain in ("speech", "singing"):
            assert split[name].by_domain(domain).speakers == ("alto", "baritone")
    assert not split["train"].pairs and len(split["test"].pairs) == 4


def test_no_two_sentences_have_one_melody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tasks: list[builder.Sung] = []
    monkeypatch.setattr(builder, "_perform", lambda folder, task: tasks.append(task))
    builder.build(tmp_path, 0, mini.Sizes(train=40, dev=4, test=10), 1)
    assert len({task.notes for task in tasks}) == len(tasks) == 54
    for task in tasks:
        assert 43 <= min(task.notes) and max(task.notes) < 64


def test_singing_accompaniment_and_time_map_belong_together(data: Path) -> None:
    test = DataDir.read(data / "test")
    for speech_id, singing_id in test.pairs:
        speech, sung = test[speech_id], test[singing_id]
        assert (speech.text, speech.speaker) == (sung.text, sung.speaker)
        voice, band = sung.load(22050), sung.load_accomp(22050)
        assert len(voice) == len(band)
        assert audio.info(sung.wav).rate == 22050
        knots = test.time_map(speech_id)
        assert knots[0].tolist() == [0, 0]
        assert knots[-1] == pytest.approx([speech.duration, sung.duration], abs=1e-4)
        # A conversion that stretches evenly meets the chords that the truth was sung to.
        assert np.abs(knots[:, 1] - 1.5 * knots[:, 0]).max() < 0.3


def test_time_maps_align_the_sounds_of_a_pair(data: Path) -> None:
    import librosa

    def cepstra(wave: np.ndarray) -> np.ndarray:
        mfcc = librosa.feature.mfcc(y=wave, sr=22050, n_mfcc=13, hop_length=220)[1:]
        return (mfcc - mfcc.mean(axis=1, keepdims=True)) / mfcc.std(axis=1, keepdims=True)

    test = DataDir.read(data / "test")
    for speech_id, singing_id in test.pairs:
        spoken, sung = (cepstra(test[name].load(22050)) for name in (speech_id, singing_id))
        knots = test.time_map(speech_id)
        time = np.arange(spoken.shape[1]) * 220 / 22050
        mapped = np.interp(time, knots[:, 0], knots[:, 1])

        def match(
            seconds: np.ndarray, spoken: np.ndarray = spoken, sung: np.ndarray = sung
        ) -> float:
            frame = np.clip(np.rint(seconds * 22050 / 220).astype(int), 0, sung.shape[1] - 1)
            return float((spoken * sung[:, frame]).mean())

        assert match(mapped) > 0.75
        assert match(mapped) > match(mapped + 0.1) + 0.1
        assert match(mapped) > match(mapped - 0.1) + 0.1


def test_singing_follows_its_own_accompaniment(data: Path) -> None:
    import librosa

    sung = [u for name in ("train", "test") for u in DataDir.read(data / name).by_domain("singing")]
    tracks = [track(one.load(22050), 22050) for one in sung]
    harmony = [
        librosa.feature.chroma_stft(
            y=one.load_accomp(22050), sr=22050, n_fft=4096, hop_length=220, tuning=0.0, norm=1
        )
        for one in sung
    ]

    def agreement(f0: np.ndarray, chroma: np.ndarray) -> float:
        frames = np.flatnonzero(f0[: chroma.shape[1]] > 0)
        classes = np.rint(semitones(f0[frames])).astype(int) % 12
        return float(chroma[classes, frames].mean())

    own = [agreement(f0, chroma) for f0, chroma in zip(tracks, harmony, strict=True)]
    others = [
        agreement(tracks[i], harmony[j])
        for i in range(len(sung))
        for j in range(len(sung))
        if i != j
    ]
    assert np.mean(own) > 0.17
    assert np.mean(others) < 0.12


def test_speech_glides_and_singing_rests_on_notes(data: Path) -> None:
    train = DataDir.read(data / "train")

    def held(domain: str) -> float:
        shares = []
        for one in train.by_domain(domain):
            f0 = track(one.load(22050), 22050)
            pitch = np.where(f0 > 0, semitones(np.maximum(f0, 1)), np.nan)
            window = np.lib.stride_tricks.sliding_window_view(pitch, 10)
            window = window[np.isfinite(window).all(axis=1)]
            shares.append((np.ptp(window, axis=1) < 1).mean())
        return float(np.mean(shares))

    assert held("singing") > 0.7
    assert held("speech") < 0.45


def test_all_recordings_are_equally_loud(data: Path) -> None:
    for one in DataDir.read(data / "test"):
        assert audio.measure(one.wav).level == pytest.approx(-23, abs=0.3)


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(DataError, match=r"en-us\+nobody.*variant 'nobody'"):
        espeak.speak([Speech("a", "now", "en-us+nobody", 150, 50, 50)])
    with pytest.raises(DataError, match="espeak_SetVoiceByName: code 2 for nonesuch"):
        espeak.speak([Speech("a", "now", "nonesuch", 150, 50, 50)])


def test_our_process_never_loads_the_synthesiser() -> None:
    espeak.speak([Speech("a", "now", "en-us", 150, 50, 50)])
    assert "espeak" not in Path("/proc/self/maps").read_text()


def test_sentences_are_distinct_balanced_and_run_out() -> None:
    taken: set[str] = set()
    drawn = sentences.draw(60, taken, np.random.default_rng(0))
    assert len(set(drawn)) == 60 == len(taken)
    words = [sentence.split() for sentence in drawn]
    for position, choices in enumerate(sentences.GRAMMAR):
        counts = [sum(row[position] == word for row in words) for word in choices]
        assert sum(counts) == 60 and max(counts) - min(counts) <= 1
    with pytest.raises(ValueError, match="are left of 46656"):
        sentences.draw(46656, taken, np.random.default_rng(0))


def test_syllables_fall_on_sixteenths_and_vowels_are_what_is_lengthened() -> None:
    symbols = ["s", "iː", "t", "a", "l", "oʊ"]
    phones = [Phone(symbol, 0.1 + 0.1 * k) for k, symbol in enumerate(symbols)]
    timing = singing.place(phones, 0.9, 0.16)
    assert timing.positions[0] == 0 and len(timing.onsets) == 3
    assert np.diff(timing.onsets) == pytest.approx(0.16 * np.diff(timing.positions))
    assert timing.knots[-1].tolist() == pytest.approx([0.9, 1.35])
    growth = np.diff(timing.knots[:, 1]) / np.diff(timing.knots[:, 0])
    assert growth[2] > growth[3] + 0.2  # iː against t
    assert (growth > 0).all()
    assert timing.spoken(timing.sung(np.array([0.37]))) == pytest.approx([0.37])


def test_melody_is_the_chord_tone_nearest_home_and_ends_on_the_root() -> None:
    song = music.Song(tonic=0, mode="major", loop=(0, 4), step=0.16)
    register = music.Register(43, 50, 57)
    rng = np.random.default_rng(0)
    # On strong steps nothing leaves the chord: C major holds C3 and E3, G major D3.
    assert music.melody(song, [0, 4, 8, 12], register, rng) == [48, 48, 50, 55]
    assert song.chord(-3) == song.chord(0) == (0, 4, 7)
    many = [
        note for _ in range(300) for note in music.melody(song, [1, 3, 5, 16], register, rng)[:3]
    ]
    assert 0.10 < np.mean(np.array(many) != 48) < 0.20
    assert {note % 12 for note in many} <= set(song.scale)


def test_accompaniment_sounds_its_chord_on_time() -> None:
    song = music.Song(tonic=9, mode="minor", loop=(0,), step=0.15)
    wave = music.accompany(song, 0.3, 44100, 22050, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(wave))
    a3, c4, e4 = (round(2 * f) for f in (220.0, 261.63, 329.63))
    between = spectrum[round(2 * 233.1) - 3 : round(2 * 233.1) + 4].max()
    for bin_ in (a3, c4, e4):
        assert spectrum[bin_ - 2 : bin_ + 3].max() > 10 * between
    # A chord and a kick begin on sixteenth 0.
    energy = np.square(wave).reshape(-1, 441).sum(axis=1)
    assert energy[15:18].sum() > 1.5 * energy[11:14].sum()


def test_a_damaged_corpus_file_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "corpus.json").write_text("{")
    with pytest.raises(DataError, match=r"corpus\.json.*delete"):
        mini.download(tmp_path, sizes=SIZES)
    listed = json.loads((corpus / "corpus.json").read_text())
    assert len(listed["items"]) == 2 * 4 + 2 * 2 + 2 * 4
