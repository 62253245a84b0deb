"""timbre_glow: what notes and style are worth to it, and to a flow that is told all of its target.

It runs in the folder that has its corpus's `data/` and `dump/`, of a trained experiment:
`VCTOOL_BENCH_GLOW=exp/nottingham_timbre_glow`.

Three flows of its size are trained beside it for a few steps, on the same batches: told as it is,
told nothing, and told as the published one, by an encoding at full rate of what it models.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from vctool.data.datadir import DataDir
from vctool.data.triplets import TripletBatch
from vctool.engine import checkpoint
from vctool.experiment import recipe
from vctool.experiment.features import open_set
from vctool.features import framing
from vctool.models.timbre_glow.condition import Conditioner
from vctool.models.timbre_glow.flow import Flow
from vctool.models.timbre_glow.system import CELL, Gaps, System

PLACE = os.environ.get("VCTOOL_BENCH_GLOW")
STEPS = int(os.environ.get("VCTOOL_BENCH_STEPS", "300"))
NAME = os.environ.get("VCTOOL_BENCH_RECIPE", "nottingham_timbre_glow")
ROWS, FIRST = 48, 32
"""Triplets of a group, and the frame that they are cut at."""
CONTENT, STYLE, UNHEARD, FULL = 0.3, 0.1, 0.05, 0.05
"""Least bits per band and frame that the notes, the style, and that of programs which were not
heard in training, are worth; most that a style is worth to the flow at full rate."""
GROUPS = ("seen", "unheard_programs", "unheard_font")


@pytest.fixture(scope="module")
def system() -> System:
    if PLACE is None:
        pytest.skip("VCTOOL_BENCH_GLOW names no trained timbre_glow")
    torch.set_num_threads(1)
    return cast(System, checkpoint.load(Path(PLACE))[0])


def held_out(system: System, group: str) -> TripletBatch:
    """Cut the test triplets of a group; neighbours are of other instruments and stretches."""
    one, frames = recipe.load(NAME), system.config.clip_frames
    (corpus,) = one.corpus.names
    data = DataDir.read(one.data(corpus, one.evaluate.split))
    chosen = [t for t in data.triplets if t.group == group][:ROWS]

    def cut(name: str) -> Tensor:
        wave = framing.frame(data[name].load(one.features.rate), one.features)
        return torch.from_numpy(wave[FIRST : FIRST + frames].T.copy())

    parts = (
        torch.stack([cut(getattr(t, part)) for t in chosen])
        for part in ("content", "style", "target")
    )
    return TripletBatch._make([*parts, torch.arange(len(chosen))])


def halves(batch: TripletBatch) -> Iterator[TripletBatch]:
    for start in range(0, len(batch.key), 16):
        yield TripletBatch._make(part[start : start + 16] for part in batch)


def mean(system: System, batch: TripletBatch) -> Gaps:
    with torch.no_grad():
        found = [system.gaps(part) for part in halves(batch)]
    return Gaps(*(torch.cat(one) for one in zip(*found, strict=True)))


def told(gaps: Gaps) -> str:
    return "bits {:.3f}; notes {:+.3f}, style {:+.3f}".format(*(float(one.mean()) for one in gaps))


def test_what_the_conditions_are_worth(system: System) -> None:
    print()
    for group in GROUPS:
        gaps = mean(system, held_out(system, group))
        print(f"{group}: {told(gaps)}")
        assert float(gaps.content.mean()) >= CONTENT
        assert float(gaps.style.mean()) >= (STYLE if group == "seen" else UNHEARD)


class AtFullRate(nn.Module):
    """The published condition: an encoding of what is modelled itself, and the style."""

    def __init__(self, like: System, blind: bool) -> None:
        super().__init__()
        self.like, config = [like], like.config
        self.blind = blind
        style = like._coder.style_size
        self.conditioner = Conditioner(config.bands, 0, style, config.width)
        self.flow = Flow(config.bands, config.width, config.depth, config.width)

    def both(self, batch: TripletBatch, style: Tensor) -> tuple[Tensor, Tensor]:
        (system,) = self.like
        bands = system._bands(system._coder.relative_power(batch.target))
        condition = self.conditioner(bands, bands[:, :0], style)
        return system._target(batch), condition * (0.0 if self.blind else 1.0)

    def bits(self, batch: TripletBatch, style: Tensor) -> Tensor:
        return -self.flow.log_density(*self.both(batch, style)) / math.log(2) - math.log2(CELL)


def test_beside_an_unconditional_flow_and_one_told_at_full_rate(system: System) -> None:
    """Proof G2: to a flow that is told its target at full rate, the style is worth nothing."""
    one = recipe.load(NAME)
    (corpus,) = one.corpus.names
    sets = {"voices": open_set(one, corpus, "train", ("wave",))}
    data = System.dataset(system.config, system.context, sets, one.train.batch_size, 0)
    torch.manual_seed(0)
    ours = System(system.config, system.context)
    ours.coder.load_state_dict(system.coder.state_dict())
    full, blind = AtFullRate(ours, blind=False), AtFullRate(ours, blind=True)
    first = data.setup_batch()
    ours.setup(first)
    style = ours._coder.tell(first.content, first.style).style
    for other in (full, blind):
        with torch.no_grad():
            other.flow.begin(*other.both(first, style))
    learnt = [p for m in (ours, full, blind) for p in m.parameters() if p.requires_grad]
    adam = torch.optim.Adam(learnt, one.train.learning_rate)
    for step in range(STEPS):
        batch = data.batch(step)
        known = ours._coder.tell(batch.content, batch.style)
        adam.zero_grad()
        losses = ours._bits(batch, known), *(m.bits(batch, known.style) for m in (full, blind))
        torch.stack([loss.mean() for loss in losses]).sum().backward()
        for model in (ours, full, blind):
            nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 5.0)
        adam.step()
    print(f"\nafter {STEPS} steps each, on the test triplets of programs seen:")
    batch = held_out(system, "seen")
    found = mean(ours, batch)
    kept, gap, none = [], [], []
    with torch.no_grad():
        for part in halves(batch):
            known = ours._coder.tell(part.content, part.style)
            kept.append(full.bits(part, known.style))
            gap.append(full.bits(part, known.style.roll(1, dims=0)) - kept[-1])
            none.append(blind.bits(part, known.style))
    bits, style_gap, unconditional = (float(torch.cat(v).mean()) for v in (kept, gap, none))
    print(f"told by codes: {told(found)}")
    print(f"told at full rate: bits {bits:.3f}; style {style_gap:+.3f}")
    print(f"unconditional: bits {unconditional:.3f}")
    assert style_gap < FULL and float(found.bits.mean()) < unconditional
