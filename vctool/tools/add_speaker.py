"""`vctool train --add-speaker`: write the recipe of a trained experiment with one voice more.

The recipe is laid over the one that the experiment was trained with, and names it in `extends`
(`training.extend`); every stage takes it as it takes any other recipe. The experiment itself is
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
"""How a recipe begins that may be written again."""


def write_recipe(recipe: str, settings: Iterable[str], voice: str, *, dry_run: bool = False) -> str:
    """Write `recipes/<experiment>+<name>.yaml`.

    Args:
        recipe: name or path of the recipe that the experiment was trained with.
        settings: its `--set` overrides.
        voice: `NAME`, who is in the corpus of the recipe, or `CORPUS/NAME`.
        dry_run: write nothing.

    Returns:
        The name of the new recipe, and of its experiment.

    Raises:
        ConfigError: the voice cannot be added: it is there already, its corpus is not there, or
            the recipe's roles are not listed.
        CheckpointError: nothing is trained that could be extended.
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
            "evaluate": {"roles": [name]},  # what others become is what it was
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
