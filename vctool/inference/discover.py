"""Which trained model to convert with, and which files: what `vctool convert` is not told."""

import glob
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vctool import audio
from vctool.engine import checkpoint, manifest
from vctool.errors import AudioError, CheckpointError, ConfigError, VctoolError
from vctool.inference.converter import Converter

logger = logging.getLogger(__name__)


class Conversion(NamedTuple):
    """One recording and where its conversion goes."""

    source: Path
    target: Path

    @property
    def mix(self) -> Path:
        """Where the mix with the accompaniment goes."""
        return self.target.with_suffix(".mix.wav")


def newest(
    root: Path, to: str | None, accompanied: bool, device: str, vocoder: str | None = None
) -> Converter:
    """Load the newest experiment that accepts the inputs.

    It must have the role, and an accompaniment where its direction needs one; where one is given,
    experiments that listen to it go first. Vocoders, which convert nothing, are passed over.

    Args:
        root: the folder of all experiments.
        to: role to convert to, or None for the experiment's own target.
        accompanied: whether an accompaniment is given.
        device: as for `Converter`.
        vocoder: as for `Converter`; experiments whose features it cannot take are passed over.

    Raises:
        CheckpointError: nothing is trained, or nothing that is trained fits, with the reasons.
    """
    refused: list[str] = []
    found = _trained(root, refused)
    if not found and not refused:
        raise CheckpointError(
            f"{root}/: no trained model; train one with ./run.sh (minutes), or pass --model"
        )
    deaf: Converter | None = None
    for folder in found:
        experiment = folder.parent.parent
        try:
            if _is_vocoder(folder):  # it would give the recording back
                refused.append(f"{experiment} is a vocoder, for --vocoder")
                continue
            roles = _roles(folder)
            if to is not None and to not in roles:
                refused.append(f"--to {to}: {experiment} converts to {' or '.join(roles)}")
                continue
            converter = Converter(experiment, device, vocoder)
        except (CheckpointError, ConfigError) as error:
            _pass_over(experiment, error, refused)
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


def _trained(root: Path, refused: list[str]) -> list[Path]:
    """Return the latest checkpoint of every experiment, the newest first, then by name."""
    found = []
    for checkpoints in root.glob("*/checkpoints"):
        try:
            folder = manifest.latest(checkpoints)
        except CheckpointError as error:
            _pass_over(checkpoints.parent, error, refused)
            continue
        if folder is not None:
            found.append(folder)
    age = {folder: (folder / manifest.STATE).stat().st_mtime_ns for folder in found}
    return sorted(found, key=lambda folder: (-age[folder], folder))


def _is_vocoder(folder: Path) -> bool:
    """Tell whether a checkpoint is of a family that trains a vocoder, without its weights."""
    from vctool.vocoders.stored import restoring

    return checkpoint.read_state(folder)["family"] in restoring.trainable()


def _roles(folder: Path) -> list[str]:
    """Read which roles a checkpoint converts to, without its weights."""
    context = checkpoint.read_state(folder)["context"]
    roles = context.get("roles") if isinstance(context, dict) else None
    if not isinstance(roles, list) or not roles:
        raise CheckpointError(f"{folder / manifest.STATE}: names no roles to convert to")
    return roles


def _pass_over(experiment: Path, error: VctoolError, refused: list[str]) -> None:
    logger.warning("passed over: %s", error)
    refused.append(f"{experiment} cannot be loaded")


def jobs(
    inputs: Sequence[str], to: str, out: Path | None, beside: Sequence[str] = ()
) -> list[Conversion]:
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
        beside: further roles that are converted to in the same run; they need a folder, and their
            outputs are not taken either.

    Raises:
        AudioError: a file, folder or glob with nothing in it.
        ConfigError: an output that cannot be meant, or that two recordings would share.
    """
    roles = tuple(dict.fromkeys((to, *beside)))
    pairs = list(dict.fromkeys(pair for name in inputs for pair in _expand(name, roles)))
    if out is None:  # what it is named from decides nothing then
        pairs = list({path: (path, root) for path, root in pairs}.values())
    single = len(pairs) == 1 and Path(inputs[0]).is_file()
    as_file = out is not None and out.suffix.lower() in audio.SUFFIXES and not out.is_dir()
    if as_file and len(roles) > 1:
        raise ConfigError(f"--out {out}: {len(roles)} voices need a folder, not a file")
    if as_file and not single:
        raise ConfigError(f"--out {out}: {len(pairs)} recordings need a folder, not a file")
    if as_file and out is not None and out.suffix.lower() != ".wav":
        raise ConfigError(f"--out {out}: WAV is what is written; end the name in .wav")
    if out is not None and out.is_file() and not single:
        raise ConfigError(f"--out {out}: is a file; {len(pairs)} recordings need a folder")
    if as_file and out is not None:
        return [Conversion(pairs[0][0], out)]
    stems = [
        (path.parent if out is None else out / path.parent.relative_to(root)) / path.stem
        for path, root in pairs
    ]
    count = Counter(stems)
    # `a.wav` beside `a.mp3`: both keep their ending, so that neither writes over the other.
    named = [
        Conversion(path, stem.with_name(f"{path.name if count[stem] > 1 else path.stem}.{to}.wav"))
        for (path, _), stem in zip(pairs, stems, strict=True)
    ]
    _require_own_targets(named)
    return named


def _require_own_targets(jobs: list[Conversion]) -> None:
    """Refuse recordings of one name from several folders that would replace each other."""
    first: dict[Path, Path] = {}
    for job in jobs:
        other = first.setdefault(job.target, job.source)
        if other != job.source:
            raise ConfigError(
                f"--out {job.target.parent}: {other} and {job.source} would both become "
                f"{job.target.name}; convert a folder that holds both, or one after the other"
            )


def _expand(name: str, roles: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the recordings that an argument means, each with the folder it is named from."""
    path = Path(name)
    if path.is_dir():
        kept = _without_outputs(audio.list_audio(path), roles, name)
        if not kept:
            endings = " ".join(audio.SUFFIXES)
            raise AudioError(f"{path}: a folder without recordings; {endings} are looked for")
        return [(one, path) for one in kept]
    if path.exists() or not glob.has_magic(name):
        return [(path, path.parent)]
    matches = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
    found = [one for one in matches if one.is_file() and one.suffix.lower() in audio.SUFFIXES]
    kept = _without_outputs(found, roles, name)
    if not kept:
        raise AudioError(f"{name}: no recording matches")
    return [(one, one.parent) for one in kept]


def _without_outputs(paths: list[Path], roles: Sequence[str], where: str) -> list[Path]:
    """Leave outputs of earlier conversions to some roles out.

    Raises:
        AudioError: nothing else is there.
    """
    ours = tuple(f".{role}{ending}" for role in roles for ending in (".wav", ".mix.wav"))
    kept = [path for path in paths if not path.name.endswith(ours)]
    if len(kept) < len(paths):
        if not kept:
            raise AudioError(
                f"{where}: holds only earlier conversions to {' and '.join(roles)}; name the "
                "files to convert them"
            )
        logger.info("%d outputs of earlier conversions are passed over", len(paths) - len(kept))
    return kept
