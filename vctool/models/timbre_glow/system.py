"""Play the notes of one recording by the instrument of another, drawn from what is likely.

A flow models how loud every mel band of the target is, given the quantised notes of another
instrument's rendering and the style of a reference, both told by a frozen `timbre_vqvae`. It models
the difference to what that system's decoder makes of them; what lies within a band is as that has
it, and so are the phases. A condition of full rate has the best likelihood and no use for the
style, so it is not to be had.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import keyed_uniform
from vctool.data.triplets import TripletBatch, TripletClips
from vctool.features.base import Features
from vctool.features.mel_bands import MelBands
from vctool.models import base
from vctool.models.base import Condition, Context, Note, Reference, Terms
from vctool.models.timbre_glow.coder import Coder, Told
from vctool.models.timbre_glow.condition import Conditioner
from vctool.models.timbre_glow.flow import SQUEEZE, Flow
from vctool.models.timbre_glow.settings import CODER, TimbreGlowConfig, TimbreGlowOptions
from vctool.nn import hash_noise

logger = logging.getLogger(__name__)
FLOOR = 1e-7
"""Powers are told from each other down to this share of the level around: -70 dB."""
CELL = 0.1
"""Width of the cells that bits are counted of [bel]: 1 dB. Loudness is spread within one, as a
density could grow without bound where a value occurs again and again, such as the floor."""
SEED = 0
"""Of what is drawn in a conversion."""
MOST = 3.0
"""No band is louder than the level around by more than this [bel]."""


class Gaps(NamedTuple):
    """How many bits a condition is worth, each (B,) per band and frame."""

    bits: Tensor
    """Of a target, given its condition."""
    content: Tensor
    """More, given another's notes."""
    style: Tensor
    """More, given another's style."""


class System(base.System):
    """A frozen coder, and a flow; its targets are recordings alone."""

    Config = TimbreGlowConfig
    not_real_time = "its phases are found over a whole recording, iteration by iteration"
    Options = TimbreGlowOptions
    task = "timbre"
    takes_reference = True
    reference_version = 2
    only_references = True
    transposes = True
    config: TimbreGlowConfig

    def __init__(self, config: TimbreGlowConfig, context: Context) -> None:
        super().__init__(config, context)
        family = base.family(CODER)
        self.coder = family(family.Config(**config.coder), context).requires_grad_(False)
        coder = self._coder
        self.conditioner = Conditioner(
            config.bands, coder.code_size, coder.style_size, config.width
        )
        self.flow = Flow(config.bands, config.width, config.depth, config.width)
        self.bands = MelBands(context.features, config.bands)

    @property
    def _coder(self) -> Coder:
        return cast(Coder, self.coder)

    @classmethod
    def reads(cls, config: TimbreGlowConfig) -> tuple[str, ...]:
        """Sound, of which the networks make spectra themselves."""
        return ("wave",)

    @classmethod
    def writes(cls, config: TimbreGlowConfig) -> tuple[str, ...]:
        """Sound, since its phases are the source's where it has any."""
        return ("wave",)

    @classmethod
    def builds_on(cls, config: TimbreGlowConfig) -> dict[str, str]:
        """Name the experiment of the coder."""
        return {"coder": config.codes}

    @classmethod
    def dataset(
        cls,
        config: TimbreGlowConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> TripletClips:
        """Draw triplets of sound from the renderings of a corpus."""

        def wave(utterances: FeatureSet, name: str) -> np.ndarray:
            return utterances.load(name, "wave")

        utterances = next(iter(sets.values()))
        return TripletClips(
            utterances,
            *(wave, wave, wave),
            frames=config.clip_frames,
            batch_size=batch_size,
            seed=seed,
            setup_clips=32,
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The flow and its condition are one group; the coder is frozen."""
        return {"model": [*self.conditioner.parameters(), *self.flow.parameters()]}

    def setup(self, batch: TripletBatch) -> None:
        """Begin every ActNorm at the statistics of a batch."""
        with torch.no_grad():
            told = self._coder.tell(batch.content, batch.style)
            base, condition = self._condition(told)
            self.flow.begin(self._target(batch) - base, condition)

    def objectives(self, batch: TripletBatch, step: int) -> Iterator[tuple[str, Terms]]:
        """Count the bits of the targets; of held-out ones, tell what each condition is worth."""
        if self.training:
            told = self._coder.tell(batch.content, batch.style)
            yield "model", {"bits": self._bits(batch, told).mean()}
            return
        gaps = self.gaps(batch)
        yield "model", {"bits": gaps.bits.mean()}
        if len(batch.key) > 1:
            logger.info(
                "bits per band and frame: %.2f; %+.2f with another's notes, %+.2f with another's "
                "style",
                *(float(values.detach().mean()) for values in gaps),
            )

    def gaps(self, batch: TripletBatch) -> Gaps:
        """Count what the notes, and the style, of the next example in the batch cost."""
        of_content, of_style = (part.roll(1, dims=0) for part in (batch.content, batch.style))
        bits, content, style = (
            self._bits(batch, self._coder.tell(*pair))
            for pair in (
                (batch.content, batch.style),
                (of_content, batch.style),
                (batch.content, of_style),
            )
        )
        return Gaps(bits, content - bits, style - bits)

    def _bits(self, batch: TripletBatch, told: Told) -> Tensor:
        """Return the bits per band and frame of targets, in cells of `CELL`: (B,)."""
        made, condition = self._condition(told)
        density = self.flow.log_density(self._target(batch) - made, condition)
        return -density / math.log(2) - math.log2(CELL)

    def _target(self, batch: TripletBatch) -> Tensor:
        """Return how loud the bands of the targets are, spread within a cell: (B, M, F) [bel]."""
        bands = self._bands(self._coder.relative_power(batch.target))
        return bands + CELL * (keyed_uniform(batch.key, tuple(bands.shape[1:]), 11) - 0.5)

    def _bands(self, power: Tensor) -> Tensor:
        """Return the loudness (B, M, F) of powers (B, K, F) [bel]."""
        return torch.log10(self.bands(power) + FLOOR)

    def _condition(self, told: Told) -> tuple[Tensor, Tensor]:
        """Return what the coder makes (B, M, F) [bel], and the condition of the flow."""
        made = self._bands(told.power)
        return made, self.conditioner(made, told.codes, told.style)

    def reference(self, recordings: Iterable[Features]) -> Reference:
        """Describe the instrument of some recordings, as the coder does."""
        return self._coder.reference(recordings)

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Play the notes of a recording by the reference's instrument."""

        def drawn(told: Told) -> Tensor:
            made, given = self._condition(told)
            frames = made.shape[2]
            noise = self._noise(frames - frames % -SQUEEZE, condition.start)
            latent = condition.options.temperature * noise
            # a block's context is long beyond what any layer sees
            bands = (made + self.flow.inverse(latent, given)).clamp(math.log10(FLOOR), MOST)
            return told.power * torch.pow(10.0, self.bands.spread(bands - made))

        return self._coder.play(source, condition, drawn)

    def _noise(self, frames: int, start: int) -> Tensor:
        """Return standard normal noise (1, M, frames), a function of the absolute frame."""
        bands = self.config.bands
        frame = torch.arange(start, start + frames, device=self.device)
        band = torch.arange(bands, device=self.device)[:, None]
        return hash_noise.normal(frame * bands + band, SEED, 0)[None]

    @property
    def finds_notes(self) -> bool:
        """Whether the content is made of pitches."""
        return self._coder.finds_notes

    def notes(self, source: Features) -> list[Note]:
        """Read the notes off the codes."""
        return self._coder.notes(source)

    def octaves(self, sources: Iterable[Features], reference: Reference) -> int:
        """Compare the middles of what is played; see `base.System.octaves`."""
        return self._coder.octaves(sources, reference)
