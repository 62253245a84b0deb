"""Train the vocoder `istft`: mel to sound, by spectral distances and discriminators.

The losses are those of HiFi-GAN (Kong, Kim and Bae, 2020) with a multi-resolution STFT loss
(Yamamoto, Song and Kim, 2020) beside the mel's; the head that predicts F0 from the mel learns
from an F0 tracker, in voiced frames only.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data import vocoder_clips
from vctool.data.batches import Clips, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import keyed_normal
from vctool.features.base import Features
from vctool.features.mel import mel_distance
from vctool.models import base
from vctool.models.base import Condition, Context, Terms
from vctool.models.istft.settings import IstftTrainingConfig
from vctool.nn.stft_loss import MultiResolutionStft
from vctool.nn.streaming import NotRealTime, Stream
from vctool.nn.wave_discriminators import WaveDiscriminators
from vctool.vocoders.istft.causal import CausalNetwork
from vctool.vocoders.istft.live import Live
from vctool.vocoders.istft.vocoder import network, synthesise


class System(base.System):
    """The vocoder's network as the generator, and its discriminators."""

    Config = IstftTrainingConfig
    not_real_time = (
        "it makes phases consistent over a whole utterance, and F0 a path through it; "
        "model.causal trains one that does neither"
    )
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("adversarial", "matching")
    task = "vocoders"
    config: IstftTrainingConfig

    def __init__(self, config: IstftTrainingConfig, context: Context) -> None:
        super().__init__(config, context)
        self.generator = network(config, context.features)
        self.discriminators = WaveDiscriminators(
            config.periods, config.period_width, 0, 1, config.spectra, config.spectrum_width
        )
        vocoder_clips.require_long(config.segment_frames, context.features, config.stft_sizes)
        self.stft = MultiResolutionStft(config.stft_sizes)

    @classmethod
    def reads(cls, config: IstftTrainingConfig) -> tuple[str, ...]:
        """Return the feature kind that sound is synthesised from: in real time, sound."""
        return ("wave",) if config.causal else ("mel",)

    @classmethod
    def learns(cls, config: IstftTrainingConfig) -> tuple[str, ...]:
        """Return the feature kinds of a training batch."""
        return ("mel", "pitch", "wave") if config.excitation == "harmonic" else ("mel", "wave")

    @classmethod
    def writes(cls, config: IstftTrainingConfig) -> tuple[str, ...]:
        """Return the feature kind that conversion writes: sound."""
        return ("wave",)

    @classmethod
    def dataset(
        cls,
        config: IstftTrainingConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw clips of all kinds, from any voice."""
        kinds = cls.learns(config)
        return vocoder_clips.draw(
            sets,
            kinds,
            context.features,
            config.segment_frames,
            batch_size,
            seed,
            config.speeds,
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """The network is one group, and all discriminators are the other."""
        return {
            "generator": list(self.generator.parameters()),
            "discriminator": list(self.discriminators.parameters()),
        }

    def setup(self, batch: Mapping[str, Clips]) -> None:
        """Measure the mel."""
        self.generator.fit(self._parts(batch)[0]["mel"])

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the discriminators on recordings and on fakes, then the network."""
        parts, key = self._parts(batch)
        true = vocoder_clips.to_wave(parts["wave"])
        f0 = parts["pitch"][:, 0] if "pitch" in parts else None
        noise = keyed_normal(key, (true.shape[-1],), 0)
        made = self.generator(parts["mel"], f0, noise)
        judged = step >= self.config.adversarial_from
        hop = self.context.features.hop_length
        middle = vocoder_clips.middle(self.config.segment_frames, self.config.judged_frames, hop)
        if judged:
            own = self.discriminators.own_loss(true[:, middle], made.wave[:, middle].detach())
            yield "discriminator", {"adversarial": own}
        zero = true.new_zeros(())
        adversarial, matching = zero, zero
        if judged:
            adversarial, matching = self.discriminators.generator_losses(
                true[:, middle], made.wave[:, middle]
            )
        terms: Terms = {"adversarial": adversarial, "matching": matching}
        with torch.autocast(true.device.type, enabled=False):
            terms["stft"] = self.stft(made.wave, true)
            terms["mel"] = mel_distance(made.wave, parts["mel"], self.context.features)
            if made.pitch is not None and f0 is not None:
                assert self.generator.pitch is not None
                terms["pitch"] = self.generator.pitch.loss(made.pitch, f0)
        yield "generator", terms

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Synthesise an utterance's sound from its mel alone; see `base.System.convert`."""
        if self.config.causal:
            return base.stream_convert(self, source, condition, to)
        mel = torch.tensor(source["mel"], dtype=torch.float32).T[None]
        wave = synthesise(self.generator, mel)
        hop = self.context.features.hop_length
        return {"wave": np.ascontiguousarray(wave[: len(source["mel"]) * hop].reshape(-1, hop))}

    def streamable(self) -> Stream | NotRealTime:
        """Return the causal network behind an analysis of sound."""
        if isinstance(self.generator, CausalNetwork):
            return Live(self.generator)
        return super().streamable()

    def _parts(self, batch: Mapping[str, Clips]) -> tuple[dict[str, Tensor], Tensor]:
        kinds = self.learns(self.config)
        sizes = vocoder_clips.columns(kinds, self.context.features)
        parts, key = vocoder_clips.join(batch, sizes)
        return dict(zip(kinds, parts, strict=True)), key
