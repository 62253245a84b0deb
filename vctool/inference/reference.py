"""Analysis of a target's recordings for models that take references."""

import logging
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vctool import audio
from vctool.audio.tracks import CHUNK_SECONDS, SpoolTrack
from vctool.errors import AudioError, CheckpointError, DataError
from vctool.features.analysis import scan, voice_features
from vctool.features.base import Features, voice_kinds
from vctool.features.settings import FeatureConfig
from vctool.inference import reference_cache
from vctool.inference.request import require_length
from vctool.inference.watch import UNWATCHED, Watch
from vctool.models.base import Reference, System

logger = logging.getLogger(__name__)


def heard(
    recordings: Sequence[Path],
    kinds: Sequence[str],
    config: FeatureConfig,
    block: int,
    watch: Watch = UNWATCHED,
) -> Iterator[Features]:
    """Analyse recordings of any rate, channels and length, in bounded memory.

    Args:
        recordings: the files, at least one.
        kinds: the kinds of features.
        config: the feature settings.
        block: longest piece that is analysed at once [samples]; a longer recording is split into
            pieces of equal length.
        watch: asks whether they are still wanted, whenever sound is read.

    Yields:
        Features by kind. Silent recordings are left out.

    Raises:
        AudioError: a recording is missing, unreadable, too short, or holds NaN; or all are silent.
        Cancelled: they are no longer wanted.
    """
    silent = True
    for path in recordings:
        with SpoolTrack(Path(tempfile.gettempdir())) as track:
            for wave in audio.read_blocks(
                path, config.rate, samples=round(CHUNK_SECONDS * config.rate)
            ):
                watch.check()
                track.append(wave)
            require_length(track.samples, config.rate, str(path))
            sound = watch.track(track)
            known = scan(sound, config, kinds, block)
            if known.silent:
                if len(recordings) > 1:
                    logger.warning("%s: silent, and left out of the target", path)
                continue
            silent = False
            count = math.ceil(track.samples / block)
            cuts = [round(part * track.samples / count) for part in range(count + 1)]
            for start, stop in pairwise(cuts):
                yield voice_features(sound.read(start, stop), kinds, config, known)
    if silent:
        told = f"{recordings[0]}: silent" if len(recordings) == 1 else "all recordings are silent"
        raise AudioError(f"{told}; give a recording with sound")


def of(
    system: System,
    state: Mapping[str, Any],
    recordings: Sequence[Path],
    block: int,
    model: Path,
    watch: Watch = UNWATCHED,
) -> Reference:
    """Compute a target's reference, or return the one that was kept (`reference_cache`).

    What the model doubts about it is logged either way.

    Args:
        system: the model.
        state: of its checkpoint.
        recordings: the target's files, at least one.
        block: longest piece that is analysed at once [samples].
        model: its path, for messages.
        watch: asks whether it is still wanted.

    Raises:
        AudioError: recordings that are missing, unreadable, too short, or all silent.
        DataError: the model cannot use what is in them.
        CheckpointError: the model gave NaN or infinity.
        Cancelled: it is no longer wanted.
    """
    kinds, features = voice_kinds(system.reads(system.config)), system.context.features

    def compute() -> Reference:
        sound = heard(recordings, kinds, features, block, watch)
        try:
            with torch.no_grad():
                return checked(system.reference(sound), model)
        except AudioError:  # which names its file
            raise
        except DataError as error:
            more = f" and {len(recordings) - 1} more" if len(recordings) > 1 else ""
            raise DataError(f"{recordings[0]}{more}: {error}") from None

    for file in recordings:
        audio.info(file)  # so that what cannot be read is named
    found = reference_cache.kept(reference_cache.key(recordings, system, state, block), compute)
    if (doubts := system.doubts(found)) is not None:
        more = f" and {len(recordings) - 1} more" if len(recordings) > 1 else ""
        logger.warning("%s%s: %s", recordings[0], more, doubts)
    return found


def checked(reference: Reference, model: Path) -> Reference:
    """Check the reference that a model computed of a target, and make its arrays contiguous.

    Raises:
        CheckpointError: it holds NaN or infinity.
    """
    assert reference, f"{model}: made nothing of the target"
    for name, values in reference.items():
        assert isinstance(values, np.ndarray) and values.dtype.kind in "fiu", (name, type(values))
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"{model}: gives NaN or infinity in {name} of the target; train on, or use an "
                "earlier checkpoint with --model"
            )
    return {name: np.ascontiguousarray(values) for name, values in reference.items()}
