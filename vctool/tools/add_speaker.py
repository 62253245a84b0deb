"""`vctool train --add-speaker`: write a recipe that adds one voice to a trained experiment.

The recipe is laid over the one that the experiment was trained with, and names it in `extends`
(`training.extend`). Every stage can run it like any other recipe. The trained experiment itself is
only read.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from vctool import checkpoints, corpora, settings_yaml
from vctool.config import find, merge, override, read_yaml, suggest
from vctool.data.atomic import write_text
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import PLAIN_NAME, load, resolve
from vctool.stages.download import read_stamp

MARK = "# Written by `vctool train --add-speaker`"
"""First line of recipes that may be overwritten."""


def write_recipe(recipe: str, settings: Iterable[str], voice: str, *, dry_run: bool = False) -> str:
    """Write `recipes/<experiment>+<name>.yaml`.

    Args:
        recipe: name or path of the recipe that the experiment was trained with.
        settings: its `--set` overrides.
        voice: `NAME`, a speaker of the recipe's corpus, or `CORPUS/NAME`.
        dry_run: write nothing.

    Returns:
        The name of the new recipe, which is also that of its experiment.

    Raises:
        ConfigError: the voice cannot be added: it is there already, its corpus is missing, or
            the recipe's roles are not listed.
        CheckpointError: there is no trained experiment to extend.
        DataError: a recipe of this name was written by hand.
    """
    settings = tuple(settings)
    trained = load(recipe, settings)
    corpus, _, name = voice.rpartition("/")
    if not re.fullmatch(PLAIN_NAME, name):
        raise ConfigError(f"--add-speaker {voice}: expected NAME or CORPUS/NAME")
    if name in trained.roles:
        raise ConfigError(f"--add-speaker {voice}: {trained.exp} has {name} already")
    if trained.corpus.name is None or trained.corpus.by == "corpus":
        raise ConfigError(
            f"--add-speaker {voice}: {recipe} does not name speakers; take a recipe that does, "
            "such as vcc2016_vae_gan"
        )
    if corpus and corpus not in corpora.names() and read_stamp(Path("data") / corpus) is None:
        raise ConfigError(
            f"--add-speaker {voice}: no corpus '{corpus}'{suggest(corpus, corpora.names())} (for "
            f"your own: vctool prepare from-wavs DIR --name {corpus})"
        )
    checkpoints.find(trained.exp)
    written = recipe.endswith((".yaml", ".yml"))
    base = str(Path(recipe).absolute()) if written else f"recipes/{recipe}.yaml"
    title = f"{trained.name}+{name}"
    own = merge(
        override({}, settings),
        {
            "name": title,
            "corpus": {"also": {name: corpus or trained.corpus.name}},
            "extends": trained.name,
            "evaluate": {"roles": [name]},  # the other directions are unchanged
        },
    )
    path = Path("recipes") / f"{title}.yaml"
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise DataError(f"{path}: was not written by --add-speaker; rename or delete it")
    resolve(merge(read_yaml(find(base)), own), str(path))
    text = settings_yaml.write({"base": base, **own})
    if not dry_run:
        write_text(path, f"{MARK}: {trained.name}, and {name} besides.\n{text}")
    return title
