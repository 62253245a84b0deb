"""Training batches of triplets for the transfer of timbre: content, style and target.

An utterance is one stretch of notes by one instrument (`Utterance.stretch`, and the speaker). An
example is drawn like this::

    target    any utterance: instrument I plays stretch S
    content   another rendering of S, by any other instrument, at the same place in time
    style     I plays another stretch, at any place

so that what the content tells of the target is its notes, and what the style tells is its sound.
All is drawn by (seed, step, example) alone.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vctool.data.batches import Memo, Prepare, clip, stack
from vctool.data.feature_set import FeatureSet
from vctool.data.sampling import generator, share
from vctool.errors import DataError

Content = Literal["other", "same"]
"""Whose rendering the content is: another instrument's, or the target's own."""


class TripletBatch(NamedTuple):
    """Clips of B triplets; frame k of the content is played when frame k of the target is."""

    content: Tensor
    """(B, C, F) channels of the stretch by another instrument (`Content`)."""
    style: Tensor
    """(B, S, G) channels of another stretch by the target's instrument."""
    target: Tensor
    """(B, T, F) channels of the stretch by the target's instrument."""
    key: Tensor
    """(B,) int64; seeds the noise that belongs to each example."""


class Chosen(NamedTuple):
    """Ids of the utterances of one example, and where they are cut."""

    content: str
    style: str
    target: str
    place: float
    """Where content and target are cut, in [0, 1)."""
    style_place: float
    """Where the style is cut, in [0, 1)."""


class TripletClips:
    """Clips of triplets, drawn from one set of utterances.

    A target is drawn uniformly from the utterances whose stretch another instrument plays too and
    whose instrument plays another stretch too, the content from the other renderings of its stretch
    and the style from the other stretches of its instrument. Utterances shorter than a clip are
    extended by reflection.

    Args:
        utterances: the renderings: `sets["voices"]` of a recipe with `corpus: {name: NAME}`.
        content: how a content's channels (F, C) are made; made once and kept.
        style: how a style's channels are made.
        target: how a target's channels are made. Functions that are the same object share what
            they have made.
        frames: length of content and target [frames].
        batch_size: examples in a global batch.
        seed: of everything drawn.
        style_frames: length of the style [frames]; `frames` where None.
        rendering: whose rendering the content is. With `same` it is the target itself, as the
            publication has it, and `utt2stretch` is not needed.
        setup_clips: least number of examples that `setup_batch` draws.

    Raises:
        DataError: no utterance can be a target.
    """

    def __init__(
        self,
        utterances: FeatureSet,
        content: Prepare,
        style: Prepare,
        target: Prepare,
        frames: int,
        batch_size: int,
        seed: int,
        *,
        style_frames: int | None = None,
        rendering: Content = "other",
        setup_clips: int = 128,
    ) -> None:
        self.utterances = utterances
        self.frames = frames
        self.style_frames = style_frames or frames
        self.batch_size = batch_size
        self.seed = seed
        self.rendering = rendering
        self.setup_clips = setup_clips
        kept: dict[Prepare, Memo] = {}
        self._prepare = [kept.setdefault(one, Memo(one)) for one in (content, style, target)]
        self._by_stretch: dict[str, list[str]] = {}
        self._by_instrument: dict[str, list[str]] = {}
        stretches: dict[str, set[str]] = {}
        instruments: dict[str, set[str]] = {}
        for name in utterances.ids:
            stretch, instrument = self._stretch(name), utterances.speaker(name)
            self._by_stretch.setdefault(stretch, []).append(name)
            self._by_instrument.setdefault(instrument, []).append(name)
            stretches.setdefault(instrument, set()).add(stretch)
            instruments.setdefault(stretch, set()).add(instrument)
        self.targets = [
            name
            for name in utterances.ids
            if len(stretches[utterances.speaker(name)]) > 1
            and (rendering == "same" or len(instruments[self._stretch(name)]) > 1)
        ]
        """Ids of the utterances that can be targets."""
        if not self.targets:
            raise DataError(
                f"{utterances.path}: no stretch of notes that two instruments play, of which one "
                "plays another stretch too; see utt2stretch and utt2spk"
            )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TripletBatch:
        """Return this process's share of the global batch of a step."""
        return self._draw(step, range(self.batch_size)[share(self.batch_size, rank, world_size)])

    def setup_batch(self) -> TripletBatch:
        """Return a larger batch, from which data-dependent buffers are initialised."""
        return self._draw(-1, range(max(self.setup_clips, self.batch_size)))

    def names(self, step: int) -> list[str]:
        """Return the ids of the utterances in the global batch of a step."""
        chosen = (self.choose(step, example) for example in range(self.batch_size))
        return [name for one in chosen for name in (one.content, one.style, one.target)]

    def choose(self, step: int, example: int) -> Chosen:
        """Choose the utterances of one example; a step of -1 is that of `setup_batch`."""
        random = generator(self.seed, step + 1, example, 0)

        def one_of(names: Sequence[str]) -> str:
            return names[int(random.integers(len(names)))]

        target = one_of(self.targets)
        content = target if self.rendering == "same" else one_of(self._contents(target))
        style = one_of(self._styles(target))
        return Chosen(content, style, target, float(random.random()), float(random.random()))

    def _stretch(self, name: str) -> str:
        """Name the stretch of an utterance; an unnamed one is its own."""
        return self.utterances.stretch(name) or name

    def _contents(self, target: str) -> list[str]:
        instrument = self.utterances.speaker(target)
        others = self._by_stretch[self._stretch(target)]
        return [name for name in others if self.utterances.speaker(name) != instrument]

    def _styles(self, target: str) -> list[str]:
        stretch = self._stretch(target)
        own = self._by_instrument[self.utterances.speaker(target)]
        return [name for name in own if self._stretch(name) != stretch]

    def _draw(self, step: int, examples: Sequence[int]) -> TripletBatch:
        contents, styles, targets, keys = [], [], [], []
        for example in examples:
            one = self.choose(step, example)
            content, style, target = (
                prepare(self.utterances, name)
                for prepare, name in zip(self._prepare, one[:3], strict=True)
            )
            both = min(len(content), len(target))  # single notes last as long as their player likes
            contents.append(clip(content[:both], one.place, self.frames))
            targets.append(clip(target[:both], one.place, self.frames))
            styles.append(clip(style, one.style_place, self.style_frames))
            keys.append(int(generator(self.seed, step + 1, example, 1).integers(1 << 62)))
        return TripletBatch(
            stack(contents), stack(styles), stack(targets), torch.tensor(keys, dtype=torch.int64)
        )
