"""Convert to any voice in real time, of one clip of it: an autoencoder of spectral envelopes.

The system of MLPluginTemplate (C. P. Ooi, 2023) in intent: an encoder, a speaker embedding, and a
decoder with style-adaptive layer normalisation (Min et al., "Meta-StyleSpeech", 2021). What is
encoded is the mel-cepstra of a perturbed clip, and what is decoded filters the source's own sound
(`voice`). In the clip's own voice the output is compared with the recording, to the sample. In
another voice it is compared with no waveform: it is heard by the network that embeds speakers, and
its envelopes, taken together, are compared with those of a recording of that voice.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data import vocoder_clips
from vctool.data.batches import Clips, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import keyed_normal
from vctool.errors import ConfigError, DataError
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, Context, Reference, Terms
from vctool.models.speaker_autoencoder import clips
from vctool.models.speaker_autoencoder.embedder import DIM, Embedder
from vctool.models.speaker_autoencoder.envelope import banded
from vctool.models.speaker_autoencoder.networks import SpeakerClassifier
from vctool.models.speaker_autoencoder.perturbation import NEPERS, Perturbation
from vctool.models.speaker_autoencoder.settings import SpeakerAutoencoderConfig
from vctool.models.speaker_autoencoder.voice import Live, Target, Voice
from vctool.nn.stft_loss import MultiResolutionStft

GATE = 40.0 * NEPERS
"""Frames whose bands are on average this far below the loudest frame's say nothing of a voice."""
LEAST_STD = 0.05
"""Least deviation of a coefficient [nepers]."""
LEAST_SECONDS = 1.0
"""Sound that a target must hold. Of ten singers of RAVDESS the embedding of a piece of 0.1 s is
nearest to its own singer in 0.26, of 0.5 s in 0.59, of 1 s in 0.85, of 1.6 s in 0.99 (80
pieces)."""


class System(base.System):
    """The voice path, its opponent, and the network that hears who is speaking."""

    Config = SpeakerAutoencoderConfig
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("confusion",)
    takes_reference = True
    config: SpeakerAutoencoderConfig
    embeddings: Tensor
    timbres: Tensor

    def __init__(self, config: SpeakerAutoencoderConfig, context: Context) -> None:
        super().__init__(config, context)
        features = context.features
        vocoder_clips.require_long(config.clip_frames, features, config.stft_sizes)
        self.names = clips.voice_names(context.roles, config.speeds)
        if len(self.names) < 2:
            raise ConfigError(
                f"speaker_autoencoder: learns from differences between voices, and there is one, "
                f"'{self.names[0]}'; name two or more in corpus.speakers, or set model.speeds"
            )
        self.voice = Voice(config, features)
        self.classifier = SpeakerClassifier(config.code, config.width, len(self.names))
        self.embedder = Embedder(features.rate)
        self.perturbation = Perturbation(banded(features), config.warp, config.equaliser_db)
        self.stft = MultiResolutionStft(config.stft_sizes)
        self.register_buffer("embeddings", torch.zeros(len(context.roles), DIM))
        self.register_buffer("timbres", torch.zeros(len(context.roles), config.cepstra))

    @classmethod
    def reads(cls, config: SpeakerAutoencoderConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion and training read: sound."""
        return ("wave",)

    @classmethod
    def writes(cls, config: SpeakerAutoencoderConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion writes: sound."""
        return ("wave",)

    @classmethod
    def dataset(
        cls,
        config: SpeakerAutoencoderConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw clips of some voices, and of each other sound of the same voice."""
        return clips.draw(
            sets,
            context.features,
            config.clip_frames,
            batch_size,
            seed,
            config.speeds,
            config.voices_per_batch,
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Encoder, style and decoder are one group, and the opponent is the other."""
        return {
            "generator": list(self.voice.parameters()),
            "discriminator": list(self.classifier.parameters()),
        }

    @torch.no_grad()
    def setup(self, batch: Mapping[str, Clips]) -> None:
        """Take the embedder's weights, and measure the voices and the range of the cepstra."""
        self.embedder.load()
        told, sounding = {}, []
        for name, one in batch.items():
            wave = vocoder_clips.to_wave(one.voice)
            told[name] = self.embedder(wave)
            cepstra, loud = self._measured(wave)
            sounding.append(cepstra[loud])
        joined = torch.cat(sounding)
        self.voice.mean.copy_(joined.mean(dim=0))
        self.voice.std.copy_(joined.std(dim=0).clamp_min(LEAST_STD))
        means = torch.stack([one.mean(dim=0) for one in told.values()])
        self.voice.embedding_mean.copy_(nn.functional.normalize(means, dim=1).mean(dim=0))
        whose = list(batch)
        for index, role in enumerate(self.context.roles):
            # a role's voice is that of its recordings as they are, or else of the first speed
            speed = 1.0 if 1.0 in self.config.speeds else self.config.speeds[0]
            place = whose.index(clips.voice_names((role,), (speed,))[0])
            self.embeddings[index] = nn.functional.normalize(means[place], dim=0)
            self.timbres[index] = sounding[place].mean(dim=0)

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the opponent on codes, then the autoencoder."""
        names, size = list(batch), len(next(iter(batch.values())).key)
        key = torch.cat([one.key for one in batch.values()])
        gain = torch.exp(NEPERS * self.config.gain_db * keyed_normal(key, (1,), 0))
        wave = gain * vocoder_clips.to_wave(torch.cat([one.voice for one in batch.values()]))
        others = vocoder_clips.to_wave(torch.cat([one.condition for one in batch.values()]))
        cepstra, loud = self._measured(others)
        own = self._target(others, cepstra, loud)
        turn = 1 + step % (len(names) - 1)
        other = Target(*(part.roll(-turn * size, dims=0) for part in own))
        labels = torch.tensor([self.names.index(name) for name in names], device=wave.device)
        labels = labels.repeat_interleave(size)

        voice = self.voice
        empty = voice.memory(len(wave))
        with torch.no_grad():
            frames, _ = voice.analyse(wave, empty)
            bands = self.perturbation(frames.bands[:, voice.late :], key)
        code, _ = voice.encode(voice.envelope.cepstra(bands), empty)
        judged = self.classifier(code.detach())
        yield "discriminator", {"speaker": -_at(judged, labels).mean()}

        same, _ = voice.render(frames, code, own, empty)
        changed, _ = voice.render(frames, code, other, empty)
        # the output is late by the latency: what is compared is aligned to the sample
        true = wave[:, : wave.shape[1] - voice.latency]
        same, changed = same[:, voice.latency :], changed[:, voice.latency :]
        heard = self.voice.bands(changed)
        again, _ = voice.encode(voice.envelope.cepstra(heard), empty)
        sounds, sounding = self._measured(changed)
        wanted, wanting = (part.roll(-turn * size, dims=0) for part in (cepstra, loud))
        distance = energy_distance(
            (sounds - voice.mean) / voice.std,
            sounding.float(),
            (wanted - voice.mean) / voice.std,
            wanting.float(),
        )
        apart = (again - code[..., : again.shape[-1]]).square().mean(dim=(1, 2))
        alike = (self.embedder(changed) * other.embedding).sum(dim=1)
        yield (
            "generator",
            {
                "stft": self.stft(same, true),
                "mel": (self.voice.bands(same) - self.voice.bands(true)).abs().mean(),
                "embedding": (1.0 - alike).mean(),
                "envelopes": distance.mean(),
                "content": (apart / code.detach().square().mean(dim=(1, 2))).mean(),
                "confusion": -self.classifier(code).mean() - float(np.log(len(self.names))),
            },
        )

    @torch.no_grad()
    def reference(self, recordings: Iterable[Features]) -> Reference:
        """Embed a voice and measure its timbre.

        Returns:
            `embedding` (DIM,) of length 1 and `timbre` (C,), both float32.

        Raises:
            DataError: no frame sounds, or less than `LEAST_SECONDS` do.
        """
        embeddings, timbres, counts = [], [], []
        for one in recordings:
            wave = torch.from_numpy(np.array(one["wave"], np.float32)).flatten().to(self.device)
            if not bool(wave.any()):
                continue
            embeddings.append(self.embedder.voice(wave))
            cepstra, loud = self._measured(wave[None])
            timbres.append(cepstra[loud].mean(dim=0))
            counts.append(float(loud.sum()))
        if not counts:
            raise DataError("no frame of the target sounds; give recordings of a voice")
        seconds = sum(counts) * self.context.features.hop_length / self.context.features.rate
        if seconds < LEAST_SECONDS:
            raise DataError(
                f"{seconds:.2g} s of the target sound; a voice is known from {LEAST_SECONDS:g} s, "
                "better from ten"
            )
        weights = torch.tensor(counts, device=self.device)[:, None] / sum(counts)
        embedding = nn.functional.normalize((weights * torch.stack(embeddings)).sum(dim=0), dim=0)
        timbre = (weights * torch.stack(timbres)).sum(dim=0)
        return {"embedding": embedding.cpu().numpy(), "timbre": timbre.cpu().numpy()}

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert one utterance as the stream does; see `base.System.convert`."""
        return base.stream_convert(self, source, condition, to)

    def controls(self, condition: Condition, to: str | None) -> dict[str, np.ndarray]:
        """Return the target's `embedding` (1, DIM) and `timbre` (1, C)."""
        if to is None:
            assert condition.reference is not None, "a conversion to no role needs a reference"
            return {name: values[None] for name, values in condition.reference.items()}
        place = self.context.roles.index(to)
        known = {"embedding": self.embeddings[place], "timbre": self.timbres[place]}
        return {name: value[None].cpu().numpy() for name, value in known.items()}

    def streamable(self) -> Live:
        """Return the voice path as a stream; its default target is the last role."""
        voice = Voice(self.config, self.context.features, by_matrix=True).to(self.device)
        voice.load_state_dict(self.voice.state_dict())
        voice.requires_grad_(False)
        controls = self.controls(Condition(), self.context.roles[-1])
        return Live(voice.eval(), {name: torch.tensor(one) for name, one in controls.items()})

    @torch.no_grad()
    def _target(self, wave: Tensor, cepstra: Tensor, loud: Tensor) -> Target:
        """Return what is known of the voices of clips (B, T), given what is measured in them."""
        weights = loud.float() / loud.sum(dim=1, keepdim=True)
        return Target(self.embedder(wave), (weights[..., None] * cepstra).sum(dim=1))

    def _measured(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Return cepstra (B, F, C) of waves, and which frames (B, F) sound."""
        hop = self.context.features.hop_length
        bands = self.voice.bands(wave[:, : wave.shape[1] // hop * hop])
        level = bands.mean(dim=-1)
        loud = level >= level.amax(dim=1, keepdim=True) - GATE
        return self.voice.envelope.cepstra(bands), loud


def energy_distance(x: Tensor, of_x: Tensor, y: Tensor, of_y: Tensor) -> Tensor:
    """Return how far two weighted samples of points are from being of one distribution.

    2 E|x - y| - E|x - x'| - E|y - y'|, which is 0 between equal samples and never negative
    (Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", 2013).

    Args:
        x: (B, F, C).
        of_x: (B, F) weights, not negative, whose sum is above 0.
        y: (B, G, C).
        of_y: (B, G) weights, likewise.

    Returns:
        (B,).
    """
    of_x = of_x / of_x.sum(dim=1, keepdim=True)
    of_y = of_y / of_y.sum(dim=1, keepdim=True)

    def mean(a: Tensor, of_a: Tensor, b: Tensor, of_b: Tensor) -> Tensor:
        # differences of squares would lose near points to rounding
        apart = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.einsum("bf,bfg,bg->b", of_a, apart, of_b)

    return 2 * mean(x, of_x, y, of_y) - mean(x, of_x, x, of_x) - mean(y, of_y, y, of_y)


def _at(log_probability: Tensor, labels: Tensor) -> Tensor:
    """Return the log probabilities (B, F) of labels (B,) in (B, voices, F)."""
    index = labels[:, None, None].expand(-1, 1, log_probability.shape[-1])
    return log_probability.gather(1, index)[:, 0]
