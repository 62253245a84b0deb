"""The loss terms that a family's confs weigh, so that a misspelt one is found before training.

A family yields its terms while it trains, and the engine then demands exactly these
(`engine.step.weigh`). Before that, its confs tell them: `conf/FAMILY/default.yaml` weighs those of
the default, and the others those of variants.
"""

from collections.abc import Mapping
from pathlib import Path

from vctool import config
from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.experiment.recipe import Recipe


def check(recipe: Recipe) -> None:
    """Check that a recipe weighs no loss term, and no group of them, that its family lacks.

    Raises:
        ConfigError: a weight that no conf of the family names; the nearest is suggested.
    """
    known: dict[str, set[str]] = {}
    folder = Path("conf") / recipe.family
    for name in sorted(config.names(str(folder)), key=lambda one: (one != "default", one)):
        tree = config.read_yaml(config.find(folder / f"{name}.yaml"))
        weights = tree.get("train", {}).get("weights", {})
        for group, terms in weights.items():
            known.setdefault(str(group), set()).update(map(str, terms))
    if known:  # a family may learn nothing, or have no conf
        _require(recipe, known)


def _require(recipe: Recipe, known: Mapping[str, set[str]]) -> None:
    for field in ("weights", "learning_rates"):
        for group in getattr(recipe.train, field):
            place = f"train.{field}.{group}"
            if group not in known:
                raise ConfigError(
                    f"{recipe.origin.of(place)}: {place}: no such group of losses"
                    f"{suggest(group, sorted(known))}"
                )
    for group, terms in recipe.train.weights.items():
        place = f"train.weights.{group}"
        for term in terms:
            if term not in known[group]:
                field = f"{place}.{term}"
                raise ConfigError(
                    f"{recipe.origin.of(field)}: {field}: no such loss term in "
                    f"conf/{recipe.family}/{suggest(term, sorted(known[group]))}; there are "
                    f"{', '.join(sorted(known[group]))}"
                )
