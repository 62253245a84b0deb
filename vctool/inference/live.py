"""A stream between a microphone and loudspeakers.

The sound card's callback only copies to and from two queues; a thread of its own computes. What it
does not finish in time is silence, is counted, and is dropped when it comes, so that the delay
stays what it is. (`host.c` is the same in C.)
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from vctool.errors import ConfigError
from vctool.export.stream import Run
from vctool.extras import remedy
from vctool.inference.pipes import Meter
from vctool.inference.realtime import Chosen, latency_line

BEHIND_SECONDS = 1.0
"""A thread that is further behind is given nothing more, so that memory stays what it is [s]."""

PIPES = "or pipe samples through --stdin --stdout"


class Live:
    """A stream behind blocks of one size, in a thread of its own.

    Args:
        run: the stream.
        block: size of the blocks [samples].
        tell: takes lines about load and faults.
    """

    def __init__(self, run: Run, block: int, tell: Callable[[str], None]) -> None:
        self.block = block
        self.unit = run.granule * max(1, block // run.granule) if run.granule > 1 else block
        self.queue = block + self.unit - math.gcd(block, self.unit)
        """Delay besides the stream's own: gathering, and a block's time to compute [samples]."""
        self.meter = Meter(run.rate, tell)
        self._run = run
        # Appending to and taking from a deque needs no lock.
        self._in: deque[np.ndarray] = deque()
        self._out: deque[np.ndarray] = deque([np.zeros(self.queue, np.float32)])
        self._owed = 0
        self._work = threading.Semaphore(0)
        self._idle = threading.Event()
        self._stopped = False
        self.failed: BaseException | None = None
        self._thread = threading.Thread(target=self._compute, daemon=True)
        self._thread.start()

    def process(self, block: np.ndarray) -> np.ndarray:
        """Take a block (block,) float32 and return as many samples; called by the sound card."""
        skipped = len(self._in) * self.block > BEHIND_SECONDS * self._run.rate
        if not skipped:
            self._in.append(block.copy())
            self._work.release()
        parts, wanted = [], len(block)
        while wanted and self._out:
            one = self._out.popleft()
            dropped = min(self._owed, len(one))
            self._owed -= dropped
            one = one[dropped:]
            parts.append(one[:wanted])
            if len(one) > wanted:
                self._out.appendleft(one[wanted:])
            wanted -= len(parts[-1])
        if wanted:
            self.meter.underruns += 1
            # Nothing will come of what was skipped, and so nothing of it is to be dropped.
            self._owed += wanted - (len(block) if skipped else 0)
            parts.append(np.zeros(wanted, np.float32))
        return np.concatenate(parts)

    def wait(self) -> None:
        """Wait until everything that was taken is computed."""
        while self._in and self.failed is None:
            time.sleep(0.001)
        self._idle.wait()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._work.release()
        self._thread.join()

    def _compute(self) -> None:
        waiting = np.zeros(0, np.float32)
        try:
            while True:
                self._idle.set()
                self._work.acquire()
                self._idle.clear()
                if self._stopped:
                    return
                block = self._in[0]
                waiting = np.concatenate([waiting, block])
                begin = time.monotonic()
                while len(waiting) >= self.unit:
                    # In one piece, so that a block is there entirely or not at all.
                    self._out.append(self._run.step(waiting[: self.unit]))
                    waiting = waiting[self.unit :]
                self.meter.add(block, time.monotonic() - begin)
                self._in.popleft()
        except BaseException as error:  # told by whoever waits for the stream
            self.failed = error
            self._idle.set()


def portaudio() -> Any:
    """Import the sound card's library.

    Raises:
        ConfigError: sounddevice is not installed, or PortAudio is not.
    """
    try:
        import sounddevice
    except ImportError:
        raise ConfigError(f"sounddevice: not installed; {remedy('stream')}; {PIPES}") from None
    except OSError:  # what sounddevice raises without the library
        raise ConfigError(
            f"PortAudio: not on this machine; on Debian: apt-get install libportaudio2; {PIPES}"
        ) from None
    return sounddevice


def devices() -> list[tuple[str, ...]]:
    """List the devices: number, name, channels in, channels out, rate [Hz], and what is default."""
    library = portaudio()
    usual = library.default.device
    rows = []
    for number, one in enumerate(library.query_devices()):
        roles = [what for what, at in zip(("input", "output"), usual, strict=True) if at == number]
        channels = (one["max_input_channels"], one["max_output_channels"])
        rate = f"{one['default_samplerate']:.0f}"
        rows.append((str(number), one["name"], *map(str, channels), rate, " ".join(roles)))
    return rows


def open_stream(
    chosen: Chosen, live: Live, inlet: str | None, outlet: str | None
) -> tuple[Any, str]:
    """Open the devices of a stream, which does not begin yet.

    Returns:
        The stream of sounddevice, and the line about its latency.

    Raises:
        ConfigError: there is no such device, or none at all, or it does not take the rate.
    """
    library = portaudio()
    run = chosen.run
    if not len(library.query_devices()):
        raise ConfigError(f"no sound card is found by PortAudio (libportaudio2); {PIPES}")

    def callback(heard: np.ndarray, played: np.ndarray, frames: int, when: Any, state: Any) -> None:
        played[:] = live.process(heard[:, 0])[:, None]

    try:
        stream = library.Stream(
            samplerate=run.rate,
            blocksize=live.block,
            device=tuple(_named(one) for one in (inlet, outlet)),
            channels=1,
            dtype="float32",
            latency="low",
            callback=callback,
        )
    except (library.PortAudioError, ValueError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(
            f"--input {inlet or 'default'} --output {outlet or 'default'}: cannot be opened at "
            f"{run.rate} Hz ({told}); --list-devices names what there is; {PIPES}"
        ) from None
    # PortAudio's own latencies include the block that is gathered.
    device = max(0.0, sum(stream.latency) * run.rate - live.block)
    line = latency_line(
        run.rate, block=live.block, model=run.latency, queue=live.queue, device=device
    )
    return stream, line


def play(stream: Any, live: Live, line: str, tell: Callable[[str], None]) -> None:
    """Say how late it is, run until Ctrl-C, and say in the end what happened.

    Raises:
        ConfigError: the device went away.
    """
    try:
        tell(line)  # whoever has read it may stop the stream
        with stream:
            while stream.active and live.failed is None:
                time.sleep(0.1)
    except KeyboardInterrupt:
        pass
    finally:
        live.stop()
    if live.failed is not None:
        raise live.failed
    tell(live.meter.line(whole=True))


def _named(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdigit() else device
