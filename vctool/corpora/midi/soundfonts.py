"""Sound fonts by name: where they are looked for, where to get them, and their licences.

None is fetched: Debian packages two of them, and the others are offered by their makers' pages.
Files are looked for by name, whatever the case of its letters, in the folders of `SEARCHED` and in
those that the environment variable `VCTOOL_SOUNDFONTS` lists.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from vctool.errors import DataError

VARIABLE = "VCTOOL_SOUNDFONTS"
"""Environment variable with further folders, separated like those of `PATH`."""

SEARCHED = (
    Path("data/corpora/soundfonts"),
    Path("~/.local/share/soundfonts"),
    Path("/usr/local/share/soundfonts"),
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/soundfonts"),
)
"""Folders that are searched after those of the variable."""


@dataclass(frozen=True)
class SoundFont:
    """A General MIDI sound font."""

    name: str
    """Its name here, lower case: a part of speakers' names."""
    title: str
    """Its own name."""
    files: tuple[str, ...]
    """File names that it is found under, in lower case."""
    licence: str
    """Terms that it, and so what is rendered with it, come under."""
    remedy: str
    """How to get it."""


FLUID = SoundFont(
    name="fluidr3",
    title="FluidR3 GM",
    files=("fluidr3_gm.sf2",),
    licence="MIT",
    remedy="apt-get install fluid-soundfont-gm",
)
TIMGM = SoundFont(
    name="timgm6mb",
    title="TimGM6mb",
    files=("timgm6mb.sf2",),
    licence="GPL 2",
    remedy="apt-get install timgm6mb-soundfont",
)
ARACHNO = SoundFont(
    name="arachno",
    title="Arachno",
    files=("arachno soundfont - version 1.0.sf2", "arachno.sf2"),
    licence="free of charge; its author's terms",
    remedy="get it from https://www.arachnosoft.com/main/soundfont.php",
)
TIMBRES = SoundFont(
    name="timbres_of_heaven",
    title="Timbres Of Heaven",
    files=(
        "timbres of heaven (xgm) 4.00(g).sf2",
        "timbres of heaven gm_gs_xg_sfx v 3.4 final.sf2",
        "timbres_of_heaven.sf2",
    ),
    licence="free of charge; its author's terms",
    remedy="get it from http://midkar.com/soundfonts/",
)


def find(font: SoundFont) -> Path | None:
    """Return the file of a sound font, or None where it is not installed."""
    folders = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    for folder in (*folders, *SEARCHED):
        folder = folder.expanduser()
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.name.lower() in font.files and path.is_file():
                return path.resolve()
    return None


def require(font: SoundFont) -> Path:
    """Return the file of a sound font.

    Raises:
        DataError: it is not installed; how to get it is told.
    """
    path = find(font)
    if path is None:
        raise DataError(
            f"sound font {font.title}: not found; {font.remedy}, or put it as {font.files[-1]} "
            f"into {SEARCHED[0]} or a folder that {VARIABLE} lists"
        )
    return path
