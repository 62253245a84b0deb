"""Convert a voice by the nearest frames of a target's recordings, with nothing learnt.

The search is that of kNN-VC (Baas, van Niekerk and Kamper, "Voice conversion with just nearest
neighbors", 2023), over phone posteriors instead of WavLM features, and what is found is used in
another way. The neighbours' frames are not the output: their mean envelope, less that of the frames
of the source that are alike, is the change that the envelope of the source gets. With the vocoder
`direct` the output so stays the source's own recording, filtered.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from vctool.data.feature_set import FeatureSet
from vctool.data.recordings import Recordings
from vctool.errors import DataError
from vctool.features import search, world
from vctool.features.base import Features
from vctool.features.envelopes import levelled, smoothed, varied
from vctool.features.stats import SpeakerStats
from vctool.models import base
from vctool.models.base import Condition, Context, Reference
from vctool.models.knn_vc.settings import KnnVcConfig, KnnVcOptions

SPREAD_LIMITS = (0.7, 1.5)
"""Least and most that the deviation of log-F0 is scaled by."""
KNOWN_FRAMES = 300
"""Voiced frames of the source at which its own deviation of log-F0 counts as much as none."""
LEAST_VOICED = 0.1
"""Share of a target's sounding frames that must be voiced for it to have a pitch: the F0 that is
found in a whisper is no voice's."""

FEW_SECONDS = 5.0
"""Less sound of a target than this leaves words unclear [s]; see recipes/README.md."""

PHONE_SECONDS = 0.025
"""Half width of the window that phone posteriors are smoothed by before they explain envelopes."""


class System(base.System):
    """No weights; the frames of every role are buffers."""

    Config = KnnVcConfig
    not_real_time = "its phones are heard, and its pitch marks found, in a whole recording"
    Options = KnnVcOptions
    takes_reference = True
    untrained = True
    reference_version = 2
    config: KnnVcConfig
    described: Tensor
    envelopes: Tensor
    counts: Tensor
    log_f0: Tensor

    def __init__(self, config: KnnVcConfig, context: Context) -> None:
        super().__init__(config, context)
        roles, size = len(context.roles), context.features.envelope_dim
        half = torch.float16
        described = torch.zeros(roles, self._most, search.WIDTH, dtype=half)
        self.register_buffer("described", described)
        self.register_buffer("envelopes", torch.zeros(roles, self._most, size, dtype=half))
        self.register_buffer("counts", torch.zeros(roles, dtype=torch.int64))
        self.register_buffer("log_f0", torch.zeros(roles, 2))

    @classmethod
    def reads(cls, config: KnnVcConfig) -> tuple[str, ...]:
        """WORLD, phone posteriors, and the cepstra that they are computed from."""
        return ("world", "phones", "mfcc")

    @classmethod
    def writes(cls, config: KnnVcConfig) -> tuple[str, ...]:
        """WORLD."""
        return ("world",)

    @classmethod
    def dataset(
        cls,
        config: KnnVcConfig,
        context: Context,
        sets: Mapping[str, FeatureSet],
        batch_size: int,
        seed: int,
    ) -> Recordings:
        """Hand every utterance to `setup`."""
        return Recordings(sets, cls.reads(config))

    def groups(self) -> dict[str, Iterable[nn.Parameter]]:
        """Nothing is learnt."""
        return {}

    def setup(self, batch: Mapping[str, Iterable[Features]]) -> None:
        """Keep the frames of every role."""
        for index, role in enumerate(self.context.roles):
            try:
                kept = self.reference(batch[role])
            except DataError as error:
                raise DataError(f"role '{role}': {error}") from None
            count = len(kept["described"])
            self.described[index, :count] = torch.from_numpy(kept["described"])
            self.envelopes[index, :count] = torch.from_numpy(kept["envelopes"])
            self.counts[index] = count
            self.log_f0[index] = torch.from_numpy(kept["log_f0"])

    def reference(self, recordings: Iterable[Features]) -> Reference:
        """Keep the sounding frames of recordings, up to `seconds`.

        Returns:
            `described` (N, search.WIDTH) and `envelopes` (N, D), both float16; `log_f0` (2,), mean
            and deviation of log-F0 [Hz], NaN-free: a deviation of 0 where less than
            `LEAST_VOICED` is voiced.

        Raises:
            DataError: no frame sounds.
        """
        config, features = self.config, self.context.features
        kept, total = list[search.Frames](), 0
        for one in recordings:
            found = search.frames(one, features)
            kept.append(found)
            total += int(found.active.sum())
            if total >= self._most:
                break
        if not total:
            raise DataError("no frame of the target sounds; give recordings of a voice")
        norm = search.normalisation(kept)
        weights = config.cepstra_weight, config.voicing_weight
        described = [search.described(one, norm, features, *weights)[one.active] for one in kept]
        envelopes = [one.envelope[one.active] for one in kept]
        f0 = np.concatenate([one.f0 for one in kept])
        log_f0 = np.log(f0[f0 > 0])
        voiced = sum(int((one.f0[one.active] > 0).sum()) for one in kept)
        pitched = voiced >= LEAST_VOICED * total
        spread = (log_f0.mean(), log_f0.std()) if pitched and len(log_f0) else (0.0, 0.0)
        return {
            "described": np.concatenate(described)[: self._most].astype(np.float16),
            "envelopes": np.concatenate(envelopes)[: self._most].astype(np.float16),
            "log_f0": np.array(spread, dtype=np.float32),
        }

    def doubts(self, reference: Reference) -> str | None:
        """Say where there is too little of a target."""
        seconds = len(reference["envelopes"]) * self._seconds_per_step
        if seconds >= FEW_SECONDS:
            return None
        return (
            f"only {seconds:.1f} s of sound, so words become unclear; give at least "
            f"{FEW_SECONDS:g} s, better a minute"
        )

    def convert(self, source: Features, condition: Condition, to: str | None) -> Features:
        """Move F0 to the target's mean and deviation, and every envelope by the change found."""
        described, envelopes, log_f0 = self._target(condition, to)
        options = condition.options
        amount = options.amount
        features = self.context.features
        f0, envelope, _ = world.split(source["world"], features)
        result = source["world"].astype(np.float32, copy=True)
        result[:, 0] = self._moved(f0, log_f0, options, condition.voice)
        part = search.frames(source, features)
        if part.active.any() and amount:
            change = amount * self._change(part, described, envelopes)
            places = np.arange(len(change)) * search.stride(features)
            moments = np.arange(len(f0))
            every = np.stack([np.interp(moments, places, row) for row in change.T], axis=1)
            columns = slice(1, 1 + envelope.shape[1])
            level = self.config.level, self.config.noise_range_db
            result[:, columns] += levelled(envelope, every, features, *level).astype(np.float32)
        return {"world": result}

    @property
    def _seconds_per_step(self) -> float:
        """Time between frames that are searched [s]."""
        features = self.context.features
        return search.stride(features) * features.hop_length / features.rate

    @property
    def _most(self) -> int:
        """Frames of a target that are kept."""
        return max(1, round(self.config.seconds / self._seconds_per_step))

    def _target(self, condition: Condition, to: str | None) -> tuple[Tensor, Tensor, np.ndarray]:
        """Return descriptions and envelopes of a target's frames, and its log-F0."""
        if to is None:
            known = condition.reference
            assert known is not None, "a conversion to no role needs a reference"
            described, envelopes = (
                torch.tensor(known[name], dtype=torch.float32, device=self.device)
                for name in ("described", "envelopes")
            )
            return described, envelopes, known["log_f0"]
        index = self.context.roles.index(to)
        count = int(self.counts[index])
        return (
            self.described[index, :count].float(),
            self.envelopes[index, :count].float(),
            self.log_f0[index].cpu().numpy(),
        )

    def _moved(
        self, f0: np.ndarray, target: np.ndarray, options: KnnVcOptions, voice: SpeakerStats | None
    ) -> np.ndarray:
        """Give F0 (F,) the target's mean and deviation of log-F0; unvoiced frames stay 0.

        Or only its octave, or nothing of it, as the options say.

        The source's own are those of `voice`, or of `f0` where there is none.
        """
        voiced = f0 > 0
        moved = f0.astype(np.float32, copy=True)
        mean, std = (float(value) for value in target)
        if not voiced.any() or std == 0 or options.pitch == "keep":
            return moved
        own = np.log(f0[voiced].astype(np.float64))
        count, centre, spread = len(own), own.mean(), own.std()
        if voice is not None:
            count, centre, spread = voice.voiced_frames, voice.log_f0_mean, voice.log_f0_std
        if options.pitch == "octave":
            moved[voiced] *= 2.0 ** round(options.amount * (mean - centre) / np.log(2.0))
            return moved
        trust = count / (count + KNOWN_FRAMES)
        ratio = np.clip(std / max(spread, 1e-3), *SPREAD_LIMITS) ** trust
        wanted = mean + (own - centre) * ratio
        moved[voiced] = np.exp(own + options.amount * (wanted - own))
        return moved

    def _change(self, part: search.Frames, described: Tensor, envelopes: Tensor) -> np.ndarray:
        """Compute the change of the envelope at every n-th frame: (N, D).

        Its first column is how much more than those of the source the target's levels differ from
        their mean, by phones; no level of a whole recording is compared.
        """
        config, features = self.config, self.context.features
        norm = search.normalisation([part])
        weights = config.cepstra_weight, config.voicing_weight
        queries = torch.from_numpy(search.described(part, norm, features, *weights))
        queries = queries.to(self.device)
        nearest = search.mean_of_nearest(queries, described, envelopes, config.neighbours)
        theirs = nearest.double().cpu().numpy()
        own = part.envelope.astype(np.float64)
        smooth = smoothed(part.posteriors, PHONE_SECONDS / self._seconds_per_step)
        explained = search.explained(smooth, own, part.active)
        less = (1 - config.detail) * own + config.detail * explained
        change = config.strength * (theirs - less)
        change[:, 0] = theirs[:, 0] - float(envelopes[:, 0].double().mean())
        change[:, 0] -= explained[:, 0] - own[part.active, 0].mean()
        change = smoothed(change, config.smoothing_ms * 1e-3 / self._seconds_per_step)
        wanted = envelopes.double().std(dim=0, correction=0).cpu().numpy()
        rate = 1 / self._seconds_per_step
        return change + config.variance * varied(own + change, part.active, wanted, rate)
