import numpy as np
import pytest
import torch

from vctool.nn.excitation import fixed_noise, interpolate_frames, pulses


def test_pulses_are_the_sum_of_all_harmonics_below_half_the_rate() -> None:
    rate, hop = 16000, 160
    f0 = torch.linspace(90, 260, 40)[None]
    hz = interpolate_frames(f0.double(), hop)[0].numpy()
    turns = np.cumsum(hz / rate)
    count = np.ceil(rate / 2 / hz) - 1
    order = np.arange(1, 200)[:, None]
    parts = np.cos(2 * np.pi * order * turns) * (order <= count)
    wanted = parts.sum(axis=0) * np.sqrt(4 * hz / rate)
    np.testing.assert_allclose(pulses(f0, hop, rate)[0].numpy(), wanted, atol=2e-3)


@pytest.mark.parametrize("hz", [70.0, 123.4, 400.0])
def test_pulses_have_unit_variance_and_their_pitch(hz: float) -> None:
    wave = pulses(torch.full((1, 500), hz), 32, 16000)[0].double()
    assert float(wave.square().mean()) == pytest.approx(1.0, abs=0.06)
    spectrum = torch.fft.rfft(wave * torch.hann_window(len(wave), dtype=torch.float64)).abs()
    assert float(spectrum[: int(1.5 * hz)].argmax()) == pytest.approx(hz, abs=1.0)


def test_pulses_stay_in_phase_for_minutes() -> None:
    wave = pulses(torch.full((1, 60 * 80), 100.0), 200, 16000)[0]
    torch.testing.assert_close(wave[-1600:], wave[:1600], rtol=0, atol=0.05)


def test_frames_are_interpolated_from_the_middle_of_their_hops() -> None:
    made = interpolate_frames(torch.tensor([[1.0, 3.0, 3.0]]), 4)[0].tolist()
    assert made == [1, 1, 1, 1.5, 2, 2.5, 3, 3, 3, 3, 3, 3]
    assert interpolate_frames(torch.tensor([[7.0]]), 3).tolist() == [[7, 7, 7]]


def test_fixed_noise_begins_alike_at_any_length_and_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    whole = fixed_noise(5000)
    for samples in (1, 15, 16, 17, 333, 4999):
        assert torch.equal(fixed_noise(samples), whole[:samples])
    assert torch.equal(torch.get_rng_state(), state)
    assert float(whole.std()) == pytest.approx(1.0, abs=0.05)
