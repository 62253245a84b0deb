import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.stages.dumps import KINDS, PITCH, RATE, compute, digests, make_split, recipe, voice
from vctool.data import extraction
from vctool.data.datadir import DataDir
from vctool.data.speaker_table import SpeakerTable
from vctool.data.store import FeatureStore
from vctool.errors import DataError
from vctool.experiment.features import open_set
from vctool.experiment.recipe import CorpusConfig
from vctool.features import chroma, mel, world
from vctool.stages import features


def test_dumps_hold_what_the_features_compute(corpus: Path) -> None:
    it = recipe()
    compute(it)
    data = DataDir.read(it.data("tiny", "train"))
    table = SpeakerTable.read(it.stats("tiny", "train"))
    opened = open_set(it, "tiny", "train", KINDS)
    assert opened.ids == sorted(one.id for one in data.utterances)
    for one in data.utterances:
        wave = one.load(RATE)
        own = table.of(one.speaker, one.domain)
        assert own is not None
        coded = world.analyse(wave, it.features, own.f0_floor, own.f0_ceil)
        np.testing.assert_array_equal(opened.load(one.id, "world"), coded)
        np.testing.assert_array_equal(opened.load(one.id, "mel"), mel.log_mel(wave, it.features))
        assert opened.frames(one.id) == it.features.frames(len(wave))
        assert opened.has(one.id, "accomp_mel") == bool(one.accomp)
        if one.accomp:
            # Looped to the voice's length, so that every frame has a condition.
            accomp = one.load_accomp(RATE, len(wave))
            expected = chroma.chroma(accomp, it.features)
            np.testing.assert_array_equal(opened.load(one.id, "accomp_chroma"), expected)


def test_pitch_is_the_f0_of_world_for_a_fraction_of_its_time(corpus: Path) -> None:
    it = recipe()
    compute(it, kinds=("world", "pitch"))
    opened = open_set(it, "tiny", "train", ("world", "pitch"))
    for name in opened.ids:
        f0 = opened.load(name, "pitch")
        np.testing.assert_array_equal(f0, opened.load(name, "world")[:, :1])
    compute(it, kinds=("pitch",))  # statistics rest on it where there is no world


def test_ranges_and_statistics_are_of_a_speaker_in_a_domain(corpus: Path) -> None:
    it = recipe()
    compute(it)
    train = SpeakerTable.read(it.stats("tiny", "train"))
    assert {(v.speaker, v.domain) for v in train.voices} == set(PITCH)
    for (speaker, domain), hz in PITCH.items():
        stats = train.of(speaker, domain)
        assert stats is not None
        assert stats.log_f0_mean == pytest.approx(np.log(hz), abs=0.1)
        assert stats.f0_floor < hz < stats.f0_ceil < 2 * hz
    test = SpeakerTable.read(it.stats("tiny", "test"))
    assert {(v.speaker, v.domain) for v in test.voices} == {("anna", "speech"), ("carl", "speech")}
    assert test.of("anna", "speech") == train.of("anna", "speech")
    stranger = test.of("carl", "speech")
    assert stranger is not None
    assert stranger.log_f0_mean == pytest.approx(np.log(130), abs=0.1)
    assert not it.dump("tiny", "test", "accomp_mel").exists()
    assert open_set(it, "tiny", "test", KINDS).kinds == ("mel", "world")


def dumped(split: str) -> set[str]:
    return {path.name.rpartition("-")[0] for path in Path("dump/tiny", split).glob("*-*")}


def test_only_what_a_later_stage_reads_is_computed(workdir: Path) -> None:
    for split, sung in (("train", "anna"), ("dev", "anna"), ("test", "dora")):
        make_split(workdir, split, {("anna", "speech"): 200, (sung, "singing"): 300}, count=1)
    it = recipe()
    features.run(it)
    accompaniment = {"accomp_mel", "accomp_chroma"}
    assert dumped("train") == dumped("dev") == {"f0", "world"} | accompaniment
    assert dumped("test") == {"f0", "world"}  # stage 4 analyses accompaniments at its own length
    table = SpeakerTable.read(it.stats("tiny", "test"))
    assert table.of("dora", "singing") is not None
    os.rename("dump", "dump1")

    # a vocoder learns from sound and scores what it makes of it; it reads nobody's F0
    changes = {"family": "hifigan", "vocoder": "wave", "corpus": CorpusConfig(name="tiny")}
    features.run(it.model_copy(update=changes))
    assert dumped("train") == dumped("dev") == {"f0", "mel", "wave"}
    assert dumped("test") == {"wave"}
    found = {split: len(FeatureStore(it.dump("tiny", split, "f0"))) for split in ("train", "dev")}
    assert found == {"train": 2, "dev": 0}


def test_the_bytes_are_the_same_for_any_number_of_processes(corpus: Path) -> None:
    compute(recipe())
    one = digests(corpus / "dump")
    os.rename("dump", "dump1")
    compute(recipe(), nj=2)
    assert digests(corpus / "dump") == one


def test_finished_work_is_not_done_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute(recipe())
    before = digests(corpus / "dump")
    done: list[str] = []

    def counting(task: extraction.Task) -> extraction.Result:
        done.append(task.utterance.id)
        return original(task)

    original = extraction.attempt
    monkeypatch.setattr(extraction, "attempt", counting)
    compute(recipe())
    assert done == []
    world_folder = recipe().dump("tiny", "train", "world")
    shard = world_folder / "feats-000.ark"
    (world_folder / "feats.scp").unlink()
    shard.write_bytes(shard.read_bytes()[:-1])
    compute(recipe())
    assert done == ["bert-speech-train-2"]
    assert digests(corpus / "dump") == before


def test_changed_sound_is_analysed_again(corpus: Path) -> None:
    it = recipe()
    compute(it)
    name = "anna-speech-test-0"
    before = FeatureStore(it.dump("tiny", "test", "mel"))[name]
    soundfile.write(it.data("tiny", "test") / f"{name}.wav", voice(230, 7), RATE)
    compute(it)
    assert not np.array_equal(FeatureStore(it.dump("tiny", "test", "mel"))[name], before)


def rewrite(path: Path, wave: np.ndarray) -> None:
    """Write another sound into a file in place: its size and time of modification stay."""
    before = path.stat()
    info = soundfile.info(path)
    soundfile.write(path, wave, RATE, subtype=info.subtype)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_a_recording_that_is_edited_in_its_middle_is_analysed_again(corpus: Path) -> None:
    it, name = recipe(), "anna-speech-test-0"
    wav = it.data("tiny", "test") / f"{name}.wav"
    wave = voice(200, 0, 2.5)
    soundfile.write(wav, wave, RATE, subtype="PCM_32")  # 160 KB
    compute(it, ("mel",))
    before = FeatureStore(it.dump("tiny", "test", "mel"))[name]
    wave[18_000:22_000] *= 0.1
    rewrite(wav, wave)
    compute(it, ("mel",))
    after = FeatureStore(it.dump("tiny", "test", "mel"))[name]
    changed = np.flatnonzero(np.abs(after - before).max(axis=1) > 1)
    assert len(changed) and 90 < changed.min() and changed.max() < 118  # frames of 192 samples


@pytest.mark.parametrize("touched", [False, True])
def test_an_edited_accompaniment_has_its_own_features_computed_again(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, touched: bool
) -> None:
    it = recipe()
    compute(it)
    before = digests(corpus / "dump")
    done: list[tuple[str, ...]] = []

    def counting(task: extraction.Task) -> extraction.Result:
        done.append(task.kinds)
        return original(task)

    original = extraction.attempt
    monkeypatch.setattr(extraction, "attempt", counting)
    accomp = it.data("tiny", "train") / "anna-singing-train-1.accomp.wav"
    if touched:
        accomp.touch()
    else:
        rewrite(accomp, voice(330, 9, 0.3))
    compute(it)
    after = digests(corpus / "dump")
    changed = {path.split("/")[2].split("-")[0] for path in after if after[path] != before[path]}
    assert changed == (set() if touched else {"accomp_mel", "accomp_chroma"})
    assert set(done) == (set() if touched else {("accomp_mel", "accomp_chroma")})


def test_a_lost_utterance_is_named_and_the_rest_is_done(
    corpus: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = recipe()
    monkeypatch.setattr(features, "MOST_LOST", 0.3)
    folder = it.data("tiny", "train")
    (folder / "bert-speech-train-1.wav").write_bytes(b"not audio")
    (folder / "anna-singing-train-0.accomp.wav").unlink()
    with caplog.at_level(logging.WARNING):
        compute(it)
    lost = {"bert-speech-train-1", "anna-singing-train-0"}
    report = (corpus / "dump/tiny/train/rejected.tsv").read_text().splitlines()
    assert report[0] == "utt\treason"
    assert {line.split("\t")[0] for line in report[1:]} == lost
    assert all(len(line.split("\t")) == 2 and line.split("\t")[1] for line in report[1:])
    assert all(any(name in message for message in caplog.messages) for name in lost)
    opened = open_set(it, "tiny", "train", KINDS)
    assert len(opened) == 7
    assert not lost & set(opened.ids)


def test_too_many_lost_utterances_fail_the_stage(corpus: Path) -> None:
    it = recipe()
    (it.data("tiny", "train") / "bert-speech-train-1.wav").write_bytes(b"not audio")
    with pytest.raises(DataError, match=r"1 of 9 utterances .*bert-speech-train-1.*rejected\.tsv"):
        compute(it)


def test_a_voice_that_never_sounds_has_no_statistics(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_split(workdir, "train", PITCH)
    for index in range(3):
        path = recipe().data("tiny", "train") / f"bert-speech-train-{index}.wav"
        soundfile.write(path, np.zeros(RATE // 2), RATE)
    compute(recipe())
    table = SpeakerTable.read(recipe().stats("tiny", "train"))
    assert table.of("bert", "speech") is None
    assert any("bert (speech): no voiced frame" in message for message in caplog.messages)


def test_a_programmer_s_mistake_is_not_taken_for_a_bad_file(corpus: Path) -> None:
    with pytest.raises(AssertionError, match="no kind of features 'smell'"):
        compute(recipe(), ("smell",))
    one = DataDir.read(recipe().data("tiny", "train")).utterances[0]
    task = extraction.Task(one, ("smell",), recipe().features, 65, 1000)
    with pytest.raises(AssertionError, match="smell") as caught:
        extraction.attempt(task)
    assert one.id in caught.value.__notes__[0]


def test_a_voice_beyond_the_f0_range_is_named_with_the_setting_that_covers_it(
    workdir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_split(workdir, "train", {("anna", "speech"): 200, ("sue", "singing"): 700})
    it = recipe()
    compute(it, ("mel",))
    assert "F0 of" not in caplog.text
    narrow = it.features.model_copy(update={"f0_ceil": 500.0})
    compute(it.model_copy(update={"features": narrow}), ("mel", "world"))
    said = [one.message for one in caplog.records if "F0 of" in one.message]
    assert len(said) == 1 and said[0].startswith("tiny/train: F0 of sue (singing) goes up to ")
    assert "--set features.f0_ceil=" in said[0]
