"""Limits of a conversion's options, and their checks, apart from all that needs torch."""

from vctool.errors import ConfigError

LEAST_SECONDS = 0.1
"""Shortest recording that is converted [s]."""

MOST_OFFSET = 86400.0
"""Largest `--accomp-offset` [s]."""

AUTO = "auto"
"""Value of `--transpose` that means whole octaves into the target's range."""
STRETCH_RANGE = (0.25, 4.0)
TRANSPOSE_RANGE = (-36.0, 36.0)
"""Allowed range of `--stretch`, and of `--transpose` [semitones]."""

GAIN_RANGE = (-60.0, 20.0)
"""Allowed range of `--vocal-gain` and `--accomp-gain` [dB]."""


def require_range(name: str, value: float, limits: tuple[float, float]) -> None:
    """Refuse an option's value that is out of range.

    Raises:
        ConfigError: the value is out of range or NaN.
    """
    low, high = limits
    if not low <= value <= high:
        raise ConfigError(f"--{name} {value:g}: must lie between {low:g} and {high:g}")


def require_offset(seconds: float) -> float:
    """Return the offset of the voice in the accompaniment [s], validated.

    Raises:
        ConfigError: it is NaN, infinite, or more than a day.
    """
    if not abs(seconds) <= MOST_OFFSET:
        raise ConfigError(
            f"--accomp-offset {seconds:g}: must lie between -{MOST_OFFSET:g} and {MOST_OFFSET:g}"
        )
    return seconds


def transposition(wanted: float | str) -> tuple[float, bool]:
    """Read `--transpose`: semitones, and whether it is `auto`.

    Raises:
        ConfigError: it is neither a number in range nor `auto`.
    """
    if wanted == AUTO:
        return 0.0, True
    try:
        semitones = float(wanted)
    except ValueError:
        told = f"expected semitones, such as 12 or -5, or {AUTO}"
        raise ConfigError(f"--transpose {wanted}: {told}") from None
    require_range("transpose", semitones, TRANSPOSE_RANGE)
    return semitones, False
