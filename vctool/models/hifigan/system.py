"""Train the vocoder `hifigan` (Kong, Kim and Bae, 2020): mel to sound against discriminators.

Least-squares adversarial losses, feature matching and an L1 distance of log-mels, as published. A
multi-resolution STFT loss (Yamamoto, Song and Kim, 2020) is added for short trainings.
Different from the published code: losses are means over discriminators and layers, not sums (the
weights in `conf/hifigan/` make up for it), and one discriminator pass over a clip serves both
updates.
"""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from vctool.data import vocoder_clips
from vctool.data.batches import Clips, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.features.base import Features
from vctool.features.mel import mel_distance
from vctool.models import base
from vctool.models.base import Condition, Context, Terms
from vctool.models.hifigan.live import Live
from vctool.models.hifigan.settings import HifiganTrainingConfig
from vctool.nn.stft_loss import MultiResolutionStft
from vctool.nn.wave_discriminators import WaveDiscriminators
from vctool.vocoders.hifigan import HifiganNetwork


class System(base.System):
    """The generator and its discriminators."""

    Config = HifiganTrainingConfig
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("adversarial", "matching")
    task = "vocoders"
    config: HifiganTrainingConfig

    def __init__(self, config: HifiganTrainingConfig, context: Context) -> None:
        super().__init__(config, context)
        self.generator = HifiganNetwork(config, context.features)
        for layer in self.generator.modules():
            if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
                # The published 0.01 goes with weight norm, which rescales it in training.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu")
        self.discriminators = WaveDiscriminators(
            config.periods, config.period_width, config.scales, config.scale_width, (), 1
        )
        vocoder_clips.require_long(config.segment_frames, context.features, config.stft_sizes)
        self.stft = MultiResolutionStft(config.stft_sizes)

    @classmethod
    def reads(cls, config: HifiganTrainingConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion reads: sound, of which it takes the mel."""
        return ("wave",)

    @classmethod
    def learns(cls, config: HifiganTrainingConfig) -> tuple[str, ...]:
        """Return the feature kinds of a training batch."""
        return ("mel", "wave")

    @classmethod
    def writes(cls, config: HifiganTrainingConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion writes: sound."""
        return ("wave",)

    @classmethod
    def dataset(
        cls,
        config: HifiganTrainingConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw clips of mel and sound, from any voice."""
        return vocoder_clips.draw(
            sets,
            cls.learns(config),
            context.features,
            config.segment_frames,
            batch_size,
            seed,
            config.speeds,
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The generator is one group, and all discriminators are the other."""
        return {
            "generator": list(self.generator.parameters()),
            "discriminator": list(self.discriminators.parameters()),
        }

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the discriminators on recordings and on fakes, then the generator."""
        config, features = self.config, self.context.features
        (mel, frames), _ = vocoder_clips.join(
            batch, vocoder_clips.columns(self.learns(config), features)
        )
        true = vocoder_clips.to_wave(frames)
        made: Tensor = self.generator(mel)
        middle = vocoder_clips.middle(
            config.segment_frames, config.judged_frames, features.hop_length
        )
        adversarial = matching = true.new_zeros(())
        if step >= config.adversarial_from:
            own = self.discriminators.own_loss(true[:, middle], made[:, middle].detach())
            yield "discriminator", {"adversarial": own}
            adversarial, matching = self.discriminators.generator_losses(
                true[:, middle], made[:, middle]
            )
        terms: Terms = {"adversarial": adversarial, "matching": matching}
        with torch.autocast(true.device.type, enabled=False):  # FFTs have no bf16
            terms["stft"] = self.stft(made.float(), true)
            terms["mel"] = mel_distance(made.float(), mel, features)
        yield "generator", terms

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Synthesise an utterance's sound from its mel alone; see `base.System.convert`."""
        return base.stream_convert(self, source, condition, to)

    def streamable(self) -> Live:
        """Return the generator by cached padding."""
        return Live(self.generator)
