import numpy as np
import pytest
import torch

from tests.sounds import buzz
from vctool import vocoders
from vctool.errors import ConfigError
from vctool.features import framing, world
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.vocoders import hifigan
from vctool.vocoders.griffin_lim import griffin_lim
from vctool.vocoders.istft import vocoder as istft
from vctool.vocoders.stored import restoring

CONFIG = FeatureConfig(rate=16000, n_fft=1024, hop_length=192, n_mels=80)


def tone(samples: int, hz: float = 220.0) -> np.ndarray:
    """Harmonics that fall by 12 dB an octave."""
    return (3 * buzz(samples / CONFIG.rate, hz, 11, CONFIG.rate, fall=2)).astype(np.float32)


def features_of(wave: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "mel": log_mel(wave, CONFIG),
        "world": world.analyse(wave, CONFIG),
        "pitch": world.estimate_f0(wave, CONFIG)[:, None],
        "wave": framing.frame(wave, CONFIG),
    }


TRAINED = restoring.trainable()
PLAIN = [name for name in vocoders.names() if name not in TRAINED]


def make(name: str) -> vocoders.Vocoder:
    """Make a vocoder; one with weights as small as can be, untrained."""
    torch.manual_seed(0)
    if name == "istft":
        small = {"width": 8, "blocks": 1, "pitch_width": 8, "pitch_blocks": 1}
        return istft.Vocoder(istft.IstftNetwork(istft.IstftConfig(**small), CONFIG))
    if name == "hifigan":
        rates = {"upsample_rates": (16, 12), "upsample_kernel_sizes": (32, 24)}
        config = hifigan.HifiganConfig(upsample_initial_channel=8, **rates)
        return hifigan.Vocoder(hifigan.HifiganNetwork(config, CONFIG))
    return vocoders.get(name)


def magnitude_of(wave: np.ndarray) -> torch.Tensor:
    window = torch.hann_window(1024)
    spectrum = torch.stft(
        torch.from_numpy(wave), 1024, 192, window=window, pad_mode="constant", return_complex=True
    )
    return spectrum.abs()


def distance(wave: np.ndarray, magnitude: torch.Tensor) -> float:
    return float((magnitude_of(wave) - magnitude).norm() / magnitude.norm())


def test_the_files_are_the_registry() -> None:
    assert vocoders.names() == ["direct", "griffin_lim", "hifigan", "istft", "wave", "world"]
    assert TRAINED == ["hifigan", "istft"]
    with pytest.raises(ConfigError, match="did you mean 'griffin_lim'"):
        vocoders.get("grifin_lim")


@pytest.mark.parametrize("name", vocoders.names())
@pytest.mark.parametrize("samples", [1, 191, 192, 1000, 16000, 16001])
def test_every_vocoder_gives_the_length_asked_for(name: str, samples: int) -> None:
    vocoder = make(name)
    wave = tone(samples)
    features = features_of(wave)
    for wanted in (samples, max(1, samples - 50), samples + 50):
        result = vocoder.synthesise(features, CONFIG, wanted)
        assert result.shape == (wanted,)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert np.abs(result).max() < 2


@pytest.mark.parametrize("name", PLAIN)
def test_every_vocoder_keeps_level_and_pitch_and_repeats(name: str) -> None:
    vocoder = vocoders.get(name)
    wave = tone(16000)
    features = features_of(wave)
    for array in features.values():
        array.flags.writeable = False  # as a feature set's cache hands them out
    result = vocoder.synthesise(features, CONFIG, len(wave))
    np.testing.assert_array_equal(vocoder.synthesise(features, CONFIG, len(wave)), result)
    spectrum = np.abs(np.fft.rfft(result[4000:12000]))
    assert abs(spectrum.argmax() * 2 - 220) <= 10
    level = 20 * np.log10(result[4000:12000].std() / wave[4000:12000].std())
    assert abs(level) < 2


@pytest.mark.parametrize("name", PLAIN)
def test_silence_stays_silent(name: str) -> None:
    features = features_of(np.zeros(8000, np.float32))
    assert np.abs(vocoders.get(name).synthesise(features, CONFIG, 8000)).max() < 1e-3


def test_features_that_do_not_fit_are_refused_in_one_line() -> None:
    for name, vocoder in ((name, make(name)) for name in vocoders.names()):
        vocoder.accepts(CONFIG, [vocoder.reads[0], "chroma"])
        with pytest.raises(ConfigError, match=f"{name} needs '{vocoder.reads[0]}'"):
            vocoder.accepts(CONFIG, ["chroma"])
    with pytest.raises(ConfigError, match="n_mels = 600"):
        vocoders.get("griffin_lim").accepts(CONFIG.model_copy(update={"n_mels": 600}), ["mel"])
    with pytest.raises(ConfigError, match="envelope_dim = 300"):
        vocoders.get("world").accepts(CONFIG.model_copy(update={"envelope_dim": 300}), ["world"])


def test_griffin_lim_recovers_a_sound_from_its_magnitude() -> None:
    time = np.arange(12000) / CONFIG.rate
    wave = sum(np.sin(2 * np.pi * hz * (time + time**2)) for hz in (200, 400, 900))
    wave = (0.1 * wave).astype(np.float32)
    magnitude = magnitude_of(wave)
    fast = [griffin_lim(magnitude, 192, 12000, n).numpy() for n in (4, 16, 64)]
    distances = [distance(one, magnitude) for one in fast]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.08
    # Momentum is what makes it fast; without it more is left after as many projections.
    slow = griffin_lim(magnitude, 192, 12000, 64, momentum=0.0).numpy()
    assert distance(slow, magnitude) > distances[2]


def test_griffin_lim_takes_a_window_shorter_than_its_fft() -> None:
    time = np.arange(12000) / CONFIG.rate
    wave = (0.1 * np.sin(2 * np.pi * 400 * (time + time**2))).astype(np.float32)
    window = torch.hann_window(600)
    sound = torch.from_numpy(wave)

    def stft(sound: torch.Tensor) -> torch.Tensor:
        return torch.stft(
            sound, 1024, 150, 600, window, pad_mode="constant", return_complex=True
        ).abs()

    magnitude = stft(sound)
    rebuilt = griffin_lim(magnitude, 150, 12000, 64, win_length=600)
    assert torch.linalg.norm(stft(rebuilt) - magnitude) / torch.linalg.norm(magnitude) < 0.08


def test_griffin_lim_is_seeded_and_leaves_the_global_generator_alone() -> None:
    magnitude = magnitude_of(tone(6000))
    state = torch.get_rng_state()
    first = griffin_lim(magnitude, 192, 6000, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(griffin_lim(magnitude, 192, 6000, seed=1), first)
    assert not torch.equal(griffin_lim(magnitude, 192, 6000, seed=2), first)


def test_griffin_lim_does_not_blow_up_at_the_end() -> None:
    # At half-overlap the window of the last frame is almost zero where the sound ends.
    noise = 0.1 * np.random.default_rng(0).standard_normal(512 * 20 + 511)
    spectrum = torch.stft(
        torch.from_numpy(noise.astype(np.float32)),
        1024,
        512,
        window=torch.hann_window(1024),
        pad_mode="constant",
        return_complex=True,
    )
    wave = griffin_lim(spectrum.abs(), 512, len(noise))
    assert wave[-512:].abs().max() < 1.0
    assert wave[-300:].std() > 0.01
