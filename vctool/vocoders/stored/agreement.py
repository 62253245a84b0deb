"""Whether a vocoder's weights were trained on the features that it is given."""

from collections.abc import Sequence

from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig


def differences(own: FeatureConfig, given: FeatureConfig) -> list[tuple[str, str, str]]:
    """Name the mel settings in which two configs differ, with both values.

    The floor `top_db` is not compared: it only makes quiet bins louder, which networks tolerate.

    >>> differences(FeatureConfig(hop_length=256), FeatureConfig(hop_length=200))
    [('hop_length', '256', '200')]
    """
    values = []
    for config in (own, given):
        top = config.rate / 2 if config.f_max is None else config.f_max
        values.append(
            {
                "rate": f"{config.rate}",
                "hop_length": f"{config.hop_length}",
                "n_mels": f"{config.n_mels}",
                "n_fft": f"{config.n_fft}",
                "win_length": f"{config.window}",
                "f_min": f"{config.f_min:g}",
                "f_max": f"{top:g}",
                "mel_power": f"{config.mel_power}",
            }
        )
    ours, theirs = values
    return [(name, ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]]


def require_same(name: str, own: FeatureConfig, given: FeatureConfig) -> None:
    """Refuse features that a vocoder was not trained on.

    Args:
        name: the vocoder, or where its weights are.
        own: the features that it was trained on.
        given: those that it would get.

    Raises:
        ConfigError: they differ; every setting is named with both values.
    """
    found = differences(own, given)
    if found:
        told = ", ".join(f"{field} = {ours} (here {theirs})" for field, ours, theirs in found)
        raise ConfigError(
            f"vocoder: {name} was trained on {told}; take one that was trained on these features, "
            "or griffin_lim, which needs no training"
        )


def require_kind(name: str, kind: str, kinds: Sequence[str]) -> None:
    """Refuse a model that does not write what a vocoder reads.

    Raises:
        ConfigError: the kind is not among those that the model writes.
    """
    if kind not in kinds:
        raise ConfigError(
            f"vocoder: {name} needs '{kind}' features, this model writes {', '.join(kinds)}"
        )
