"""What benchmarks share: sound to work on, and systems set up on it, untrained.

Singers' systems are set up on the embedded corpus; speakers' on VCC2016, where it is there.

Nothing here asserts a time. Weights are as they are before training, which costs the same; the
statistics are those of real features, so that every value is one that conversion meets.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from vctool.audio.tracks import ArrayTrack
from vctool.config import PROJECT_ROOT, build, merge, read_yaml
from vctool.corpora import mini
from vctool.data.batches import Clips
from vctool.data.datadir import DataDir
from vctool.data.feature_set import FeatureSet
from vctool.data.utterance import Utterance
from vctool.engine import checkpoint
from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import train_step
from vctool.experiment.recipe import Recipe, resolve
from vctool.features import stats, world
from vctool.features.analysis import scan, voice_features, whole_features
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig
from vctool.models.base import Context, Dataset, System, family
from vctool.models.vocal_cyclegan.streams import layout, to_channels, to_condition

RATE = 44100
SEED = 0
SOURCE, TARGET = "SF1", "TM3"
"""Speakers of VCC2016."""
SENTENCES = int(os.environ.get("VCTOOL_BENCH_SENTENCES", "24"))
"""Sentences that statistics of a speaker rest on, and as many again that are held out."""


class Material(NamedTuple):
    """Sound at 44.1 kHz."""

    speech: list[np.ndarray]
    singing: list[np.ndarray]
    accompaniments: list[np.ndarray]
    """As long as the singing that each belongs to."""


class Pair(NamedTuple):
    """Two speakers' WORLD features."""

    features: FeatureConfig
    train: dict[str, FeatureSet]
    """By role; sentences that the two do not share."""
    held: dict[str, FeatureSet]
    """Other such sentences."""
    context: Context


class Cost(NamedTuple):
    """What some work took."""

    wall: float
    """Seconds that passed."""
    cpu: float
    """Seconds of all cores together."""


class Costs:
    """Costs of works that take turns, so that what else the machine does hits all alike."""

    def __init__(self, works: dict[str, Callable[[], object]], rounds: int) -> None:
        taken: dict[str, list[Cost]] = {name: [] for name in works}
        for turn in range(rounds + 1):
            for name, work in works.items():
                cost = measure(work)
                if turn:  # the first time is for warming up
                    taken[name].append(cost)
        self.least = {
            name: Cost(min(c.wall for c in costs), min(c.cpu for c in costs))
            for name, costs in taken.items()
        }

    def ratio(self, name: str, to: str) -> str:
        """Tell how many times less one took than the other."""
        one, other = self.least[name], self.least[to]
        return f"{other.wall / one.wall:.1f} times less time, {other.cpu / one.cpu:.1f} CPU time"


class Training:
    """Our training of a system, one step after the other."""

    def __init__(self, system: System, settings: TrainConfig, data: Dataset) -> None:
        self.system, self.data, self.done = system.train(), data, 0
        self.optimizers = GroupOptimizers(system, settings)
        self.last: Any = None

    def step(self) -> None:
        batch = self.data.batch(self.done)
        self.last = train_step(self.system, batch, self.done, self.optimizers, Processes())
        self.done += 1


def measure(work: Callable[[], object]) -> Cost:
    """Time some work in this process."""
    began, before = time.perf_counter(), _cpu_seconds()
    work()
    return Cost(time.perf_counter() - began, _cpu_seconds() - before)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def two_threads() -> Iterator[None]:
    """Let torch use two threads, as the targets are stated."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _keep_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def measured() -> type[Costs]:
    """`measured(works, rounds)` times works in turn."""
    return Costs


@pytest.fixture(scope="session")
def training() -> type[Training]:
    """`training(system, settings, data).step()` trains."""
    return Training


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Sentences of the embedded corpus, resampled to 44.1 kHz."""
    root = tmp_path_factory.mktemp("material")
    source = mini.download(root, nj=1, sizes=mini.Sizes(train=12, dev=1, test=1))
    mini.prepare(source, root / "data")
    data = list(DataDir.read(root / "data" / "train"))
    spoken = [u.load(RATE) for u in data if u.domain == "speech"]
    sung = [u for u in data if u.domain == "singing"]
    waves = [u.load(RATE) for u in sung]
    under = [u.load_accomp(RATE, len(wave)) for u, wave in zip(sung, waves, strict=True)]
    return Material(spoken, waves, under)


@pytest.fixture(scope="session")
def systems(material: Material) -> Callable[..., tuple[System, Recipe]]:
    """`systems("default", "44k")` builds conf/vocal_cyclegan/default.yaml at conf/features/44k."""

    def make(conf: str, features: str, **model: object) -> tuple[System, Recipe]:
        tree = merge(
            read_yaml(PROJECT_ROOT / f"conf/vocal_cyclegan/{conf}.yaml"),
            {
                "name": f"bench_{conf}",
                "corpus": {"speech": "mini", "singing": "mini"},
                "features": f"conf/features/{features}.yaml",
                "model": model,
            },
        )
        recipe = resolve(tree, conf)
        cls = family(recipe.family)
        context = Context(
            features=recipe.features, vocoder=recipe.vocoder, roles=("speech", "singing")
        )
        torch.manual_seed(SEED)
        system = cls(build(cls.Config, recipe.model, conf), context)
        system.setup(clips(system, material, 24))
        return system, recipe

    return make


@pytest.fixture(scope="session")
def experiments(
    systems: Callable[..., tuple[System, Recipe]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """`experiments("default", "44k")` stores such a system as a checkpoint."""

    def store(conf: str, features: str, **model: object) -> Path:
        system, recipe = systems(conf, features, **model)
        folder = tmp_path_factory.mktemp(conf)
        plain = recipe.model_dump(mode="json", by_alias=True)
        checkpoint.save(folder / "checkpoints", system, family=recipe.family, step=0, recipe=plain)
        return folder

    return store


def clips(system: System, material: Material, count: int) -> dict[str, Clips]:
    """Cut `count` clips of each role out of the material, as training draws them."""
    config, features = system.config, system.context.features
    shape = layout(config.voice, features)

    def voices(waves: list[np.ndarray]) -> list[np.ndarray]:
        kinds = (config.voice,)
        known = [scan(ArrayTrack(wave), features, kinds, len(wave)) for wave in waves]
        read = [voice_features(w, kinds, features, k) for w, k in zip(waves, known, strict=True)]
        return [to_channels(made[config.voice], shape, features) for made in read]

    def condition(wave: np.ndarray) -> np.ndarray:
        made = whole_features(Excerpt(wave, features), ("mel", "chroma"), features.wide_range)
        return to_condition(made["mel"], made["chroma"], features)

    under = cut([condition(wave) for wave in material.accompaniments], config.clip_frames, count)
    keys = torch.arange(count)
    return {
        "speech": Clips(cut(voices(material.speech), config.clip_frames, count), under, keys),
        "singing": Clips(
            cut(voices(material.singing), config.clip_frames, count), under, keys + count
        ),
    }


def cut(channels: list[np.ndarray], frames: int, count: int) -> torch.Tensor:
    """Cut (F, C) arrays, joined, into `count` clips evenly spread: (count, C, frames)."""
    joined = np.concatenate(channels)
    starts = np.linspace(0, len(joined) - frames, count).astype(int)
    return torch.from_numpy(np.stack([joined[s : s + frames].T for s in starts]))


@pytest.fixture(scope="session")
def make_clips() -> Callable[[System, Material, int], dict[str, Clips]]:
    """`make_clips(system, material, count)`; see `clips`."""
    return clips


@pytest.fixture(scope="session")
def sentences(shared_data: Path) -> Callable[..., list[Utterance]]:
    """`sentences("SF1", 24)` lists a speaker's first training sentences of VCC2016."""
    folder = shared_data / "VCC2016"
    if not folder.is_dir():
        pytest.skip(f"no VCC2016 in {shared_data}")

    def listed(speaker: str, count: int, part: str = "vcc2016_training") -> list[Utterance]:
        paths = sorted((folder / part / speaker).glob("*.wav"))[:count]
        return [
            Utterance(f"{speaker}-{one.stem}", speaker, "speech", wav=one, duration=0.0)
            for one in paths
        ]

    return listed


@pytest.fixture(scope="session")
def speech_features() -> FeatureConfig:
    """conf/features/16k_mcep.yaml."""
    return build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_mcep.yaml"), "bench")


@pytest.fixture(scope="session")
def pair(sentences: Callable[..., list[Utterance]], speech_features: FeatureConfig) -> Pair:
    """Two speakers, analysed."""
    train, held, domains = {}, {}, {}
    for role in (SOURCE, TARGET):
        known = sentences(role, 2 * SENTENCES)
        analysed = {
            one.id: world.analyse(one.load(speech_features.rate), speech_features) for one in known
        }
        contours = [features[:, 0] for features in analysed.values()]
        domains[role] = stats.estimate(contours, *stats.f0_range(contours, speech_features))
        names = list(analysed)
        for sets, part in ((train, names[:SENTENCES]), (held, names[SENTENCES:])):
            arrays = {"world": {name: analysed[name] for name in part}}
            owners = dict.fromkeys(part, role)
            sets[role] = FeatureSet.from_arrays(arrays, owners, dict.fromkeys(part, "speech"))
    context = Context(
        features=speech_features, vocoder="world", roles=(SOURCE, TARGET), domains=domains
    )
    return Pair(speech_features, train, held, context)


@pytest.fixture(scope="session")
def voice_systems(pair: Pair) -> Callable[..., tuple[System, Recipe]]:
    """`voice_systems("default")` builds conf/cyclegan_vc/default.yaml for the two speakers."""

    def make(conf: str) -> tuple[System, Recipe]:
        tree = merge(
            read_yaml(PROJECT_ROOT / f"conf/cyclegan_vc/{conf}.yaml"),
            {
                "name": f"bench_{conf}",
                "corpus": {"name": "vcc2016", "source": SOURCE, "target": TARGET},
                "features": "conf/features/16k_mcep.yaml",
            },
        )
        recipe = resolve(tree, conf)
        cls = family(recipe.family)
        torch.manual_seed(SEED)
        system = cls(build(cls.Config, recipe.model, conf), pair.context)
        data: Any = cls.dataset(system.config, pair.context, pair.train, 1, SEED)
        system.setup(data.setup_batch())
        return system, recipe

    return make


def resident(process: int) -> float:
    """Return the memory in use of a process [MB]."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
