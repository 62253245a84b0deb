"""Models of families that learn nothing and take recordings as targets: usable as installed.

Such a model is named after its family, as in `--model knn_vc`, and has no roles. Its settings are
those of `conf/<family>/default.yaml` and, as it is tied to no corpus, of features at the highest of
the `RATES` that its recordings have.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vctool import audio, config
from vctool.config import build, merge, read_yaml
from vctool.engine import checkpoint
from vctool.features.settings import FeatureConfig
from vctool.models import base

RATES = {16000: "16k_mcep", 22050: "22k_mcep", 44100: "44k_mcep"}
"""The confs of features by their rate [Hz], rising."""


def names() -> list[str]:
    """Name the families whose models can be used untrained."""
    return [name for name in base.families() if base.family(name).untrained]


def is_one(path: Path | str) -> bool:
    """Tell whether a model's path is the name of such a family; a file or folder wins over it."""
    return str(path) in base.families() and not Path(path).exists() and str(path) in names()


def settings(name: str) -> Any:
    """Return the family's config as its default conf has it."""
    tree = read_yaml(config.find(Path("conf") / name / "default.yaml"))
    return build(base.family(name).Config, tree.get("model", {}), f"conf/{name}/default.yaml model")


def rate_of(recordings: Iterable[Path]) -> int:
    """Choose the highest rate that no recording falls short of; the lowest for recordings below.

    A tenth is granted, so that 32 kHz counts as 22.05, and 20 kHz too.

    Raises:
        AudioError: a recording cannot be read.
    """
    least = min((audio.info(path).rate for path in recordings), default=0)
    fitting = [rate for rate in RATES if least >= 0.9 * rate]
    return max(fitting, default=min(RATES))


def load(name: str, rate: int | None = None) -> tuple[base.System, checkpoint.State]:
    """Build a model, in eval mode, and what a checkpoint would say of it.

    Args:
        name: the family.
        rate: one of `RATES`; the lowest where None.
    """
    tree = read_yaml(config.find(Path("conf") / name / "default.yaml"))
    features = read_yaml(config.find(Path("conf/features") / f"{RATES[rate or min(RATES)]}.yaml"))
    known = base.Context(
        features=build(FeatureConfig, merge(features, tree.get("features", {})), "features"),
        vocoder=tree["vocoder"],
        roles=(),
    )
    system = base.family(name)(settings(name), known)
    recipe = {"convert": tree.get("convert", {})}
    state = checkpoint.describe(system, name, 0, recipe=recipe, train={}, data={})
    return system.eval(), state
