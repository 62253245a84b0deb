"""What discriminators can tell, and how other voices are imitated."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.sounds import buzz
from vctool.data.sampling import keyed_uniform
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.models.vae_gan import streams
from vctool.models.vae_gan.discriminators import (
    PatchDiscriminator,
    ScaleDiscriminator,
    matched,
    steepness,
)
from vctool.models.vae_gan.other_voices import DEPTH_DB, OtherVoices

BINS, FRAMES, TOP_DB = 48, 64, 80.0
STEPS = 60


def clips(count: int) -> Tensor:
    """Formants that wander over a falling spectrum with ripples, normalised: (N, BINS, FRAMES)."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        place = np.cumsum(rng.normal(0, 0.5, (2, FRAMES)), axis=1) + rng.uniform(5, 40, (2, 1))
        bins = np.arange(BINS)[:, None]
        level = -20 - 0.7 * bins - 12 * np.abs(np.sin(bins / rng.uniform(1.5, 2.5)))
        for one in place:
            level = np.maximum(level, -15 - 0.5 * bins - 2.0 * np.abs(bins - one))
        made.append(1 + (level + rng.normal(0, 1.5, level.shape)) / TOP_DB)
    return torch.from_numpy(np.stack(made).astype(np.float32))


def blurred(mel: Tensor, db: float) -> Tensor:
    """Draw clips to their own mean over three frames and bins until they differ by some dB."""
    far = nn.functional.avg_pool2d(mel[:, None], 3, 1, 1, count_include_pad=False)[:, 0] - mel
    return mel + db / TOP_DB / far.abs().mean() * far


def loss_after(judge: PatchDiscriminator | ScaleDiscriminator, real: Tensor, fake: Tensor) -> float:
    """Train a discriminator and return its loss over the last ten steps."""
    judge.measure(real)
    optimizer = torch.optim.Adam(judge.parameters(), 5e-4, (0.5, 0.99))
    rng, losses = np.random.default_rng(1), []
    for _ in range(STEPS):
        one, other = rng.integers(len(real), size=(2, 4))
        true, false = judge(torch.cat([real[one], fake[other]])).score.chunk(2)
        loss = 0.5 * ((1 - true).square().mean() + false.square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-10:]))


def test_a_blur_of_two_and_a_half_decibels_is_told_sooner_than_by_the_published_one() -> None:
    real = clips(40)
    fake = blurred(real, 2.5)
    assert (fake - real).abs().mean() * TOP_DB == pytest.approx(2.5, rel=1e-3)
    torch.manual_seed(0)
    old = loss_after(PatchDiscriminator(16, False), real, fake)
    torch.manual_seed(0)
    new = loss_after(ScaleDiscriminator(BINS, 16), real, fake)
    assert old > 0.15 and new < 0.7 * old, (old, new)


def test_every_bin_weighs_the_same_whatever_its_level_and_spread() -> None:
    torch.manual_seed(0)
    one, other = ScaleDiscriminator(BINS, 4), ScaleDiscriminator(BINS, 4)
    other.load_state_dict(one.state_dict())
    mel = clips(6)
    gain = torch.linspace(1.0, 3.0, BINS)[:, None]
    one.measure(mel)
    other.measure(mel * gain + 0.3)
    torch.testing.assert_close(one(mel).score, other(mel * gain + 0.3).score, rtol=1e-3, atol=1e-4)
    assert (one(mel).score - one(mel * gain + 0.3).score).abs().max() > 1e-3


def test_a_bin_that_never_sounds_is_not_blown_up() -> None:
    judge = ScaleDiscriminator(BINS, 4)
    judge.measure(torch.zeros(3, BINS, FRAMES))
    assert judge(torch.full((1, BINS, FRAMES), 0.02)).score.abs().max() < 10


def test_steepness_is_the_squared_slope_at_real_clips() -> None:
    torch.manual_seed(0)
    judge, mel = ScaleDiscriminator(BINS, 4), clips(3)
    judge.measure(mel)
    penalty = steepness(judge, mel)
    penalty.backward()
    assert judge.fine.last.weight.grad is not None
    with torch.no_grad():
        assert steepness(judge, mel) == 0  # held-out batches have no gradient
        for scale in (judge.fine, judge.coarse):
            scale.last.weight *= 3.0
    torch.testing.assert_close(steepness(judge, mel), 9 * penalty)
    # against differences: along its own gradient, a score moves by the gradient's size
    given = mel[:1].clone().requires_grad_()
    slope = torch.autograd.grad(judge(given).score.sum(), given)[0]
    size = float((slope * judge.deviation).square().sum()) / judge(mel[:1]).score.numel()
    assert float(steepness(judge, mel[:1]).detach()) == pytest.approx(size, rel=1e-4)


def test_matching_is_nought_for_the_clip_itself_and_does_not_depend_on_scale() -> None:
    torch.manual_seed(0)
    judge, mel = ScaleDiscriminator(BINS, 4), clips(3)
    judge.measure(mel)
    real, near, far = (judge(x).seen for x in (mel, blurred(mel, 1.0), blurred(mel, 4.0)))
    assert matched(real, real) == 0
    assert 0 < matched(near, real) < matched(far, real)
    twice, doubled = ([2 * one for one in maps] for maps in (far, real))
    torch.testing.assert_close(matched(twice, doubled), matched(far, real))


RATE = 16000
FEATURES = FeatureConfig(
    rate=RATE, n_fft=2048, win_length=800, hop_length=200, n_mels=128, f_min=40, mel_power=1
)


def sung(f0: float) -> tuple[Tensor, Tensor]:
    """A buzz, normalised log-mel and F0 (1, ..., F)."""
    wave = buzz(1.0, f0, round(7600 / f0), RATE, fall=0.0)
    mel = log_mel(wave.astype(np.float32), FEATURES)
    values = streams.normalise(mel, streams.level(mel), FEATURES)[10:60]
    return torch.from_numpy(values.T.copy())[None], torch.full((1, 50), f0)


def shifts(key: Tensor) -> Tensor:
    """Intervals [octaves] that clips with these keys are moved by."""
    return 2.0 * keyed_uniform(key, (1,), 3)[:, 0] - 1.0


def test_harmonics_go_where_another_voice_has_them() -> None:
    mel, f0 = sung(200.0)
    others = OtherVoices(FEATURES, 0.0, 12.0)
    keys = torch.arange(40)
    octaves = shifts(keys)
    for index in (int(octaves.argmax()), int((octaves - 0.5).abs().argmin())):
        key = keys[index : index + 1]
        wanted, _ = sung(200.0 * 2.0 ** float(octaves[index]))
        made = others(mel, f0, key)
        before, after = (
            np.corrcoef(*(valleys(x)[0, 4:45, 20].numpy() for x in (one, wanted)))[0, 1]
            for one in (mel, made)
        )
        assert after > max(0.3, before + 0.3), (float(octaves[index]), before, after)


def valleys(mel: Tensor) -> Tensor:
    """Level of a flat spectrum's harmonics, with valleys as deep as those that are drawn."""
    return mel.clamp(min=float(mel.max()) - DEPTH_DB / FEATURES.top_db)


def test_silence_and_unvoiced_frames_stay_and_a_clip_owns_its_shift() -> None:
    mel, f0 = sung(150.0)
    f0[:, 25:] = 0
    mel[:, :, :5] = 0
    others = OtherVoices(FEATURES, 0.0, 12.0)
    made = others(mel, f0, torch.tensor([7]))
    torch.testing.assert_close(made[:, :, 25:], mel[:, :, 25:])
    assert not made[:, :, :5].any()
    assert (made - mel)[:, :, 5:25].abs().max() * FEATURES.top_db > 3
    batch = others(mel.repeat(2, 1, 1), f0.repeat(2, 1), torch.tensor([3, 7]))
    torch.testing.assert_close(batch[1:], made)


def test_nothing_is_moved_where_nothing_is_asked() -> None:
    mel, _ = sung(150.0)
    assert OtherVoices(FEATURES, 0.0, 0.0)(mel, None, torch.tensor([7])) is mel
