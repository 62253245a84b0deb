"""WORLD analysis and synthesis (Morise, Yokomori and Ozawa, 2016), coded into one array.

Columns of the (F, D) array, D = 1 + envelope_dim + A:

    0                  F0 [Hz], 0 where unvoiced
    1 .. envelope_dim  coded spectral envelope: a cosine series of its natural log power over mel,
                       or mel-cepstra (`envelope_coding`)
    the last A         coded aperiodicity [dB], <= 0; A is 1 at 16 kHz, 2 at 22.05, 5 at 44.1

Frame k is centred on sample k * hop_length, F = 1 + T // hop_length.
"""

import numpy as np

from vctool.errors import ConfigError
from vctool.features import mcep, swift
from vctool.features.binding import pyworld
from vctool.features.settings import FeatureConfig
from vctool.threads import map_parts

LEAST_SECONDS = 0.1
"""Shorter input is padded with zeros to this for the analysis, then its own frames are kept.

WORLD's decimation mirrors nine samples at both ends without checking the length, and would read
beyond the end of a shorter wave.
"""

DIO_RATE = 11000
"""Least sampling rate at which DIO searches F0 [Hz]."""
FRAMES_AT_ONCE = 256
"""Frames per call of CheapTrick and D4C. It does not depend on the number of threads, since WORLD
restarts its inaudible noise at every call and results must not differ."""

_CODED_LOW_HZ, _CODED_HIGH_HZ = 40.0, 20000.0
_APERIODICITY_STEP_HZ = 3000.0


def fft_size(config: FeatureConfig) -> int:
    """Return the FFT length of WORLD's envelope, enough for the lowest F0 of the wide range."""
    return int(pyworld.get_cheaptrick_fft_size(config.rate, config.f0_floor))


def aperiodicity_dim(config: FeatureConfig) -> int:
    """Return A, the number of coded aperiodicity bands."""
    return int(pyworld.get_num_aperiodicities(config.rate))


def world_dim(config: FeatureConfig) -> int:
    """Return D, the number of columns."""
    return 1 + config.envelope_dim + aperiodicity_dim(config)


def split(features: np.ndarray, config: FeatureConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """View (F, D) as F0 (F,) [Hz], coded envelope (F, envelope_dim), aperiodicity (F, A) [dB]."""
    assert features.shape[1] == world_dim(config), (features.shape, world_dim(config))
    end = 1 + config.envelope_dim
    return features[:, 0], features[:, 1:end], features[:, end:]


def join(f0: np.ndarray, envelope: np.ndarray, aperiodicity: np.ndarray) -> np.ndarray:
    """Build (F, D) float32 from F0 (F,), envelope (F, envelope_dim) and aperiodicity (F, A)."""
    return np.concatenate([f0[:, None], envelope, aperiodicity], axis=1).astype(np.float32)


def _padded(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    wave = np.ascontiguousarray(wave, dtype=np.float64)
    return np.pad(wave, (0, max(0, int(LEAST_SECONDS * config.rate) - len(wave))))


def _f0(wave: np.ndarray, config: FeatureConfig, floor: float, ceil: float) -> np.ndarray:
    """Estimate F0 of a padded wave (T,) float64 at every hop: (1 + T // hop_length,) [Hz]."""
    period = config.frame_period_ms
    if config.f0_estimator == "harvest":
        f0, _ = pyworld.harvest(wave, config.rate, floor, ceil, frame_period=period)
    else:
        f0, _ = pyworld.dio(
            wave, config.rate, floor, ceil, frame_period=period, speed=_dio_decimation(config)
        )
    frames = config.frames(len(wave))
    # WORLD counts its frames in floating-point milliseconds, which may lose or add the last one.
    f0 = np.pad(f0[:frames], (0, max(0, frames - len(f0))))
    if config.f0_estimator != "harvest":
        f0 = pyworld.stonemask(wave, f0, _times(frames, config), config.rate)
    # Refinement may leave the range a little; such frames count as unvoiced.
    f0 = np.where((f0 >= floor) & (f0 <= ceil), f0, 0.0)
    if config.f0_estimator == "swift_f0" and f0.any():
        f0 = np.where(f0 > 0, swift.pitch(wave, config, floor, ceil, frames), 0.0)
    return f0


def _dio_decimation(config: FeatureConfig) -> int:
    """Return DIO's decimation factor; F0 lies far below half of the decimated rate.

    At 44.1 kHz this takes a seventh of the time. Refined on the whole band by StoneMask, F0 stays
    within 2 cents in 99 % of frames, and 0.2 to 0.4 % of frames change their voicing.
    """
    return max(1, config.rate // DIO_RATE)


def _times(frames: int, config: FeatureConfig) -> np.ndarray:
    return np.arange(frames, dtype=np.float64) * config.hop_length / config.rate


def find_f0(wave: np.ndarray, config: FeatureConfig, f0_floor: float, f0_ceil: float) -> np.ndarray:
    """Estimate F0 in the form that `analyse_with` takes: float64 [Hz], 0 where unvoiced.

    Args:
        wave: (T,) at the config's rate.
        config: the settings.
        f0_floor: lowest F0 [Hz].
        f0_ceil: highest F0 [Hz].

    Returns:
        (F,), more where the wave is shorter than `LEAST_SECONDS`.
    """
    return _f0(_padded(wave, config), config, f0_floor, f0_ceil)


def estimate_f0(
    wave: np.ndarray,
    config: FeatureConfig,
    f0_floor: float | None = None,
    f0_ceil: float | None = None,
) -> np.ndarray:
    """Estimate F0 alone: (T,) to (F,) float32 [Hz], 0 where unvoiced.

    Args:
        wave: (T,) at the config's rate.
        config: the settings; they give the wide range where none is named.
        f0_floor: lowest F0 [Hz].
        f0_ceil: highest F0 [Hz].
    """
    floor, ceil = f0_floor or config.f0_floor, f0_ceil or config.f0_ceil
    return find_f0(wave, config, floor, ceil)[: config.frames(len(wave))].astype(np.float32)


def analyse(
    wave: np.ndarray,
    config: FeatureConfig,
    f0_floor: float | None = None,
    f0_ceil: float | None = None,
) -> np.ndarray:
    """Analyse a wave (T,) at the config's rate into (F, D) float32.

    Args:
        wave: (T,) in -1..1; short and silent input is fine (all unvoiced).
        config: the settings; they give the wide F0 range where none is named.
        f0_floor: the voice's lowest F0 [Hz].
        f0_ceil: the voice's highest F0 [Hz].
    """
    floor, ceil = f0_floor or config.f0_floor, f0_ceil or config.f0_ceil
    return analyse_with(wave, config, find_f0(wave, config, floor, ceil))


def analyse_with(wave: np.ndarray, config: FeatureConfig, f0: np.ndarray) -> np.ndarray:
    """Analyse a wave (T,) whose F0 is known, as `find_f0` gives it, into (F, D) float32."""
    padded, heard = _padded(wave, config), _analysed_at(f0, config)
    times, size = _times(len(f0), config), fft_size(config)

    def code(start: int) -> np.ndarray:
        part = slice(start, start + FRAMES_AT_ONCE)
        power = pyworld.cheaptrick(padded, heard[part], times[part], config.rate, fft_size=size)
        noise = pyworld.d4c(padded, heard[part], times[part], config.rate, fft_size=size)
        envelope = code_envelope(power, config)
        return join(f0[part], envelope, pyworld.code_aperiodicity(noise, config.rate))

    coded = np.concatenate(map_parts(code, range(0, len(f0), FRAMES_AT_ONCE)))
    return coded[: config.frames(len(wave))]


def _analysed_at(f0: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the F0 (F,) [Hz] at which envelope and aperiodicity are analysed (`bridge_f0`)."""
    voiced = np.flatnonzero(f0 > 0)
    if not config.bridge_f0 or not len(voiced):
        return f0
    return np.asarray(np.exp(np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))))


def analyse_envelope(wave: np.ndarray, config: FeatureConfig, f0: np.ndarray) -> np.ndarray:
    """Analyse and code the envelope alone: (F, envelope_dim) float32, the same as in `analyse`.

    Args:
        wave: (T,) at the config's rate.
        config: the settings.
        f0: (F,) of the wave [Hz], 0 where unvoiced.
    """
    padded, times, size = _padded(wave, config), _times(len(f0), config), fft_size(config)
    known = _analysed_at(np.ascontiguousarray(f0, dtype=np.float64), config)

    def code(start: int) -> np.ndarray:
        part = slice(start, start + FRAMES_AT_ONCE)
        power = pyworld.cheaptrick(padded, known[part], times[part], config.rate, fft_size=size)
        return code_envelope(power, config)

    parts = map_parts(code, range(0, len(known), FRAMES_AT_ONCE))
    return np.concatenate(parts).astype(np.float32)


def synthesise(features: np.ndarray, config: FeatureConfig, samples: int) -> np.ndarray:
    """Synthesise a wave from coded features.

    Args:
        features: (F, D), as `analyse` returns.
        config: the settings they were made with.
        samples: length of the wave; samples beyond the last frame are zero.

    Returns:
        (samples,) float32, not clipped.
    """
    f0, envelope, aperiodicity = (
        np.ascontiguousarray(part, dtype=np.float64) for part in split(features, config)
    )
    size = fft_size(config)
    power = decode_envelope(envelope, config)
    noise = pyworld.decode_aperiodicity(np.minimum(aperiodicity, 0.0), config.rate, size)
    wave = pyworld.synthesize(f0, power, noise, config.rate, config.frame_period_ms)
    wave = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
    return wave.astype(np.float32)


def code_envelope(power: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Code power (F, 1 + fft_size // 2) into (F, envelope_dim): what `decode_envelope` decodes."""
    if config.envelope_coding == "mcep":
        return mcep.encode(power, config.envelope_dim - 1, config.mcep_alpha)
    return np.asarray(pyworld.code_spectral_envelope(power, config.rate, config.envelope_dim))


def decode_envelope(envelope: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Decode a coded envelope (F, envelope_dim) into power (F, 1 + fft_size // 2)."""
    envelope, size = np.ascontiguousarray(envelope, dtype=np.float64), fft_size(config)
    if config.envelope_coding == "mcep":
        return mcep.decode(envelope, 1 + size // 2, config.mcep_alpha)
    return np.asarray(pyworld.decode_spectral_envelope(envelope, config.rate, size))


def envelope_gain_db(change: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Compute the gain that a change of the coded envelope stands for.

    Both codings are linear in log power, so the difference of two codes is the code of the ratio.

    Args:
        change: (F, envelope_dim) new code less old.
        config: the settings of both.

    Returns:
        (F, 1 + fft_size // 2) [dB], evenly spaced from 0 Hz to half the rate.
    """
    return np.asarray(10.0 * np.log10(decode_envelope(change, config)))


def require_codable(config: FeatureConfig) -> None:
    """Refuse an envelope with more coefficients than WORLD's FFT can give.

    Raises:
        ConfigError: `envelope_dim` is too large for the rate.
    """
    longest = fft_size(config) // 4
    if config.envelope_dim > longest:
        raise ConfigError(
            f"features: envelope_dim = {config.envelope_dim} is more than WORLD codes at "
            f"{config.rate} Hz; at most {longest}"
        )


def envelope_basis(config: FeatureConfig) -> np.ndarray:
    """Return the cosines that turn the coded envelope into natural log power in mel bands.

    pyworld codes log power over mel position u in 0..1 as c0 + sqrt(2) sum_k c_k cos(pi k u);
    read at the band centres u = (j + 1/2) / envelope_dim, that is a square matrix B with
    B B^T = envelope_dim * I. So `bands = coded @ B` and, exactly, `coded = bands @ B.T / dim`.

    Returns:
        (envelope_dim, envelope_dim) float64, rows are coefficients and columns are bands. For
        bands in dB multiply them by 10 / ln 10.
    """
    order = np.arange(config.envelope_dim)
    centres = (order + 0.5) / config.envelope_dim
    basis = np.sqrt(2.0) * np.cos(np.pi * order[:, None] * centres[None, :])
    basis[0] = 1.0
    return basis


def band_frequencies(config: FeatureConfig) -> np.ndarray:
    """Return the centres of the bands of `envelope_basis`: (envelope_dim,) [Hz], rising."""
    high = min(config.rate / 2.0, _CODED_HIGH_HZ)
    low_mel, high_mel = (1127.01048 * np.log(1.0 + hz / 700.0) for hz in (_CODED_LOW_HZ, high))
    points = fft_size(config) // 2
    position = (np.arange(config.envelope_dim) + 0.5) / config.envelope_dim - 0.5 / points
    mel = low_mel + (high_mel - low_mel) * position
    return np.asarray(700.0 * (np.exp(mel / 1127.01048) - 1.0))


def aperiodicity_frequencies(config: FeatureConfig) -> np.ndarray:
    """Return the centres of the coded aperiodicities (D4C; Morise, 2016): (A,) [Hz]."""
    return _APERIODICITY_STEP_HZ * np.arange(1.0, aperiodicity_dim(config) + 1.0)
