import numpy as np
import pytest
import torch

from vctool.errors import ConfigError
from vctool.features import framing
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.vocoders.istft.vocoder import IstftConfig, IstftNetwork, Vocoder, synthesise

CONFIG = FeatureConfig(
    rate=16000, n_fft=2048, win_length=800, hop_length=200, n_mels=80, f_min=40.0, mel_power=1
)
OTHERS = (
    CONFIG,
    CONFIG.model_copy(update={"mel_power": 2}),
    FeatureConfig(rate=16000, n_fft=1024, hop_length=192, n_mels=80),
)


def network(features: FeatureConfig = CONFIG, **changes: object) -> IstftNetwork:
    torch.manual_seed(0)
    small = {"width": 16, "blocks": 1, "pitch_width": 16, "pitch_blocks": 1}
    return IstftNetwork(IstftConfig.model_validate(small | changes), features).eval()


def untaught(features: FeatureConfig = CONFIG, **changes: object) -> IstftNetwork:
    """Return a network that predicts nothing: what it does is the formula that it starts from."""
    one = network(features, **changes)
    torch.nn.init.zeros_(one.head.weight)
    return one


def voice(seconds: float = 1.5) -> np.ndarray:
    """Make a pulse train through a resonance, then noise, over a faint floor."""
    rng = np.random.default_rng(0)
    samples = round(seconds * CONFIG.rate)
    phase = 2 * np.pi * np.cumsum(np.linspace(110, 170, samples) / CONFIG.rate)
    gain = [1 / (1 + ((h * 140 - 700) / 400) ** 2) + 0.05 for h in range(1, 40)]
    wave = sum(g * np.cos(h * phase) for h, g in enumerate(gain, 1))
    wave[samples // 2 :] = rng.standard_normal(samples - samples // 2)
    wave += 0.01 * rng.standard_normal(samples)
    return (0.05 * wave).astype(np.float32)


@pytest.mark.parametrize("features", OTHERS)
def test_before_it_learns_anything_its_sound_has_the_mel_and_so_the_level(
    features: FeatureConfig,
) -> None:
    wave = voice()
    level = log_mel(wave, features)
    made = Vocoder(untaught(features, passes=4)).synthesise({"mel": level}, features, len(wave))
    again = log_mel(made, features)
    loud = level > level.max() - 40
    assert abs(float((again - level)[loud].mean())) < 1.5
    assert float(np.abs(again - level)[loud].mean()) < 3.0
    assert 20 * np.log10(made.std() / wave.std()) == pytest.approx(0, abs=1.0)


def test_holding_it_to_the_mel_more_often_brings_it_nearer() -> None:
    wave = voice()
    level = log_mel(wave, CONFIG)
    apart = []
    for passes in (1, 2, 5):
        vocoder = Vocoder(untaught(passes=passes))
        made = log_mel(vocoder.synthesise({"mel": level}, CONFIG, len(wave)), CONFIG)
        apart.append(float(np.abs(made - level)[level > level.max() - 40].mean()))
    assert apart[0] > apart[1] > apart[2]


def test_the_pitch_that_features_bring_is_the_pitch_that_is_heard() -> None:
    frames = 120
    level = np.full((frames, CONFIG.n_mels), -40.0, np.float32)
    for hz in (100.0, 180.0, 310.0):
        pitch = np.full((frames, 1), hz, np.float32)
        pitch[40:60] = 0.0  # a stretch without voice is bridged
        features = {"mel": level, "pitch": pitch}
        one = untaught()
        one.head.bias.data[one.spectra.bins :] = -5.0  # hardly any noise
        wave = Vocoder(one).synthesise(features, CONFIG, 20000)
        spectrum = np.abs(np.fft.rfft(wave[4000:20000] * np.hanning(16000))) ** 2  # 1 Hz a bin
        away = np.abs(np.arange(len(spectrum)) / hz - np.round(np.arange(len(spectrum)) / hz)) * hz
        assert spectrum[away < 4].sum() > 0.9 * spectrum.sum()


def test_its_own_track_of_pitch_is_used_where_there_is_none() -> None:
    one = untaught()
    level = torch.full((1, CONFIG.n_mels, 50), -40.0)
    head = one.pitch
    assert head is not None
    with torch.no_grad():
        head.score.weight.zero_()
        head.score.bias.copy_(-(head.centres - np.log(150.0)).abs() / head.step)
        track = head.track(head(torch.zeros(1, CONFIG.n_mels, 51)))[:, :50]
    np.testing.assert_allclose(track, 150.0, rtol=0.01)
    own = synthesise(one, level)
    np.testing.assert_allclose(own, synthesise(one, level, track), atol=1e-5)
    np.testing.assert_array_equal(own, synthesise(one, level, torch.zeros(1, 50)))
    assert not np.allclose(own, synthesise(one, level, 1.1 * track), atol=1e-3)


def test_a_click_stays_in_its_place() -> None:
    wave = np.zeros(8000, np.float32)
    wave[4000] = 1.0
    made = Vocoder(untaught()).synthesise({"mel": log_mel(wave, CONFIG)}, CONFIG, len(wave))
    energy = np.convolve(made**2, np.ones(200), "same")
    assert abs(int(energy.argmax()) - 4000) <= CONFIG.hop_length


def test_sound_is_of_any_length_the_same_each_time_and_begins_alike() -> None:
    vocoder = Vocoder(network())
    level = log_mel(voice(), CONFIG)
    whole = vocoder.synthesise({"mel": level}, CONFIG, 23000)
    torch.manual_seed(1)
    np.testing.assert_array_equal(vocoder.synthesise({"mel": level}, CONFIG, 23000), whole)
    for samples in (1, 99, 100, 12345, 23999, 30000):
        made = vocoder.synthesise({"mel": level}, CONFIG, samples)
        assert made.shape == (samples,)
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
    pitch = np.full((len(level), 1), 140.0, np.float32)
    long = vocoder.synthesise({"mel": level, "pitch": pitch}, CONFIG, 23000)
    part = {"mel": level[:60], "pitch": pitch[:60]}
    short = vocoder.synthesise(part, CONFIG, 23000)
    np.testing.assert_allclose(short[: 45 * 200], long[: 45 * 200], atol=2e-5)
    assert not short[61 * 200 - 100 :].any()


def test_a_batch_is_made_as_its_parts_are() -> None:
    one = network(excitation="harmonic")
    torch.manual_seed(2)
    mel, noise = torch.randn(3, 80, 20) * 10 - 40, torch.randn(3, 4000)
    f0 = torch.tensor([[100.0], [150.0], [220.0]]).expand(-1, 20)
    with torch.no_grad():
        whole = one(mel, f0, noise).wave
        parts = [one(mel[i : i + 1], f0[i : i + 1], noise[i : i + 1]).wave for i in range(3)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-3, atol=1e-5)


def test_without_excitation_it_is_vocos_and_can_learn_a_sound_by_heart() -> None:
    """Magnitude and phase of every bin are its own: one clip can be had to the sample."""
    one = network(excitation="none", width=64, passes=1)
    assert one.pitch is None
    wave = voice(0.25)[:4000]
    mel = torch.from_numpy(log_mel(wave, CONFIG)[:20]).T[None]
    true = torch.from_numpy(framing.frame(wave, CONFIG)[:20].reshape(1, -1))
    one.fit(mel)
    adam = torch.optim.Adam(one.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        adam.zero_grad()
        loss = (one(mel, None, torch.zeros(0)).wave - true).square().mean() / true.square().mean()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 < losses[0]


def test_mel_bins_that_its_own_fft_does_not_have_are_refused() -> None:
    fine = CONFIG.model_copy(update={"hop_length": 50, "n_mels": 128})
    with pytest.raises(
        ConfigError, match=r"of 128 mel bins lie between .* 256 samples; raise model"
    ):
        network(fine)
    assert network(fine, window_hops=20).spectra.n_fft == 1024
