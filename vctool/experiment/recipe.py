"""A recipe: one experiment in 8 to 20 lines of YAML, resolved here and nowhere else.

A recipe names a corpus for every role, feature settings, a family with its conf, a vocoder and a
budget. It owns the three folders that stages write to: `data/`, `dump/` and `exp/`, all below the
folder that the command runs in.
"""

import re
from collections.abc import Callable, Iterable
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr

from vctool import config, settings_yaml
from vctool.config import Config, Origin, Tree, build, merge, override, read_yaml, suggest
from vctool.engine.settings import TrainConfig
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig

if TYPE_CHECKING:
    from vctool.data.utterance import Utterance

PLAIN_NAME = r"[\w+-][\w.+-]*"
"""Regular expression of an experiment's name; its folder has the same name."""


VOICES = "voices"
"""The only role of a recipe that names a corpus but no speakers: everyone in the corpus."""


class CorpusConfig(Config):
    """Which corpus plays which role, in one of five forms; a family says how many it takes.

    {speech: librispeech, singing: mir1k}           two domains, of any corpora
    {name: vcc2016, source: SF1, target: TM3}       two speakers of one corpus
    {name: vcc2016, speakers: [SF1, SM1, TF2]}      as many as are named, two or more
    {name: philharmonia, domains: [flute, violin]}  domains of one corpus, such as instruments
    {name: vcc2016}                                 everyone in it, in the one role `voices`
    """

    speech: str | None = None
    """Corpus of the speech domain."""
    singing: str | None = None
    """Corpus of the singing domain."""
    name: str | None = None
    """The one corpus of all roles."""
    source: str | None = None
    """Source speaker."""
    target: str | None = None
    """Target speaker."""
    speakers: tuple[str, ...] | None = None
    """Speakers who are all converted into one another; the last is the target by default."""
    domains: tuple[str, ...] | None = None
    """The same for domains of the corpus, such as instruments."""
    also: dict[str, str] = {}
    """Further speakers, or domains, each with its corpus, as in `{ben: my_voices}`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The corpora to download and prepare, each once."""
        named = (self.speech, self.singing, self.name, *self.also.values())
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def by(self) -> Literal["speaker", "domain", "corpus"]:
        """The utterance field that determines its role; `corpus`: all have the same role."""
        if self.name is None or self.domains is not None:
            return "domain"
        return "corpus" if self.source is None and self.speakers is None else "speaker"

    @property
    def members(self) -> tuple[str, ...]:
        """The roles that one corpus fills: its speakers or domains, or `voices`."""
        if self.source is not None and self.target is not None:
            return self.source, self.target
        return self.speakers or self.domains or (VOICES,)

    @property
    def joined(self) -> str:
        """The roles as a part of a name: `{corpus.joined}` becomes `SF1_SM1_TF2`."""
        return "_".join(self.members)


class ConvertConfig(Config):
    """How recordings are converted; stored in the checkpoint as its defaults."""

    stretch: float = Field(1.0, ge=0.25, le=4.0)
    """Length of the output over the length of the input; voiced frames are lengthened."""
    block_seconds: float = Field(60.0, ge=5.0)
    """Recordings longer than this are converted in blocks of this length [s]."""
    vocal_gain_db: float = Field(0.0, ge=-60, le=20)
    """Level of the converted voice in `--mix` over the accompaniment's own [dB]."""
    accomp_gain_db: float = Field(-3.0, ge=-60, le=20)
    """Gain of the accompaniment in `--mix` over its own level [dB]."""


class EvaluateConfig(Config):
    """How stage 6 scores."""

    max_utterances: int = Field(60, ge=2)
    """Held-out source utterances that are converted and scored, drawn with the recipe's seed; of
    every direction, where there are many."""
    bootstrap: int = Field(1000, ge=100)
    """Bootstrap resamples of every interval."""
    split: str = "test"
    """The split that is scored."""
    task: str | None = None
    """The scoring task, which decides measures and baselines: a folder of `vctool/evaluation/`,
    such as `voices`, `singing` or `vocoders`; None: the family's own task."""
    roles: tuple[str, ...] | None = None
    """If there are many roles: those whose directions, from and to them, are scored; None: all."""
    directions: tuple[str, ...] | None = Field(None, min_length=1)
    """If there are many roles: the directions that are scored, such as `anna_to_ben`; None: all
    those of `roles`."""


class FineTuneConfig(Config):
    """Fine-tuning of a vocoder on the output of a conversion system (`training.fine_tune`)."""

    start: str | None = Field(None, pattern=rf"^{PLAIN_NAME}$")
    """Trained experiment of the same family to start from, a folder below `exp/`."""
    mels_of: str | None = Field(None, pattern=rf"^{PLAIN_NAME}$")
    """Trained conversion system, a folder below `exp/`, whose mels of the training utterances take
    the place of their own."""


class Recipe(Config):
    """One experiment, resolved."""

    name: str = Field(pattern=r"^[\w{}+-][\w.{}+-]*$")
    """Name of the experiment, and of its folder below `exp/`."""
    family: str
    """The system: a folder below `vctool/models/`."""
    corpus: CorpusConfig
    features: FeatureConfig
    model: dict[str, Any] = {}
    """Hyper-parameters, validated by the family's own `Config`."""
    train: TrainConfig
    vocoder: str
    convert: ConvertConfig = ConvertConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    extends: str | None = Field(None, pattern=rf"^{PLAIN_NAME}$")
    """Trained experiment, a folder below `exp/`, whose roles stay exactly as they are; only those
    that it lacks are trained (`training.extend`)."""
    fine_tune: FineTuneConfig = FineTuneConfig()
    _origin: Origin | None = PrivateAttr(None)

    @property
    def origin(self) -> Origin:
        """Where its fields came from, for errors about them."""
        return self._origin or Origin(f"recipe {self.name}")

    @property
    def exp(self) -> Path:
        """Folder of everything this experiment writes besides data and features."""
        return Path("exp") / self.name

    @property
    def base(self) -> Path | None:
        """Folder of the experiment that this one extends."""
        return None if self.extends is None else Path("exp") / self.extends

    @property
    def start(self) -> Path | None:
        """Folder of the experiment whose weights this one begins with."""
        return None if self.fine_tune.start is None else Path("exp") / self.fine_tune.start

    @property
    def maker(self) -> Path | None:
        """Folder of the experiment whose mels take the place of the recordings' own."""
        return None if self.fine_tune.mels_of is None else Path("exp") / self.fine_tune.mels_of

    def data(self, corpus: str, split: str) -> Path:
        """Data dir of one split of a corpus."""
        return Path("data") / corpus / split

    def dump(self, corpus: str, split: str, kind: str) -> Path:
        """Folder of one kind of features; the settings' hash is part of it."""
        return Path("dump") / corpus / split / f"{kind}-{self.features.hash8(kind)}"

    def stats(self, corpus: str, split: str) -> Path:
        """File of the F0 statistics of one split's voices (`data.speaker_table`)."""
        return self.dump(corpus, split, "f0") / "stats.json"

    @property
    def roles(self) -> dict[str, str]:
        """The corpus of every role, in the recipe's order: the last is the target by default."""
        if self.corpus.name is not None:
            return dict.fromkeys(self.corpus.members, self.corpus.name) | self.corpus.also
        domains = {"speech": self.corpus.speech, "singing": self.corpus.singing}
        return {role: corpus for role, corpus in domains.items() if corpus is not None}

    def plays(self, role: str) -> "Callable[[Utterance], bool]":
        """Return a predicate: whether an utterance of a role's corpus has that role."""
        by = self.corpus.by
        return lambda one: (
            by == "corpus" or (one.speaker if by == "speaker" else one.domain) == role
        )


def recipes() -> list[str]:
    """Name the recipes of the work folder and those that come with vctool."""
    return config.names("recipes")


def place(name: str) -> Path:
    """Return the file of a recipe that is given by name or by path.

    Raises:
        ConfigError: there is no recipe of this name.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in recipes():
        raise ConfigError(f"--recipe {config.clip(name)}: no such recipe{suggest(name, recipes())}")
    return config.find(Path("recipes") / f"{name}.yaml")


def load(name: str, settings: Iterable[str] = ()) -> Recipe:
    """Resolve a recipe by name or by path, with `--set` overrides.

    Raises:
        ConfigError: no such recipe, an unknown field (with a suggestion), an impossible value.
    """
    path = place(name)
    settings = tuple(settings)
    return resolve(override(read_yaml(path), settings), Origin(str(path), settings))


def direction_names(roles: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return source and target of every direction between three roles or more, by its name."""
    known = list(roles)
    if len(known) < 3:
        return {}
    return {f"{a}_to_{b}": (a, b) for a, b in permutations(known, 2)}


def resolve(tree: Tree, where: str | Origin) -> Recipe:
    """Validate a recipe's tree: shorthand expanded, name filled in, family and weights checked."""
    origin = where if isinstance(where, Origin) else Origin(where)
    features = tree.get("features")
    if isinstance(features, str):
        features = {"base": features}
    if isinstance(features, dict) and "base" in features:
        own = {field: value for field, value in features.items() if field != "base"}
        try:
            below = read_yaml(config.find(features["base"]))
        except ConfigError as error:
            raise ConfigError(f"{origin.of('features')}: features: {error}") from None
        tree = {**tree, "features": merge(below, own)}
    recipe = build(Recipe, tree, origin)
    _check_roles(recipe.corpus, origin)
    for role in recipe.evaluate.roles or ():
        if role not in recipe.roles:
            raise ConfigError(
                f"{origin.of('evaluate.roles')}: evaluate.roles: no role '{role}'"
                f"{suggest(role, recipe.roles)}"
            )
    _check_directions(recipe, origin)
    blamed = origin.of("name")
    try:
        name = recipe.name.format(corpus=recipe.corpus)
    except (KeyError, AttributeError, ValueError, IndexError) as error:
        reason = f"cannot be filled in: {error}"
        raise ConfigError(f"{blamed}: name = '{recipe.name}': {reason}") from None
    if not re.fullmatch(PLAIN_NAME, name):  # a speaker's name is part of it, and it becomes a path
        raise ConfigError(
            f"{blamed}: name = '{recipe.name}': becomes '{name}', which is not a valid name"
        )
    named = recipe.model_copy(update={"name": name})
    named._origin = origin
    return named


def _check_directions(recipe: Recipe, origin: Origin) -> None:
    wanted = recipe.evaluate.directions
    if wanted is None:
        return
    where = f"{origin.of('evaluate.directions')}: evaluate.directions"
    known = direction_names(recipe.roles)
    if not known:
        raise ConfigError(f"{where}: with less than three roles there is one; leave it out")
    for one in wanted:
        if one not in known:
            raise ConfigError(f"{where}: no direction '{one}'{suggest(one, known)}")


def _check_roles(corpus: CorpusConfig, origin: Origin) -> None:
    """Check that the corpus has one of its allowed forms."""
    where = origin.of("corpus")
    pair = corpus.source, corpus.target
    lists = {"speakers": corpus.speakers, "domains": corpus.domains}
    named = {field: names for field, names in lists.items() if names is not None}
    if corpus.name is None:
        found = [*(one for one in pair if one is not None), *(n for g in named.values() for n in g)]
        found += corpus.also
        if found:
            who = "domains" if list(named) == ["domains"] else "speakers"
            raise ConfigError(
                f"{where}: corpus names the {who} {' and '.join(found)} but not their corpus; set "
                "corpus.name, or take a recipe between speakers, such as vcc2016_cyclegan_vc"
            )
        return
    if corpus.speech is not None or corpus.singing is not None:
        raise ConfigError(
            f"{where}: corpus has name '{corpus.name}' beside speech or singing; roles are either "
            "those of one corpus or two domains"
        )
    if (pair[0] is None) != (pair[1] is None):
        raise ConfigError(f"{where}: corpus.source and corpus.target go together; set both")
    forms = [*named, *(["source and target"] if pair[0] is not None else [])]
    if len(forms) > 1:
        raise ConfigError(
            f"{where}: corpus has {' beside '.join(forms)}; name the roles in one way, and set "
            "the other to null"
        )
    if pair[0] is not None and pair[0] == pair[1]:
        raise ConfigError(f"{where}: corpus.source and corpus.target are both '{pair[0]}'")
    for field, names in named.items():
        where = origin.of(f"corpus.{field}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"{where}: corpus.{field} names '{twice}' twice")
        odd = next((name for name in names if not re.fullmatch(PLAIN_NAME, name)), None)
        if odd is not None:  # folders are named after roles
            raise ConfigError(f"{where}: corpus.{field} names '{odd}', which is not a valid name")
        if len(names) < 2:
            raise ConfigError(
                f"{where}: corpus.{field} = {list(names)}: name at least two, or leave it out to "
                "take everyone in one role"
            )
    where = origin.of("corpus.also")
    for role in corpus.also:
        if not named:
            raise ConfigError(f"{where}: corpus.also goes with corpus.speakers or corpus.domains")
        if role in corpus.members or not re.fullmatch(PLAIN_NAME, role):
            odd = "is there already" if role in corpus.members else "is not a valid name"
            raise ConfigError(f"{where}: corpus.also: '{role}' {odd}; name another")


def show(recipe: Recipe, field: str | None = None) -> str:
    """Print a recipe as YAML, or one field of it as a plain value.

    Args:
        recipe: the experiment.
        field: a dotted name, such as `train.steps`; `exp` is the experiment's folder.

    Raises:
        ConfigError: there is no such field; the nearest one is suggested.
    """
    tree = recipe.model_dump(mode="json", by_alias=True) | {"exp": str(recipe.exp)}
    value: Any = tree
    for part in field.split(".") if field else ():
        known = value if isinstance(value, dict) else {}
        if part not in known:
            raise ConfigError(f"{recipe.name}: no field '{field}'{suggest(part, known)}")
        value = known[part]
    if isinstance(value, dict):
        return settings_yaml.write(value).rstrip("\n")
    return str(value)
