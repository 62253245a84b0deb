"""Trains the network that the task `timbre` tells instruments apart by (`metrics.timbre_network`).

A training example is a triplet: two recordings of one instrument that play different stretches, and
a third that plays the stretch of the second by another program. The network learns to put the first
two nearer together than the last two, by a hinge of `MARGIN` on cosines, as Cífka et al. (2021)
have it. Only the training split is learnt from, whose programs and sound font are those of
training; accuracy is counted on the triplets of dev and of test.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from vctool.config import Config, Origin, build, find, override, read_yaml
from vctool.data.atomic import write_bytes, write_text
from vctool.data.datadir import DataDir
from vctool.data.sampling import generator
from vctool.errors import DataError
from vctool.markdown import table
from vctool.metrics import timbre_network
from vctool.metrics.timbre_network import TimbreNetwork
from vctool.progress import progress

RECIPE = Path("conf/timbre_judge/nottingham_gm.yaml")
"""Of the weights that ship."""


class JudgeConfig(Config):
    """A recipe of the network; the optimizer is Adam."""

    corpus: str
    """A prepared corpus with stretches and triplets, a folder of `data/`."""
    steps: int = Field(1500, ge=1)
    """Batches."""
    batch_size: int = Field(16, ge=1)
    """Triplets of a batch; as published."""
    learning_rate: float = Field(1e-3, gt=0)
    """As published."""
    margin: float = Field(0.1, ge=0, le=2)
    """The cosine to the same instrument should be larger by this."""
    seed: int = 0
    """Of the weights and of the examples."""


class Example(NamedTuple):
    """Ids of a triplet: two recordings of an instrument, and another of the second one's notes."""

    anchor: str
    positive: str
    negative: str


def load(recipe: Path, settings: Sequence[str] = ()) -> JudgeConfig:
    """Read a recipe, with `--set` overrides.

    Raises:
        ConfigError: there is no such file, an unknown field, an impossible value.
    """
    tree = override(read_yaml(find(recipe)), settings)
    return build(JudgeConfig, tree, Origin(str(recipe), tuple(settings)))


def run(config: JudgeConfig, out: Path, told: str) -> str:
    """Train the network and write it with a card.

    Args:
        config: the recipe.
        out: the file to write, *.safetensors; the card is beside it.
        told: what the card calls the recipe.

    Returns:
        Its accuracy on held-out triplets, as a table.

    Raises:
        DataError: the corpus is not prepared, or has no stretches that two instruments play or no
            triplets.
    """
    folder = Path("data") / config.corpus
    train, dev, test = (DataDir.read(folder / split) for split in ("train", "dev", "test"))
    found = {
        split: _mfccs(data) for split, data in (("train", train), ("dev", dev), ("test", test))
    }
    before = TimbreNetwork()
    torch.manual_seed(config.seed)
    network = TimbreNetwork()
    before.load_state_dict(network.state_dict())
    fit(network, train, found["train"], config)
    lines = []
    for data, known in ((dev, found["dev"]), (test, found["test"])):
        if not data.triplets:
            raise DataError(f"{data.path}: no triplets.tsv; prepare the corpus again")
        for group in dict.fromkeys(one.group for one in data.triplets):
            own = [
                Example(one.style, one.target, one.content)
                for one in data.triplets
                if one.group == group
            ]
            shares = [accuracy(one, own, known) for one in (before, network)]
            lines.append([data.path.name, group, len(own), *(f"{one:.3f}" for one in shares)])
    text = "\n".join(table(["split", "group", "triplets", "untrained", "trained"], lines))
    stored = {
        name: one.half() if one.is_floating_point() else one
        for name, one in network.state_dict().items()
        if "num_batches" not in name
    }
    write_bytes(out, save(stored))
    write_text(out.with_suffix(".md"), _card(told, train, config, text))
    return text


def fit(
    network: TimbreNetwork, data: DataDir, found: dict[str, np.ndarray], config: JudgeConfig
) -> None:
    """Train a network on the triplets of a training split.

    Args:
        network: changed in place, and left in eval mode.
        data: the split.
        found: its MFCCs by utterance.
        config: the recipe.

    Raises:
        DataError: no stretch is played by two programs of which one plays another stretch.
    """
    examples = Examples(data)
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    network.train()
    for step in progress(range(config.steps), "train the timbre network", config.steps):
        batch = [examples.draw(config.seed, step, number) for number in range(config.batch_size)]
        loss = hinge(network, batch, found, config.margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


def hinge(
    network: TimbreNetwork, batch: Sequence[Example], found: dict[str, np.ndarray], margin: float
) -> Tensor:
    """Return the mean of how far triplets are from being told apart by a margin."""
    near, far = _cosines(network, batch, found)
    return functional.relu(margin - near + far).mean()


@torch.no_grad()
def accuracy(
    network: TimbreNetwork, examples: Sequence[Example], found: dict[str, np.ndarray]
) -> float:
    """Return the share of triplets whose recordings of one instrument are the nearer ones."""
    network.eval()
    near, far = _cosines(network, examples, found)
    return float((near > far).float().mean())


def _cosines(
    network: TimbreNetwork, examples: Sequence[Example], found: dict[str, np.ndarray]
) -> tuple[Tensor, Tensor]:
    """Return the cosines (B,) of positives to anchors, and of positives to negatives."""
    frames = min(found[name].shape[1] for one in examples for name in one)
    waves = [
        torch.from_numpy(np.stack([found[name][:, :frames] for name in column]))
        for column in zip(*examples, strict=True)
    ]
    made = network(torch.cat(waves)).chunk(3)
    anchor, positive, negative = (functional.normalize(one, dim=1) for one in made)
    return (anchor * positive).sum(dim=1), (negative * positive).sum(dim=1)


class Examples:
    """Draws triplets from a training split.

    Instruments that are one program with different effects are no negatives of each other.

    Raises:
        DataError: there are none.
    """

    def __init__(self, data: DataDir) -> None:
        self._by_stretch: dict[str, list[str]] = {}
        self._by_instrument: dict[str, list[str]] = {}
        self._stretch = {one.id: one.stretch or one.id for one in data}
        self._instrument = {one.id: one.speaker for one in data}
        for name in data.ids:
            self._by_stretch.setdefault(self._stretch[name], []).append(name)
            self._by_instrument.setdefault(self._instrument[name], []).append(name)
        self._positives = [name for name in data.ids if self._others(name) and self._anchors(name)]
        if not self._positives:
            raise DataError(f"{data.path}: no stretch of notes that two instruments play")

    def draw(self, seed: int, step: int, number: int) -> Example:
        """Draw an example by (seed, step, number) alone."""
        random = generator(seed, step, number)

        def one_of(names: Sequence[str]) -> str:
            return names[int(random.integers(len(names)))]

        positive = one_of(self._positives)
        return Example(one_of(self._anchors(positive)), positive, one_of(self._others(positive)))

    def _anchors(self, name: str) -> list[str]:
        own = self._by_instrument[self._instrument[name]]
        return [one for one in own if self._stretch[one] != self._stretch[name]]

    def _others(self, name: str) -> list[str]:
        program = self._instrument[name].partition("_")[0]
        played = self._by_stretch[self._stretch[name]]
        return [one for one in played if self._instrument[one].partition("_")[0] != program]


def _mfccs(data: DataDir) -> dict[str, np.ndarray]:
    rate = timbre_network.RATE
    every = progress(data, f"MFCCs of {data.path.name}", len(data))
    return {one.id: timbre_network.mfcc(one.load(rate)) for one in every}


def _card(told: str, train: DataDir, config: JudgeConfig, text: str) -> str:
    return f"""# timbre: which of two recordings has the sound of a third

The judge of the task `timbre`: {timbre_network.SETTINGS.partition(";")[0]}, {timbre_network.WIDTH}
numbers for a recording. Trained by the recipe `{told}` (`vctool train-timbre-judge`) on
{config.corpus}: {config.steps} batches of {config.batch_size} triplets, Adam at
{config.learning_rate:g}, hinge of {config.margin:g} on cosines, seed {config.seed}.

Learnt from {len(train)} recordings ({train.seconds / 3600:.1f} h) of the training split alone: its
programs of one sound font, its tunes. In every triplet two recordings are of one instrument and
play different notes, and the third plays the notes of the second by another program.

Share of held-out triplets (style, target, content) in which the target is nearer to the style:

{text}
"""
