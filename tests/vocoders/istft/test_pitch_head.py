from itertools import pairwise, product

import pytest
import torch

from vctool.vocoders.istft.pitch_head import LEAP_COST, REACH, PitchHead


def head() -> PitchHead:
    torch.manual_seed(0)
    return PitchHead(20, 16, 1, 60.0, 600.0, 25.0)


def peaks(one: PitchHead, f0: torch.Tensor) -> torch.Tensor:
    """Log probability of classes that peaks at given F0 (B, F)."""
    away = (one.centres - f0.log()[..., None]) / one.step
    return torch.log_softmax(-0.5 * away.square(), dim=-1)


def test_f0_between_classes_is_read_to_a_cent() -> None:
    one = head()
    f0 = torch.exp(torch.linspace(4.3, 6.2, 50))[None]
    for read in (one.framewise, one.track):
        cents = 1200 * torch.log2(read(peaks(one, f0)) / f0)
        assert float(cents.abs().max()) < 1.0


def test_the_track_ignores_a_frame_that_leaps() -> None:
    one = head()
    f0 = torch.full((1, 30), 150.0)
    leaping = f0.clone()
    leaping[0, 12] = 300.0
    scores = peaks(one, leaping)
    scores[0, 12] = torch.log(0.6 * scores[0, 12].exp() + 0.4 * peaks(one, f0)[0, 12].exp())
    assert float(one.framewise(scores)[0, 12]) == pytest.approx(300, rel=0.01)
    assert float(one.track(scores)[0, 12]) == pytest.approx(150, rel=0.01)


def test_the_track_is_the_best_of_all_paths() -> None:
    one = head()
    torch.manual_seed(3)
    scores = torch.log_softmax(torch.randn(1, 4, len(one.centres)), dim=-1)
    scores[..., 6:] = -30.0
    found, best = -torch.inf, None
    for path in product(range(6), repeat=4):
        if any(abs(b - a) > REACH for a, b in pairwise(path)):
            continue
        total = sum(float(scores[0, t, c]) for t, c in enumerate(path))
        total -= LEAP_COST * sum(abs(b - a) for a, b in pairwise(path))
        if total > found:
            found, best = total, path
    assert best is not None
    assert one.path(scores)[0].tolist() == list(best)


def test_a_batch_is_tracked_as_its_parts_are() -> None:
    one = head()
    scores = torch.log_softmax(torch.randn(3, 9, len(one.centres)), dim=-1)
    parts = torch.cat([one.track(scores[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(one.track(scores), parts)


def test_unvoiced_frames_teach_nothing_and_the_right_class_costs_least() -> None:
    one = head()
    f0 = torch.tensor([[120.0, 0.0, 250.0]])
    right, wrong = peaks(one, f0.clamp_min(60.0)), peaks(one, torch.full((1, 3), 400.0))
    assert float(one.loss(right, f0)) < float(one.loss(wrong, f0)) - 5
    changed = right.clone()
    changed[0, 1] = torch.randn(len(one.centres))
    assert float(one.loss(changed, f0)) == float(one.loss(right, f0))


def test_it_learns_the_pitch_of_harmonics() -> None:
    """Rows are bands 25 Hz wide; a voice has power in the bands of its harmonics."""
    torch.manual_seed(0)
    one = PitchHead(40, 32, 1, 60.0, 400.0, 50.0)
    adam = torch.optim.Adam(one.parameters(), lr=3e-3)
    bands = 25.0 * torch.arange(40)[None, :, None]

    def voices(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        f0 = torch.exp(torch.empty(count, 1).uniform_(4.3, 5.8)).expand(-1, 12)
        near = (bands / f0[:, None]).frac()
        return torch.exp(-30 * torch.minimum(near, 1 - near).square()), f0

    for _ in range(100):
        mel, f0 = voices(16)
        adam.zero_grad()
        one.loss(one(mel), f0).backward()
        adam.step()
    mel, f0 = voices(50)
    with torch.no_grad():
        cents = 1200 * torch.log2(one.track(one(mel)) / f0)
    assert float(cents.abs().median()) < 25
