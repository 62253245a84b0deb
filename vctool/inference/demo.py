"""`vctool convert --demo`: the sound of two models that come with vctool, before any training.

`vctool/demo/` holds a sentence and a backing of the synthetic corpus `mini` (CC0), its model in a
pack, and a voice for `knn_vc`; `local/build_demo.sh` makes them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vctool.errors import ConfigError
from vctool.experiment.places import SHIPPED

if TYPE_CHECKING:  # where the files are is asked without torch, too
    from vctool.inference.files import Summary

SENTENCE, BACKING = SHIPPED / "sentence.flac", SHIPPED / "backing.flac"
SINGER, VOICE = SHIPPED / "mini.vctool", SHIPPED / "TF2.vctool"


def convert_demo(out: Path | None = None, **options: Any) -> "list[Summary]":
    """Make the sentence sung, with its mix, and spoken by another voice.

    Args:
        out: folder of the outputs; the current one where None.
        options: `force`, `skip_existing`, `device`, `form`, `progress` of `convert_files`.

    Raises:
        ConfigError: `out` is a file.
    """
    from vctool.inference.files import convert_files

    folder = Path() if out is None else out
    if folder.suffix in (".wav", ".flac") or folder.is_file():
        raise ConfigError(f"--out {out}: the demo makes several files; name a folder")
    sentence = str(SENTENCE)
    return [
        convert_files([sentence], model=SINGER, accomp=BACKING, mix=True, out=folder, **options),
        convert_files([sentence], model=VOICE, out=folder, **options),
    ]
