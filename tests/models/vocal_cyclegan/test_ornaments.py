"""What singers do to a held note: measured where it is known, and sung as it was measured."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vctool.data.batches import Clips
from vctool.models.base import Condition
from vctool.models.vocal_cyclegan.generator import Output
from vctool.models.vocal_cyclegan.ornaments import (
    Ornaments,
    level_of,
    measure,
    on_syllables,
    ornamented,
    syllables,
    vibrato,
)
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.system import System

MakeSystem = Callable[..., tuple[System, dict[str, Clips]]]
RATE = 100.0
PLAIN = np.full(128, 60.0)
TIME = np.arange(128) / RATE


def test_vibrato_is_measured_as_it_was_sung() -> None:
    for rate, depth, onset in ((5.0, 0.3, 0.2), (6.2, 0.5, 0.12), (4.6, 0.2, 0.0)):
        swelling = np.clip((TIME - onset) / 0.12 + 0.5, 0, 1)
        moving = depth * swelling * np.sin(2 * np.pi * rate * TIME)
        found = vibrato(PLAIN + 0.2 * TIME + moving, np.ones(128, bool), RATE)
        assert found is not None and found.clear
        assert abs(found.rate - rate) <= 0.1
        assert abs(found.depth - depth) < 0.15 * depth
        assert abs(found.onset - onset) <= 0.045


@pytest.mark.parametrize("kind", ["still", "drifting", "trembling", "restless"])
def test_what_is_no_vibrato_is_not_taken_for_it(kind: str) -> None:
    moving = {
        "still": 0.05 * np.sin(2 * np.pi * 5.5 * TIME),
        "drifting": 0.4 * np.sin(2 * np.pi * 1.5 * TIME),
        "trembling": 0.4 * np.sin(2 * np.pi * 12 * TIME),
        "restless": np.random.default_rng(0).normal(0, 0.4, 128),
    }[kind]
    found = vibrato(PLAIN + moving, np.ones(128, bool), RATE)
    assert found is None or not found.clear


def test_unvoiced_frames_have_no_vote() -> None:
    voiced = np.ones(128, bool)
    voiced[50:60] = False
    pitch = PLAIN + 0.3 * np.sin(2 * np.pi * 5.5 * TIME)
    pitch[50:60] += 7
    found = vibrato(pitch, voiced, RATE)
    assert found is not None and abs(found.rate - 5.5) <= 0.1 and abs(found.depth - 0.3) < 0.05


def test_measuring_what_was_sung_gives_what_it_was_sung_with() -> None:
    how = Ornaments(5.4, 0.3, 0.3, 0.04, 0.2)
    meant = np.repeat(50.0 + np.arange(64)[:, None] % 24, 128, axis=1)
    notes = np.stack([ornamented(one, one, RATE, how) for one in meant])
    # Notes begin within their clips.
    notes = np.concatenate([np.repeat(notes[:, :1], 20, axis=1), notes], axis=1)
    voiced = np.arange(148) >= 20
    flat = np.where(voiced, -10.0, -60.0)
    found = measure(notes, np.tile(voiced, (64, 1)), np.tile(flat, (64, 1)), RATE)
    assert abs(found.rate - how.rate) < 0.3 and found.rate_spread < 0.6
    assert abs(found.depth - how.depth) < 0.05 and found.depth_spread < 0.1
    assert abs(found.onset - how.onset) <= 0.05


def test_straight_voices_stay_straight() -> None:
    assert np.array_equal(ornamented(PLAIN, PLAIN, RATE, Ornaments()), PLAIN)
    notes, level = np.tile(PLAIN, (8, 1)), np.full((8, 128), -10.0)
    for voiced in (np.ones((8, 128), bool), np.zeros((8, 128), bool)):
        assert measure(notes, voiced, level, RATE) == Ornaments()


@pytest.mark.parametrize("straight", [7, 9])
def test_vibrato_is_taken_on_where_most_notes_have_it(straight: int) -> None:
    deep = PLAIN + 0.4 * np.sin(2 * np.pi * 5.5 * TIME)
    little = PLAIN + 0.02 * np.sin(2 * np.pi * 5.0 * TIME)
    notes = np.stack([deep] * 8 + [little] * straight)
    found = measure(notes, np.ones(notes.shape, bool), np.full(notes.shape, -10.0), RATE)
    if straight > 8:
        assert found == Ornaments()
    else:
        assert abs(found.rate - 5.5) <= 0.1  # of those that clearly have one
        assert abs(found.depth - 0.4) < 0.05 and 0.2 < found.depth_spread < 0.35


def test_notes_begin_with_the_syllable_that_is_near() -> None:
    level = np.full(300, -10.0)
    for frame in (60, 150, 240):
        level[frame - 6 : frame + 7] -= 9 * np.hanning(13)
    assert syllables(level, RATE).tolist() == [60, 150, 240]
    notes = np.repeat([60.0, 62.0, 64.0, 65.0], [48, 57, 60, 135])  # steps at 48, 105, 165
    expected = np.repeat([60.0, 62.0, 64.0, 65.0], [60, 45, 45, 150])  # 105 has none near
    assert np.array_equal(on_syllables(notes, level, RATE), expected)
    crowded = np.repeat([60.0, 62.0, 64.0], [55, 10, 235])  # both steps are nearest to 60
    assert np.array_equal(on_syllables(crowded, level, RATE), np.repeat([60.0, 64.0], [60, 240]))
    assert np.array_equal(on_syllables(notes, np.zeros(300), RATE), notes)


def test_level_is_that_of_vowels() -> None:
    frequencies = np.array([100.0, 500.0, 2000.0, 6000.0])
    bands = np.array([[0.0, -90], [-10, -10], [-10, -10], [0, -90]])
    np.testing.assert_allclose(level_of(bands, frequencies), [-10, -10])


def test_vibrato_sets_in_late_and_ends_with_the_note() -> None:
    how = Ornaments(5.5, 0.0, 0.3, 0.0, 0.3)
    meant = np.repeat([60.0, 64.0], 100)
    moving = ornamented(meant, meant, RATE, how) - meant
    for note in (moving[:100], moving[100:]):
        assert np.all(np.abs(note[:24]) < 1e-9) and abs(note[99]) < 1e-9
        assert 0.28 < np.abs(note[40:85]).max() <= 0.3
    assert np.array_equal(moving, ornamented(meant, meant, RATE, how) - meant)


def test_a_system_measures_its_singers_and_sings_so(make_system: MakeSystem) -> None:
    plain, _ = make_system()
    system, batch = make_system(ornaments=True)
    system.load_state_dict(plain.state_dict(), strict=False)
    singers = system._domain("singing")
    assert singers.ornaments is not None
    singers.ornaments.copy_(torch.tensor([5.5, 0.0, 0.3, 0.0, 0.1]))
    assert system._domain("speech").ornaments is None
    speech = batch["speech"]
    outputs = [one._sing(speech.voice, speech.condition, speech.key) for one in (plain, system)]
    shown = [
        one.to_singing.delivered(output, one._domain("singing")).notes
        for one, output in zip((plain, system), outputs, strict=True)
    ]
    assert shown[0] is not None and shown[1] is not None
    apart = (shown[1] - shown[0]).detach()
    assert 0.1 < float(apart.abs().max()) < 0.7
    for clip in range(len(apart)):
        alone = Output(*(None if part is None else part[clip : clip + 1] for part in outputs[1]))
        with torch.no_grad():
            notes, _ = system.to_singing.decode(alone, singers)
        torch.testing.assert_close(torch.tensor(notes).float(), shown[1][clip], atol=1e-4, rtol=0)
    # The gradient is that of the posterior's mean still.
    shown[1].sum().backward()
    assert any(p.grad is not None for p in system.to_singing.parameters())


def test_ornaments_need_a_pitch() -> None:
    with pytest.raises(ValidationError, match="ornaments needs voice: world"):
        VocalCycleGanConfig(voice="mel", ornaments=True)


def test_ornaments_are_heard_in_a_conversion(make_system: MakeSystem) -> None:
    plain, _ = make_system()
    system, _ = make_system(ornaments=True)
    system.load_state_dict(plain.state_dict(), strict=False)
    random = np.random.default_rng(0)
    features = system.context.features
    frames = 200
    voice = random.normal(-2, 0.1, (frames, 1 + features.envelope_dim + 1)).astype(np.float32)
    voice[:, 0], voice[:, -1] = 200, -20
    chroma = np.full((frames, 12), 1 / 12, np.float32)
    mel = np.zeros((frames, features.n_mels), np.float32)
    under = Condition({"accomp_mel": mel, "accomp_chroma": chroma})
    made = [one.convert({"world": voice}, under, "singing")["world"] for one in (plain, system)]
    assert np.array_equal(made[0], made[1])  # none were measured
    singers = system._domain("singing")
    assert singers.ornaments is not None
    singers.ornaments.copy_(torch.tensor([5.5, 0.0, 0.3, 0.0, 0.1]))
    shaken = system.convert({"world": voice}, under, "singing")["world"]
    assert np.array_equal(shaken[:, 1:], made[0][:, 1:])
    both = (shaken[:, 0] > 0) & (made[0][:, 0] > 0)
    if both.any():
        assert not np.allclose(shaken[both, 0], made[0][both, 0])
    again = system.convert({"world": voice}, under, "singing")["world"]
    assert np.array_equal(shaken, again)
