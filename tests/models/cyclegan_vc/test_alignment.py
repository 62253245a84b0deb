"""Aligning frames of two speakers who say different things."""

from pathlib import Path
from typing import Any

import pytest
import torch

from vctool import cache
from vctool.models.cyclegan_vc import alignment


def sounds(seed: int, segments: int, frames: int = 120) -> torch.Tensor:
    """Return segments (N, 4, F) that move smoothly through a few sounds, in their own order."""
    rng = torch.Generator().manual_seed(seed)
    inventory = torch.randn(12, 4, generator=torch.Generator().manual_seed(99))
    order = torch.randint(0, 12, (segments, frames // 10 + 2), generator=rng)
    knots = inventory[order].transpose(1, 2)
    return torch.nn.functional.interpolate(knots, size=frames, mode="linear")


def normalised(x: torch.Tensor) -> torch.Tensor:
    mean, std = x.mean(dim=(0, 2), keepdim=True), x.std(dim=(0, 2), keepdim=True)
    return (x - mean) / std


def everything(x: torch.Tensor) -> alignment.Frames:
    return alignment.choose(x, torch.ones(x.shape[0], x.shape[2], dtype=torch.bool), 1024)


def test_a_known_mixing_of_channels_is_undone_from_other_sentences() -> None:
    """The target is the source's sounds turned by a rotation; no sentence is common to both."""
    angle = torch.tensor(0.5)
    turn = torch.eye(4)
    turn[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    source = normalised(sounds(0, 60))
    spoken = sounds(1, 60)
    target = normalised(torch.einsum("de,nef->ndf", turn, normalised(spoken)))
    weight = alignment.fit(everything(source), everything(target), torch.eye(4)[None])
    held = sounds(2, 20)
    wanted = torch.einsum("de,nef->ndf", turn, normalised(held))
    made = alignment.apply(normalised(held), weight)
    before = (normalised(held) - normalised(wanted)).square().mean()
    after = (made - normalised(wanted)).square().mean()
    assert after < 0.3 * before


def test_the_beginning_that_brings_speakers_nearest_is_kept() -> None:
    """Far from the truth frames pair wrongly for ever; one of the beginnings must be near."""
    turns = []
    for angle in (0.0, 0.8, 1.6, 2.4):
        turn = torch.eye(4)
        c, s = torch.cos(torch.tensor(angle)), torch.sin(torch.tensor(angle))
        turn[:2, :2] = torch.tensor([[c, -s], [s, c]])
        turns.append(turn)
    source, held = normalised(sounds(0, 60)), normalised(sounds(2, 20))
    wanted = torch.einsum("de,nef->ndf", turns[3], held)
    target = torch.einsum("de,nef->ndf", turns[3], normalised(sounds(1, 60)))

    def error(starts: torch.Tensor) -> float:
        weight = alignment.fit(everything(source), everything(target), starts)
        return float((alignment.apply(held, weight) - wanted).square().mean())

    assert error(torch.stack(turns)) < 0.1
    assert error(turns[0][None]) > 0.5


def test_the_same_speaker_is_left_nearly_alone() -> None:
    source, target = normalised(sounds(0, 60)), normalised(sounds(1, 60))
    weight = alignment.fit(everything(source), everything(target), torch.eye(4)[None])
    held = normalised(sounds(2, 20))
    assert (alignment.apply(held, weight) - held).square().mean() < 0.05


def test_deviation_is_restored() -> None:
    """Least squares on wrong pairs shrinks; what comes out must move as much as what went in."""
    rng = torch.Generator().manual_seed(3)
    source = torch.randn(20, 4, 100, generator=rng)  # frames that nothing predicts
    target = torch.randn(20, 4, 100, generator=rng)
    weight = alignment.fit(everything(source), everything(target), torch.eye(4)[None])
    made = alignment.apply(source, weight)
    torch.testing.assert_close(made.std(dim=(0, 2)), source.std(dim=(0, 2)), rtol=0.03, atol=0.0)


def test_what_was_fitted_is_not_fitted_again_and_is_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = (everything(normalised(sounds(seed, 20))) for seed in (0, 1))
    starts = torch.eye(4)[None]
    fitted, anew = [], alignment.fit_anew

    def counted(*given: Any) -> torch.Tensor:
        fitted.append(given)
        return anew(*given)

    monkeypatch.setattr(alignment, "fit_anew", counted)
    plain = alignment.fit(source, target, starts)
    with cache.use(tmp_path / "prepared.sqlite"):
        again = [alignment.fit(source, target, starts) for _ in range(3)]
        assert len(fitted) == 2  # without a cache, and once with one
        # other frames, another direction, another start and fewer places are other fits
        louder = source._replace(segments=source.segments * 1.001)
        for other in (
            (louder, target, starts),
            (target, source, starts),
            (source, target, 2 * starts),
            (source.thinned(512), target, starts),
        ):
            assert torch.equal(alignment.fit(*other), anew(*other))
        assert len(fitted) == 6
        monkeypatch.setattr(alignment, "RIDGE", 0.2)
        assert torch.equal(alignment.fit(source, target, starts), anew(source, target, starts))
    for one in again:
        assert torch.equal(one, plain) and one.dtype == plain.dtype


def test_silence_is_not_aligned() -> None:
    x = sounds(0, 5)
    active = torch.zeros(5, 120, dtype=torch.bool)
    active[2, 40:80] = True
    frames = alignment.choose(x, active, 1024)
    assert set(frames.places[:, 0].tolist()) == {2}
    assert frames.places[:, 1].min() == 40
    assert frames.places[:, 1].max() == 79


def test_taps_are_the_frames_around() -> None:
    ramp = torch.arange(50.0).expand(1, 2, 50)
    taken = alignment.taps(ramp, torch.tensor([[0, 20], [0, 0], [0, 49]]))
    step = alignment.SPACING
    assert taken[0, 1].tolist() == [20 - 2 * step, 20 - step, 20, 20 + step, 20 + 2 * step]
    assert taken[1, 0].tolist() == [0, 0, 0, step, 2 * step]  # ends are held
    torch.testing.assert_close(alignment.apply(ramp, alignment.identity(2)), ramp)


def test_nearest_is_the_smallest_distance() -> None:
    rng = torch.Generator().manual_seed(5)
    queries = torch.randn(30, 3, 5, generator=rng)
    bank = torch.randn(40, 3, 5, generator=rng)
    expected = torch.cdist(queries.flatten(1), bank.flatten(1)).argmin(dim=1)
    assert torch.equal(alignment.nearest(queries, bank), expected)


def test_frames_that_are_known_to_say_the_same_are_paired_by_that_alone() -> None:
    """The target's sounds are the source's in another order of channels, turned round."""
    angle = torch.tensor(2.5)  # too far to find by nearness
    turn = torch.eye(4)
    turn[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    frames, said = [], []
    for seed, matrix in ((0, torch.eye(4)), (1, turn)):
        plain = sounds(seed, 60)
        found = everything(normalised(torch.einsum("de,nef->ndf", matrix, normalised(plain))))
        frames.append(found)
        said.append(normalised(plain)[found.places[:, 0], :, found.places[:, 1]])
    weight = alignment.fit_pairs(*frames, *said, count=4)
    held = normalised(sounds(2, 20))
    wanted = normalised(torch.einsum("de,nef->ndf", turn, held))
    made = alignment.apply(held, weight)
    # with wrong pairs from source to target it is 0.04, with wrong ones back 0.02
    assert (made - wanted).square().mean() < 0.01 * (held - wanted).square().mean()
    torch.testing.assert_close(made.std(dim=(0, 2)), wanted.std(dim=(0, 2)), rtol=0.1, atol=0.0)
