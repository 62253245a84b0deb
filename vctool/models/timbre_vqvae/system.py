"""Play the notes of one recording by the instrument of another.

Trained without labels on triplets (`vctool.data.triplets`): the content is another instrument's
rendering of the target's notes, the style another stretch by the target's instrument. That content
and target differ in all but their notes is what makes the content hold nothing else; trained on
reconstruction alone, such systems copy their input. The content is a structured code (`structured`)
or vectors of a book (`vector`), and sound is made of magnitudes (`synthesis`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data.feature_set import FeatureSet
from vctool.data.triplets import TripletBatch, TripletClips
from vctool.errors import DataError
from vctool.features import framing
from vctool.features.base import Features
from vctool.features.mel_bands import MelBands
from vctool.models import base
from vctool.models.base import Condition, Context, Note, Reference, Terms
from vctool.models.timbre_vqvae import mending, notes, vector
from vctool.models.timbre_vqvae.content import Content, Series
from vctool.models.timbre_vqvae.heard import Heard, Shape, Told, array, evaluating, most_active
from vctool.models.timbre_vqvae.settings import TimbreVqvaeConfig, TimbreVqvaeOptions
from vctool.models.timbre_vqvae.spectra import (
    FLOOR,
    PER_OCTAVE,
    PER_SEMITONE,
    PITCHES,
    SEMITONES,
    Spectra,
    to_wave,
)
from vctool.models.timbre_vqvae.structured import Structured
from vctool.models.timbre_vqvae.style import Instrument
from vctool.models.timbre_vqvae.synthesis import synthesise

logger = logging.getLogger(__name__)
AUDIBLE = 1e-8
"""Powers are compared down to this share of the level around: -80 dB."""
LONGEST_SECONDS = 30.0
"""Most of a reference that is heard [s]."""
LEAST_SECONDS = 0.3
"""Shortest reference [s]."""
LEAST_TONALITY = 0.9
"""A reference has a pitch where harmonics stand out this far in half of what sounds [bel]."""
LEAST_HEARD = 0.5
"""A recording has a pitch where one is active for this long [frames]."""
LOUDEST = 12.0
"""No log(1 + |STFT|) of sound at full scale is above it."""
SOUNDING = 0.1
"""Frames with this share of the power around them sound."""


class System(base.System):
    """One network for content, style and decoder; its targets are recordings alone."""

    Config = TimbreVqvaeConfig
    not_real_time = "its phases are found over a whole recording, iteration by iteration"
    Options = TimbreVqvaeOptions
    task = "timbre"
    takes_reference = True
    reference_version = 4
    only_references = True
    transposes = True
    config: TimbreVqvaeConfig

    def __init__(self, config: TimbreVqvaeConfig, context: Context) -> None:
        super().__init__(config, context)
        self.spectra = Spectra(context.features)
        self.series = Series(self.spectra.log_bins)
        self.network: Structured | vector.VectorNetwork
        if config.content == "structured":
            self.network = Structured(
                context.features,
                self.spectra,
                config.channels,
                config.style,
                config.levels,
                config.measured,
            )
        else:
            self.network = vector.VectorNetwork(
                self.spectra.bins, config.width, config.codes, config.codebook
            )
        self.bands = MelBands(context.features, config.bands)
        self.kept = MelBands(context.features, config.mels) if config.mels else None
        self.broad = MelBands(context.features, mending.ENVELOPE_BANDS)
        self.mender = mending.Mender(context.features, self.spectra)

    @classmethod
    def reads(cls, config: TimbreVqvaeConfig) -> tuple[str, ...]:
        """Sound, of which the networks make spectra themselves."""
        return ("wave",)

    @classmethod
    def writes(cls, config: TimbreVqvaeConfig) -> tuple[str, ...]:
        """Sound, since its phases are the source's where it has any."""
        return ("wave",)

    @classmethod
    def dataset(
        cls,
        config: TimbreVqvaeConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> TripletClips:
        """Draw triplets of sound from the renderings of a corpus.

        Raises:
            ConfigError: the corpus is divided into roles.
        """

        def wave(utterances: FeatureSet, name: str) -> np.ndarray:
            return utterances.load(name, "wave")

        utterances = next(iter(sets.values()))
        return TripletClips(
            utterances,
            *(wave, wave, wave),
            frames=config.clip_frames,
            batch_size=batch_size,
            seed=seed,
            rendering=config.rendering,
            setup_clips=max(32, batch_size),
        )

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """All parameters are one group."""
        return {"model": list(self.network.parameters())}

    def setup(self, batch: TripletBatch) -> None:
        """Begin a book, and running statistics, at a batch."""
        if isinstance(self.network, vector.VectorNetwork):
            with torch.no_grad():
                parts = (self._scaled(self._heard(to_wave(one))) for one in batch[:2])
                self.network.begin(*parts)

    def objectives(self, batch: TripletBatch, step: int) -> Iterator[tuple[str, Terms]]:
        """Decode the content by the style, and compare with the target."""
        if isinstance(self.network, vector.VectorNetwork):
            yield from self._vector_objectives(self.network, batch)
        else:
            yield "model", self._structured_terms(self.network, batch)

    def _structured_terms(self, network: Structured, batch: TripletBatch) -> Terms:
        """Compare in dB, by bin and by band; the same notes are to have the same code."""
        heard = [self._heard(to_wave(part)) for part in batch[:3]]
        levels = self.config.levels
        content, target = (network.finder(one.logs, one.energy) for one in (heard[0], heard[2]))
        with torch.no_grad():  # what plays when is told; it is not learnt from its timbre
            style = network.find(heard[1].logs, heard[1].energy)
        instrument = network.listen(heard[1].logs, heard[1].energy, style)
        made = self._kept(network.decoder(content.rounded(levels), instrument))
        real = heard[2].power
        bins = (torch.log10(made + AUDIBLE) - torch.log10(real + AUDIBLE)).abs().mean()
        return {
            "bins": bins,
            "bands": self._band_distance(made, real),
            "agreement": (content.active - target.active).abs().mean(),
            "sparsity": content.active.mean(),
        }

    def _band_distance(self, made: Tensor, real: Tensor) -> Tensor:
        """Return the log-spectral distance of powers (B, K, F) in mel bands [bel]."""
        one, other = (torch.log10(self.bands(power) + AUDIBLE) for power in (made, real))
        return ((one - other).square().mean(dim=2) + 1e-4).sqrt().mean()

    def _vector_objectives(
        self, network: vector.VectorNetwork, batch: TripletBatch
    ) -> Iterator[tuple[str, Terms]]:
        content, style, target = (self._scaled(self._heard(to_wave(part))) for part in batch[:3])
        coded = network.encode(content)
        made = network.decode(coded.passed, network.listen(style), target.shape[2])
        terms = {
            "spectrum": (made - target).square().mean(),
            "commitment": (coded.vectors - coded.nearest.detach()).square().mean(),
        }
        if self.config.codebook == "plain":
            terms["codebook"] = (coded.nearest - coded.vectors.detach()).square().mean()
        yield "model", terms
        if self.config.codebook == "ema" and self.training:
            network.book.follow(coded, batch.key)
        if not self.training:
            vector.tell_usage(coded.rows, self.config.codes)

    def reference(self, recordings: Iterable[Features]) -> Reference:
        """Describe the instrument of some recordings, up to their most active 30 s.

        Returns:
            Of structured content `style` (S,), `profile` (COMPONENTS, PITCHES, HARMONICS),
            `pitches` (PITCHES,), how much of each pitch sounds [frames], and the fields of
            `mending.Lacking` with their names after `lacking_`; else `style` (W,).

        Raises:
            DataError: less than 0.3 s, or nothing in it has a pitch.
        """
        rate, hop = self.context.features.rate, self.context.features.hop_length
        most = round(LONGEST_SECONDS * rate / hop)
        kept, frames = np.zeros((0, hop), np.float32), 0
        for one in recordings:
            frames += len(one["wave"])
            kept = most_active(np.concatenate([kept, one["wave"]]), most)
        if frames - 1 < np.ceil(LEAST_SECONDS * rate / hop) - 1:
            under = frames * hop / rate
            raise DataError(
                f"lasts less than {under:.3g} s; a target of at least {LEAST_SECONDS:g} s is needed"
            )
        if frames > most:
            logger.info(
                "of the target's %.0f s the most active %.0f are heard",
                *(frames * hop / rate, LONGEST_SECONDS),
            )
        with torch.inference_mode(), evaluating(self.network):
            heard = self._heard(self._wave(kept))
            sounding = heard.power[0].sum(dim=0) > SOUNDING
            tonality = self.series.tonality(heard.logs)[0, sounding]
            if not len(tonality) or tonality.median() < LEAST_TONALITY:
                raise DataError("no pitch in it; give a recording of an instrument that has one")
            return self._described(heard)

    def _described(self, heard: Heard) -> Reference:
        """Describe what plays; see `reference`."""
        found = self._instrument(heard)
        if not self.finds_notes:
            return {"style": array(found.style[0])}
        told = self._told(heard, found)
        lacking = self.mender.compare(heard.power, told.power, told.active)
        return {
            "style": array(found.style[0]),
            "profile": array(found.profile[0]),
            "pitches": array(told.active[0].square().sum(dim=1)),
            **{f"lacking_{name}": array(one) for name, one in lacking._asdict().items()},
        }

    @property
    def code_size(self) -> int:
        """Channels of `Told.codes`."""
        return 2 * SEMITONES + 1 if self.finds_notes else self.config.width

    @property
    def style_size(self) -> int:
        """Length of a style."""
        return self.config.style if self.finds_notes else self.config.width

    def tell(self, content: Tensor, style: Tensor) -> Told:
        """Code frames of sound (B, hop, F), and describe what plays others (B, hop, G)."""
        with torch.no_grad(), evaluating(self.network):
            notes_of, playing = (self._heard(to_wave(part)) for part in (content, style))
            return self._told(notes_of, self._instrument(playing))

    def relative_power(self, frames: Tensor) -> Tensor:
        """Return the power (B, K, F) of frames of sound (B, hop, F), over the level around."""
        return self._heard(to_wave(frames)).power

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Play the notes of a recording by the reference's instrument."""
        known = condition.reference
        if known is None or not self.finds_notes:
            return self.play(source, condition, lambda told: told.power)
        lacking = mending.Lacking(
            *(self._tensor(known[f"lacking_{name}"]) for name in mending.Lacking._fields)
        )
        mend = self.mender.mend
        return self.play(source, condition, lambda it: mend(it.power, it.active, lacking), True)

    def play(
        self, source: Features, condition: Condition, shape: Shape, clear: bool = False
    ) -> Features:
        """Convert with what `shape` makes of the notes, cleared or not, and the instrument."""
        known, amount = condition.reference, condition.options.amount
        assert known is not None, "a conversion needs a reference"
        frames = source["wave"]
        if not amount and not condition.transpose:
            return {"wave": frames.astype(np.float32, copy=True)}
        with torch.inference_mode(), evaluating(self.network):
            wave = self._wave(frames)
            heard = self._heard(self.spectra.padded(wave))
            told = self._told(heard, self._known(known), condition.transpose, clear)
            made, own = shape(told), heard.power
            if self.finds_notes and not condition.transpose:
                made = mending.blended(made, own, told.codes[:, :SEMITONES], self.broad)
            if condition.transpose and amount < 1:  # the source itself is at another pitch
                told = self._told(heard, self._instrument(heard), condition.transpose)
                own = told.power
            magnitude = torch.sqrt(heard.level * made**amount * (own + 1e-20) ** (1 - amount))
            result = synthesise(magnitude, heard.spectrum, self.spectra, self.config.iterations)
        return {"wave": self._frames(array(result[0, : wave.shape[1]]), len(frames))}

    @property
    def finds_notes(self) -> bool:
        """Whether the content is made of pitches."""
        return isinstance(self.network, Structured)

    def notes(self, source: Features) -> list[Note]:
        """Read the notes off the activity of pitches; see `base.System.notes`."""
        features = self.context.features
        return notes.find(self._content(source), features.hop_length / features.rate)

    def octaves(self, sources: Iterable[Features], reference: Reference) -> int:
        """Compare the middles of what is played; see `base.System.octaves`."""
        heard = np.zeros(PITCHES)
        for source in sources:
            heard += self._content(source).active[0].square().sum(dim=1).cpu().numpy()
        if heard.max() < LEAST_HEARD:
            raise DataError("no pitch in it; give the semitones as a number")
        return round((notes.middle(reference["pitches"]) - notes.middle(heard)) / PER_OCTAVE)

    def _content(self, source: Features) -> Content:
        with torch.inference_mode(), evaluating(self.network):
            return self._found(self._heard(self._wave(source["wave"])))

    def _found(self, heard: Heard) -> Content:
        """Return the structured content of sound, rounded."""
        network = self.network
        assert isinstance(network, Structured), "only structured content has pitches"
        return network.find(heard.logs, heard.energy)

    def _instrument(self, heard: Heard) -> Instrument:
        """Describe what plays; of a book of vectors, by the style alone."""
        network = self.network
        if isinstance(network, vector.VectorNetwork):
            style = network.listen(self._scaled(heard))
            return Instrument(style, style[:, :0])
        return network.listen(heard.logs, heard.energy, self._found(heard))

    def _known(self, reference: Reference) -> Instrument:
        """Return what `reference` has described."""
        style = self._tensor(reference["style"])[None]
        profile = self._tensor(reference["profile"])[None] if self.finds_notes else style[:, :0]
        return Instrument(style, profile)

    def _told(
        self, heard: Heard, instrument: Instrument, transpose: float = 0.0, clear: bool = False
    ) -> Told:
        """Code sound, cleared or not, move its notes by semitones, and decode it."""
        network, style = self.network, instrument.style
        if isinstance(network, vector.VectorNetwork):
            coded, frames = network.encode(self._scaled(heard)), heard.power.shape[2]
            made = self._kept(self._unscaled(network.decode(coded.nearest, style, frames), heard))
            codes = coded.nearest.repeat_interleave(vector.EVERY, dim=2)[:, :, :frames]
            return Told(codes, codes[:, :0], style, made)
        content = self._found(heard)
        content = mending.cleared(content) if clear else content
        content = content.moved(round(transpose * PER_SEMITONE))
        made = self._kept(network.decoder(content, instrument))
        return Told(content.by_semitone(), content.active, style, made)

    def _heard(self, wave: Tensor) -> Heard:
        """Analyse waves (B, T)."""
        spectrum = self.spectra.stft(wave)
        power = spectrum.real.square() + spectrum.imag.square()
        level = self.spectra.level(power)
        power = self._kept(power / level)
        energy = torch.log10(power.sum(dim=1, keepdim=True) + 1e-6)
        return Heard(spectrum, level, power, self.spectra.logs(power), energy)

    def _kept(self, power: Tensor) -> Tensor:
        """Return powers (B, K, F) as the mel bands of `mels` tell them, or as they are."""
        return power if self.kept is None else torch.pow(10.0, self.kept.curve(power, FLOOR))

    def _scaled(self, heard: Heard) -> Tensor:
        """Return what a network of vectors sees and makes, none below 0.

        As published, log(1 + |STFT|), unnormalised; else bel above `FLOOR`, as the former is
        linear in nearly all bins, and so hides the upper partials.
        """
        if self.config.scale == "log1p":
            magnitude = (heard.power * heard.level).clamp(min=1e-20).sqrt()
            return torch.log1p(magnitude / self.spectra.scale)
        return torch.log10(heard.power + FLOOR) - np.log10(FLOOR)

    def _unscaled(self, made: Tensor, heard: Heard) -> Tensor:
        """Undo `_scaled`: powers over the level around."""
        if self.config.scale == "log1p":
            magnitude = torch.expm1(made.clamp(0.0, LOUDEST)) * self.spectra.scale
            return magnitude.square() / heard.level
        return torch.pow(10.0, made.clamp(max=9.0)) * FLOOR

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def _wave(self, frames: np.ndarray) -> Tensor:
        """Join frames (F, hop) to a wave (1, T)."""
        hop = frames.shape[1]
        samples = len(frames) * hop - hop // 2
        return self._tensor(framing.unframe(frames, samples))[None]

    def _frames(self, wave: np.ndarray, count: int) -> np.ndarray:
        """Cut a wave into frames (count, hop)."""
        return framing.frame(wave, self.context.features)[:count]
