"""Which trained model to convert with, and which files: what `vctool convert` is not told."""

import glob
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vctool import audio
from vctool.engine import checkpoint, manifest
from vctool.errors import AudioError, CheckpointError, ConfigError
from vctool.stages.convert import Converter

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """One recording and where its conversion goes."""

    source: Path
    target: Path

    @property
    def mix(self) -> Path:
        """Where the mix with the accompaniment goes."""
        return self.target.with_suffix(".mix.wav")


def newest(root: Path, to: str | None, accompanied: bool, device: str) -> Converter:
    """Load the newest experiment that accepts the inputs.

    It must have the role, and an accompaniment where its direction needs one; where one is given,
    experiments that listen to it go first.

    Args:
        root: the folder of all experiments.
        to: role to convert to, or None for the experiment's own target.
        accompanied: whether an accompaniment is given.
        device: as for `Converter`.

    Raises:
        CheckpointError: nothing is trained, or nothing that is trained fits, with the reasons.
    """
    found = [
        folder
        for checkpoints in root.glob("*/checkpoints")
        if (folder := manifest.latest(checkpoints)) is not None
    ]
    if not found:
        raise CheckpointError(
            f"{root}/: no trained model; train one with ./run.sh (minutes), or pass --model"
        )
    found.sort(key=lambda folder: (folder / manifest.STATE).stat().st_mtime_ns, reverse=True)
    refused = []
    deaf: Converter | None = None
    for folder in found:
        experiment = folder.parent.parent
        try:
            roles = checkpoint.read_state(folder)["context"]["roles"]
            if to is not None and to not in roles:
                refused.append(f"--to {to}: {experiment} converts to {' or '.join(roles)}")
                continue
            converter = Converter(experiment, device)
        except CheckpointError as error:
            logger.warning("passed over: %s", error)
            refused.append(f"{experiment} cannot be loaded")
            continue
        listens = converter.needs_accompaniment(to or roles[-1])
        if listens and not accompanied:
            refused.append(f"{experiment} needs --accomp FILE to convert to {to or roles[-1]}")
        elif accompanied and not listens:
            deaf = deaf or converter
        else:
            return converter
    if deaf is not None:
        return deaf
    raise CheckpointError(f"no trained model accepts these inputs: {'; '.join(refused)}")


def jobs(inputs: Sequence[str], to: str, out: Path | None) -> list[Job]:
    """Find the recordings that are meant, and name their outputs.

        in.wav                   in.singing.wav
        in.wav  --out x.wav      x.wav
        talks/                   talks/a.singing.wav, talks/b/c.singing.wav
        talks/  --out sung/      sung/a.singing.wav, sung/b/c.singing.wav

    Outputs of earlier conversions, `*.singing.wav`, are not taken from folders and globs.

    Args:
        inputs: files, folders (searched through) and globs.
        to: role to convert to; part of the outputs' names.
        out: a WAV file for one recording, or a folder; beside the recordings where None.

    Raises:
        AudioError: a file, folder or glob with nothing in it.
        ConfigError: an output that cannot be meant.
    """
    pairs = list(dict.fromkeys(pair for name in inputs for pair in _expand(name, to)))
    single = len(pairs) == 1 and Path(inputs[0]).is_file()
    as_file = out is not None and out.suffix.lower() in audio.SUFFIXES and not out.is_dir()
    if as_file and not single:
        raise ConfigError(f"--out {out}: {len(pairs)} recordings need a folder, not a file")
    if as_file and out is not None and out.suffix.lower() != ".wav":
        raise ConfigError(f"--out {out}: WAV is what is written; end the name in .wav")
    if out is not None and out.is_file() and not single:
        raise ConfigError(f"--out {out}: is a file; {len(pairs)} recordings need a folder")
    if as_file and out is not None:
        return [Job(pairs[0][0], out)]
    stems = [
        (path.parent if out is None else out / path.parent.relative_to(root)) / path.stem
        for path, root in pairs
    ]
    count = Counter(stems)
    # `a.wav` beside `a.mp3`: both keep their ending, so that neither writes over the other.
    return [
        Job(path, stem.with_name(f"{path.name if count[stem] > 1 else path.stem}.{to}.wav"))
        for (path, _), stem in zip(pairs, stems, strict=True)
    ]


def _expand(name: str, to: str) -> list[tuple[Path, Path]]:
    """Return the recordings that an argument means, each with the folder it is named from."""
    path = Path(name)
    if path.is_dir():
        kept = _without_outputs(audio.list_audio(path), to)
        if not kept:
            endings = " ".join(audio.SUFFIXES)
            raise AudioError(f"{path}: a folder without recordings; {endings} are looked for")
        return [(one, path) for one in kept]
    if path.exists() or not glob.has_magic(name):
        return [(path, path.parent)]
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    kept = _without_outputs([match for match in matches if match.is_file()], to)
    kept = [match for match in kept if match.suffix.lower() in audio.SUFFIXES]
    if not kept:
        raise AudioError(f"{name}: no recording matches")
    return [(one, one.parent) for one in kept]


def _without_outputs(paths: list[Path], to: str) -> list[Path]:
    ours = (f".{to}.wav", f".{to}.mix.wav")
    kept = [path for path in paths if not path.name.endswith(ours)]
    if len(kept) < len(paths):
        logger.info("%d outputs of earlier conversions are passed over", len(paths) - len(kept))
    return kept
