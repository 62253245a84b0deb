"""Every kind of the tree keeps its promises, and a kind that is one new file goes all the way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import make_note, make_speech
from vctool.audio.tracks import ArrayTrack
from vctool.data.datadir import DataDir
from vctool.data.extraction import Workers
from vctool.data.utterance import Utterance
from vctool.errors import ConfigError
from vctool.experiment import recipe as recipes
from vctool.experiment.features import open_set
from vctool.experiment.recipe import Recipe
from vctool.features import base, kinds, mel, world
from vctool.features.analysis import scan, voice_features, voicing, whole_features
from vctool.features.base import F0Range
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig
from vctool.inference.blocks import plan
from vctool.inference.stretch import resample
from vctool.stages import features

CONFIG = FeatureConfig(
    rate=16000, hop_length=192, n_fft=512, n_mels=40, envelope_dim=24, chroma_n_fft=2048
)
SETTINGS = (
    *("rate=16000", "hop_length=192", "n_fft=512", "n_mels=40", "envelope_dim=24"),
    *("chroma_n_fft=2048", "f_max=null"),
)

SWELL = '''
"""How loud every frame is below the loudest of the recording, in as many columns as are asked."""

import numpy as np
from pydantic import Field

from vctool.config import Config
from vctool.features import framing
from vctool.features.base import FeatureKind


class Kind(FeatureKind):
    class Settings(Config):
        columns: int = Field(1, ge=1)

    def width(self, config):
        return config.own("swell").columns

    def survey(self, part, before):
        return max(before or 1e-9, float(np.abs(part.wave).max()))

    def extract(self, part, known, f0_range):
        peak = np.abs(framing.frame(part.wave, part.config)).max(axis=1) / known
        return np.repeat(peak[:, None], self.width(part.config), axis=1).astype(np.float32)

    def stretch(self, values, positions, config):
        return values[np.round(positions).astype(int)]
'''


@pytest.fixture
def swell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Lay a file beside the kinds of the tree; its name is that of a kind then."""
    folder = tmp_path_factory.mktemp("kinds")
    path = folder / "swell.py"
    path.write_text(SWELL)
    kinds.__path__.append(str(folder))
    yield path
    kinds.__path__.remove(str(folder))
    if sys.modules.pop("vctool.features.kinds.swell", None):
        del kinds.swell  # type: ignore[attr-defined]


def recipe(*settings: str) -> Recipe:
    named = [f"features.{one}" for one in (*SETTINGS, *settings)]
    return recipes.load("mini", ["corpus={speech: tiny, singing: tiny}", *named])


def make_corpus() -> None:
    """Write a data dir of two spoken utterances and a sung one with its accompaniment."""
    folder = Path("data/tiny/train")
    folder.mkdir(parents=True)
    utterances = []
    for name, wave in {
        "anna-1": make_speech(0.5),
        "anna-2": 0.2 * make_speech(0.7, seed=1),
        "anna-3": make_speech(0.6, seed=2),
    }.items():
        soundfile.write(folder / f"{name}.wav", wave, 16000)
        utterances.append(Utterance(name, "anna", "speech", folder / f"{name}.wav", 0.5))
    soundfile.write(folder / "band.wav", make_note(0.4, 57), 16000)
    sung = Utterance(
        "anna-4", "anna", "singing", folder / "anna-3.wav", 0.6, accomp=(folder / "band.wav",)
    )
    DataDir(folder, (*utterances, sung)).write()


def test_a_kind_is_one_new_file(swell: Path, workdir: Path) -> None:
    """Stage 2, training's view of it, a long recording in blocks, and the stretch."""
    it = recipe("swell.columns=2")
    make_corpus()
    with Workers(1) as workers:
        features.extract(it, "tiny", {"train": ("mel", "swell", "accomp_swell")}, workers)
    opened = open_set(it, "tiny", "train", ("mel", "swell", "accomp_swell"))
    assert opened.ids == ["anna-1", "anna-2", "anna-3", "anna-4"]
    for one in (opened.utterance(name) for name in opened.ids):
        wave = one.load(16000)
        made = opened.load(one.id, "swell")
        assert made.shape == (it.features.frames(len(wave)), 2)
        assert made.max() == 1.0  # by its own recording's peak
        assert opened.has(one.id, "accomp_swell") == bool(one.accomp)
    assert opened.load("anna-4", "accomp_swell").shape == opened.load("anna-4", "swell").shape

    whole = np.concatenate([make_speech(3.0), 0.1 * make_speech(3.0)])
    track, block = ArrayTrack(whole), 32000
    known = scan(track, it.features, ("swell",), block)
    parts = plan(track, block, 192, 16000)
    assert len(parts) > 2
    last = parts[-1]
    made = voice_features(
        track.read(last.outer_start, last.outer_stop), ("swell",), it.features, known
    )["swell"]
    expected = np.abs(whole[last.outer_start :]).max() / np.abs(whole).max()
    assert made.max() == pytest.approx(expected) and expected < 0.2

    positions = np.linspace(0, len(made) - 1, 2 * len(made))
    longer = resample({"swell": made}, positions, it.features)["swell"]
    assert len(longer) == 2 * len(made) and set(longer[:, 0]) <= set(made[:, 0])


def test_settings_of_a_kind_s_own_are_given_under_its_name(swell: Path) -> None:
    it = recipe("swell.columns=3")
    assert it.features.own("swell").columns == 3
    assert recipe().features.own("swell").columns == 1
    assert recipe().features.hash8("swell") == recipe("swell.columns=1").features.hash8("swell")
    assert it.features.hash8("swell") != recipe().features.hash8("swell")
    assert it.features.hash8("mel") == recipe().features.hash8("mel")
    assert it.features != recipe().features
    stored = FeatureConfig.model_validate(it.features.model_dump(mode="json"))
    assert stored == it.features
    assert recipes.show(it, "features.swell.columns") == "3"
    with pytest.raises(ConfigError, match=r"features.swell.columns = 0: .*equal to 1"):
        recipe("swell.columns=0")
    with pytest.raises(ConfigError, match=r"no field 'features.swell.colums'; .* 'columns'\?"):
        recipe("swell.colums=2")
    with pytest.raises(ConfigError, match=r"no field 'features.mel'"):  # which has none
        recipe("mel.columns=2")


def test_hashes_of_the_first_version_are_those_of_before() -> None:
    """A dump that was made before kinds had versions, or settings of their own, is found again."""
    known = {
        "chroma": "eac5379c",
        "f0": "8ba2ffb0",
        "mel": "6c4f19fd",
        "mfcc": "ce134c3d",
        "phones": "ce134c3d",
        "pitch": "8ba2ffb0",
        "wave": "ce134c3d",
        "world": "6c6c94f9",
    }
    assert {kind: FeatureConfig().hash8(kind) for kind in base.names()} == known


def test_another_version_of_the_code_makes_another_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {kind: CONFIG.hash8(kind) for kind in ("mel", "accomp_mel", "world")}
    monkeypatch.setattr(type(base.get("mel")), "VERSION", 2)
    after = {kind: CONFIG.hash8(kind) for kind in before}
    assert after["mel"] == after["accomp_mel"] != before["mel"]
    assert after["world"] == before["world"]
    assert CONFIG.of_kind("mel")["versions"] == {"mel": 2}


@pytest.mark.parametrize("kind", base.names())
def test_a_kind_keeps_its_promises(kind: str) -> None:
    one, found = base.get(kind), F0Range(70.0, 300.0)
    assert set(one.fields) | set(one.later) <= set(FeatureConfig.model_fields)
    for samples in (1, 100, 8000):  # `whole_features` asserts shape and type
        wave = make_speech(1.0)[:samples]
        made = whole_features(Excerpt(wave, CONFIG), (kind,), found)[kind]
        again = whole_features(Excerpt(wave, CONFIG), (kind,), found)[kind]
        assert np.isfinite(made).all()
        np.testing.assert_array_equal(made, again)
    other = whole_features(Excerpt(make_speech(0.5), CONFIG), (kind,), F0Range(110.0, 130.0))[kind]
    assert np.array_equal(made, other) != one.in_voice_range
    if one.f0_column is not None:
        np.testing.assert_array_equal(base.f0_of({"chroma": made, kind: made}), made[:, 0])
    same = one.stretch(made, np.arange(len(made), dtype=float), CONFIG)
    np.testing.assert_allclose(same, made, rtol=1e-5, atol=1e-5)
    longer = one.stretch(made, np.linspace(0, len(made) - 1, 3 * len(made) - 2), CONFIG)
    assert longer.shape == (3 * len(made) - 2, made.shape[1]) and longer.dtype == np.float32


def test_what_is_found_once_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One log-mel and one F0 in each range, of a recording that is a single block."""
    counts = {"mel": 0, "f0": 0}
    level, find_f0 = mel.level, world.find_f0

    def counted_level(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
        counts["mel"] += 1
        return level(wave, config)

    def counted_f0(
        wave: np.ndarray, config: FeatureConfig, floor: float, ceil: float
    ) -> np.ndarray:
        counts["f0"] += 1
        return find_f0(wave, config, floor, ceil)

    monkeypatch.setattr(mel, "level", counted_level)
    monkeypatch.setattr(world, "find_f0", counted_f0)
    wave = make_speech(1.0)
    wanted = ("mel", "world", "pitch")
    known = scan(ArrayTrack(wave), CONFIG, wanted, len(wave))
    made = voice_features(wave.copy(), wanted, CONFIG, known)
    voiced = voicing(wave, {"mel": made["mel"]}, CONFIG, known)
    assert counts == {"mel": 1, "f0": 2}
    np.testing.assert_array_equal(voiced, made["world"][:, 0] > 0)
    np.testing.assert_array_equal(made["mel"], mel.log_mel(wave, CONFIG))
    np.testing.assert_array_equal(made["world"][:, :1], made["pitch"])
    # another sound of the same length is another one
    counts.update(mel=0, f0=0)
    other = voice_features(np.flip(wave).copy(), wanted, CONFIG, known)
    assert counts == {"mel": 1, "f0": 1}
    assert not np.array_equal(other["mel"], made["mel"])


def test_voicing_is_that_of_the_voice_s_own_range_whatever_else_is_read() -> None:
    wave = make_speech(1.0)
    plain = scan(ArrayTrack(wave), CONFIG, ("mel",), len(wave))
    known = scan(ArrayTrack(wave), CONFIG, ("mel",), len(wave), voiced_too=True)
    assert plain.f0_range == CONFIG.wide_range
    assert known.f0_range == scan(ArrayTrack(wave), CONFIG, ("pitch",), len(wave)).f0_range
    assert known.f0_range.floor > CONFIG.f0_floor
    expected = world.estimate_f0(wave, CONFIG, *known.f0_range) > 0
    np.testing.assert_array_equal(voicing(wave, {}, CONFIG, known), expected)


def test_an_accompaniment_has_no_voice_whose_range_is_searched() -> None:
    wave = make_speech(1.0)
    known = scan(ArrayTrack(wave), CONFIG, ("accomp_pitch", "accomp_mel"), 8000)
    assert known.f0_range == CONFIG.wide_range
    made = whole_features(Excerpt(wave, CONFIG), ("accomp_pitch", "f0"), F0Range(300.0, 400.0))
    np.testing.assert_array_equal(made["accomp_pitch"], made["f0"])
    assert made["f0"].any()


def test_looking_kinds_up_loads_nothing_that_analyses() -> None:
    code = (
        "import sys\n"
        "from vctool.features import base\n"
        "from vctool.features.settings import FeatureConfig\n"
        "for kind in base.names(): FeatureConfig().hash8(kind)\n"
        "print(*{'numpy', 'torch', 'pyworld'}.intersection(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
