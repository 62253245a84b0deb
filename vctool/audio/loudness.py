"""How loud a wave is, measured where it sounds, and the gain that makes two waves equally loud."""

import numpy as np

SILENCE_DB = -100.0
"""The level of silence, and the lowest that is ever returned [dB of full scale]."""

PEAK = 0.99
"""Largest magnitude that a wave is raised to; one that would be louder is lowered as a whole, and
never clipped."""

SILENT_SWING = 2e-4
"""Distance from the lowest to the highest sample below which a recording is silent (-80 dB peak);
an offset, as 8-bit files have, does not count."""

_FRAME_SECONDS = 0.02
_GATE_DB = -70.0  # absolute gate of ITU-R BS.1770; quieter frames are pauses
_DEEPEST_DB = -50.0  # a soft recording's gate lies this far below its loudest frame instead
_RELATIVE_GATE_DB = -20.0  # frames this far below the mean of the others are pauses too
_RUMBLE_HZ = 50.0  # no voice sounds below; offsets (DC), hum of air and steps do


class HighPass:
    """Takes offset and rumble out of a wave that arrives in blocks of any length.

    A Butterworth filter of fourth order at 50 Hz, which takes a constant offset for one that has
    always been there. For measuring alone: nothing is heard through it.
    """

    def __init__(self, rate: int) -> None:
        from scipy.signal import butter  # a second of imports, which not every command needs

        self._sections = butter(4, _RUMBLE_HZ, "highpass", fs=rate, output="sos")
        self._state: np.ndarray | None = None

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Filter the next samples, (T,)."""
        if not len(wave):
            return np.empty(0)
        from scipy.signal import sosfilt, sosfilt_zi

        if self._state is None:
            self._state = sosfilt_zi(self._sections) * float(wave[0])
        filtered, self._state = sosfilt(self._sections, wave, zi=self._state)
        return np.asarray(filtered)


def rms_db(wave: np.ndarray) -> float:
    """Return the root mean square of a wave, (T,), pauses included [dB of full scale]."""
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return _decibel(power)


class LevelMeter:
    """Measures the active level of a wave that arrives in blocks of any length.

    The level is the mean power, above 50 Hz, of the 20 ms frames that sound: those above -70 dB, or
    less than 50 dB below the loudest where that is lower, and not more than 20 dB below the mean of
    these. The two gates are those of ITU-R BS.1770 with a wider relative gate, and without its ear
    weighting, because voice is compared with voice.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frame = max(1, round(_FRAME_SECONDS * rate))
        self._filter = HighPass(rate)
        self._rest = np.empty(0, np.float32)
        self._powers: list[np.ndarray] = []

    def add(self, wave: np.ndarray) -> None:
        """Take the next samples, (T,)."""
        wave = np.concatenate([self._rest, self._filter(wave)])
        whole = len(wave) // self._frame * self._frame
        frames = wave[:whole].reshape(-1, self._frame)
        self._powers.append(np.mean(np.square(frames, dtype=np.float64), axis=1))
        self._rest = wave[whole:]

    def loudest(self) -> tuple[float, float]:
        """Return when the loudest frame begins [s], and how far it is above `level_db` [dB]."""
        powers = np.concatenate([np.empty(0), *self._powers])
        if not len(powers):
            return 0.0, 0.0
        place = int(powers.argmax())
        return place * self._frame / self._rate, _decibel(float(powers[place])) - self.level_db

    @property
    def level_db(self) -> float:
        """The active level so far [dB of full scale]; `SILENCE_DB` for silence."""
        powers = np.concatenate([np.empty(0), *self._powers])
        if not len(powers):  # shorter than a frame
            return rms_db(self._rest)
        gate_db = min(_GATE_DB, _decibel(float(powers.max())) + _DEEPEST_DB)
        powers = powers[powers > 10 ** (max(gate_db, SILENCE_DB) / 10)]
        if not len(powers):
            return SILENCE_DB
        gate = np.mean(powers) * 10 ** (_RELATIVE_GATE_DB / 10)
        return _decibel(float(np.mean(powers[powers > gate])))


def level_db(wave: np.ndarray, rate: int) -> float:
    """Return the active level of a wave, (T,) [dB of full scale]; see `LevelMeter`."""
    meter = LevelMeter(rate)
    meter.add(wave)
    return meter.level_db


def matching_gain(own_db: float, target_db: float, peak: float = 0.0) -> float:
    """Return the gain that brings a wave to an active level, less where it would pass `PEAK`.

    Args:
        own_db: active level of the wave [dB of full scale].
        target_db: the level wanted [dB of full scale].
        peak: largest magnitude of the wave; left out where it may pass.

    Returns:
        The gain; 1 where the wave or the level wanted is silence.
    """
    if own_db <= SILENCE_DB or target_db <= SILENCE_DB:
        return 1.0
    gain: float = 10 ** ((target_db - own_db) / 20)
    return min(gain, PEAK / peak) if peak > 0 else gain


def match_level(wave: np.ndarray, rate: int, target_db: float) -> np.ndarray:
    """Scale a wave, (T,) float32, to an active level by `matching_gain`.

    Silence, and a target of silence, leave it as it is.
    """
    peak = float(np.max(np.abs(wave), initial=0.0))
    gain = matching_gain(level_db(wave, rate), target_db, peak)
    return wave if gain == 1.0 else (wave * gain).astype(np.float32)


def _decibel(power: float) -> float:
    return float(10 * np.log10(max(power, 10 ** (SILENCE_DB / 10))))
