import numpy as np
import pytest
import torch

from vctool.vocoders.istft.spectra import Spectra, minimum_phase


@pytest.mark.parametrize(
    ("hop", "window", "n_fft"), [(200, 800, 1024), (96, 192, 256), (33, 99, 128)]
)
@pytest.mark.parametrize("frames", [1, 2, 17])
def test_synthesis_undoes_analysis_to_the_last_sample(
    hop: int, window: int, n_fft: int, frames: int
) -> None:
    spectra = Spectra(hop, window, n_fft)
    wave = torch.randn(3, frames * hop)
    spectrum = spectra.analyse(wave)
    assert spectrum.shape == (3, spectra.bins, frames)
    torch.testing.assert_close(spectra.synthesise(spectrum), wave, rtol=1e-4, atol=1e-5)


def test_a_click_is_strongest_in_the_frame_whose_hop_it_is_in_the_middle_of() -> None:
    spectra = Spectra(100, 400, 512)
    for hop in (4, 9):
        wave = torch.zeros(1, 2000)
        wave[0, hop * 100 + 50] = 1.0
        loudness = spectra.analyse(wave).abs().sum(dim=1)[0]
        assert loudness.argmax() == hop
        torch.testing.assert_close(loudness[hop - 1], loudness[hop + 1])


def test_white_noise_has_the_power_that_the_window_says() -> None:
    spectra = Spectra(100, 400, 512)
    power = spectra.analyse(torch.randn(1, 200000))[:, 1:-1].abs().square().mean()
    assert float(power) == pytest.approx(spectra.energy, rel=0.02)


def test_minimum_phase_is_that_of_a_filter_with_all_zeros_and_poles_inside() -> None:
    turns = np.exp(-2j * np.pi * np.arange(513) / 1024)
    known = (1 - 0.5 * turns) / (1 - 0.9 * np.exp(0.4j) * turns) / (1 - 0.9 * np.exp(-0.4j) * turns)
    log_magnitude = torch.from_numpy(np.log(np.abs(known)).astype(np.float32))
    made = minimum_phase(log_magnitude[None, :, None])[0, :, 0].numpy()
    np.testing.assert_allclose(made, known, rtol=1e-3, atol=1e-3)
