"""Hyper-parameters of the family vae_gan_live, and the options of a conversion."""

from typing import Any

from pydantic import Field, field_validator

from vctool.config import PROJECT_ROOT, Config, build, read_yaml
from vctool.errors import ConfigError
from vctool.models.base import family

VOICES, SYNTHESIS = "vae_gan", "istft"
"""The families that it is made of."""


def _default(name: str) -> dict[str, Any]:
    """Return `model` of a family's default conf."""
    tree: dict[str, Any] = read_yaml(PROJECT_ROOT / "conf" / name / "default.yaml")["model"]
    built: dict[str, Any] = _built(name, tree, f"conf/{name}/default.yaml model").model_dump(
        mode="json"
    )
    return built


class VaeGanLiveConfig(Config):
    """Which trained experiments it is made of."""

    voices: str = "exp/vcc2016_vae_gan"
    """Trained experiment or pack of `vae_gan`, network 1d. A new model takes over its weights and
    keeps them; a trained one holds them itself."""
    networks: dict[str, Any] = Field(default_factory=lambda: _default(VOICES))
    """`model` of that experiment; the default is that of `conf/vae_gan/default.yaml`."""
    synthesis: str = "exp/vcc2016_istft_causal"
    """Trained experiment or pack of `istft` with `causal: true`, likewise."""
    sound: dict[str, Any] = Field(default_factory=lambda: _default(SYNTHESIS) | {"causal": True})
    """`model` of that experiment; the default is that of `conf/istft/default.yaml`, causal."""

    @field_validator("networks")
    @classmethod
    def _is_local(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no `vae_gan`, and networks that are not of frames."""
        if _built(VOICES, value, "networks").network != "1d":
            raise ValueError("network: only 1d has a form for real time; train vae_gan with 1d")
        return value

    @field_validator("sound")
    @classmethod
    def _is_causal(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no `istft`, and one that needs whole utterances."""
        if not _built(SYNTHESIS, value, "sound").causal:
            raise ValueError("causal: false does not run in real time; train istft with true")
        return value


class VaeGanLiveOptions(Config):
    """Options of a conversion."""

    speaker: str = ""
    """Who speaks: the role whose statistics and F0 are taken for the source's; the mean over all
    roles where it is empty."""


def _built(name: str, value: dict[str, Any], where: str) -> Any:
    try:
        return build(family(name).Config, value, where)
    except ConfigError as error:
        raise ValueError(str(error)) from None
