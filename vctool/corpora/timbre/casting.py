"""Deals instruments to stretches of notes: training takes, and the triplets of dev and test.

In training every stretch is played by two instruments, so that each has a counterpart of the same
notes. Dev and test hold triplets (`data.triplet_table`), in which contents are played by training
instruments and the groups differ by who plays style and target.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple

from vctool.acquisition.splits import shuffled
from vctool.data.triplet_table import Triplet


class Stretch(NamedTuple):
    """A stretch of notes."""

    name: str
    tune: str
    """What it is a part of; a style is taken of another tune where there is one."""
    split: str
    """`train`, `dev` or `test`."""
    voices: str
    """`mono` or `poly`."""


class Take(NamedTuple):
    """One stretch by one instrument: one utterance."""

    instrument: str
    stretch: Stretch

    @property
    def id(self) -> str:
        """Name of the utterance."""
        return f"{self.instrument}-{self.stretch.name}"


@dataclass(frozen=True)
class Cast:
    """Who plays what."""

    takes: Mapping[str, tuple[Take, ...]]
    """By split, each take once."""
    triplets: Mapping[str, tuple[Triplet, ...]]
    """By split; none of train."""


def cast(
    stretches: Iterable[Stretch],
    seen: Sequence[str],
    unheard: Mapping[str, Sequence[str]],
    seed: int,
    purpose: str,
    *,
    variants: Callable[[str, int], str] = lambda instrument, turn: instrument,
) -> Cast:
    """Deal instruments to stretches.

    Args:
        stretches: all of them; each of dev and test becomes the content of a triplet of every
            group, where there are two of its voices to take a style of another.
        seen: the instruments of training, which also play all contents.
        unheard: those that test is for alone, by group (`triplet_table.GROUPS`).
        seed: of the deal.
        purpose: name of the corpus.
        variants: names the instrument that plays when one of `seen` is dealt in training for the
            n-th time, from 0 on: such as the same with an effect.
    """
    by_split: dict[str, list[Stretch]] = {"train": [], "dev": [], "test": []}
    for one in stretches:
        by_split[one.split].append(one)
    takes: dict[str, dict[str, Take]] = {split: {} for split in by_split}
    found: dict[str, list[Triplet]] = {"train": [], "dev": [], "test": []}

    def add(split: str, instrument: str, stretch: Stretch) -> str:
        take = Take(instrument, stretch)
        takes[split][take.id] = take
        return take.id

    dealt = _dealt(seen, seed, f"{purpose}/train")
    turns = dict.fromkeys(seen, 0)
    for stretch in _mixed(by_split["train"], seed, purpose):
        for instrument in (first := next(dealt), next(one for one in dealt if one != first)):
            add("train", variants(instrument, turns[instrument]), stretch)
            turns[instrument] += 1
    for split in ("dev", "test"):
        groups = {"seen": seen, **(unheard if split == "test" else {})}
        for voices in ("mono", "poly"):
            own = _mixed((s for s in by_split[split] if s.voices == voices), seed, purpose)
            if len(own) < 2:  # nothing to take a style of
                continue
            contents = islice(_dealt(seen, seed, f"{purpose}/{split}/{voices}"), len(own))
            for place, (content, stretch) in enumerate(zip(contents, own, strict=True)):
                style = _another(own, place)
                for group, instruments in groups.items():
                    able = [one for one in instruments if one != content]
                    order = shuffled(able, seed, f"{purpose}/{split}/{voices}/{group}")
                    target = order[place % len(order)]
                    found[split].append(
                        Triplet(
                            f"{group}_{voices}_{place:03d}",
                            add(split, content, stretch),
                            add(split, target, style),
                            add(split, target, stretch),
                            group,
                            voices,
                        )
                    )
    return Cast(
        {split: tuple(own.values()) for split, own in takes.items()},
        {split: tuple(sorted(own)) for split, own in found.items()},
    )


def _mixed(stretches: Iterable[Stretch], seed: int, purpose: str) -> list[Stretch]:
    """Order stretches by chance."""
    named = {one.name: one for one in stretches}
    return [named[name] for name in shuffled(named, seed, f"{purpose}/stretches")]


def _dealt(instruments: Sequence[str], seed: int, purpose: str) -> Iterator[str]:
    """Yield instruments for ever, each once in every round."""
    for turn in cycle(range(1000)):
        yield from shuffled(instruments, seed, f"{purpose}/{turn}")


def _another(stretches: Sequence[Stretch], place: int) -> Stretch:
    """Return the next stretch, round, of another tune where there is one."""
    following = [*stretches[place + 1 :], *stretches[:place]]
    return next((s for s in following if s.tune != stretches[place].tune), following[0])
