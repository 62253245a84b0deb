"""Convert speech and an accompaniment to singing, and singing to speech, from unpaired data.

After VocalCycleGAN: Wave-U-Net generators on mel frames, discriminators on MiniRocket
features, and adversarial (least squares; Mao et al., 2017), cycle and identity losses (Zhu et al.,
2017). What differs, because the result depends on it: adversarial gradients reach the generators; a
discriminator sees the accompaniment, for a fake the one that it was generated with; discriminators
and generators see only bands that both domains carry; and F0 is a separate stream (see `melody`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed
import torch.nn.functional as F
from torch import Tensor, nn

from vctool.data.batches import Clips, Role, UnpairedClips
from vctool.data.feature_set import FeatureSet
from vctool.errors import DataError
from vctool.features.base import Features
from vctool.models import base
from vctool.models.base import Condition, Context, Terms
from vctool.models.vocal_cyclegan.critic import PatchCritic, RocketCritic
from vctool.models.vocal_cyclegan.generator import Bottleneck, Generator, Output
from vctool.models.vocal_cyclegan.heard import Hearing
from vctool.models.vocal_cyclegan.melody import contour_of, cross_entropy
from vctool.models.vocal_cyclegan.normalise import Domain, shared_bands
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.streams import (
    at_all_frames,
    floored,
    from_channels,
    layout,
    to_channels,
    to_condition,
    voice_level,
)
from vctool.precision import computes_bf16

SPEECH, SINGING = "speech", "singing"


class System(base.System):
    """The two generators and the two discriminators."""

    Config = VocalCycleGanConfig
    not_real_time = (
        "its melody is the best path through a whole utterance, normalised by its mean and spread"
    )
    discriminator_groups = ("discriminator",)
    adversarial_terms = ("adversarial_singing", "adversarial_speech")
    training_buffers = ("critic_mean",)
    task = "singing"
    config: VocalCycleGanConfig

    def __init__(self, config: VocalCycleGanConfig, context: Context) -> None:
        super().__init__(config, context)
        features = context.features
        self.layout = layout(config.voice, features)
        self.condition_channels = features.n_mels + 12 if config.accompaniment else 0
        self.frame_rate = frame_rate = features.frame_rate / config.stride
        self.domains = nn.ModuleDict()
        for name, sung in ((SPEECH, False), (SINGING, config.ornaments)):
            self.domains[name] = Domain(self.layout, self.condition_channels, frame_rate, sung)
        self.register_buffer("shared", torch.ones(self.layout.spectrum, dtype=torch.bool))
        self.register_buffer("critic_mean", torch.tensor(float("nan")))
        self.hearing = Hearing(self.layout, frame_rate) if config.phones else None
        self.to_singing = Generator(
            config, self.layout, config.singing_channels, self.condition_channels, frame_rate
        )
        self.to_speech = Generator(config, self.layout, config.speech_channels, 0, frame_rate)
        self.critics = nn.ModuleDict()
        for seed, name in enumerate((SPEECH, SINGING)):
            channels = self._judged_channels(name)
            self.critics[f"{name}_rocket"] = RocketCritic(
                channels,
                config.clip_frames,
                config.rocket_features,
                config.rocket_hidden,
                config.dropout,
                seed,
            )
            if config.patch_width:
                self.critics[f"{name}_patch"] = PatchCritic(channels, config.patch_width)

    shared: Tensor
    critic_mean: Tensor

    def _judged_channels(self, domain: str) -> int:
        pitch = 2 if self.layout.kind == "world" else 0
        return self.layout.spectrum + pitch + (self.condition_channels if domain == SINGING else 0)

    @classmethod
    def reads(cls, config: VocalCycleGanConfig) -> tuple[str, ...]:
        """Name the kinds that conversion and training read."""
        accompaniment = ("accomp_mel", "accomp_chroma") if config.accompaniment else ()
        return (config.voice, *accompaniment)

    @classmethod
    def writes(cls, config: VocalCycleGanConfig) -> tuple[str, ...]:
        """Name the kind that conversion writes."""
        return (config.voice,)

    @classmethod
    def dataset(
        cls,
        config: VocalCycleGanConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> UnpairedClips:
        """Draw speech with random songs' accompaniments, and singing with its own."""
        shape = layout(config.voice, context.features)

        def voice(utterances: FeatureSet, name: str) -> np.ndarray:
            channels = to_channels(utterances.load(name, config.voice), shape, context.features)
            return channels[:: config.stride]

        def condition(utterances: FeatureSet, name: str) -> np.ndarray:
            mel = utterances.load(name, "accomp_mel")
            chroma = utterances.load(name, "accomp_chroma")
            return to_condition(mel, chroma, context.features)[:: config.stride]

        singing = sets[SINGING]
        if config.accompaniment:
            singing = singing.subset(lambda utterance: singing.has(utterance.id, "accomp_mel"))
            if not singing.ids:
                raise DataError(
                    f"{sets[SINGING].path}: no singing has an accompaniment;"
                    " set model.accompaniment=false to train without"
                )
        roles = {SPEECH: Role(sets[SPEECH], singing), SINGING: Role(singing)}
        made = condition if config.accompaniment else None
        return UnpairedClips(roles, voice, made, config.clip_frames, batch_size, seed)

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Both generators are one group, and so are all discriminators."""
        generators = [*self.to_singing.parameters(), *self.to_speech.parameters()]
        return {"generator": generators, "discriminator": list(self.critics.parameters())}

    @torch.no_grad()
    def setup(self, batch: Mapping[str, Clips]) -> None:
        """Measure both domains' channels, find the bands they share, and fit the discriminators."""
        for name in (SPEECH, SINGING):
            clips = batch[name]
            self._domain(name).measure(clips.voice, batch[SINGING].condition)
        self.shared.copy_(shared_bands(batch[SPEECH].voice, batch[SINGING].voice, self.layout))
        for name in (SPEECH, SINGING):
            condition = batch[name].condition if name == SINGING else None
            judged = self._judged(name, self._truth(batch[name].voice), condition)
            self._rocket(name).fit(judged)

    def objectives(self, batch: Mapping[str, Clips], step: int) -> Iterator[tuple[str, Terms]]:
        """Train the discriminators on real and fake clips, then the generators against them."""
        speech, singing = batch[SPEECH], batch[SINGING]
        under = speech.condition  # a random song's accompaniment
        sung = self._sing(speech.voice, under, speech.key)
        spoken = self._speak(singing.voice, singing.key)
        shown = sung, spoken
        if self.config.judged_notes == "path" and self.layout.kind == "world":
            shown = (
                self.to_singing.delivered(sung, self._domain(SINGING)),
                self.to_speech.delivered(spoken, self._domain(SPEECH)),
            )
        judged = {
            SINGING: (
                self._judged(SINGING, self._truth(singing.voice), singing.condition),
                self._judged(SINGING, shown[0], under),
                singing.key,
                speech.key,
            ),
            SPEECH: (
                self._judged(SPEECH, self._truth(speech.voice), None),
                self._judged(SPEECH, shown[1], None),
                speech.key,
                singing.key,
            ),
        }
        rocket = {name: self._rocket(name).features(judged[name][1]) for name in judged}
        critic_terms = {
            name: self._critic_loss(name, *judged[name], rocket[name]) for name in judged
        }
        if self._critics_step(critic_terms):
            yield "discriminator", critic_terms

        terms: Terms = {}
        if self.hearing is not None:
            terms["phones_singing"] = self.hearing.distance(sung.spectrum, speech.voice)
            terms["phones_speech"] = self.hearing.distance(spoken.spectrum, singing.voice)
        for name in (SINGING, SPEECH):
            _, fake, _, keys = judged[name]
            scores = self._scores(name, fake, rocket[name], keys)
            terms[f"adversarial_{name}"] = _mean([(1.0 - score).square() for score in scores])
        again = self._sing(self._voice_of(spoken), singing.condition, singing.key)
        back = self._speak(self._voice_of(sung), speech.key)
        same_sung = self._sing(singing.voice, singing.condition, singing.key, own=True)
        same_spoken = self._speak(speech.voice, speech.key, own=True)
        for title, output, clips in (
            ("cycle_singing", again, singing),
            ("cycle_speech", back, speech),
            ("identity_singing", same_sung, singing),
            ("identity_speech", same_spoken, speech),
        ):
            terms[title] = self._distance_db(output, clips.voice)
            if self.layout.kind == "world":
                notes, voiced = self._pitch(clips.voice)
                assert output.scores is not None
                terms[f"{title}_f0"] = cross_entropy(output.scores, notes, voiced)
                terms[f"{title}_voicing"] = self._voicing_loss(output, clips.voice)
        yield "generator", terms

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Convert one utterance; see `base.System.convert`."""
        assert to is not None
        config, features = self.config, self.context.features
        raw = source[config.voice]
        channels = to_channels(raw, self.layout, features)
        seen = channels[:: config.stride]
        voice = torch.from_numpy(seen.T.copy())[None].to(self.device)
        under = self._condition(condition.accompaniment, len(raw)) if to == SINGING else None
        origin = SPEECH if to == SINGING else SINGING
        was_training = self.training
        self.eval()
        # Only the networks on mel are large. With WORLD they are small, and notes are decoded.
        low = self.layout.kind == "mel" and computes_bf16(self.device)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=low),
        ):
            generator = self.to_singing if to == SINGING else self.to_speech
            output = generator(
                voice,
                under,
                self._domain(origin),
                self._domain(to),
                self.shared,
                Bottleneck.quiet(config.contour_scale, voice),
            )
            notes, voiced = generator.decode(output, self._domain(to))
        self.train(was_training)
        spectrum = output.spectrum[0].float().cpu().numpy().T
        if config.stride > 1:
            assert notes is not None and voiced is not None
            followed = self.shared.numpy(force=True)
            followed[self.layout.bands :] = False
            spectrum, notes, voiced = at_all_frames(
                spectrum, notes, voiced, channels, followed, config.stride
            )
        spectrum[:, : self.layout.bands] = floored(
            spectrum[:, : self.layout.bands], features.top_db
        )
        level_db = voice_level(raw, self.layout, features)
        made = from_channels(spectrum, notes, voiced, level_db, self.layout, features)
        return {config.voice: made}

    @classmethod
    def needs_accompaniment(cls, config: VocalCycleGanConfig, to: str | None) -> bool:
        """Only the direction to singing needs an accompaniment."""
        return config.accompaniment and to == SINGING

    # Generators.

    def _domain(self, name: str) -> Domain:
        domain = self.domains[name]
        assert isinstance(domain, Domain)
        return domain

    def _sing(self, voice: Tensor, condition: Tensor, keys: Tensor, own: bool = False) -> Output:
        origin = self._domain(SINGING if own else SPEECH)
        bottleneck = Bottleneck.drawn(keys, voice.shape[-1], 1, self.config)
        output: Output = self.to_singing(
            voice, condition, origin, self._domain(SINGING), self.shared, bottleneck
        )
        return output

    def _speak(self, voice: Tensor, keys: Tensor, own: bool = False) -> Output:
        origin = self._domain(SPEECH if own else SINGING)
        bottleneck = Bottleneck.drawn(keys, voice.shape[-1], 3, self.config)
        output: Output = self.to_speech(
            voice, None, origin, self._domain(SPEECH), self.shared, bottleneck
        )
        return output

    def _voice_of(self, output: Output) -> Tensor:
        """Assemble the voice channels of a generated clip, to be converted back."""
        if self.layout.kind == "mel":
            return output.spectrum
        assert output.notes is not None and output.voiced is not None
        # Detached, or the first generator would learn to hide the notes in its contour.
        notes, voiced = output.notes.detach(), output.voiced.detach()
        shared = contour_of(notes, voiced, self.frame_rate)
        weight = voiced / voiced.sum(dim=1, keepdim=True).clamp_min(1e-3)
        mean = (weight * notes).sum(dim=1, keepdim=True).expand_as(shared)
        pitch = torch.stack([notes, voiced, shared, mean], dim=1)
        return torch.cat([output.spectrum, pitch.to(output.spectrum.dtype)], dim=1)

    def _truth(self, voice: Tensor) -> Output:
        """View the channels of a real clip as if a generator had made them."""
        spectrum = voice[:, : self.layout.spectrum]
        if self.layout.kind == "mel":
            return Output(spectrum, None, None, None)
        return Output(spectrum, None, *self._pitch(voice))

    def _pitch(self, voice: Tensor) -> tuple[Tensor, Tensor]:
        return voice[:, self.layout.note], voice[:, self.layout.voiced]

    def _condition(self, condition: Features | None, frames: int) -> Tensor | None:
        if not self.config.accompaniment:
            return None
        assert condition is not None, "singing needs an accompaniment's features"
        made = to_condition(
            condition["accomp_mel"], condition["accomp_chroma"], self.context.features
        )
        assert len(made) == frames, (len(made), frames)
        seen = made[:: self.config.stride]
        return torch.from_numpy(seen.T.copy())[None].to(self.device)

    # Losses.

    def _distance_db(self, output: Output, voice: Tensor) -> Tensor:
        """L1 distance of the bands [dB], both floored `top_db` below the real clip's maximum."""
        bands = slice(0, self.layout.bands)
        real = voice[:, bands]
        floor = real.amax(dim=(1, 2), keepdim=True) - self.context.features.top_db
        return (output.spectrum[:, bands].maximum(floor) - real.maximum(floor)).abs().mean()

    def _voicing_loss(self, output: Output, voice: Tensor) -> Tensor:
        """Cross-entropy of voicing [nat], and where voiced a tenth of the aperiodicity error [dB].

        Both are means over all frames, so that halves of a batch average to the whole.
        """
        assert output.voicing is not None
        _, voiced = self._pitch(voice)
        entropy = F.binary_cross_entropy_with_logits(output.voicing.float(), voiced)
        noise = slice(self.layout.bands, self.layout.spectrum)
        error = (output.spectrum[:, noise] - voice[:, noise]).abs() * voiced[:, None]
        return entropy + 0.1 * error.mean()

    # Discriminators.

    def _rocket(self, name: str) -> RocketCritic:
        critic = self.critics[f"{name}_rocket"]
        assert isinstance(critic, RocketCritic)
        return critic

    def _judged(self, domain: str, output: Output, condition: Tensor | None) -> Tensor:
        """Assemble a discriminator's input, normalised: shared bands, pitch and accompaniment."""
        at = self._domain(domain)
        parts = [at.normalise(output.spectrum) * self.shared[None, :, None]]
        if output.notes is not None and output.voiced is not None:
            # Pitch counts only where there is voice: elsewhere it is an interpolation.
            note = at.normalise_note(output.notes) * output.voiced
            parts += [note[:, None], output.voiced[:, None]]
        if domain == SINGING and condition is not None:
            parts.append(at.normalise_condition(condition))
        return torch.cat([part.float() for part in parts], dim=1)

    def _scores(self, name: str, x: Tensor, rocket: Tensor, keys: Tensor) -> list[Tensor]:
        scores = [self._rocket(name).judge(rocket, keys)]
        if f"{name}_patch" in self.critics:
            scores.append(self.critics[f"{name}_patch"](x))
        return scores

    def _critic_loss(
        self,
        name: str,
        real: Tensor,
        fake: Tensor,
        real_keys: Tensor,
        fake_keys: Tensor,
        rocket: Tensor,
    ) -> Tensor:
        """Least squares: real clips to one, fakes to zero; half the sum, mean over networks."""
        with torch.no_grad():
            known = self._rocket(name).features(real)
        on_real = self._scores(name, real, known, real_keys)
        on_fake = self._scores(name, fake.detach(), rocket.detach(), fake_keys)
        real_loss = _mean([(1.0 - score).square() for score in on_real])
        return 0.5 * (real_loss + _mean([score.square() for score in on_fake]))

    def _critics_step(self, terms: Terms) -> bool:
        """Tell whether discriminators are updated; while training, update the running mean."""
        if self.config.gate is None or not self.training:
            return True
        loss = torch.stack([term.detach() for term in terms.values()]).mean()
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(loss)
            loss /= torch.distributed.get_world_size()
        # The published mean started from zero at every epoch, which kept the gate shut; the first
        # loss starts this one.
        mean = loss if torch.isnan(self.critic_mean) else 0.9 * self.critic_mean + 0.1 * loss
        self.critic_mean.copy_(mean)
        return bool(mean > self.config.gate)


def _mean(values: list[Any]) -> Tensor:
    return torch.stack([value.mean() for value in values]).mean()
