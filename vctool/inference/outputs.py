"""Finds the recordings given to `vctool convert` and names their outputs."""

import glob
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vctool import audio
from vctool.audio import foreign
from vctool.errors import AudioError, ConfigError

logger = logging.getLogger(__name__)


class Output(NamedTuple):
    """One recording and where its conversion goes."""

    source: Path
    path: Path
    to: str
    """Name of the target."""

    @property
    def mix(self) -> Path:
        """Where the mix with the accompaniment goes."""
        return self.path.with_suffix(f".mix{self.path.suffix}")

    @property
    def midi(self) -> Path:
        """Where the notes go."""
        return self.path.with_suffix(".mid")


FORMATS = (".wav", ".flac")
"""Endings of outputs."""


def outputs(
    inputs: Sequence[str], out: Path | None, names: Sequence[str], form: str = ".wav"
) -> list[list[Output]]:
    """Find the recordings and name their outputs.

        in.wav                   in.singing.wav
        in.wav  --out x.wav      x.wav
        talks/                   talks/a.singing.wav, talks/b/c.singing.wav
        talks/  --out sung/      sung/a.singing.wav, sung/b/c.singing.wav

    Outputs of earlier conversions, `*.singing.wav`, are skipped in folders and globs.

    Args:
        inputs: files, folders (searched recursively) and globs.
        out: a WAV or FLAC file for one recording, or a folder; beside the recordings where None.
        names: names of all targets; each is part of its outputs' names.
        form: one of `FORMATS`, where `out` is no file.

    Returns:
        For every recording its outputs, in the order of the names.

    Raises:
        AudioError: a file, folder or glob with nothing in it.
        ConfigError: `out` does not fit the inputs, or two recordings would share an output.
    """
    pairs = list(dict.fromkeys(pair for one in inputs for pair in _expand(one, names)))
    if out is None:  # the root does not matter then
        pairs = list({path: (path, root) for path, root in pairs}.values())
    single = len(pairs) == 1 and Path(inputs[0]).is_file()
    as_file = out is not None and out.suffix.lower() in audio.SUFFIXES and not out.is_dir()
    if as_file and len(names) > 1:
        raise ConfigError(f"--out {out}: {len(names)} targets need a folder, not a file")
    if as_file and not single:
        raise ConfigError(f"--out {out}: {len(pairs)} recordings need a folder, not a file")
    if as_file and out is not None and out.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {out}: outputs are WAV or FLAC; end the name in .wav or .flac")
    if out is not None and out.is_file() and not single:
        raise ConfigError(f"--out {out}: is a file; {len(pairs)} recordings need a folder")
    if as_file and out is not None:
        return [[Output(pairs[0][0], out, names[0])]]
    stems = [
        (path.parent if out is None else out / path.parent.relative_to(root)) / path.stem
        for path, root in pairs
    ]
    count = Counter(stems)
    # `a.wav` beside `a.mp3`: both keep their suffix, so that neither overwrites the other.
    found = [
        [
            Output(
                path,
                stem.with_name(f"{path.name if count[stem] > 1 else path.stem}.{to}{form}"),
                to,
            )
            for to in names
        ]
        for (path, _), stem in zip(pairs, stems, strict=True)
    ]
    _require_own_paths([output for made in found for output in made])
    return found


def require_inputs(words: Sequence[str]) -> None:
    """Refuse inputs none of which can be read, before a model is looked for.

    Args:
        words: recordings, folders and globs, and options of a family as typed; what follows such
            an option may be its value, and is not looked at.

    Raises:
        ConfigError: there are none, or one begins with a dash as an option does and is no file.
        AudioError: of the first, if not one of them can be read.
    """
    after = [*(word.startswith("--") and "=" not in word for word in words)]
    plain = [word for word in words if not word.startswith("--")]
    sure = [
        word
        for word, option in zip(words, [False, *after], strict=False)
        if not option and not word.startswith("--")
    ]
    if not plain:
        raise ConfigError(
            "nothing to convert; name a recording, a folder or a glob, or pass --demo; "
            "vctool convert --help lists what there is"
        )
    for word in sure:
        if word.startswith("-") and not glob.has_magic(word) and not Path(word).exists():
            raise ConfigError(
                f"{word}: no such option, and no such file; output goes to --out PATH"
            )
    problems = []
    for word in sure:
        try:
            if Path(word).is_dir() or (glob.has_magic(word) and not Path(word).exists()):
                recordings(word, word)
            else:
                audio.info(Path(word))
            return
        except AudioError as error:
            problems.append(error)
    if problems:
        raise problems[0]


def _require_own_paths(made: list[Output]) -> None:
    """Refuse recordings of the same name from several folders that would overwrite each other."""
    first: dict[Path, Path] = {}
    for one in made:
        other = first.setdefault(one.path, one.source)
        if other != one.source:
            raise ConfigError(
                f"--out {one.path.parent}: {other} and {one.source} would both become "
                f"{one.path.name}; convert a folder that holds both, or one after the other"
            )


def _expand(name: str, names: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the recordings of an argument, each with the folder that its output is relative to."""
    path = Path(name)
    if not path.is_dir() and (path.exists() or not glob.has_magic(name)):
        return [(path, path.parent)]  # a missing file fails later, when read, without the others
    kept = _without_outputs(recordings(name, name), names, name)
    return [(one, path if path.is_dir() else one.parent) for one in kept]


def recordings(name: str, where: str) -> list[Path]:
    """Find the recordings of a file, folder or glob, sorted.

    Args:
        name: the file, folder or glob as given.
        where: its name in messages.

    Raises:
        AudioError: there are none.
    """
    path = Path(name)
    suffixes = (*audio.SUFFIXES, *(audio.UNREAD if foreign.available() else ()))
    if path.is_dir():
        found = audio.list_audio(path, suffixes=suffixes)
        if not found:
            endings = " ".join(suffixes)
            raise AudioError(f"{where}: a folder without recordings; {endings} are looked for")
        return found
    if path.exists():
        return [path]
    if not glob.has_magic(name):
        raise AudioError(f"{where}: no such file or folder")
    matches = (Path(match) for match in sorted(glob.glob(name, recursive=True)))
    found = [one for one in matches if one.is_file() and one.suffix.lower() in suffixes]
    if not found:
        raise AudioError(f"{where}: no recording matches")
    return found


def _without_outputs(paths: list[Path], names: Sequence[str], where: str) -> list[Path]:
    """Leave out outputs of earlier conversions to these targets.

    Raises:
        AudioError: there are no other files.
    """
    endings = [f"{mix}{form}" for mix in ("", ".mix") for form in FORMATS]
    ours = tuple(f".{name}{ending}" for name in names for ending in endings)
    kept = [path for path in paths if not path.name.endswith(ours)]
    if len(kept) < len(paths):
        if not kept:
            raise AudioError(
                f"{where}: holds only earlier conversions to {' and '.join(names)}; name the "
                "files to convert them"
            )
        logger.info("%d outputs of earlier conversions are skipped", len(paths) - len(kept))
    return kept
