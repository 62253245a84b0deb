"""What slow judges said of recordings, kept on disk.

Networks that judge voices take seconds for every recording, and the sources, the target and the
anchors are the same for every experiment between two speakers: what was said of them once is read
back. Recordings are known by their samples, so a changed one is judged anew.
"""

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vctool.data.atomic import write_bytes

logger = logging.getLogger(__name__)


class Memory:
    """Remembers vectors by the recordings that they tell of.

    Args:
        folder: holds one file a judge.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, np.ndarray]] = {}

    def __call__(
        self,
        judge: str,
        waves: Sequence[np.ndarray],
        rate: int,
        ask: Callable[[Sequence[np.ndarray], int], np.ndarray],
    ) -> np.ndarray:
        """Return what a judge says of every wave, asking only about those that are new.

        Args:
            judge: who, and everything that the answer depends on besides the waves.
            waves: each (T,).
            rate: of all of them [Hz].
            ask: maps waves (N) and their rate to (N, D).

        Returns:
            (N, D).
        """
        path = self.folder / f"{hashlib.sha256(judge.encode()).hexdigest()[:16]}.npz"
        if judge not in self._known:
            self._known[judge] = _read(path)
        known = self._known[judge]
        keys = [key_of(wave, rate) for wave in waves]
        new = {key: wave for key, wave in zip(keys, waves, strict=True) if key not in known}
        if new:
            known |= dict(zip(new, ask(list(new.values()), rate), strict=True))
            self.folder.mkdir(parents=True, exist_ok=True)
            file = io.BytesIO()
            np.savez(file, keys=np.array(list(known)), values=np.stack(list(known.values())))
            write_bytes(path, file.getvalue())
        return np.stack([known[key] for key in keys])


def key_of(wave: np.ndarray, rate: int) -> str:
    """Tell a recording (T,) at a rate [Hz] from all others: 32 hex digits."""
    samples = np.ascontiguousarray(wave, dtype=np.float32)
    return hashlib.sha256(f"{rate} ".encode() + samples.tobytes()).hexdigest()[:32]


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    try:
        # opened here, since np.load leaves a file that it cannot read open
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return dict(zip(found["keys"].tolist(), found["values"], strict=True))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        logger.warning("%s: cannot be read (%s); everything is judged again", path, error)
        return {}
