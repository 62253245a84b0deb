"""Convert any of N voices to any other: one shared encoder, and a decoder for each voice.

After AlBadawy and Lyu (Interspeech 2020) and its many-voice form by Bonnici et al. (2021): a
variational autoencoder whose decoders share their first block, with least-squares adversarial,
cycle-consistency and latent losses on log-mel. A batch holds several voices; each is reconstructed
by its own decoder and turned into the next one, in a ring that changes from step to step, so that
the work of a step grows with the voices in it and not with their pairs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError
from vctool.features.base import Features
from vctool.features.stats import move_log_f0
from vctool.models import base
from vctool.models.base import Condition, Context, Terms
from vctool.models.vae_gan import live, networks1d, networks2d, streams, windows
from vctool.models.vae_gan.discriminators import (
    Opinion,
    PatchDiscriminator,
    ScaleDiscriminator,
    matched,
    steepness,
)
from vctool.models.vae_gan.other_voices import OtherVoices
from vctool.models.vae_gan.posterior import Posterior
from vctool.models.vae_gan.settings import VaeGanConfig

SETUP_CLIPS = 64
"""Clips per voice that its range is measured on."""

AT_ONCE = 32
"""Windows in one batch of a conversion."""

STEEP_EVERY = 8
"""Steps from one R1 penalty to the next, which counts as many times (Karras et al., 2020)."""


class Voice(NamedTuple):
    """Clips of one voice."""

    mel: Tensor
    """(B, n_mels, F) normalised log-mel."""
    f0: Tensor | None
    """(B, F) [Hz], 0 where unvoiced; None where decoders do not take F0."""
    loudness: Tensor | None
    """(B, F), as `streams.loudness` gives; None where decoders do not take loudness."""
    key: Tensor
    """(B,) int64."""


class System(base.System):
    """An encoder, and a decoder and a discriminator for every voice, in the order of the roles."""

    Config = VaeGanConfig
    not_real_time = "its encoder is normalised over a whole utterance (instance normalisation)"
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("adversarial", "matching")
    takes_more_roles = True
    config: VaeGanConfig

    def __init__(self, config: VaeGanConfig, context: Context) -> None:
        super().__init__(config, context)
        if len(context.roles) < 2:
            raise ConfigError(
                f"vae_gan: converts between voices, and there is one, '{context.roles[0]}'; name "
                "two or more in corpus.speakers or corpus.domains"
            )
        bins = context.features.n_mels
        if config.network == "2d" and bins % 4:
            raise ConfigError(f"features: n_mels = {bins} must be a multiple of 4 for network 2d")
        networks = networks1d if config.network == "1d" else networks2d
        features = context.features
        shift = 0.0 if config.pitch == "none" else config.pitch_shift
        self.others = OtherVoices(features, config.warp, shift)
        self.encoder = networks.Encoder(config, features)
        self.shared = networks.Shared(config, features)
        self.decoders = nn.ModuleList(networks.Decoder(config, features) for _ in context.roles)
        self.discriminators = nn.ModuleList(self._discriminator() for _ in context.roles)

    def _discriminator(self) -> PatchDiscriminator | ScaleDiscriminator:
        config = self.config
        if config.discriminator == "patch":
            return PatchDiscriminator(config.discriminator_width, config.discriminator_norm)
        return ScaleDiscriminator(self.context.features.n_mels, config.discriminator_width)

    @classmethod
    def reads(cls, config: VaeGanConfig) -> tuple[str, ...]:
        """Return the feature kinds that conversion and training read."""
        return ("mel",) if config.pitch == "none" else ("mel", "pitch")

    @classmethod
    def writes(cls, config: VaeGanConfig) -> tuple[str, ...]:
        """Return the feature kinds that conversion writes."""
        return cls.reads(config)

    @classmethod
    def dataset(
        cls,
        config: VaeGanConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw clips of some of the voices, each independently of the others."""
        added = context.added

        def voice(utterances: FeatureSet, name: str) -> np.ndarray:
            mel = utterances.load(name, "mel")
            values = streams.normalise(mel, streams.level(mel), context.features)
            if config.pitch == "none":
                return values
            return np.concatenate([values, utterances.load(name, "pitch")], axis=1)

        return UnpairedClips(
            {role: Role(sets[role]) for role in context.roles},
            voice,
            None,
            config.clip_frames,
            batch_size,
            seed,
            setup_clips=SETUP_CLIPS,
            # The old voices are frozen once others are added: one of them per batch is enough.
            roles_per_batch=config.speakers_per_batch if not added else len(added) + 1,
            always=added,
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The autoencoder is one group, and so are all discriminators.

        Blocks that decoders share are in it once, and so are updated once.
        """
        return {
            "generator": [
                *self.encoder.parameters(),
                *self.shared.parameters(),
                *self.decoders.parameters(),
            ],
            "discriminator": list(self.discriminators.parameters()),
        }

    @torch.no_grad()
    def setup(self, batch: Mapping[str, Clips]) -> None:
        """Measure the range of every voice, in which its decoder begins at the mean.

        Where voices are added to a trained system, only theirs is measured, and each new decoder
        starts as a copy of the nearest trained one.
        """
        added = self.context.added
        for role in added or batch:
            voice = self._voice(batch[role])
            if added:
                index, nearest = (
                    self.context.roles.index(one) for one in (role, self._nearest(voice))
                )
                for networks in (self.decoders, self.discriminators):
                    networks[index].load_state_dict(networks[nearest].state_dict())
            self._decoder(role).range.measure(voice.mel)
            self._judge(role).measure(voice.mel)

    def _nearest(self, voice: Voice) -> str:
        """Name the trained voice whose decoder reconstructs another voice best."""
        code = self._encode(voice.mel).mean
        known = [role for role in self.context.roles if role not in self.context.added]
        distances = [
            float(_distance(self._decode(code, voice.f0, voice.loudness, role), voice.mel))
            for role in known
        ]
        return known[int(np.argmin(distances))]

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the discriminators on real clips and conversions, then the autoencoder."""
        voices = {role: self._voice(clips) for role, clips in batch.items()}
        roles = list(voices)
        turn = 1 + step % (len(roles) - 1)
        source = {role: roles[(n + turn) % len(roles)] for n, role in enumerate(roles)}
        real = torch.cat([voice.mel for voice in voices.values()])
        key = torch.cat([voice.key for voice in voices.values()])

        pitch = [voice.f0 for voice in voices.values() if voice.f0 is not None]
        seen = self.others(real, torch.cat(pitch) if pitch else None, key)
        posterior = self._encode(seen)
        code = dict(zip(roles, posterior.sample(key, 0).chunk(len(roles)), strict=True))
        # each decoder runs once: on the codes of its own voice and of another
        same, fake = {}, {}
        for role in roles:
            other = source[role]
            f0 = self._join(voices[role].f0, self._moved(voices[other].f0, other, role))
            loudness = self._join(voices[role].loudness, voices[other].loudness)
            made = self._decode(torch.cat([code[role], code[other]]), f0, loudness, role)
            same[role], fake[role] = made.chunk(2)
        yield (
            "discriminator",
            {
                "adversarial": _mean(
                    self._judge_loss(role, voices[role].mel, fake[role].detach()) for role in roles
                )
            }
            | self._steepness(voices, step),
        )
        second = self._encode(torch.cat([fake[role] for role in roles]))
        # noise of the clip that the conversion was made of
        key = torch.cat([voices[source[role]].key for role in roles])
        again = dict(zip(roles, second.sample(key, 1).chunk(len(roles)), strict=True))
        cycle = {}
        for role in roles:
            origin, own = source[role], voices[source[role]]
            cycle[origin] = self._decode(again[role], own.f0, own.loudness, origin)
        means = posterior.mean.flatten(2).mean(dim=2).chunk(len(roles))
        judged = {role: self._opinions(role, fake[role], same[role]) for role in roles}
        yield (
            "generator",
            {
                "reconstruction": _mean(_distance(same[r], voices[r].mel) for r in roles),
                "cycle": _mean(_distance(cycle[r], voices[r].mel) for r in roles),
                "adversarial": _mean((1.0 - judged[r][0].score).square().mean() for r in roles),
                "kl": posterior.divergence(),
                "cycle_kl": second.divergence(),
                "latent": _mean(
                    _distance(one, other)
                    for one, other in zip(means, means[1:] + means[:1], strict=True)
                ),
            }
            | self._matching(judged, voices),
        )

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert one utterance with the posterior's mean; see `base.System.convert`."""
        assert to is not None
        features, clip = self.context.features, self.config.clip_frames
        offset = streams.level(source["mel"])
        values = streams.normalise(source["mel"], offset, features)
        frames = len(values)
        values = np.pad(values, ((0, max(0, clip - frames)), (0, 0)), mode="symmetric")
        result: Features = {}
        f0: np.ndarray | None = None
        if "pitch" in source:
            f0 = source["pitch"][:, 0]
            if self.config.pitch == "move":
                f0 = streams.move_f0(f0, self.context.domains[to], condition.voice)
            result["pitch"] = f0[:, None].astype(np.float32)
            f0 = np.pad(f0, (0, len(values) - frames), mode="symmetric")  # as the mel
        begin = windows.starts(len(values), clip)
        with torch.inference_mode():
            mel = self._cut(values.T, begin)
            pitch = None if f0 is None else self._cut(f0[None], begin)[:, 0]
            made = []
            for part in torch.arange(len(begin)).split(AT_ONCE):
                mean = self._encode(mel[part]).mean
                told = None if pitch is None else pitch[part]
                made.append(self._decode(mean, told, self._loudness(mel[part]), to))
            joined = windows.join(torch.cat(made), begin, len(values))
        decoded = joined.T[:frames].float().cpu().numpy()
        result["mel"] = streams.denormalise(decoded, offset, features)
        return result

    def path(self, role: str, delay: int) -> live.Path:
        """Return what turns frames of any voice into a role's in real time (1d); see `live`.

        Args:
            role: the target.
            delay: by which the frames are late.
        """
        encoder, shared, decoder = self.encoder, self.shared, self._decoder(role)
        assert isinstance(encoder, networks1d.Encoder) and isinstance(shared, networks1d.Shared)
        assert isinstance(decoder, networks1d.Decoder)
        return live.Path(encoder, shared, decoder, delay)

    def statistics(self, mels: Iterable[np.ndarray]) -> Tensor:
        """Measure what is frozen of a voice (1d); see `live.statistics`."""
        assert isinstance(self.encoder, networks1d.Encoder)
        return live.statistics(self.encoder, mels, self.context.features)

    def moving(self, source: str, target: str) -> np.ndarray:
        """Return how a role's F0 becomes another's; see `live.moving`."""
        if self.config.pitch != "move":
            return np.zeros(3, np.float32)
        return live.moving(self.context.domains[source], self.context.domains[target])

    def _cut(self, values: np.ndarray, begin: np.ndarray) -> Tensor:
        """Cut (C, F) into windows (N, C, clip) on the system's device."""
        clip = self.config.clip_frames
        cut = np.stack([values[:, start : start + clip] for start in begin.tolist()])
        return torch.from_numpy(cut.astype(np.float32)).to(self.device)

    def _voice(self, clips: Clips) -> Voice:
        bins = self.context.features.n_mels
        mel, rest = clips.voice[:, :bins], clips.voice[:, bins:]
        f0 = rest[:, 0] if rest.shape[1] else None
        return Voice(mel, f0, self._loudness(mel), clips.key)

    def _loudness(self, mel: Tensor) -> Tensor | None:
        return streams.loudness(mel, self.context.features.top_db) if self.config.loudness else None

    def _moved(self, f0: Tensor | None, source: str, target: str) -> Tensor | None:
        """Move F0 (B, F) from one voice's mean and deviation of log-F0 to another's."""
        if f0 is None or self.config.pitch != "move":
            return f0
        old, new = self.context.domains[source], self.context.domains[target]
        ratio = new.log_f0_std / old.log_f0_std
        logs = torch.log(f0.clamp(min=1.0))
        moved = move_log_f0(logs, old.log_f0_mean, 1.0, new.log_f0_mean, ratio)
        return torch.where(f0 > 0, torch.exp(moved), f0)

    @staticmethod
    def _join(one: Tensor | None, other: Tensor | None) -> Tensor | None:
        return None if one is None or other is None else torch.cat([one, other])

    def _encode(self, mel: Tensor) -> Posterior:
        return Posterior.of(*self.encoder(mel))

    def _decode(
        self, code: Tensor, f0: Tensor | None, loudness: Tensor | None, role: str
    ) -> Tensor:
        decoder = self._decoder(role)
        told = None if loudness is None else decoder.range.within(loudness)
        made: Tensor = decoder(self.shared(code, f0, told))
        return made if told is None else decoder.range.quieten(made, told)

    def _decoder(self, role: str) -> networks1d.Decoder | networks2d.Decoder:
        decoder = self.decoders[self.context.roles.index(role)]
        assert isinstance(decoder, networks1d.Decoder | networks2d.Decoder)
        return decoder

    def _judge(self, role: str) -> PatchDiscriminator | ScaleDiscriminator:
        judge = self.discriminators[self.context.roles.index(role)]
        assert isinstance(judge, PatchDiscriminator | ScaleDiscriminator)
        return judge

    def _judge_loss(self, role: str, real: Tensor, fake: Tensor) -> Tensor:
        """Least squares: real to 1, conversions to 0; one pass over both."""
        true, false = self._judge(role)(torch.cat([real, fake])).score.chunk(2)
        return 0.5 * ((1.0 - true).square().mean() + false.square().mean())

    def _steepness(self, voices: Mapping[str, Voice], step: int) -> Terms:
        """How steep the discriminators are, at every `STEEP_EVERY`-th step; none as published."""
        if self.config.discriminator == "patch":
            return {}
        if step % STEEP_EVERY:
            return {"steepness": next(iter(voices.values())).mel.new_zeros(())}
        one = _mean(steepness(self._judge(role), voice.mel) for role, voice in voices.items())
        return {"steepness": STEEP_EVERY * one}

    def _opinions(self, role: str, fake: Tensor, same: Tensor) -> tuple[Opinion, Opinion | None]:
        """Judge conversions and, where feature maps are matched, reconstructions."""
        judge = self._judge(role)
        if self.config.discriminator == "patch":
            return judge(fake), None
        both: Opinion = judge(torch.cat([fake, same]))
        halves = zip(*(one.chunk(2) for one in (both.score, *both.seen)), strict=True)
        made, again = (Opinion(score, seen) for score, *seen in halves)
        return made, again

    def _matching(
        self, judged: Mapping[str, tuple[Opinion, Opinion | None]], voices: Mapping[str, Voice]
    ) -> Terms:
        """Match what discriminators see in reconstructions to what they see in the clips.

        Learned similarity in place of a distance of bins (Larsen et al., 2016): conversions have no
        clip to be matched with, reconstructions have.
        """
        parts = []
        for role, (_, again) in judged.items():
            if again is not None:
                with torch.no_grad():
                    real = self._judge(role)(voices[role].mel)
                parts.append(matched(again.seen, real.seen))
        return {"matching": _mean(parts)} if parts else {}


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()


def _mean(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).mean()
