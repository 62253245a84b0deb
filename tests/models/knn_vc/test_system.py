"""The family knn_vc on voices whose every phone has one known envelope."""

from typing import Any

import numpy as np
import pytest

from vctool.errors import DataError
from vctool.features import world
from vctool.features.phones import CEPSTRA, PHONES
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition, Context
from vctool.models.knn_vc.settings import KnnVcConfig, KnnVcOptions
from vctool.models.knn_vc.system import System

FEATURES = FeatureConfig(rate=16000, hop_length=160, envelope_dim=25, envelope_coding="mcep")
ENVELOPE, SHAPE = slice(1, 26), slice(2, 26)
"""Columns of the envelope, and of all of it but the level."""
SAID = 12
"""Phones that the voices say."""
ALL_OF_IT = {"noise_range_db": 0.0}
"""Settings with which no noise is spared: every frame of these voices is as loud as any."""
EXACT = {"detail": 0.0, "strength": 1.0, "smoothing_ms": 0.0, "neighbours": 4, "variance": 0.0}
EXACT |= ALL_OF_IT
"""Settings with which an envelope becomes the mean of the neighbours'."""


def voice(seed: int) -> np.ndarray:
    """The envelopes of a voice's phones: (SAID, 25)."""
    return np.random.default_rng(seed).standard_normal((SAID, 25))


def said(
    envelopes: np.ndarray, f0: float, order: np.ndarray, level: float = 0.0
) -> dict[str, np.ndarray]:
    """Say phones in an order, each for 0.3 s, with a pitch that swings by a semitone."""
    which = np.repeat(order, 30)
    frames = len(which)
    values = np.zeros((frames, world.world_dim(FEATURES)), np.float32)
    swing = 2 ** (np.sin(2 * np.pi * np.arange(frames) / 50) / 12)
    values[:, 0] = np.where(which % 4 == 3, 0.0, f0 * swing)  # every fourth phone is unvoiced
    values[:, ENVELOPE] = envelopes[which]
    values[:, 1] += level
    phones = np.eye(len(PHONES), dtype=np.float32)[which]
    mfcc = np.random.default_rng(frames).standard_normal((frames, CEPSTRA)).astype(np.float32)
    return {"world": values, "phones": phones, "mfcc": mfcc}


def order(seed: int, count: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, SAID, count)


def system(**changes: Any) -> System:
    context = Context(features=FEATURES, vocoder="direct", roles=())
    return System(KnnVcConfig(**changes), context).eval()


def convert(
    model: System,
    source: dict[str, np.ndarray],
    target: list[dict[str, np.ndarray]],
    **options: Any,
) -> np.ndarray:
    told = Condition(None, model.reference(target), KnnVcOptions(**options))
    return model.convert(source, told, None)["world"]


def test_every_phone_gets_the_envelope_that_the_target_says_it_with() -> None:
    mine, theirs = voice(0), voice(1)
    source = said(mine, 110.0, order(2))
    made = convert(system(**EXACT), source, [said(theirs, 210.0, order(3))])
    middles = np.arange(15, len(made), 30)  # between two phones a description is of both
    np.testing.assert_allclose(made[middles, 2:26], theirs[order(2), 1:], atol=0.05)
    np.testing.assert_array_equal(made[:, 26:], source["world"][:, 26:])


def test_the_sources_own_detail_stays_and_the_rest_is_replaced() -> None:
    mine, theirs = voice(0), voice(1)
    source = said(mine, 110.0, order(2))
    # what one frame has and its phone does not explain
    own = 0.5 * np.random.default_rng(4).standard_normal((len(source["world"]), 24))
    source["world"][:, 2:26] += own
    settings = {**EXACT, "detail": 1.0}
    made = convert(system(**settings), source, [said(theirs, 210.0, order(3))])
    middles = np.arange(15, len(made), 30)
    left = made[middles, 2:26] - theirs[order(2), 1:]
    assert np.corrcoef(left.ravel(), own[middles].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("coding", ["mcep", "world"])
@pytest.mark.parametrize("amount", [0.5, 1.0])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_frame_keeps_its_loudness(coding: str, amount: float, stride: int) -> None:
    """Those between the frames that are searched too."""
    hop_length = round(0.01 * FEATURES.rate / stride)
    config = FEATURES.model_copy(update={"envelope_coding": coding, "hop_length": hop_length})
    settings = KnnVcConfig(level=0.0, **ALL_OF_IT)
    model = System(settings, Context(features=config, vocoder="direct", roles=())).eval()
    source = said(0.3 * voice(0), 110.0, order(2), level=-8.0)
    made = convert(model, source, [said(0.3 * voice(1), 210.0, order(3))], amount=amount)
    np.testing.assert_allclose(loudness(made, config), loudness(source["world"], config), atol=0.2)
    assert np.abs(made[:, SHAPE] - source["world"][:, SHAPE]).max() > 0.3


def loudness(values: np.ndarray, config: FeatureConfig = FEATURES) -> np.ndarray:
    """Sum the power of narrow mel bands, each to 0.3: (F,) [dB] of a power that is as loud."""
    power = world.decode_envelope(values[:, ENVELOPE], config)
    mel = 2595 * np.log10(1 + np.linspace(0, config.rate / 2, power.shape[1]) / 700)
    summed = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    places = np.append(mel, 2 * mel[-1] - mel[-2]) - 0.5 * (mel[1] - mel[0])
    edges = np.linspace(0, mel[-1], 400)
    bands = np.diff(np.stack([np.interp(edges, places, row) for row in summed]), axis=1)
    return np.asarray(10 / 0.3 * np.log10((bands**0.3).sum(axis=1)))


def test_a_sibilant_that_is_called_voiced_stays_one() -> None:
    """The search for F0 often goes on into a sibilant, or finds one in it."""
    mine, theirs = voice(0), voice(1)
    source = said(mine, 110.0, order(2))
    sibilants = np.flatnonzero(np.repeat(order(2), 30) == 3)  # which no voice says with a pitch
    assert not source["world"][sibilants, 0].any()
    source["world"][sibilants[sibilants % 30 < 20], 0] = 110.0
    made = convert(system(**EXACT), source, [said(theirs, 210.0, order(3))])
    for place in (10, 15, 24):
        at = sibilants[sibilants % 30 == place]
        np.testing.assert_allclose(made[at, 2:26], np.tile(theirs[3, 1:], (len(at), 1)), atol=0.1)


def test_strength_is_a_factor_on_the_change() -> None:
    source, target = said(voice(0), 110.0, order(2)), [said(voice(1), 210.0, order(3))]
    once = convert(system(**EXACT), source, target) - source["world"]
    twice = convert(system(**{**EXACT, "strength": 2.0}), source, target) - source["world"]
    np.testing.assert_allclose(twice[:, SHAPE], 2 * once[:, SHAPE], atol=1e-4)


@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_amount_moves_pitch_and_envelope_together(amount: float) -> None:
    source, target = said(voice(0), 110.0, order(2)), [said(voice(1), 210.0, order(3))]
    made = convert(system(**EXACT), source, target, amount=amount)
    whole = convert(system(**EXACT), source, target)
    start, full = source["world"], whole[:, SHAPE] - source["world"][:, SHAPE]
    np.testing.assert_allclose(made[:, SHAPE] - start[:, SHAPE], amount * full, atol=1e-4)
    voiced = start[:, 0] > 0
    moved = np.log(made[voiced, 0] / start[voiced, 0]).mean()
    np.testing.assert_allclose(moved, amount * np.log(210 / 110), atol=2e-3)
    assert not made[~voiced, 0].any()


def test_pitch_gets_the_mean_of_the_target_and_keeps_its_shape() -> None:
    source = said(voice(0), 110.0, order(2))
    made = convert(system(), source, [said(voice(1), 210.0, order(3))])
    voiced = source["world"][:, 0] > 0
    before, after = np.log(source["world"][voiced, 0]), np.log(made[voiced, 0])
    assert np.corrcoef(before, after)[0, 1] > 0.999
    # the target swings by a semitone as the source does
    np.testing.assert_allclose(after.std(), before.std(), rtol=0.05)


@pytest.mark.parametrize(
    ("target", "amount", "octaves"),
    [(210.0, 1.0, 1), (450.0, 1.0, 2), (140.0, 1.0, 0), (60.0, 1.0, -1), (450.0, 0.5, 1)],
)
def test_pitch_moves_by_the_octaves_that_bring_it_nearest(
    target: float, amount: float, octaves: int
) -> None:
    source, theirs = said(voice(0), 110.0, order(2)), [said(voice(1), target, order(3))]
    made = convert(system(), source, theirs, pitch="octave", amount=amount)
    np.testing.assert_allclose(made[:, 0], source["world"][:, 0] * 2.0**octaves, rtol=1e-6)
    # the envelope is the one that it has without the option
    usual = convert(system(), source, theirs, amount=amount)
    np.testing.assert_array_equal(made[:, ENVELOPE], usual[:, ENVELOPE])


def test_pitch_stays_where_it_is_to_be_kept() -> None:
    source, target = said(voice(0), 110.0, order(2)), [said(voice(1), 210.0, order(3))]
    made = convert(system(), source, target, pitch="keep")
    np.testing.assert_array_equal(made[:, 0], source["world"][:, 0])
    assert np.abs(made[:, ENVELOPE] - source["world"][:, ENVELOPE]).max() > 0.5


@pytest.mark.parametrize(("phones", "told"), [(16, "only 4.8 s of sound"), (17, None)])
def test_little_of_a_target_is_said(phones: int, told: str | None) -> None:
    model = system()
    doubts = model.doubts(model.reference([said(voice(1), 210.0, order(3, phones))]))
    assert doubts is None if told is None else told in str(doubts)


def test_a_whispered_target_leaves_the_pitch_and_a_whispered_source_stays_so() -> None:
    source, target = said(voice(0), 110.0, order(2)), said(voice(1), 210.0, order(3))
    whispered = {**target, "world": target["world"].copy()}
    whispered["world"][20:, 0] = 0  # a frame now and then is taken for voiced
    made = convert(system(), source, [whispered])
    np.testing.assert_allclose(made[:, 0], source["world"][:, 0], rtol=1e-6)
    assert np.abs(made[:, ENVELOPE] - source["world"][:, ENVELOPE]).max() > 0.5
    quiet = {**source, "world": source["world"].copy()}
    quiet["world"][:, 0] = 0
    assert not convert(system(), quiet, [target])[:, 0].any()


def test_no_more_of_a_target_is_kept_than_asked_for() -> None:
    pieces = [said(voice(1), 210.0, order(seed, 10)) for seed in range(8)]  # 3 s each
    drawn = []

    def read() -> Any:
        for piece in pieces:
            drawn.append(piece)
            yield piece

    kept = system(seconds=5.0).reference(read())
    assert len(kept["described"]) == len(kept["envelopes"]) == 500
    assert len(drawn) == 2  # and no more of it is analysed


def test_silence_around_a_target_is_not_kept() -> None:
    one = said(voice(1), 210.0, order(3, 10))
    one["mfcc"][:150, 0] -= 100.0  # some 90 dB
    assert len(system().reference([one])["described"]) == 150


def test_one_word_in_a_minute_of_silence_is_all_that_is_kept() -> None:
    word = said(voice(1), 210.0, order(4, 4))
    silence = said(voice(2), 0.0, order(5, 200))
    word["mfcc"][:, 0], silence["mfcc"][:, 0] = 0.0, -100.0
    both = {kind: np.concatenate([word[kind], silence[kind]]) for kind in word}
    made = system().reference([both])
    assert len(made["described"]) == len(word["mfcc"])
    np.testing.assert_allclose(made["log_f0"], system().reference([word])["log_f0"], atol=1e-6)


def test_sibilants_are_as_loud_beside_vowels_as_the_target_says_them() -> None:
    """By `level`, and however loud either voice was recorded."""
    mine, theirs = 0.05 * voice(0), 0.05 * voice(1)
    mine[:, 0], theirs[:, 0] = 0.0, np.linspace(-1.0, 1.0, SAID)
    source = said(mine, 110.0, order(2), level=-3.0)
    levels = []
    for share, told in ((0.0, -8.0), (1.0, -8.0), (1.0, -2.0)):
        made = convert(
            system(**EXACT, level=share), source, [said(theirs, 210.0, order(3), level=told)]
        )
        levels.append((made - source["world"])[15::30, 1])
    by_phone = theirs[order(2), 0]
    assert np.abs(levels[0]).max() < 0.1
    slope = np.polyfit(by_phone, levels[1], 1)[0]
    np.testing.assert_allclose(slope, 1.0, atol=0.1)
    np.testing.assert_allclose(levels[2], levels[1], atol=0.02)  # float16 keeps a reference


def test_the_sources_own_stress_stays_whatever_the_target_does() -> None:
    mine, theirs = 0.05 * voice(0), 0.05 * voice(1)
    source = said(mine, 110.0, order(2, 240))
    swell = 0.5 * np.sin(2 * np.pi * np.arange(len(source["world"])) / 700)
    stressed = {**source, "world": source["world"].copy()}
    stressed["world"][:, 1] += swell
    target = [said(theirs, 210.0, order(3))]
    flat, made = (convert(system(**EXACT, level=1.0), one, target) for one in (source, stressed))
    # what a phone's mean has of it counts as the phone's
    kept = np.polyfit(swell[15::30], (made - flat)[15::30, 1], 1)[0]
    assert 0.85 < kept < 1.01


def test_noise_of_the_source_is_not_raised_with_the_voice() -> None:
    """Every second of it a pause of steady noise, 40 dB lower; the target is brighter."""
    mine, theirs = 0.05 * voice(0), 0.05 * voice(1)
    theirs[:, 1] -= 0.7
    source = said(mine, 110.0, order(2))
    pause = np.arange(len(source["world"])) % 120 < 40
    source["world"][pause, 1] -= 40 / (20 / np.log(10))
    raised = {}
    for range_db in (0.0, 15.0):
        settings = {**EXACT, "level": 0.0, "noise_range_db": range_db}
        made = convert(system(**settings), source, [said(theirs, 210.0, order(3))])
        change = world.envelope_gain_db((made - source["world"])[:, ENVELOPE], FEATURES)
        raised[range_db] = change[:, -40:].mean(axis=1)
    edges = np.convolve(np.abs(np.diff(pause.astype(int), prepend=0)), np.ones(9), "same") > 0
    assert raised[0.0][pause].mean() > 3
    assert raised[15.0][pause & ~edges].max() < 0.5
    np.testing.assert_allclose(
        raised[15.0][~pause & ~edges], raised[0.0][~pause & ~edges], atol=0.5
    )


def test_a_reference_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no frame of the target sounds; give recordings"):
        system().reference([])


def test_a_role_is_the_same_as_a_reference_of_its_recordings() -> None:
    context = Context(features=FEATURES, vocoder="direct", roles=("ann", "ben"))
    model = System(KnnVcConfig(seconds=10.0), context).eval()
    ann, ben = said(voice(0), 210.0, order(5, 30)), said(voice(1), 120.0, order(6, 20))
    model.setup({"ann": [ann], "ben": [ben]})
    source = said(voice(2), 150.0, order(7, 10))
    for role, recording in (("ann", ann), ("ben", ben)):
        by_role = model.convert(source, Condition(options=KnnVcOptions()), role)["world"]
        np.testing.assert_array_equal(by_role, convert(model, source, [recording]))
