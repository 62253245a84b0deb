"""Resolves `--to`: a role of the model, or recordings of a target that it was not trained on.

    --to anna            the role; if there is none, the file or folder of that name
    --to ./anna          the file or folder, even if there is such a role
    --to sax.wav         one recording; outputs are called *.sax.wav
    --to anna/           the recordings in a folder: *.anna.wav
    --to 'anna/*.flac'   those that match: *.anna.wav
    --to all             every role, unless a role has this name

Recordings are a target for models that take references (`models.base.System.takes_reference`).
"""

import glob
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vctool import audio
from vctool.config import suggest
from vctool.errors import ConfigError
from vctool.inference.outputs import recordings

logger = logging.getLogger(__name__)

EVERYONE = "all"
"""Value of `--to` that means every role of a model, unless a role has this name."""


class Target(NamedTuple):
    """The target of a conversion."""

    name: str
    """Name used for outputs: the role, or the file or folder of the recordings."""
    role: str | None
    """The role; None where the target is recordings."""
    recordings: tuple[Path, ...] = ()
    """The target's recordings, in a fixed order."""


def resolve(
    wanted: Sequence[str | Path | None], roles: Sequence[str], takes_reference: bool, model: Path
) -> list[Target]:
    """Resolve every `--to`.

    Args:
        wanted: as given; None for the recipe's target, the last role; a `Path` is never a role.
        roles: the model's roles.
        takes_reference: whether the model takes recordings as a target.
        model: path of the model, for messages.

    Raises:
        ConfigError: the model cannot convert to it, or outputs of two targets would share a name.
        AudioError: there are no recordings.
    """
    found: list[Target] = []
    for each in wanted:
        if each == EVERYONE and roles and EVERYONE not in roles:
            found += [Target(role, role) for role in roles]
        else:
            found.append(one(each, roles, takes_reference, model))
    first: dict[str, Target] = {}
    for target in found:
        if first.setdefault(target.name, target) is not target:
            raise ConfigError(
                f"--to: two targets would both give *.{target.name}.wav; name each once, and "
                "rename recordings that are called alike"
            )
    return found


def one(
    wanted: str | Path | None, roles: Sequence[str], takes_reference: bool, model: Path
) -> Target:
    """Resolve one `--to`; see `resolve`."""
    if wanted is None:
        if not roles:
            raise ConfigError(f"{model} needs a target: pass --to and recordings of a voice")
        return Target(roles[-1], roles[-1])
    if wanted in roles:
        if takes_reference and Path(wanted).exists():
            told = "--to %s: the role of %s, not the file of that name; pass --to ./%s for that"
            logger.info(told, wanted, model, wanted)
        return Target(str(wanted), str(wanted))
    text = str(wanted)
    if not takes_reference:
        if is_path(wanted) or Path(text).exists():
            raise ConfigError(
                f"--to {text}: {model} takes no recordings as a target; name one of its roles: "
                f"{' or '.join(roles)}"
            )
        raise ConfigError(f"--to {text}: {model} has no such role{suggest(text, roles)}")
    if not is_path(wanted) and not Path(text).exists():
        if text == EVERYONE and not roles:
            raise ConfigError(
                f"--to {text}: {model} has no voices of its own; name recordings of each, as in "
                "--to anna/ --to ben/"
            )
        role = f", and {model} has no such role{suggest(text, roles)}" if roles else ""
        raise ConfigError(f"--to {text}: no such file or folder{role}")
    return Target(name(text), None, tuple(recordings(text, f"--to {text}")))


def is_path(wanted: str | Path) -> bool:
    """Tell whether a target can only be recordings: no role has a slash or a `*` in its name."""
    return isinstance(wanted, Path) or "/" in wanted or glob.has_magic(wanted)


def name(text: str) -> str:
    """Return the target's name for outputs: a file's stem, or a folder's name.

    >>> name("takes/sax.wav"), name("anna/"), name("anna/*.flac"), name("take_*.wav")
    ('sax', 'anna', 'anna', 'take')
    """
    path = Path(text)
    while glob.has_magic(path.name):
        told = re.split(r"[*?[]", path.name)[0].rstrip("._- ")
        if told:
            return told
        path = path.parent
    if path.is_file() or (path.suffix.lower() in audio.SUFFIXES and not path.is_dir()):
        return path.stem
    told = path.name if path.name not in ("", "..") else path.resolve().name
    return told or "reference"
