"""Conversion of recordings with a trained model: one load, any length, bounded memory.

A recording up to the checkpoint's block length is converted in one pass, a longer one in blocks
with context and cross-fade (`vctool.inference.blocks`). `vctool.load(path)` and `vctool convert`
(`vctool.inference.files`) both use it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vctool import audio, vocoders
from vctool.audio.tracks import ArrayTrack, Looped, Track
from vctool.config import build
from vctool.engine import checkpoint
from vctool.errors import AudioError, ConfigError
from vctool.experiment.places import locate
from vctool.experiment.recipe import ConvertConfig
from vctool.export.stream import Streamed, TorchRun
from vctool.features import base
from vctool.features.analysis import Scan, scan, voice_features, voicing
from vctool.features.base import Features, accompaniment_kinds, voice_kinds
from vctool.features.stats import SpeakerStats
from vctool.inference import made as made_of
from vctool.inference import notes, reference, target, untrained
from vctool.inference import options as own_options
from vctool.inference.blocks import FADE_SECONDS, Block, Joiner, plan
from vctool.inference.loudness import level_gain
from vctool.inference.outputs import recordings
from vctool.inference.request import (
    STRETCH_RANGE,
    Request,
    require_offset,
    require_range,
    require_rate,
    resolve_device,
    to_mono,
    transposition,
)
from vctool.inference.stretch import stretched
from vctool.inference.watch import UNWATCHED, Progress, Watch
from vctool.models.base import Condition, Reference
from vctool.nn.streaming import Stream

logger = logging.getLogger(__name__)


class Converter:
    """A trained model, ready to convert.

    Args:
        path: an experiment (the checkpoint that `train.converts` says), one checkpoint folder, a
            pack, or a name of one (`places.locate`) or of an untrained family (`knn_vc`).
        device: `auto`, `cpu`, `cuda`, or `cuda:N`.
        vocoder: a name or a path (`vocoders.get`) instead of the recipe's vocoder.
        rate: of an untrained family's output, of `untrained.RATES` [Hz]; the lowest where None.

    Raises:
        CheckpointError: it is missing or half written, or its family or config has changed.
        ConfigError: no such device, or a vocoder that cannot take the model's features.
    """

    def __init__(
        self,
        path: Path | str,
        device: str = "auto",
        vocoder: str | None = None,
        rate: int | None = None,
    ) -> None:
        self.path = locate(path)
        self.device = resolve_device(device)
        if untrained.is_one(self.path):
            built, self.state = untrained.load(str(path), rate)
            self.system = built.to(self.device)
        else:
            self.system, self.state = checkpoint.load(self.path, self.device)
        context = self.system.context
        self.features = context.features
        self.rate = context.features.rate
        self.roles = context.roles
        where = f"{self.path}: recipe convert"
        self.settings = build(ConvertConfig, self.state["recipe"].get("convert", {}), where)
        self.reads = self.system.reads(self.system.config)
        self.writes = self.system.writes(self.system.config)
        self.vocoder = vocoders.get(vocoder or context.vocoder, self.features)
        self.vocoder.accepts(self.features, self.writes)
        self.borrowed = vocoders.of_source(self.vocoder.reads, self.writes)
        """Kinds that the vocoder takes from the source."""
        self.gives = (*self.writes, *self.borrowed)
        """Kinds that `infer` returns."""
        self._kinds = tuple(dict.fromkeys((*voice_kinds(self.reads), *self.borrowed)))
        self.searches_f0 = any(map(base.in_voice_range, self._kinds))
        """Whether it reads features that depend on F0 in the settings' range."""
        live = self.system.streamable()
        self.stream = live if isinstance(live, Stream) else None
        self._analysed: tuple[Scan, Block, Features] | None = None

    def request(
        self,
        to: "str | Path | target.Target | Reference | None" = None,
        stretch: float | None = None,
        transpose: float | str = 0.0,
        options: Mapping[str, Any] | None = None,
        watch: Watch = UNWATCHED,
    ) -> Request:
        """Validate the options of a conversion; None means the checkpoint's default.

        Args:
            to: role to convert to; the recipe's target, its last role, where None. With a model
                that takes references: a file, folder or glob of the target's recordings, or what
                `reference` returned for them.
            stretch: length of the output over that of the input; where None, the recipe's for its
                target and 1 for any other role.
            transpose: shift of the output's pitch [semitones]; `auto`: by `System.octaves`.
            options: the family's own options by name; its defaults where not given.
            watch: asks whether it is wanted while recordings of the target are analysed.

        Raises:
            ConfigError: no such role or option, or a value out of range.
            AudioError: recordings of the target that are missing or cannot be used.
        """
        known: Reference | None = None
        if isinstance(to, dict):
            known, to = to, target.Target("reference", None)
        if not isinstance(to, target.Target):
            to = target.one(to, self.roles, self.system.takes_reference, self.path)
        if to.role is None and known is None:
            known = self.reference(*to.recordings, watch=watch)
        if stretch is None:  # the recipe's is that of its target: singing is slower than speech
            stretch = self.settings.stretch if to.role in self.roles[-1:] else 1.0
        require_range("stretch", stretch, STRETCH_RANGE)
        semitones, into_range = transposition(transpose)
        checked = own_options.checked(options, self.system.Options, self.path)
        notes.require(self.system, checked, into_range, self.path)
        return Request(to.name, to.role, float(stretch), semitones, known, checked, into_range)

    def settled(
        self, request: Request, voice: Track, known: Scan, where: str = "the input"
    ) -> Request:
        """Choose the octaves that are still to be chosen (`notes.settled`)."""
        blocks = self.blocks(voice, known) if request.into_range and not known.silent else None
        return notes.settled(self.system, request, blocks, where)

    def blocks(self, voice: Track, known: Scan) -> Iterator[tuple[Block, Features]]:
        """Analyse a voice block by block."""
        for block in plan(voice, self._block, self.features.hop_length, self.rate):
            wave = voice.read(block.outer_start, block.outer_stop)
            yield block, self._source(wave, block, known)

    def reference(self, *names: Path | str, watch: Watch = UNWATCHED) -> Reference:
        """Compute the reference of a target that the model was not trained on.

        Args:
            names: files, folders or globs of the target's recordings.
            watch: asks, at every recording, whether it is still wanted.

        Returns:
            Arrays by name, which `convert` takes as `to` and safetensors can store.

        Raises:
            ConfigError: the model takes no references.
            AudioError: recordings that are missing, unreadable, too short, or all silent.
            CheckpointError: the model gave NaN or infinity.
        """
        if not self.system.takes_reference:
            raise ConfigError(f"{self.path}: takes no recordings as a target; name a role")
        files = [file for one in names for file in recordings(str(one), str(one))]
        return reference.of(self.system, self.state, files, self._block, self.path, watch)

    def convert(
        self,
        wave: np.ndarray,
        rate: int,
        accomp: np.ndarray | None = None,
        accomp_rate: int | None = None,
        to: str | Path | Reference | None = None,
        stretch: float | None = None,
        transpose: float | str = 0.0,
        accomp_offset: float = 0.0,
        options: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> tuple[np.ndarray, int]:
        """Convert a recording in memory.

        Args:
            wave: (T,) or (T, channels), float in -1..1 or integer PCM.
            rate: its sampling rate [Hz].
            accomp: the accompaniment, in the same form; looped or cut to the output's length.
            accomp_rate: its sampling rate [Hz]; `rate` where None.
            to: role to convert to, or recordings of the target; see `request`.
            stretch: length of the output over that of the input; see `request`.
            transpose: shift of the output's pitch [semitones], or `auto`; see `request`.
            accomp_offset: time in the accompaniment at which the voice enters [s]; negative where
                the voice enters before it.
            options: the family's own options by name, such as `{"amount": 0.6}`.
            progress: is told the seconds that are converted and those of all, after every block.
            cancelled: is asked, at every block, whether the conversion is no longer wanted.

        Returns:
            The output, (T',) float32 in -1..1 as loud as the input, and its rate, the model's:
            `T' = round(round(T * model_rate / rate) * stretch)`.

        Raises:
            AudioError: no samples, too short, NaN or infinity, or no accompaniment where needed.
            ConfigError: no such role or option, or a value out of range.
            Cancelled: it is no longer wanted.
        """
        watch = Watch(progress, cancelled)
        request = self.request(to, stretch, transpose, options, watch)
        rate = require_rate(rate, "rate")
        voice = ArrayTrack(audio.resample(to_mono(wave, "wave", rate), rate, self.rate))
        background: Track | None = None
        if accomp is not None:
            own = rate if accomp_rate is None else require_rate(accomp_rate, "accomp_rate")
            heard = ArrayTrack(audio.resample(to_mono(accomp, "accomp", own), own, self.rate))
            offset = round(require_offset(accomp_offset) * self.rate)
            background = Looped(heard, request.samples(voice.samples), offset)
        watch.begin(len(wave) / rate)
        known = self.scan(watch.track(voice), request)
        request = self.settled(request, voice, known)
        if known.silent:
            logger.warning("the input is silent, and so is the output")
        made: list[np.ndarray] = []
        for piece in self.pieces(watch.track(voice), background, request, known):
            made.append(piece)
            watch.at(sum(map(len, made)) / request.samples(voice.samples))
        watch.end()
        joined = np.concatenate(made)
        meter = audio.LevelMeter(self.rate)
        meter.add(joined)
        kept = meter.level_db if self.streams(request) else None
        gain = level_gain(known, meter.level_db, float(np.abs(joined).max()), kept)
        return joined * np.float32(gain), self.rate

    def streams(self, request: Request) -> bool:
        """Tell whether a conversion is what the model does in real time: its level included."""
        return self.stream is not None and request.stretch == 1 and request.transpose == 0

    def controls(self, request: Request) -> dict[str, np.ndarray]:
        """Return what a conversion sets the stream's control inputs to, each (1, C) float32."""
        return self.system.controls(Condition(None, request.reference, request.options), request.to)

    def scan(self, voice: Track, *requests: Request) -> Scan:
        """Scan a voice once for the global values that its blocks need.

        Args:
            voice: the voice.
            requests: all conversions that will be made of it.
        """
        stretched = any(request.stretch != 1 for request in requests)  # where there is an F0
        return scan(voice, self.features, self._kinds, self._block, voiced_too=stretched)

    def needs_accompaniment(self, to: str | None) -> bool:
        """Tell whether converting to a role, or to a reference (None), needs an accompaniment."""
        return self.system.needs_accompaniment(self.system.config, to)

    def pieces(
        self,
        voice: Track,
        accomp: Track | None,
        request: Request,
        known: Scan,
        watch: Watch = UNWATCHED,
    ) -> Iterator[np.ndarray]:
        """Convert a voice at the model's rate, piece by piece.

        Args:
            voice: the voice.
            accomp: the accompaniment, as long as the output, or None.
            request: the conversion.
            known: the scan of the voice.
            watch: is told where a stretched voice's moments went.

        Yields:
            Pieces of the output, `request.samples(voice.samples)` float32 in all, at the
            vocoder's own level. A silent voice gives silence, unless the model streams.

        Raises:
            AudioError: the direction needs an accompaniment and there is none.
        """
        if self.needs_accompaniment(request.to) and accomp is None:
            raise AudioError(
                f"{self.path}: converting to {request.name} needs an accompaniment; pass --accomp"
            )
        if self.stream is not None and self.streams(request):
            run = TorchRun(self.stream, self.controls(request), self.device)
            yield from Streamed(run).track(voice, self._block)
            return
        if known.silent:
            total = request.samples(voice.samples)
            for start in range(0, total, self._block):
                yield np.zeros(min(self._block, total - start), np.float32)
            return
        condition = accomp if self.needs_accompaniment(request.to) else None
        accomp_known = None
        if condition is not None:
            wanted = accompaniment_kinds(self.reads)
            accomp_known = scan(condition, self.features, wanted, self._block)
        joiner = Joiner(round(FADE_SECONDS * self.rate))
        for block in plan(voice, self._block, self.features.hop_length, self.rate):
            wave = self._convert_block(voice, condition, block, request, known, accomp_known, watch)
            first = request.samples(block.start)
            before = first - request.samples(block.outer_start)
            yield from joiner.join(wave, before, request.samples(block.stop) - first)

    @property
    def _f0(self) -> tuple[str, int | None]:
        """The kind that the vocoder turns into sound, and its F0 column or None."""
        kind = self.vocoder.reads[0]
        return kind, base.get(kind).f0_column

    @property
    def _block(self) -> int:
        return round(self.settings.block_seconds * self.rate)

    def _convert_block(
        self,
        voice: Track,
        accomp: Track | None,
        block: Block,
        request: Request,
        known: Scan,
        accomp_known: Scan | None,
        watch: Watch,
    ) -> np.ndarray:
        """Convert a block with its context: (T',) float32 from `outer_start` to `outer_stop`."""
        wave = voice.read(block.outer_start, block.outer_stop)
        source = self._source(wave, block, known)
        start, stop = request.samples(block.outer_start), request.samples(block.outer_stop)
        if request.stretch != 1:
            voiced = voicing(wave, source, self.features, known)
            source = stretched(source, voiced, block, request, self.features, watch)
        heard = None if accomp is None else accomp.read(start, stop)
        condition = None if heard is None else self.condition(heard, accomp_known)
        frame = start // self.features.hop_length
        made = self.infer(source, condition, request, known.voice, frame)
        after = 0.0 if self.system.transposes else request.transpose
        return self.synthesise(made, stop - start, after)

    def _source(self, wave: np.ndarray, block: Block, known: Scan) -> Features:
        """Analyse a block of a voice, if it is not the last one, as it is for several roles."""
        last = self._analysed
        if last is None or last[0] is not known or last[1] != block:
            found = voice_features(wave, self._kinds, self.features, known)
            self._analysed = last = known, block, found
        return {kind: values.copy() for kind, values in last[2].items()}

    def condition(self, wave: np.ndarray, known: Scan | None = None) -> Features:
        """Analyse an accompaniment (T,) at the model's rate into `accomp_` features."""
        wanted = accompaniment_kinds(self.reads)
        known = known or scan(ArrayTrack(wave), self.features, wanted, max(len(wave), 1))
        return voice_features(wave, wanted, self.features, known)

    def infer(
        self,
        source: Features,
        condition: Features | None,
        request: Request,
        voice: SpeakerStats | None = None,
        start: int = 0,
    ) -> Features:
        """Run the model on features that already have the output's length, F frames.

        Args:
            source: features of the voice: its kinds in `reads`, and those in `borrowed`.
            condition: features of the accompaniment, or None.
            request: the conversion.
            voice: F0 statistics of the whole source, of which the features are a block.
            start: frame of the whole output that they begin with.

        Returns:
            The vocoder's input: features of the kinds in `gives`.

        Raises:
            CheckpointError: the model gave NaN or infinity.
        """
        moved = request.transpose if self.system.transposes else 0.0
        told = Condition(condition, request.reference, request.options, voice, moved, start)
        with torch.no_grad():
            own = {kind: source[kind] for kind in voice_kinds(self.reads)}
            made = self.system.convert(own, told, request.to)
        made_of.require(made, source, self.writes, self.path)
        kind, f0 = self._f0
        if request.transpose and f0 is not None:
            made = {**made, kind: made_of.shifted(made[kind], f0, request.transpose)}
        return vocoders.given(self.vocoder, made, source)

    def synthesise(self, features: Features, samples: int, transpose: float = 0.0) -> np.ndarray:
        """Turn converted features into (samples,) float32.

        Those that hold F0 are transposed by `infer`; otherwise the wave is, by WORLD.
        """
        wave = self.vocoder.synthesise(features, self.features, samples)
        assert wave.shape == (samples,), (wave.shape, samples)
        return made_of.transposed(wave, 0 if self._f0[1] is not None else transpose, self.features)
