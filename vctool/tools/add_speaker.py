"""`vctool train --add-speaker`: write a recipe that adds one voice to a trained experiment.

The recipe is laid over the one that the experiment was trained with, and names it in `extends`
(`training.extend`). Every stage can run it like any other recipe. The trained experiment itself is
only read.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from vctool import checkpoints, corpora, settings_yaml
from vctool.config import Tree, find, merge, override, read_yaml, suggest
from vctool.data.atomic import write_text
from vctool.errors import ConfigError, DataError
from vctool.experiment import roles
from vctool.experiment.recipe import PLAIN_NAME, load, resolve
from vctool.stages.download import prepare, read_stamp

logger = logging.getLogger(__name__)

MARK = "# Written by `vctool train --add-speaker`"
"""First line of recipes that may be overwritten."""


def write_recipe(recipe: str, settings: Iterable[str], voice: str, *, dry_run: bool = False) -> str:
    """Write `recipes/<experiment>+<name>.yaml`.

    Where it was written before, its settings stay, and those that are given now are laid over them.
    The corpus of the voice is prepared first, so that nothing is written for a voice it lacks.

    Args:
        recipe: name or path of the recipe that the experiment was trained with.
        settings: its `--set` overrides.
        voice: `NAME`, a speaker of the recipe's corpus, or `CORPUS/NAME`.
        dry_run: write nothing.

    Returns:
        The name of the new recipe, which is also that of its experiment.

    Raises:
        ConfigError: the voice cannot be added: it is there already, its corpus is missing or has
            no such speaker, or the recipe's roles are not listed.
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
    _require_voice(voice, corpus or trained.corpus.name, name, dry_run)
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
    if path.exists():
        if not path.read_text(encoding="utf-8").startswith(MARK):
            raise DataError(f"{path}: was not written by --add-speaker; rename or delete it")
        own = _over_written(path, own)
    resolve(merge(read_yaml(find(base)), own), str(path))
    text = settings_yaml.write({"base": base, **own})
    if not dry_run:
        write_text(path, f"{MARK}: {trained.name}, and {name} besides.\n{text}")
    return title


def _require_voice(typed: str, corpus: str, name: str, dry_run: bool) -> None:
    """Prepare a voice's corpus, unless this is a dry run, and check that the voice is in it.

    Raises:
        ConfigError: it is not.
    """
    if not dry_run:
        prepare(corpus)
    if read_stamp(Path("data") / corpus) is None:
        return
    try:
        roles.require(corpus, [name])
    except ConfigError as error:
        raise ConfigError(f"--add-speaker {typed}: {error}") from None


def _over_written(path: Path, own: Tree) -> Tree:
    """Lay a recipe over what was written of it before, and say which settings stay."""
    before = {
        field: value
        for field, value in settings_yaml.read(path.read_text(encoding="utf-8")).items()
        if field != "base"
    }
    kept = merge(before, own)
    if kept != own:
        logger.info("%s: the settings that it was written with before stay", path)
    return kept
