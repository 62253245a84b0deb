"""Prepare a user's own recordings: make data dirs, and a recipe that trains on them.

The recipe converts one domain to another, such as speech to singing, or the speakers of a folder to
one another, or trains a vocoder; its base recipe decides which.
"""

import logging
import re
from pathlib import Path
from typing import Literal

from vctool import cache, corpora, settings_yaml
from vctool.acquisition import from_wavs
from vctool.config import PROJECT_ROOT, Tree, suggest
from vctool.data import voice_reach
from vctool.data.atomic import write_text
from vctool.data.datadir import DataDir
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import CorpusConfig, load, recipes
from vctool.experiment.roles import require
from vctool.features.settings import FeatureConfig
from vctool.stages.download import SEED, write_stamp
from vctool.workers import Workers

logger = logging.getLogger(__name__)

OWN_NAME = re.compile(r"\w[\w-]*")
"""Allowed names of a user's corpus; folders, a recipe and an experiment get this name."""

BETWEEN_DOMAINS = "mini"
"""Recipe that recordings of one domain are laid over unless another is named."""

BETWEEN_SPEAKERS = "vcc2016_cyclegan_vc"
"""Recipe that recordings of two speakers are laid over unless another is named."""

AMONG_SPEAKERS = "vcc2016_vae_gan"
"""Recipe that recordings of more speakers are laid over, unless it or two of them are named."""


def prepare_own(
    wavs: Path,
    *,
    name: str,
    domain: Literal["speech", "singing"] | None = None,
    source: str | None = None,
    target: str | None = None,
    accomp: Path | None = None,
    base: str | None = None,
    force: bool = False,
    nj: int = 1,
) -> Path | None:
    """Prepare a user's own recordings, and write a recipe that trains on them.

    A single voice gets no recipe unless other arguments ask for one: it can be added to a trained
    model (`tools.add_speaker`).

    Args:
        wavs: folder with `<speaker>/**/*.{wav,flac,mp3,ogg}`.
        name: name of the corpus and of the recipe.
        domain: what the recordings are. A recipe between domains needs it; for one between
            speakers it is speech where None.
        source: speaker to convert from, where the recipe is between two; the first in order of
            names where None.
        target: speaker to convert to; the first other one where None.
        accomp: folder of accompaniments, matched by file name.
        base: recipe whose other corpus, features, model and budget are taken. Where None,
            `BETWEEN_DOMAINS` if a domain and no speaker is given, else `BETWEEN_SPEAKERS` for two
            and `AMONG_SPEAKERS` for more.
        force: replace a recipe and data dirs of this name.
        nj: threads that measure recordings.

    Returns:
        The recipe's path, or None where there is none.

    Raises:
        ConfigError: the name is a path, a built-in corpus or recipe; there is no such base, or it
            does not go with the other arguments; or there are no such speakers.
        DataError: the folder holds no usable audio, too little of a speaker, or the name is taken.
    """
    alone = not (domain or source or target or accomp or base) and len(_speakers(wavs)) == 1
    base = base or _base(wavs, domain, source, target)
    recipe, folder = _places(name, base, force)
    corpus: Tree = {"name": name}
    if not alone:
        corpus, what = _corpus(load(base).corpus, base, wavs, name, domain, source, target)
    between_speakers = "name" in corpus
    if between_speakers and accomp is not None:
        raise ConfigError(f"--accomp {accomp}: {base} converts between speakers, without any")
    with cache.use(cache.MEASURED):
        report = from_wavs.prepare(
            wavs,
            folder,
            seed=SEED,
            domain=domain or "speech",
            accomp_dir=accomp,
            every_speaker=between_speakers,
            nj=nj,
        )
    chosen = [corpus[field] for field in ("source", "target") if field in corpus]
    require(name, chosen or corpus.get("speakers") or ())
    write_stamp(folder, wavs, str(report))
    if alone:
        return None
    experiment = f"{name}_{{corpus.source}}_{{corpus.target}}" if chosen else name
    tree: Tree = {"base": f"recipes/{base}.yaml", "name": experiment, "corpus": corpus}
    if widened := _widened(folder, load(base).features, recipe, nj):
        tree["features"] = widened
    text = settings_yaml.write(tree)
    write_text(recipe, f"# {what}; everything else as in {base}.\n{text}")
    load(name)
    return recipe


def _widened(folder: Path, below: FeatureConfig, recipe: Path, nj: int) -> Tree:
    """Return the settings of an F0 range that covers these voices, where the base's does not."""
    utterances = DataDir.read(folder / "train", check=False).utterances
    with Workers(nj, few=8, here=True) as workers:
        found = voice_reach.voices_beyond(utterances, below, workers)
    for line in voice_reach.told(found, below):
        logger.info("%s; %s sets it", line, recipe)
    return {**voice_reach.covering(found)}


def _base(wavs: Path, domain: str | None, source: str | None, target: str | None) -> str:
    """Choose the base recipe."""
    if source is not None or target is not None:
        return BETWEEN_SPEAKERS
    if domain is not None:
        return BETWEEN_DOMAINS
    return AMONG_SPEAKERS if len(_speakers(wavs)) > 2 else BETWEEN_SPEAKERS


def _corpus(
    below: CorpusConfig,
    base: str,
    wavs: Path,
    name: str,
    domain: str | None,
    source: str | None,
    target: str | None,
) -> tuple[Tree, str]:
    """Replace a recipe's corpus by one of the same form; also return a short description of it."""
    named = source is not None or target is not None
    if below.name is None:
        if named:
            raise ConfigError(f"--source, --target: {base} converts between domains; leave them")
        if domain is None:
            raise ConfigError(f"--recipe {base}: converts between domains; pass --domain")
        return {domain: name}, f"{domain} from {wavs}"
    if below.source is not None:
        pair = _pair(wavs, source, target)
        corpus = {"name": name, "source": pair[0], "target": pair[1]}
        return corpus, f"{pair[0]} to {pair[1]}, from {wavs}"
    if named:
        raise ConfigError(f"--source, --target: {base} is for all speakers of a folder; leave them")
    if below.by == "corpus":
        return {"name": name}, f"everyone in {wavs}"
    speakers = _speakers(wavs)
    _require_several(speakers, wavs)
    everyone: Tree = {"name": name, "speakers": speakers}
    if below.domains is not None:
        everyone["domains"] = None
    return everyone, f"{', '.join(speakers)} into one another, from {wavs}"


def _speakers(wavs: Path) -> list[str]:
    return from_wavs.speakers(wavs)


def _places(name: str, base: str, force: bool) -> tuple[Path, Path]:
    """Return the paths of the recipe and the data dirs, after checking the names."""
    if not OWN_NAME.fullmatch(name):
        raise ConfigError(f"--name {name}: must be a name of letters, digits, _ and -, not a path")
    if name in corpora.names():
        raise ConfigError(f"--name {name}: is a built-in corpus; choose another name")
    recipe = Path("recipes") / f"{name}.yaml"
    folder = Path("data") / name
    shipped = PROJECT_ROOT / recipe
    taken = next((path for path in (recipe, shipped, folder) if path.exists()), None)
    if taken is not None and not force:
        raise DataError(f"--name {name}: {taken} exists; choose another name or add --force")
    if base not in recipes():
        raise ConfigError(f"--recipe {base}: no such recipe{suggest(base, recipes())}")
    if base == name:
        raise ConfigError(f"--recipe {base}: a recipe cannot be its own base; name another")
    return recipe, folder


def _pair(wavs: Path, source: str | None, target: str | None) -> tuple[str, str]:
    """Choose source and target among the speakers of a folder.

    Raises:
        ConfigError: there is only one speaker, no speaker has a given name, or both are the same.
    """
    speakers = _speakers(wavs)
    _require_several(speakers, wavs)
    for option, speaker in (("--source", source), ("--target", target)):
        if speaker is not None and speaker not in speakers:
            raise ConfigError(f"{option} {speaker}: no such speaker{suggest(speaker, speakers)}")
    if source is not None and source == target:
        raise ConfigError(f"--source {source}: is also --target; name two speakers")
    first = source or next(one for one in speakers if one != target)
    return first, target or next(one for one in speakers if one != first)


def _require_several(speakers: list[str], wavs: Path) -> None:
    if len(speakers) < 2:
        raise ConfigError(
            f"{wavs}: holds one speaker, '{speakers[0]}', and conversion between speakers takes "
            "two folders; for speech to singing and back pass --domain"
        )
