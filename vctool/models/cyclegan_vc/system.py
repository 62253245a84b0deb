"""Convert one speaker's voice to another's and back, trained on different sentences.

After CycleGAN-VC (Kaneko and Kameoka, 2018), CycleGAN-VC2 (Kaneko et al., 2019) and
MaskCycleGAN-VC (Kaneko et al., 2021): two generators and their discriminators, with least-squares
adversarial, cycle-consistency and identity losses on per-speaker normalised mel-cepstra or log-mel.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import keyed_uniform
from vctool.errors import ConfigError
from vctool.features import search, world
from vctool.features.base import Features
from vctool.features.envelopes import levelled, smoothed, varied
from vctool.features.settings import FeatureConfig
from vctool.models import base
from vctool.models.base import Condition, Context, Terms
from vctool.models.cyclegan_vc import alignment, streams
from vctool.models.cyclegan_vc.discriminators import FullDiscriminator, PatchDiscriminator
from vctool.models.cyclegan_vc.generators import Generator, Generator1d, Generator212d
from vctool.models.cyclegan_vc.settings import CycleGanVcConfig

SOURCE, TARGET = "source", "target"
"""The two sides, whatever the speakers are called: the first and the last role."""

SETUP_CLIPS = 512
"""Segments of each speaker that its mean and deviation are measured on."""

Losses = dict[str, Tensor]


class System(base.System):
    """Two generators and two or four discriminators."""

    Config = CycleGanVcConfig
    not_real_time = "its generators are normalised over a whole utterance (instance normalisation)"
    discriminator_groups = ("discriminator",)
    adversarial_terms = (
        "adversarial_source",
        "adversarial_target",
        "second_source",
        "second_target",
    )
    config: CycleGanVcConfig
    source_mean: Tensor

    def __init__(self, config: CycleGanVcConfig, context: Context) -> None:
        super().__init__(config, context)
        if len(context.roles) != 2:
            raise ConfigError(
                f"cyclegan_vc: converts between two speakers, not {len(context.roles)} "
                f"({', '.join(context.roles)}); set corpus.source and corpus.target"
            )
        size = context.features.envelope_dim if config.voice == "mcep" else context.features.n_mels
        self.sides = dict(zip(context.roles, (SOURCE, TARGET), strict=True))
        for side in (SOURCE, TARGET):
            self.register_buffer(f"{side}_mean", torch.zeros(size, 1))
            self.register_buffer(f"{side}_std", torch.ones(size, 1))
            if config.neighbours:
                taps = () if self._told else (alignment.TAPS,)
                bank = torch.zeros(config.neighbours, size, *taps)
                self.register_buffer(f"{side}_bank", bank)
                if self._told:
                    keys = torch.zeros(config.neighbours, search.WIDTH)
                    self.register_buffer(f"{side}_keys", keys)
                    self.register_buffer(f"{side}_nearness", torch.zeros(config.neighbours))
        make = Generator1d if config.generator == "1d" else Generator212d
        self.generators = nn.ModuleDict(
            {  # by the side that they turn into
                side: make(
                    size,
                    config.generator_width,
                    config.residual_blocks,
                    config.start != "random",
                    config.mask_frames > 0,
                    streams.TOLD if self._told else 0,
                )
                for side in (SOURCE, TARGET)
            }
        )
        judges = [*(SOURCE, TARGET)]
        if config.two_step:
            judges += [f"second_{side}" for side in (SOURCE, TARGET)]
        self.discriminators = nn.ModuleDict({name: self._discriminator(size) for name in judges})

    @property
    def _told(self) -> bool:
        """Whether clips describe what is said, in channels after those that are converted."""
        told: bool = self.config.guide == "phones"
        return told

    def _discriminator(self, size: int) -> nn.Module:
        config = self.config
        if config.discriminator == "patch":
            return PatchDiscriminator(config.discriminator_width)
        return FullDiscriminator(size, config.segment_frames, config.discriminator_width)

    @classmethod
    def reads(cls, config: CycleGanVcConfig) -> tuple[str, ...]:
        """Return the feature kinds that conversion and training read."""
        own = ("world",) if config.voice == "mcep" else ("mel",)
        return (*own, "phones", "mfcc") if config.guide == "phones" else own

    @classmethod
    def writes(cls, config: CycleGanVcConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion writes."""
        return cls.reads(config)[:1]

    @classmethod
    def dataset(
        cls,
        config: CycleGanVcConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw segments of both speakers, each independently of the other."""

        def voice(utterances: FeatureSet, name: str) -> np.ndarray:
            found = {kind: utterances.load(name, kind) for kind in cls.reads(config)}
            return _channels(found, config, context.features)[0]

        roles = {role: Role(sets[role]) for role in context.roles}
        return UnpairedClips(
            roles, voice, None, config.segment_frames, batch_size, seed, setup_clips=SETUP_CLIPS
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Both generators are one group, and so are all discriminators."""
        return {
            "generator": list(self.generators.parameters()),
            "discriminator": list(self.discriminators.parameters()),
        }

    @torch.no_grad()
    def setup(self, batch: Mapping[str, Clips]) -> None:
        """Measure both speakers' mean and deviation where they speak, and align their frames."""
        frames, described = dict[str, alignment.Frames](), dict[str, Tensor]()
        for role, side in self.sides.items():
            values, said = self._split(batch[role].voice)
            active = streams.active(values, self.config.voice)
            spoken = values.transpose(1, 2)[active]
            mean, std = self._statistics(side)
            mean.copy_(spoken.mean(dim=0)[:, None])
            std.copy_(spoken.std(dim=0)[:, None].clamp_min(1e-3))
            normal = self._normalise(values, side)
            frames[side] = alignment.choose(normal, active, self.config.aligned_frames)
            if said is not None:
                places = frames[side].places
                described[side] = said[places[:, 0], :, places[:, 1]]
            if self.config.neighbours:
                bank = frames[side].at(frames[side].segments)
                drawn = torch.linspace(0, len(bank) - 1, self.config.neighbours).long()
                if said is not None:
                    getattr(self, f"{side}_keys").copy_(described[side][drawn])
                    bank = bank[..., alignment.TAPS // 2]
                getattr(self, f"{side}_bank").copy_(bank[drawn])
        if self.config.neighbours and described:
            for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
                keys, asked = getattr(self, f"{side}_keys"), described[other]
                near = search.nearness(keys, asked, self.config.nearest)
                getattr(self, f"{side}_nearness").copy_(near)
        if self.config.start == "alignment" and described:
            for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
                pairs = frames[other], frames[side], described[other], described[side]
                fitted = alignment.fit_pairs(*pairs, self.config.nearest)
                self._generator(side).linear.copy_(fitted)
        elif self.config.start == "alignment":
            size = len(self.source_mean)
            warps = torch.from_numpy(streams.warp_matrices(self.config.voice, size))
            for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
                std = self._statistics(other)[1]
                starts = warps.to(std.device) * std.T / std  # of normalised channels
                fitted = alignment.fit(frames[other], frames[side], starts)
                self._generator(side).linear.copy_(fitted)

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the discriminators on real and fake segments, then the generators against them."""
        config = self.config
        clips = {side: batch[role] for role, side in self.sides.items()}
        voices, said = dict[str, Tensor](), dict[str, Tensor | None]()
        for side, drawn in clips.items():
            voices[side], said[side] = self._split(drawn.voice)
        told = {side: None if one is None else streams.heard(one) for side, one in said.items()}
        real = {side: self._normalise(one, side) for side, one in voices.items()}
        masks = {side: self._mask(one) for side, one in clips.items()}
        with_identity = config.identity_steps is None or step < config.identity_steps
        fake, same, again = {}, {}, {}
        for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
            own = real[side] if with_identity else None
            both = told[other], told[side]
            fake[side], same[side] = self._generate(side, real[other], masks[other], own, both)
        for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
            again[other] = self._generator(other)(fake[side], told=told[other])

        judged = {f"adversarial_{side}": (side, real[side], fake[side]) for side in fake}
        if config.two_step:
            judged |= {
                f"second_{side}": (f"second_{side}", real[side], again[side]) for side in again
            }
        yield (
            "discriminator",
            {
                name: self._judge_loss(judge, true, made.detach())
                for name, (judge, true, made) in judged.items()
            },
        )
        terms: Terms = {}
        for name, (judge, _, made) in judged.items():
            terms[name] = (1.0 - self.discriminators[judge](made)).float().square().mean()
        for side in (SOURCE, TARGET):
            terms[f"cycle_{side}"] = (again[side] - real[side]).abs().mean()
            one = same[side]
            if one is not None:
                terms[f"identity_{side}"] = (one - real[side]).abs().mean()
            elif config.identity_steps:  # the loss has ended; the recipe keeps its weight
                terms[f"identity_{side}"] = real[side].new_zeros(())
        if config.neighbours:
            for side, other in ((TARGET, SOURCE), (SOURCE, TARGET)):
                spoken = streams.active(voices[other], config.voice)
                name, meant = f"neighbour_{side}", said[other]
                if meant is None:
                    terms[name] = self._to_neighbours(fake[side], spoken, side)
                else:
                    terms[name] = self._to_alike(fake[side], spoken, meant, side)
        yield "generator", terms

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert one utterance; see `base.System.convert`."""
        assert to is not None
        config, features = self.config, self.context.features
        kind = self.reads(config)[0]
        raw = source[kind]
        side = self.sides[to]
        origin = SOURCE if side == TARGET else TARGET
        values, offset = _channels(source, config, features)
        # Instance normalisation works best on as many frames as in training.
        short = max(0, config.segment_frames - len(values))
        padded = np.pad(values, ((0, short), (0, 0)), mode="symmetric")
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(padded.T))[None].to(self.device)
            voice, said = self._split(x)
            told = None if said is None else streams.heard(said)
            made = self._generator(side)(self._normalise(voice, origin), told=told)
            mean, std = self._statistics(side)
            made = (made * std + mean)[0].float().cpu().numpy().T
        made = streams.shift_level(made[: len(values)], config.voice, offset)
        if config.voice == "mel":
            return {kind: np.maximum(made, made.max() - np.float32(features.top_db))}
        f0, own, aperiodicity = world.split(raw, features)
        made = self._finished(own, made, std[:, 0].cpu().numpy())
        roles = {side: role for role, side in self.sides.items()}
        moved = streams.move_f0(
            f0, self.context.domains[roles[origin]], self.context.domains[roles[side]]
        )
        return {kind: world.join(moved, made, aperiodicity)}

    def _finished(self, own: np.ndarray, made: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Give converted envelopes (F, D) their levels and, with phones, the target's spread (D,).

        `level` is that of frames beside the mean of what sounds, not of the whole recording.
        """
        config, features = self.config, self.context.features
        change = made - own
        level = torch.from_numpy(streams.shift_level(own, "mcep", -streams.level(own, "mcep")))
        active = streams.active(level.T[None], "mcep")[0].numpy()
        if self._told:
            change[:, 1:] *= config.strength
            change = smoothed(change, config.smoothing_ms * 1e-3 * features.frame_rate)
            change = change + varied(own + change, active, spread, features.frame_rate)
        change[:, 0] -= change[active, 0].mean() if active.any() else 0.0
        return own + levelled(own, change, features, config.level, config.noise_range_db)

    def _split(self, clips: Tensor) -> tuple[Tensor, Tensor | None]:
        """Separate the channels of a voice (B, C, F) from those that say what is said, if any."""
        size = len(self.source_mean)
        return clips[:, :size], clips[:, size:] if self._told else None

    # Generators.

    def _generator(self, side: str) -> Generator:
        generator = self.generators[side]
        assert isinstance(generator, Generator)
        return generator

    def _statistics(self, side: str) -> tuple[Tensor, Tensor]:
        return getattr(self, f"{side}_mean"), getattr(self, f"{side}_std")

    def _normalise(self, values: Tensor, side: str) -> Tensor:
        mean, std = self._statistics(side)
        return (values - mean) / std

    def _generate(
        self,
        side: str,
        other: Tensor,
        mask: Tensor | None,
        own: Tensor | None,
        told: tuple[Tensor | None, Tensor | None],
    ) -> tuple[Tensor, Tensor | None]:
        """Convert the other side's segments, and for the identity loss this side's, in one pass."""
        generator = self._generator(side)
        if own is None:
            return generator(other, mask, told[0]), None
        if mask is not None:  # the identity loss has no masked frames
            mask = torch.cat([mask, torch.ones_like(mask)])
        said = None if told[0] is None or told[1] is None else torch.cat([told[0], told[1]])
        made = generator(torch.cat([other, own]), mask, said)
        fake, same = made.split([len(other), len(own)])
        return fake, same

    def _to_neighbours(self, fake: Tensor, spoken: Tensor, side: str) -> Tensor:
        """L1 distance of fakes (B, D, F) to the speaker's nearest frames, where there is speech."""
        bank = getattr(self, f"{side}_bank")
        batch, frames = spoken.shape
        steps = torch.arange(0, frames, alignment.SPACING, device=fake.device)
        grid = torch.cartesian_prod(torch.arange(batch, device=fake.device), steps)
        made = alignment.taps(fake.float(), grid)
        with torch.no_grad():
            found = bank[alignment.nearest(made, bank)][..., alignment.TAPS // 2]
        distance = (made[..., alignment.TAPS // 2] - found).abs().mean(dim=1)
        return (distance * spoken[grid[:, 0], grid[:, 1]]).mean()

    def _to_alike(self, fake: Tensor, spoken: Tensor, said: Tensor, side: str) -> Tensor:
        """L1 distance of fakes (B, D, F) to the mean of the frames that say what their sources do.

        Args:
            fake: normalised.
            spoken: (B, F) bool: where there is speech.
            said: (B, search.WIDTH, F), of the sources.
            side: the speaker whose frames they should be.
        """
        every = slice(None, None, alignment.SPACING)
        queries, made = (x[..., every].float().transpose(1, 2).flatten(0, 1) for x in (said, fake))
        keys, bank, hubs = (getattr(self, f"{side}_{it}") for it in ("keys", "bank", "nearness"))
        with torch.no_grad(), torch.autocast(queries.device.type, enabled=False):
            found = search.mean_of_nearest(queries, keys, bank, self.config.nearest, hubs)
        distance = (made - found).abs().mean(dim=1)
        return (distance * spoken[:, every].flatten()).mean()

    def _mask(self, clips: Clips) -> Tensor | None:
        """Hide a stretch of up to `mask_frames` frames of each segment: (B, 1, F) of 0 and 1."""
        longest = self.config.mask_frames
        if not longest:
            return None
        drawn = keyed_uniform(clips.key, (2,), 1)
        frames = clips.voice.shape[-1]
        length = torch.floor(drawn[:, 0] * (longest + 1))
        start = torch.floor(drawn[:, 1] * (frames - length + 1))
        place = torch.arange(frames, device=drawn.device)
        hidden = (place >= start[:, None]) & (place < (start + length)[:, None])
        return (~hidden)[:, None].float()

    # Discriminators.

    def _judge_loss(self, judge: str, real: Tensor, fake: Tensor) -> Tensor:
        """Least squares: real to 1, fakes to 0; one pass over both."""
        scores = self.discriminators[judge](torch.cat([real, fake])).float()
        true, false = scores.split([len(real), len(fake)])
        return 0.5 * ((1.0 - true).square().mean() + false.square().mean())


def _channels(
    found: Features, config: CycleGanVcConfig, features: FeatureConfig
) -> tuple[np.ndarray, float]:
    """Return the channels of an utterance (F, C) at level 0, and the level they had.

    Those of the voice come first; with `guide: phones`, what is said follows.
    """
    kind = System.reads(config)[0]
    values = streams.spectrum(found[kind], config.voice, features)
    level = streams.level(values, config.voice)
    values = streams.shift_level(values, config.voice, -level)
    if config.guide == "phones":
        values = np.concatenate([values, streams.said(found, features)], axis=1)
    return values, level
