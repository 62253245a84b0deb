"""Open the features that stage 2 has written."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vctool.data.feature_set import FeatureSet
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe
from vctool.features.base import of_accompaniment


def open_set(
    recipe: Recipe,
    corpus: str,
    split: str,
    kinds: Sequence[str] | None = None,
    instead: Mapping[str, Path] | None = None,
) -> FeatureSet:
    """Open what stage 2 has written for one split.

    Args:
        recipe: the experiment.
        corpus: the corpus.
        split: the split.
        kinds: the kinds; by default all that stage 2 computes for the split. Kinds of the
            accompaniment are left out if the split has none.
        instead: stores to use in place of those of stage 2, by kind.

    Raises:
        DataError: stage 2 has not finished.
    """
    folders = {
        kind: recipe.dump(corpus, split, kind)
        for kind in (plan.kinds(recipe, split) if kinds is None else kinds)
    }
    stores = {
        kind: folder
        for kind, folder in folders.items()
        if not of_accompaniment(kind) or folder.is_dir()
    }
    stores |= instead or {}
    return FeatureSet.open(recipe.data(corpus, split), stores, recipe.stats(corpus, split))
