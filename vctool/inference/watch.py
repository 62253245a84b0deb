"""How far a conversion is, told to its caller, and whether it is still wanted, asked of it."""

from collections.abc import Callable

import numpy as np

from vctool.audio.tracks import Track
from vctool.errors import Cancelled

Progress = Callable[[float, float], object]
"""Is told the seconds of recordings that are converted, and those of all: `progress(done, total)`.
`done` never falls, begins at 0, and ends at `total`."""

Moved = Callable[[np.ndarray, np.ndarray], object]
"""Is told, part by part, where the moments of a stretched recording went: `moved(taken, given)`,
both (K,) rising [s], of the recording and of its output; linear in between."""


class Watch:
    """Tells progress, and ends a conversion that is no longer wanted.

    Args:
        progress: is told after every block; nobody is where None.
        cancelled: is asked at every block, and wherever a track is read; a conversion cannot be
            cancelled where None.
        moved: is told of stretched recordings how time was warped.
    """

    def __init__(
        self,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        moved: Moved | None = None,
    ) -> None:
        self._progress = progress
        self._moved = moved
        self._cancelled = cancelled
        self.total = 0.0
        """Seconds of all recordings."""
        self._begun = 0.0
        self._own = 0.0

    @property
    def tells(self) -> bool:
        """Whether somebody is told of progress."""
        return self._progress is not None

    def check(self) -> None:
        """End the conversion if it is no longer wanted.

        Raises:
            Cancelled: it is not.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("cancelled; outputs that were complete are kept")

    def begin(self, seconds: float) -> None:
        """Begin the next recording, which lasts `seconds`."""
        self._own = seconds
        self.total = max(self.total, self._begun + seconds)
        self.at(0.0)

    def at(self, share: float) -> None:
        """Tell that a share of the recording is converted, 0 to 1.

        Raises:
            Cancelled: the conversion is no longer wanted.
        """
        self.check()
        if self._progress is not None:
            self._progress(self._begun + share * self._own, self.total)

    def end(self) -> None:
        """Tell that the recording is done with, converted or not."""
        self._begun += self._own
        self._own = 0.0
        self.at(0.0)

    def moved(self, taken: np.ndarray, given: np.ndarray) -> None:
        """Tell where moments of a stretched recording went; see `Moved`."""
        if self._moved is not None:
            self._moved(taken, given)

    def track(self, track: Track) -> Track:
        """Return a track that asks, whenever it is read, whether the conversion is wanted."""
        return track if self._cancelled is None else _Watched(track, self)


class _Watched:
    def __init__(self, track: Track, watch: Watch) -> None:
        self._track = track
        self._watch = watch
        self.samples = track.samples

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return samples as the track does, where the conversion is still wanted."""
        self._watch.check()
        return self._track.read(start, stop)


UNWATCHED = Watch()
"""Nobody is told, and nobody is asked."""
