"""`vctool copy-synthesis`: held-out recordings through every vocoder, scored beside themselves.

    OUT/RESULTS.md  results.json  utterances.tsv  report.html  plots/  wav/<vocoder>/<utt>.wav

A vocoder that has weights reads the features that these were trained on, the others those that are
asked for. Stage 6 of a recipe that trains a vocoder ends here too.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vctool import audio
from vctool.cache import Cache
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.evaluation import outputs as converted
from vctool.evaluation.board import JUDGED, markdown
from vctool.evaluation.page import figures, html, journal, report, utterances
from vctool.evaluation.page.report import MODEL, Findings, Losses
from vctool.evaluation.page.table import Scores
from vctool.evaluation.parallel import workers
from vctool.evaluation.vocoders import copies
from vctool.evaluation.vocoders.board import REAL, VocoderBoard
from vctool.evaluation.voices.report import FEW_RECORDINGS, JUDGES
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig
from vctool.metrics.base import Each

logger = logging.getLogger(__name__)

BASELINE = "griffin_lim"
"""The vocoder that the others are compared with, where it is among them: it needs no training."""
ANCHORS = (BASELINE, "world")
"""Vocoders beside which a trained one stands."""
LEAST = 2
"""Fewest recordings that are scored."""
SEED, RESAMPLES = 0, 1000
"""Of the choice of recordings, and of the intervals."""


@dataclass(frozen=True)
class CopyJob:
    """What is scored, and what is said of it."""

    folder: Path
    """Gets every file."""
    name: str
    """Of the experiment, or of the recordings."""
    recordings: Sequence[Utterance]
    rows: Mapping[str, str]
    """Vocoders, names or paths, by their rows of the table."""
    features: FeatureConfig
    """What vocoders without weights read."""
    config_hash: str
    seed: int = SEED
    resamples: int = RESAMPLES
    """Of every interval."""
    given: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    """(N,) waves that stand for what the vocoder of a row makes, at the rate of its features."""
    losses: Losses = field(default_factory=Losses)
    config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the experiment, by its dotted name."""
    cache: Path | None = None
    """File that keeps what judges said of recordings; in `folder` if None."""


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
    digest = converted.digest([*rows, features.model_dump(mode="json"), SEED, RESAMPLES], ())
    scores = score(CopyJob(out, str(place), found, rows, features, digest), nj)
    return "\n".join([markdown(scores), *_cautions(found)])


def run_recipe(recipe: Recipe, nj: int = 1) -> None:
    """Score what stage 5 of a recipe that trains a vocoder wrote (stage 6).

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    found: dict[str, Utterance] = {}
    outputs: list[np.ndarray] = []
    for way, rows in directions.read(recipe.exp, directions.of(recipe)).items():
        data = DataDir.read(recipe.data(recipe.roles[way.source], recipe.evaluate.split))
        # To whom a vocoder "converts" changes nothing, so each recording counts once.
        names = [name for name, _ in rows if name not in found]
        found |= {name: data[name] for name in names}
        outputs += converted.outputs(recipe.exp / way.sounds, names, recipe.features.rate)
    if len(found) < LEAST:
        raise DataError(
            f"{recipe.exp}: {len(found)} recording(s) converted are too few; hold out {LEAST}"
        )
    score(
        CopyJob(
            folder=recipe.exp,
            name=recipe.name,
            recordings=list(found.values()),
            rows={**{name: name for name in ANCHORS}, MODEL: str(recipe.exp)},
            features=recipe.features,
            config_hash=report.config_hash(recipe),
            seed=recipe.train.seed,
            resamples=recipe.evaluate.bootstrap,
            given={MODEL: outputs},
            losses=journal.held_out_losses(recipe.exp),
            config=report.settings(recipe),
            cache=Path("dump") / next(iter(recipe.roles.values())) / JUDGED,
        ),
        nj,
    )


def gather(place: Path, most: int, out: Path) -> list[Utterance]:
    """Find recordings: those of a data dir, or those below a folder.

    Args:
        place: the data dir or folder.
        most: how many; drawn with `SEED`, in order of their names.
        out: results from before, below the folder, are passed over.

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


def score(job: CopyJob, nj: int = 1) -> Scores:
    """Send recordings through vocoders, measure what comes out, and write the report.

    Args:
        job: what is scored.
        nj: processes.

    Returns:
        All values, for whoever prints the table.
    """
    configs = {
        row: copies.features_for(name, job.features) for row, name in job.rows.items()
    }  # all of them first, so that one that is missing is told before the work
    rate = job.features.rate
    real = copies.load(job.recordings, rate)
    cache = Cache(job.cache or job.folder / JUDGED)
    with workers(nj) as each:
        return _score(job, nj, each, configs, real, VocoderBoard(real, rate, each, cache.of_waves))


def _score(
    job: CopyJob,
    nj: int,
    each: Each,
    configs: Mapping[str, FeatureConfig],
    real: list[np.ndarray],
    board: VocoderBoard,
) -> Scores:
    rate = job.features.rate
    heard = {REAL: real}
    for row, name in converted.progress(job.rows.items(), len(job.rows)):
        config = configs[row]
        own = real if config.rate == rate else copies.load(job.recordings, config.rate)
        made = copies.copy_waves(own, name, config, nj)
        waves = list(job.given.get(row, [one.wave for one in made]))
        seconds = np.array([one.seconds for one in made])
        board.add(row, waves, rate=config.rate, seconds=seconds)
        if row not in job.given:
            _write(job, row, waves, config.rate)
        heard[row] = [audio.resample(wave, config.rate, rate) for wave in waves[: figures.SHOWN]]
    scores = board.scores(job.resamples, job.seed)
    names = [one.id for one in job.recordings]
    tracks = {row: [one.f0 for one in found] for row, found in board.analyses.items()}
    plots = figures.draw_utterances(job.folder / "plots", names, heard, tracks, rate)
    plots += figures.draw_journal(job.folder)
    utterances.write(job.folder / utterances.NAME, names, board.per_utterance())
    found = _findings(job, board, scores, configs, plots)
    text = report.write(found)
    shown = html.exhibits(names, heard, plots)
    html.write(job.folder, text, shown, rate, found.systems)
    logger.info("%s and %s written", job.folder / "RESULTS.md", html.NAME)
    return scores


def _write(job: CopyJob, row: str, waves: Sequence[np.ndarray], rate: int) -> None:
    """Write what a vocoder made, to be listened to."""
    folder = job.folder / "wav" / re.sub(r"[^\w.+-]+", "_", row).strip("_")
    for one, wave in zip(job.recordings, waves, strict=True):
        audio.write(folder / f"{one.id}.wav", np.clip(wave, -1.0, 1.0), rate)


def _findings(
    job: CopyJob,
    board: VocoderBoard,
    scores: Scores,
    configs: Mapping[str, FeatureConfig],
    plots: Sequence[Path],
) -> Findings:
    rows = {REAL: "the recordings themselves"}
    rows |= {row: _describe(name, configs[row]) for row, name in job.rows.items()}
    baseline = BASELINE if BASELINE in job.rows else next(iter(job.rows))
    speakers = {one.speaker for one in job.recordings} - {""}
    return Findings(
        folder=job.folder,
        name=job.name,
        scores=scores,
        layout=board.layout,
        real_words="the recording",
        pairing="",
        systems=rows,
        against=[row for row in rows if row != baseline],
        config_hash=job.config_hash,
        data_hash=converted.digest([one.id for one in job.recordings], board.row.outputs.waves),
        seed=job.seed,
        counts={"recordings": len(job.recordings), "speakers": len(speakers)},
        cautions=_cautions(job.recordings),
        settings=board.settings()
        | {
            "95 % intervals": f"percentile bootstrap over recordings, {job.resamples} resamples, "
            "centred on the value; rows share their draws",
        },
        not_run=board.not_run,
        plots=plots,
        losses=job.losses,
        packages=JUDGES,
        config=job.config,
        intervals=True,
        baseline=baseline,
    )


def _describe(name: str, config: FeatureConfig) -> str:
    """Say which features a vocoder was given."""
    return (
        f"{name}, from features at {config.rate} Hz, hop {config.hop_length}, {config.n_mels} mel "
        f"bins of FFT {config.n_fft}"
    )


def _cautions(recordings: Sequence[Utterance]) -> list[str]:
    if len(recordings) >= FEW_RECORDINGS:
        return []
    return [
        f"{len(recordings)} recordings are scored: the intervals are narrower than they should be"
    ]
