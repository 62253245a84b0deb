"""What a conversion takes from its reference and its source beside the decoder's spectra."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.features.mel import mel_frequencies
from vctool.features.mel_bands import MelBands
from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae import mending
from vctool.models.timbre_vqvae.spectra import SEMITONES

FEATURES = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_timbre.yaml"), "16k")
BINS, FRAMES = 1 + FEATURES.n_fft // 2, 40
FINE, BROAD = MelBands(FEATURES, 128), MelBands(FEATURES, mending.ENVELOPE_BANDS)


def comb(every: int, tilt: float = 0.0) -> Tensor:
    """Partials at every so many bins, 40 dB above what is between: (1, K, F)."""
    level = np.where(np.arange(BINS) % every == 0, -1.0, -5.0) - tilt * np.arange(BINS) / BINS
    return torch.from_numpy(10.0 ** np.repeat(level[None, :, None], FRAMES, axis=2)).float()


def test_what_the_decoder_lacks_of_a_reference_is_measured_and_made_up_for() -> None:
    real, made = comb(25), comb(25, tilt=2.0)
    lacking = mending.shortfall(real, made, FINE)
    centres = mel_frequencies(FEATURES.model_copy(update={"n_mels": 128}))[1:-1]
    expected = 2.0 * centres / (0.5 * FEATURES.rate)
    assert lacking.shape == (1, 128)
    assert np.abs(lacking[0].numpy() - expected)[9:-9].max() < 0.05
    mended = mending.made_up(made, lacking, FINE)
    before, after = ((torch.log10(one / real)).abs().mean() for one in (made, mended))
    assert float(after) < 0.06 * float(before)
    nothing = mending.made_up(real, mending.shortfall(real, real, FINE), FINE)
    torch.testing.assert_close(nothing, real)
    # frames that do not sound do not count
    quiet = torch.cat([real, 1e-9 * torch.rand_like(real)], dim=2)
    beside = torch.cat([made, torch.full_like(made, 1e-8)], dim=2)
    torch.testing.assert_close(mending.shortfall(quiet, beside, FINE), lacking)


def playing(count: int, much: float) -> Tensor:
    active = torch.zeros(1, SEMITONES, FRAMES)
    active[:, 20 : 20 + count] = much
    return active


def test_partials_are_the_source_s_own_where_pitches_are_unsure() -> None:
    made, own = comb(25, tilt=2.0), comb(17)
    sure, unsure = (
        mending.blended(made, own, playing(count, much), BROAD)
        for count, much in ((1, 1.0), (12, 0.2))
    )

    def stands_out(power: Tensor, every: int) -> float:
        """Return how far bins at every so many lie over those between, from bin 200 on [bel]."""
        logs = torch.log10(power[0, 200:, 20])
        at = (torch.arange(200, BINS) % every == 0) & (torch.arange(200, BINS) % (42 - every) != 0)
        between = (torch.arange(200, BINS) % 25 != 0) & (torch.arange(200, BINS) % 17 != 0)
        return float(logs[at].mean() - logs[between].mean())

    assert stands_out(sure, 25) == pytest.approx(4.0 * (1 - mending.SHARE), abs=0.15)
    assert stands_out(sure, 17) == pytest.approx(4.0 * mending.SHARE, abs=0.15)
    for every in (25, 17):
        assert stands_out(unsure, every) == pytest.approx(2.0, abs=0.2)
    # the envelope stays the decoder's, whatever the partials
    made, sure, unsure = (torch.log10(one[0, :, 20]) for one in (made, sure, unsure))
    tilts = [float(one[850:950].mean() - one[250:350].mean()) for one in (made, sure, unsure)]
    assert tilts[0] == pytest.approx(-2.0 * 600 / BINS, abs=0.1)
    for one in tilts[1:]:
        assert one == pytest.approx((1 - mending.SHARE) * tilts[0], abs=0.15)


def test_a_sound_blended_with_itself_is_itself() -> None:
    power = comb(25)
    for count, much in ((1, 1.0), (12, 0.2), (0, 0.0)):
        same = mending.blended(power, power, playing(count, much), BROAD)
        torch.testing.assert_close(same, power, rtol=1e-3, atol=1e-9)


def test_bands_are_means_and_curves_go_through_them() -> None:
    flat = torch.full((1, BINS, 3), 0.25)
    torch.testing.assert_close(FINE(flat), torch.full((1, 128, 3), 0.25))
    torch.testing.assert_close(FINE.curve(flat, 0.0), torch.log10(flat))
    slope = torch.linspace(0.0, 1.0, 128)[None, :, None]
    spread = FINE.spread(slope)[0, :, 0]
    assert spread.shape == (BINS,) and bool((spread.diff() >= 0).all())
    assert float(spread[0]) == 0.0 and float(spread[-1]) == pytest.approx(1.0)
