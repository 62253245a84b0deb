"""The parts of timbre_vqvae, against physics, formulas and the published sizes."""

import numpy as np
import pytest
import torch

from tests.sounds import buzz, sine
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae import decoder as decoders
from vctool.models.timbre_vqvae import vector
from vctool.models.timbre_vqvae.content import Content, Series, rounded
from vctool.models.timbre_vqvae.heard import most_active
from vctool.models.timbre_vqvae.settings import TimbreVqvaeConfig
from vctool.models.timbre_vqvae.spectra import PITCHES, Spectra, frequencies
from vctool.models.timbre_vqvae.style import HARMONICS, Instrument, Profiler
from vctool.models.timbre_vqvae.synthesis import synthesise

FEATURES = FeatureConfig(rate=16000, hop_length=500, n_fft=2048, win_length=2000)
A4 = 144
"""Bin of 440 Hz."""


def spectra(config: FeatureConfig = FEATURES) -> Spectra:
    return Spectra(config)


def waves(*one: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(one).astype(np.float32))


def only(bin_: int, frames: int, height: float = 1.0) -> torch.Tensor:
    active = torch.zeros(1, PITCHES, frames)
    active[:, bin_] = height
    return active


@pytest.mark.parametrize(
    "config", [FEATURES, FeatureConfig(rate=22050, n_fft=1024, hop_length=256)]
)
def test_a_sine_has_its_power_in_its_own_bin_linear_and_by_pitch(config: FeatureConfig) -> None:
    made = spectra(config)
    bin_ = round(440 * config.n_fft / config.rate)
    power = made.power(waves(sine(1.0, bin_ * config.rate / config.n_fft, config.rate, 0.3)))
    middle = power[0, :, power.shape[2] // 2]
    assert int(middle.argmax()) == bin_
    assert float(middle.max()) == pytest.approx(0.3**2, rel=1e-3)
    centres = frequencies(made.log_bins)
    assert centres[A4] == pytest.approx(440.0) and centres[-1] <= config.rate / 2
    found = int(made.logs(power)[0, :, power.shape[2] // 2].argmax())
    assert abs(centres[found] - bin_ * config.rate / config.n_fft) < config.rate / config.n_fft


def test_levels_are_relative_so_a_softer_recording_looks_the_same() -> None:
    made, wave = spectra(), waves(buzz(2.0, 220, 10))
    loud, soft = (made.power(gain * wave) for gain in (1.0, 0.01))
    torch.testing.assert_close(
        loud / made.level(loud), soft / made.level(soft), rtol=1e-2, atol=1e-6
    )
    assert float((loud / made.level(loud)).sum(dim=1).mean()) == pytest.approx(1.0, rel=0.05)


def test_the_lobe_is_that_of_the_window() -> None:
    size, count = 2000, 64 * 2000
    transform = np.abs(np.fft.rfft(np.hanning(size + 1)[:-1], count))
    away = np.arange(400) * size / count
    np.testing.assert_allclose(decoders.hann_lobe(away), transform[:400] / transform[0], atol=1e-3)


def test_rounding_has_a_few_levels_and_the_gradient_of_none() -> None:
    values = torch.linspace(0, 1, 101, requires_grad=True)
    near = rounded(values, 8)
    assert len(torch.unique(torch.round(near.detach() * 7000))) == 8
    assert float((near - values).detach().abs().max()) <= 0.5 / 7 + 1e-6
    near.sum().backward()
    assert torch.equal(values.grad, torch.ones(101))


@pytest.mark.parametrize("hz", [98.0, 440.0, 1318.5])
def test_harmonics_are_measured_where_they_are(hz: float) -> None:
    made = spectra()
    heights = np.array([1.0, 0.1, 0.6, 0.03])
    turns = 2 * np.pi * hz * np.arange(32000) / 16000
    wave = sum(height * np.sin((n + 1) * turns) for n, height in enumerate(heights))
    power = made.power(waves(0.1 * wave))
    logs = made.logs(power / made.level(power))
    bin_ = int(np.argmin(np.abs(frequencies(PITCHES) - hz)))
    active = only(bin_, power.shape[2])
    profile = Profiler(made.log_bins)(logs, Content(active, active, active[:, :1]))
    found = profile[0, 0, bin_, :4]
    wanted = torch.from_numpy(2 * np.log10(heights / heights[0]))
    # by pitch a partial is averaged over its band, which takes up to some dB
    torch.testing.assert_close(found - found[0], wanted.float(), atol=0.6, rtol=0)
    assert float((10 ** profile[0]).sum(dim=2).sub(1).abs().max()) < 0.05


def test_harmonics_stand_out_of_what_has_a_pitch_and_not_of_noise() -> None:
    made, series = spectra(), Series(spectra().log_bins)
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    power = made.power(waves(buzz(1.0, 311, 12), noise))
    tone, hiss = series.tonality(made.logs(power / made.level(power))).median(dim=1).values
    assert float(tone) > 2 and float(hiss) < 0.6


def test_the_decoder_puts_partials_at_multiples_of_what_is_active() -> None:
    torch.manual_seed(0)
    decoder = decoders.Decoder(FEATURES, 4, 8, measured=True)
    profile = torch.full((1, 2, PITCHES, HARMONICS), -6.0)
    profile[..., [0, 2]] = -0.3
    active = only(A4, 8)
    content = Content(active, torch.zeros_like(active), torch.ones(1, 1, 8))
    power = decoder(content, Instrument(torch.zeros(1, 8), profile))[0, :, 4].detach()
    at = [round(n * 440 * 2048 / 16000) for n in (1, 2, 3, 4)]
    heights = torch.log10(power[at])
    assert heights[0] > heights[1] + 2 and heights[2] > heights[3] + 2
    assert heights[0] > torch.log10(power[at[0] + 15]) + 2  # between two partials


def test_given_magnitudes_become_a_wave_that_has_them() -> None:
    made = spectra()
    wave = waves(0.1 * (buzz(2.0, 233, 12) + buzz(2.0, 311, 12)))[:, : 63 * 500]
    wanted = made.stft(wave)
    phases = torch.polar(torch.ones_like(wanted.real), torch.zeros_like(wanted.real))
    errors = []
    for iterations in (0, 4, 32):
        found = synthesise(wanted.abs(), phases, made, iterations)
        assert found.shape == wave.shape
        rest = made.stft(found).abs() - wanted.abs()
        errors.append(float(rest.square().sum() / wanted.abs().square().sum()))
    assert errors[0] > 3 * errors[1] > 9 * errors[2] and errors[2] < 1e-2
    again = synthesise(wanted.abs(), wanted, made, 4)
    torch.testing.assert_close(again, wave, atol=1e-4, rtol=0)  # the source's phases are right


@pytest.mark.parametrize("frames", [1, 2, 7, 64])
def test_any_length_comes_back(frames: int) -> None:
    made = spectra()
    samples = frames * 500 - 250
    wave = waves(np.random.default_rng(0).standard_normal(samples))
    spectrum = made.stft(made.padded(wave))
    found = synthesise(spectrum.abs(), spectrum, made, 2)[:, :samples]
    torch.testing.assert_close(found, wave, atol=1e-3, rtol=0)


def test_the_most_active_part_is_kept() -> None:
    frames = np.zeros((100, 4), np.float32)
    frames[60:80] = 1.0
    kept = most_active(frames, 20)
    assert kept.shape == (20, 4) and (kept == 1).all()
    assert most_active(frames, 100) is frames


def test_the_published_network_has_the_published_size() -> None:
    conf = read_yaml(PROJECT_ROOT / "conf/timbre_vqvae/published.yaml")
    config = build(TimbreVqvaeConfig, conf["model"], "published")
    with torch.device("meta"):
        network = vector.VectorNetwork(1025, config.width, config.codes, config.codebook)
    assert sum(one.numel() for one in network.parameters()) == 55_661_583
    code = network.encoder(torch.empty(1, 1025, config.clip_frames, device="meta"))
    assert code.shape == (1, 1024, 65)  # 8 tokens a second
    style = torch.empty(1, 1024, device="meta")
    assert network.decode(code, style, 257).shape == (1, 1025, 257)


def test_codes_that_nothing_uses_begin_again(caplog: pytest.LogCaptureFixture) -> None:
    """The published book collapses unseen (published bug G5)."""
    torch.manual_seed(0)
    vectors = torch.randn(4, 8, 64)
    book = vector.Book(32, 8, "ema")
    with torch.no_grad():  # all but one are far from whatever there is
        book.rows[1:] += 100.0
        book.sums.copy_(book.rows)
    coded = book(vectors)
    before = vector.usage(coded.rows, 32)
    assert before.used == 1 and before.collapsed and before.perplexity == pytest.approx(1.0)
    for step in range(400):
        book.follow(book(vectors), torch.tensor([step]))
    after = vector.usage(book(vectors).rows, 32)
    assert after.used > 24 and not after.collapsed and after.perplexity > 16
    error = (book(vectors).nearest - vectors).square().mean()
    assert error < (coded.nearest - vectors).square().mean()


def test_a_book_finds_the_nearest_and_passes_gradients_through() -> None:
    torch.manual_seed(0)
    book = vector.Book(16, 3, "plain")
    vectors = torch.randn(2, 3, 5, requires_grad=True)
    coded = book(vectors)
    distance = torch.cdist(vectors.transpose(1, 2).reshape(-1, 3), book.rows)
    assert torch.equal(coded.rows.flatten(), distance.argmin(dim=1))
    coded.passed.sum().backward()
    assert torch.equal(vectors.grad, torch.ones_like(vectors))
    assert book.rows.grad is None
