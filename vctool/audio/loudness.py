"""How loud a wave is, measured where it sounds, and the gain that makes two waves equally loud."""

import numpy as np

SILENCE_DB = -100.0
"""The level of silence, and the lowest that is ever returned [dB of full scale]."""

_FRAME_SECONDS = 0.02
_GATE_DB = -70.0  # absolute gate of ITU-R BS.1770; quieter frames are pauses
_RELATIVE_GATE_DB = -20.0  # frames this far below the mean of the others are pauses too
_PEAK = 0.99  # matched waves stay below this


def rms_db(wave: np.ndarray) -> float:
    """Return the root mean square of a wave, (T,), pauses included [dB of full scale]."""
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return _decibel(power)


class LevelMeter:
    """Measures the active level of a wave that arrives in blocks of any length.

    The level is the mean power of the 20 ms frames that sound: those above -70 dB and not more
    than 20 dB below the mean of these. The two gates are those of ITU-R BS.1770 with a wider
    relative gate, and without its ear weighting, because voice is compared with voice.
    """

    def __init__(self, rate: int) -> None:
        self._frame = max(1, round(_FRAME_SECONDS * rate))
        self._rest = np.empty(0, np.float32)
        self._powers: list[np.ndarray] = []

    def add(self, wave: np.ndarray) -> None:
        """Take the next samples, (T,)."""
        wave = np.concatenate([self._rest, wave])
        whole = len(wave) // self._frame * self._frame
        frames = wave[:whole].reshape(-1, self._frame)
        self._powers.append(np.mean(np.square(frames, dtype=np.float64), axis=1))
        self._rest = wave[whole:]

    @property
    def level_db(self) -> float:
        """The active level so far [dB of full scale]; `SILENCE_DB` for silence."""
        powers = np.concatenate([np.empty(0), *self._powers])
        if not len(powers):  # shorter than a frame
            return rms_db(self._rest)
        powers = powers[powers > 10 ** (_GATE_DB / 10)]
        if not len(powers):
            return SILENCE_DB
        gate = np.mean(powers) * 10 ** (_RELATIVE_GATE_DB / 10)
        return _decibel(float(np.mean(powers[powers > gate])))


def level_db(wave: np.ndarray, rate: int) -> float:
    """Return the active level of a wave, (T,) [dB of full scale]; see `LevelMeter`."""
    meter = LevelMeter(rate)
    meter.add(wave)
    return meter.level_db


def match_level(wave: np.ndarray, rate: int, target_db: float) -> np.ndarray:
    """Scale a wave, (T,), to an active level, less where its peak would pass 0.99.

    Silence, and a target of silence, leave it as it is.
    """
    own = level_db(wave, rate)
    if own <= SILENCE_DB or target_db <= SILENCE_DB:
        return wave
    gain = 10 ** ((target_db - own) / 20)
    peak = float(np.max(np.abs(wave)))
    return (wave * min(gain, _PEAK / peak)).astype(np.float32)


def _decibel(power: float) -> float:
    return float(10 * np.log10(max(power, 10 ** (SILENCE_DB / 10))))
