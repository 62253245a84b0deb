"""Scores of what vocoders make of recordings' own features, beside the recordings.

exp/<name>/RESULTS.md  results.json  utterances.tsv  report.html  plots/  wav/<vocoder>/<utt>.wav
"""

from pathlib import Path

import numpy as np

from vctool import audio
from vctool.config import build, find, read_yaml
from vctool.data.datadir import DataDir
from vctool.data.utterance import Utterance
from vctool.errors import DataError
from vctool.evaluation.board import JUDGED, markdown
from vctool.evaluation.folders import (
    LEAST,
    RESAMPLES,
    SEED,
    owners,
    plain_names,
    recordings,
)
from vctool.evaluation.outputs import digest, read_outputs
from vctool.evaluation.page.journal import held_out_losses
from vctool.evaluation.page.report import MODEL, config_hash, recipe_settings
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import score
from vctool.evaluation.vocoders.copies import load
from vctool.evaluation.vocoders.report import BASELINES, VocoderScoring, few_recordings
from vctool.experiment import directions
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig

FEATURES = Path("conf/features/16k_mel128.yaml")
"""What the baselines read beside a folder of outputs."""
LONGEST_OFF = 0.01
"""An output may be longer or shorter than its recording by this [s]."""


def run(recipe: Recipe, nj: int = 1) -> None:
    """Score what stage 5 of a recipe that trains a vocoder wrote.

    Raises:
        DataError: stage 4 or 5 has not finished, or too little is held out.
    """
    found: dict[str, Utterance] = {}
    outputs: list[np.ndarray] = []
    for way, rows in directions.read(recipe.exp, directions.of(recipe)).items():
        data = DataDir.read(recipe.data(recipe.roles[way.source], recipe.evaluate.split))
        # The target does not matter to a vocoder, so each recording counts once.
        names = [name for name, _ in rows if name not in found]
        found |= {name: data[name] for name in names}
        outputs += read_outputs(recipe.exp / way.sounds, names, recipe.features.rate)
    if len(found) < LEAST:
        raise DataError(
            f"{recipe.exp}: {len(found)} recording(s) converted are too few; hold out {LEAST}"
        )
    waves = load(list(found.values()), recipe.features.rate)
    job = VocoderScoring(
        folder=recipe.exp,
        name=recipe.name,
        utterances=list(found),
        config_hash=config_hash(recipe),
        data_hash=digest(list(found), waves),
        seed=recipe.train.seed,
        resamples=recipe.evaluate.bootstrap,
        losses=held_out_losses(recipe.exp),
        config=recipe_settings(recipe),
        cache=Path("dump") / next(iter(recipe.roles.values())) / JUDGED,
        recordings=list(found.values()),
        waves=waves,
        rows={**{name: name for name in BASELINES}, MODEL: str(recipe.exp)},
        features=recipe.features,
        given={MODEL: outputs},
    )
    with workers(nj) as each:
        score(job, each)


def run_folder(converted: Path, out: Path, nj: int = 1, *, reference: Path) -> str:
    """Score what any vocoder made of recordings.

    Args:
        converted: what it made, each called like its recording.
        out: folder that gets the results.
        nj: processes; only the real-time factors of the baselines may depend on it.
        reference: the recordings.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: too few recordings, or an output is not as long as its recording.
        AudioError: a recording cannot be used.
    """
    config = build(FeatureConfig, read_yaml(find(FEATURES)), str(FEATURES))
    made = recordings(converted, "outputs", (out, reference))
    true = recordings(reference, "recordings", (out, converted))
    notes: list[str] = []
    owner = owners(converted, list(made), reference, list(true), "recording", notes)
    found = [
        Utterance(name, "", "", true[path], audio.info(true[path]).seconds)
        for name, path in zip(plain_names(list(owner.values())), owner.values(), strict=True)
    ]
    waves, outputs = load(found, config.rate), []
    for name, wave in zip(owner, waves, strict=True):
        output = audio.read(made[name], config.rate)[0]
        off = abs(len(output) - len(wave))
        if off > LONGEST_OFF * config.rate:
            raise DataError(
                f"{made[name]}: {len(output) / config.rate:.3f} s long, its recording "
                f"{true[owner[name]]} {len(wave) / config.rate:.3f} s; a vocoder gives back what "
                "it is given, so cut or pad it"
            )
        outputs.append(output)
    job = VocoderScoring(
        folder=out,
        name=str(converted),
        utterances=[one.id for one in found],
        config_hash=digest([config.model_dump(mode="json"), SEED, RESAMPLES], ()),
        data_hash=digest([one.id for one in found], waves),
        seed=SEED,
        resamples=RESAMPLES,
        notes=notes,
        cache=out / JUDGED,
        recordings=found,
        waves=waves,
        rows={name: name for name in BASELINES},
        features=config,
        given={MODEL: outputs},
        told={MODEL: f"the recordings in {converted}; how long it took is not known"},
    )
    with workers(nj) as each:
        scored = score(job, each)
    return "\n".join([markdown(scored.findings.scores), *notes, *few_recordings(found)])
