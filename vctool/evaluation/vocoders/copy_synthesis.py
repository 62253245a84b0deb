"""`vctool copy-synthesis`: held-out recordings through every vocoder, scored beside themselves.

OUT/RESULTS.md  results.json  utterances.tsv  report.html  plots/  wav/<vocoder>/<utt>.wav
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.evaluation.board import JUDGED, markdown
from vctool.evaluation.folders import LEAST, RESAMPLES, SEED
from vctool.evaluation.outputs import digest
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import score
from vctool.evaluation.vocoders.copies import load
from vctool.evaluation.vocoders.report import VocoderScoring, few_recordings
from vctool.features.settings import FeatureConfig


def run(
    place: Path,
    vocoders: Sequence[str],
    features: FeatureConfig,
    out: Path,
    *,
    most: int = 60,
    nj: int = 1,
) -> str:
    """Score vocoders on recordings that none of them was trained on.

    Args:
        place: a data dir, or a folder of recordings.
        vocoders: names or paths, each once.
        features: what vocoders without weights read.
        out: folder that gets the results.
        most: recordings that are scored, drawn evenly from all.
        nj: processes; only the real-time factor may depend on it.

    Returns:
        The table, with what must be known of it.

    Raises:
        ConfigError, CheckpointError: a vocoder cannot be had.
        DataError: too few recordings.
        AudioError: one of them cannot be used.
    """
    found = gather(place, most, out)
    rows = {name: name for name in vocoders}
    waves = load(found, features.rate)
    job = VocoderScoring(
        folder=out,
        name=str(place),
        utterances=[one.id for one in found],
        config_hash=digest([*rows, features.model_dump(mode="json"), SEED, RESAMPLES], ()),
        data_hash=digest([one.id for one in found], waves),
        seed=SEED,
        resamples=RESAMPLES,
        cache=out / JUDGED,
        recordings=found,
        waves=waves,
        rows=rows,
        features=features,
    )
    with workers(nj) as each:
        scored = score(job, each)
    return "\n".join([markdown(scored.findings.scores), *few_recordings(found)])


def gather(place: Path, most: int, out: Path) -> list[Utterance]:
    """Find recordings: those of a data dir, or those below a folder.

    Args:
        place: the data dir or folder.
        most: how many; drawn with `SEED`, in order of their names.
        out: results from before, below the folder, are skipped.

    Raises:
        DataError: no such folder, or fewer recordings than `LEAST`.
    """
    if not place.is_dir():
        raise DataError(f"{place}: no such folder; name a data dir or a folder of recordings")
    if (place / "wav.scp").is_file():
        found = list(DataDir.read(place))
    else:
        place, out = place.absolute(), out.absolute()  # either may be relative
        paths = [path for path in audio.list_audio(place) if out not in path.parents]
        names = [path.relative_to(place).with_suffix("").as_posix() for path in paths]
        found = [
            Utterance(re.sub(r"[\s/]+", "_", name), "", "", path, audio.info(path).seconds)
            for name, path in zip(names, paths, strict=True)
        ]
    if len(found) < LEAST:
        raise DataError(f"{place}: holds {len(found)} recording(s); at least {LEAST} are needed")
    if clash := [name for name, count in Counter(one.id for one in found).items() if count > 1]:
        raise DataError(f"{place}: two recordings are called {min(clash)}; rename one")
    drawn = np.random.default_rng(SEED).permutation(len(found))[:most]
    return [found[index] for index in sorted(drawn.tolist())]
