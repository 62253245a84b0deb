"""Splits of a user's own recordings: what belongs together is on one side.

Recordings of several speakers belong together where they have one name, since they hold the same
sentence, or the same content.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from vctool.acquisition import splits
from vctool.acquisition.report import SPLITS
from vctool.data.utterance import Utterance

MANY_RECORDINGS = 10
"""From this many on, a speaker's held-out recordings are drawn over all that he or she made."""


WHOEVER = "file name (of all speakers)"
"""What splits are disjoint by where speakers share names."""


class Recording(NamedTuple):
    """A recording, whole or cut."""

    speaker: str
    name: str
    """Its id."""
    said: str
    """Name of what is said: the same for all speakers whose files have this name."""
    content: str
    """Digest of the file, or its id where no other file can be the same."""
    utterances: tuple[Utterance, ...]


Assigned = list[tuple[Utterance, str]]
"""Every utterance with its split."""


def assign(
    recordings: Sequence[Recording], seed: int, purpose: str, every_speaker: bool
) -> tuple[Assigned, str]:
    """Assign every utterance to a split, and say what the splits are disjoint by.

    Args:
        recordings: those of a speaker in their order in time.
        seed: of the draw.
        purpose: name of the corpus.
        every_speaker: keep every speaker in all splits, however many there are.
    """
    speakers = sorted({one.speaker for one in recordings})
    own = {who: [one for one in recordings if one.speaker == who] for who in speakers}
    same = _groups(own, lambda one: (one.content,))
    if len(set(same.values())) >= splits.ENOUGH and not every_speaker:
        chosen = splits.by_group(dict.fromkeys(same.values(), ""), seed, purpose)
        return _over(recordings, lambda one: chosen[same[one.speaker]]), "speaker"
    shares = _groups(own, lambda one: (one.content, ("said", one.said)))
    assigned: Assigned = []
    ways = set()
    for first in dict.fromkeys(shares[who] for who in speakers):
        group = {who: own[who] for who in speakers if shares[who] == first}
        found, way = _among(group, seed, purpose)
        assigned += found
        ways.add(way)
    if {split for _, split in assigned} != set(SPLITS) and not every_speaker:
        # too little of every speaker for three splits each: one sequence of all
        pool = [one for who in speakers for made in own[who] for one in made.utterances]
        blocks = splits.by_block([one.duration for one in pool], seed, purpose)
        return list(zip(pool, blocks, strict=True)), "time in long recordings"
    return assigned, " and ".join(sorted(ways))


def _among(own: Mapping[str, Sequence[Recording]], seed: int, purpose: str) -> tuple[Assigned, str]:
    """Split the recordings of a speaker, or of several who share some."""
    everything = [one for made in own.values() for one in made]
    units = _components(everything)
    of_speaker = {who: list({units[one.name]: None for one in made}) for who, made in own.items()}
    if len(own) > 1:
        drawn = by_unit(of_speaker, seed, purpose)
        if all({drawn[unit] for unit in found} == set(SPLITS) for found in of_speaker.values()):
            return _over(everything, lambda one: drawn[units[one.name]]), WHOEVER
    assigned: Assigned = []
    ways = set()
    for speaker, made in own.items():
        # speakers who read the same long text hold out the same end of it
        salt = f"{purpose}/{speaker}" if len(own) == 1 else purpose
        found, way = _in_time(made, seed, salt)
        assigned += found
        ways.add(way)
    return assigned, " and ".join(sorted(ways))


def by_unit(units: Mapping[str, Sequence[str]], seed: int, purpose: str) -> dict[str, str]:
    """Hold out units that speakers share, so that every speaker has all splits where that can be.

    Units of most speakers are drawn first: what is scored is then what all of them said.

    Args:
        units: those of every speaker.
        seed: of the draw.
        purpose: name of the corpus.

    Returns:
        `train`, `dev` or `test` for every unit.
    """
    readers: dict[str, list[str]] = defaultdict(list)
    for who, own in units.items():
        for unit in own:
            readers[unit].append(who)
    shares = {"test": splits.TEST_SHARE, "dev": splits.DEV_SHARE}
    wanted = {
        who: {split: max(1, round(share * len(own))) for split, share in shares.items()}
        for who, own in units.items()
    }
    left = {who: len(own) for who, own in units.items()}
    have: dict[str, Counter[str]] = {who: Counter() for who in units}

    def fits(split: str, unit: str) -> bool:
        """Tell whether a reader lacks it in this split, and all others can do without it."""
        lacking = any(have[who][split] < wanted[who][split] for who in readers[unit])
        return lacking and all(
            left[who] > sum(not have[who][other] for other in SPLITS if other != split)
            for who in readers[unit]
        )

    found = {}
    order = splits.shuffled(readers, seed, purpose)
    for unit in sorted(order, key=lambda unit: -len(readers[unit])):
        found[unit] = next((split for split in shares if fits(split, unit)), "train")
        for who in readers[unit]:
            have[who][found[unit]] += 1
            left[who] -= 1
    return found


def _in_time(made: Sequence[Recording], seed: int, salt: str) -> tuple[Assigned, str]:
    """Split one speaker's recordings: some of many, else the end or the beginning."""
    way = "recording"
    by_name = {one.name: one.utterances for one in made}
    groups = [by_name[name] for name in sorted(by_name)]
    if len(groups) >= MANY_RECORDINGS:
        groups = [by_name[name] for name in splits.shuffled(by_name, seed, salt)]
    elif len(groups) < len(SPLITS):
        groups = [(one,) for group in groups for one in group]
        way = "time in long recordings"
    blocks = splits.by_block([sum(one.duration for one in group) for group in groups], seed, salt)
    pairs = zip(groups, blocks, strict=True)
    return [(one, split) for group, split in pairs for one in group], way


def _over(recordings: Iterable[Recording], chosen: Callable[[Recording], str]) -> Assigned:
    return [(one, chosen(made)) for made in recordings for one in made.utterances]


def _groups(
    own: Mapping[str, Sequence[Recording]], keys: Callable[[Recording], tuple[Hashable, ...]]
) -> dict[str, str]:
    """Join speakers who have recordings with a key in common: each to the first of its group."""
    return _joined({who: {key for one in made for key in keys(one)} for who, made in own.items()})


def _components(recordings: Iterable[Recording]) -> dict[str, str]:
    """Join recordings of one name or one content; return the name of what is said in each group."""
    said = {one.name: one.said for one in recordings}
    joined = _joined({one.name: {one.content, ("said", one.said)} for one in recordings})
    return {name: said[first] for name, first in joined.items()}


def _joined(keys: Mapping[str, Iterable[Hashable]]) -> dict[str, str]:
    """Join names that have keys in common, directly or through others: each to the first of all."""
    first: dict[str, str] = {name: name for name in keys}

    def root(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    owner: dict[Hashable, str] = {}
    for name in sorted(keys):
        for key in keys[name]:
            one, other = sorted((root(owner.setdefault(key, name)), root(name)))
            first[other] = one
    return {name: root(name) for name in keys}
