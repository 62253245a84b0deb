"""The pitch stream: what the bottleneck forgets, and what the best path does."""

import numpy as np
import torch

from vctool.features.chroma import hz_to_midi
from vctool.models.vocal_cyclegan.melody import (
    LOWEST_NOTE,
    NOTES,
    MelodyNet,
    best_path,
    contour,
    contour_of,
    count_transitions,
    cross_entropy,
    expand,
    expected_note,
    glide,
    held,
    interpolate_f0,
    intonation,
    midi_to_hz,
    note_targets,
    pool,
)

RATE = 83.3


def test_notes_and_frequencies_are_inverse() -> None:
    assert midi_to_hz(np.array([69.0]))[0] == 440.0
    notes = np.linspace(36, 84, 20)
    np.testing.assert_allclose(hz_to_midi(midi_to_hz(notes)), notes)


def test_interpolation_bridges_gaps_in_semitones() -> None:
    f0 = np.array([0, 220.0, 0, 440.0, 0])
    np.testing.assert_allclose(interpolate_f0(f0), [57, 57, 63, 69, 69], atol=1e-4)


def test_contour_forgets_register_range_and_vibrato() -> None:
    time = np.arange(500) / RATE
    voiced = np.ones(500, bool)
    slow = 3 * np.sin(2 * np.pi * 0.5 * time)  # three whole periods
    plain, mean = contour(60 + slow, voiced, RATE)
    other, other_mean = contour(45 + 2 * slow, voiced, RATE)
    shaking, _ = contour(60 + slow + 0.5 * np.sin(2 * np.pi * 6 * time), voiced, RATE)
    assert abs(mean - 60) < 0.2 and abs(other_mean - 45) < 0.4
    np.testing.assert_allclose(plain, other, atol=0.02)
    np.testing.assert_allclose(plain[40:-40], shaking[40:-40], atol=0.05)


def test_contour_of_a_batch_agrees_with_the_contour_of_an_utterance() -> None:
    random = np.random.default_rng(0)
    notes = 57 + np.cumsum(random.normal(0, 0.3, 300))
    voiced = random.random(300) < 0.7
    one, _ = contour(notes, voiced, RATE)
    batch = contour_of(torch.tensor(notes)[None], torch.tensor(voiced)[None].double(), RATE)
    centred = one - one[voiced].mean()
    # The utterance's spread is taken about its own mean, the clip's about zero.
    assert np.corrcoef(batch[0].numpy(), centred)[0, 1] > 0.9999


def test_transposing_everything_transposes_the_posterior() -> None:
    torch.manual_seed(0)
    net = MelodyNet(width=4, layers=2).eval()
    chroma = torch.rand(1, 12, 40)
    chroma = chroma / chroma.sum(1, keepdim=True)
    target = 60 + torch.randn(1, 40)
    register = torch.tensor([60.0])
    voiced, level = torch.ones(1, 40), torch.zeros(1, 40)
    before = net(chroma, target, register, voiced, level)
    after = net(chroma.roll(3, dims=1), target + 3, register + 3, voiced, level)
    # Away from the ends of the scale, where convolutions see padding.
    torch.testing.assert_close(after[:, 17:-14], before[:, 14:-17], rtol=1e-4, atol=1e-5)


def test_posterior_depends_on_the_accompaniment() -> None:
    torch.manual_seed(0)
    net = MelodyNet(width=4, layers=1)
    chroma = torch.rand(2, 12, 40)
    rest = (torch.full((2, 40), 60.0), torch.full((2,), 60.0), torch.ones(2, 40))
    level = torch.zeros(2, 40)
    assert not torch.allclose(net(chroma, *rest, level), net(chroma.flip(0), *rest, level))


def test_notes_and_contours_are_not_rounded_under_autocast() -> None:
    torch.manual_seed(0)
    net = MelodyNet(width=4, layers=2)
    with torch.no_grad():
        net.score.weight *= 20  # as decided as a trained one
    target = torch.linspace(55, 70, 160)[None]
    rest = (torch.tensor([60.0]), torch.ones(1, 160), torch.zeros(1, 160))
    with torch.autocast("cpu", torch.bfloat16):
        scores = net(torch.full((1, 12, 160), 1 / 12), target, *rest)
        notes = expected_note(scores, 160)
        loss = cross_entropy(scores, target, torch.ones(1, 160))
        shape = contour_of(notes, torch.ones(1, 160), RATE)
    exact = scores.double().softmax(1)
    mean = (exact * torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES)[:, None]).sum(1, keepdim=True)
    torch.testing.assert_close(notes.double(), expand(mean, 160)[:, 0], rtol=0, atol=1e-3)
    torch.testing.assert_close(shape, contour_of(notes, torch.ones(1, 160), RATE))
    assert len(notes.unique()) > 140  # in bf16 there are at most four values in a semitone
    assert scores.dtype == notes.dtype == loss.dtype == torch.float32
    notes.square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert all(bool(p.grad.abs().sum() > 0) for p in net.parameters() if p.grad is not None)


def test_targets_cross_entropy_and_expectation_fit_together() -> None:
    notes = torch.full((1, 32), 60.0)
    voiced = torch.ones(1, 32)
    target, share = note_targets(notes, voiced)
    assert target.shape == (1, NOTES, 8) and torch.all(share == 1)
    scores = target.clamp_min(1e-30).log()
    assert torch.allclose(expected_note(scores, 32), notes, atol=1e-3)
    right = cross_entropy(scores, notes, voiced)
    assert right < cross_entropy(scores, notes + 2, voiced)
    assert cross_entropy(scores, notes + 2, torch.zeros(1, 32)) == 0  # silence teaches nothing


def test_pool_and_expand_stay_in_place() -> None:
    ramp = torch.arange(64.0)[None, None]
    back = expand(pool(ramp), 64)
    torch.testing.assert_close(back[..., 2:-2], ramp[..., 2:-2])


def test_best_path_holds_notes_that_a_frame_by_frame_choice_would_not() -> None:
    steps = 60
    notes = torch.cat([torch.full((30,), 57.0), torch.full((30,), 62.0)])
    rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES).float()
    torch.manual_seed(1)
    scores = -0.5 * ((rows[:, None] - notes) / 1.5).square() + torch.randn(NOTES, steps)
    held = notes.repeat_interleave(4)[None]
    path = best_path(scores, count_transitions(held, torch.ones_like(held)), 0.5)
    greedy = scores.argmax(0) + LOWEST_NOTE
    assert (path == notes).float().mean() > 0.9
    assert (path == notes).float().mean() > (greedy == notes).float().mean() + 0.3


def test_transitions_are_a_distribution_that_prefers_what_was_seen() -> None:
    notes = torch.tensor([60.0, 60, 60, 62, 62, 60]).repeat_interleave(4)[None]
    log_probability = count_transitions(notes, torch.ones_like(notes))
    assert torch.isclose(log_probability.exp().sum(), torch.tensor(1.0))
    stay, up_two, up_nine = log_probability[NOTES - 1 + torch.tensor([0, 2, 9])]
    assert stay > up_two > up_nine


def test_glide_rounds_steps_and_keeps_notes() -> None:
    path = torch.cat([torch.full((20,), 57), torch.full((20,), 60)])
    track = glide(held(path, 158), RATE, 0.08)
    assert track.shape == (158,)
    np.testing.assert_allclose(track[[0, 70, 90, 157]], [57, 57, 60, 60])
    assert np.abs(np.diff(track)).max() < 1.5


def test_intonation_is_read_beside_the_note_and_from_nowhere_else() -> None:
    rows = torch.arange(LOWEST_NOTE, LOWEST_NOTE + NOTES).float()
    path = torch.full((12,), 60)
    sharp = -0.5 * ((rows[:, None] - 60.3) / 0.5).square().expand(NOTES, 12)
    offset = intonation(sharp, path)
    assert torch.all((offset > 0.2) & (offset < 0.4))
    torch.testing.assert_close(intonation(sharp.flip(1), path), offset.flip(0))
    # A second peak an octave away is another note, not this one sung badly.
    other = torch.logaddexp(sharp, -0.5 * ((rows[:, None] - 72) / 0.5).square())
    torch.testing.assert_close(intonation(other, path), offset)


def test_paths_of_a_batch_are_those_of_its_clips() -> None:
    scores = 3 * torch.randn(3, NOTES, 20, generator=torch.Generator().manual_seed(0))
    notes = torch.tensor([60.0, 60, 60, 62, 62, 60]).repeat_interleave(4)[None]
    transitions = count_transitions(notes, torch.ones_like(notes))
    paths = best_path(scores, transitions, 0.3)
    beside = intonation(scores, paths)
    for clip in range(3):
        assert torch.equal(best_path(scores[clip], transitions, 0.3), paths[clip])
        torch.testing.assert_close(intonation(scores[clip], paths[clip]), beside[clip])
