"""Seeded, disjoint splits: whole groups where there are enough of them, else blocks of time.

Order is drawn by hashing each name with the seed, so a split depends on nothing but seed and
names, on any machine, and a speaker more moves few of the others.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

ENOUGH = 8
"""From this many speakers or singers on, splits are disjoint by them."""

TEST_SHARE = 0.2
"""Share of the time that is held out for scoring where blocks or songs are."""

DEV_SHARE = 0.1
"""Share of the time that is held out for validation where blocks are."""


def shuffled(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Order names by chance, as a function of seed and purpose only."""

    def rank(name: str) -> str:
        return hashlib.sha256(f"{seed}/{purpose}/{name}".encode()).hexdigest()

    return sorted(set(names), key=rank)


def alternating(strata: Mapping[str, str], seed: int, purpose: str) -> list[str]:
    """Order groups by chance, one of each trait in turn, such as a woman and a man.

    Args:
        strata: a trait of every group.
        seed: of the draw.
        purpose: name of the corpus.
    """
    kinds = shuffled(strata.values(), seed, purpose)
    columns = [
        shuffled((name for name in strata if strata[name] == kind), seed, purpose) for kind in kinds
    ]
    return [name for row in zip_longest(*columns) for name in row if name is not None]


def by_group(strata: Mapping[str, str], seed: int, purpose: str) -> dict[str, str]:
    """Assign whole groups (speakers, singers): a tenth, at least two, to test; half that to dev.

    Args:
        strata: a trait of every group, such as the sex; held-out groups alternate between traits.
        seed: of the draw.
        purpose: name of the corpus.

    Returns:
        `train`, `dev` or `test` for every group.
    """
    assert len(strata) >= 4, strata
    order = alternating(strata, seed, purpose)
    test = max(2, round(0.1 * len(order)))
    dev = max(1, test // 2)
    splits = ["test"] * test + ["dev"] * dev + ["train"] * (len(order) - test - dev)
    return dict(zip(order, splits, strict=True))


def by_block(
    seconds: Sequence[float],
    seed: int,
    purpose: str,
    *,
    test: float = TEST_SHARE,
    dev: float = DEV_SHARE,
) -> list[str]:
    """Cut a sequence of recordings, in their order in time, into three blocks.

    Dev lies between train and test, so that neighbours of test recordings are not trained on; the
    seed decides at which end test is.

    Args:
        seconds: duration of each recording [s].
        seed: of the choice.
        purpose: name of the speaker or the recording.
        test: least share of the time in test; 0 for none.
        dev: least share of the time in dev; 0 for none.

    Returns:
        `train`, `dev` or `test` for each. Where there are too few, train comes first, then test.
    """
    wanted = [name for name, share in (("test", test), ("dev", dev)) if share]
    if len(seconds) <= len(wanted):
        return ["train", *wanted][: len(seconds)]
    forward = shuffled(("forward", "backward"), seed, purpose)[0] == "forward"
    times = list(reversed(seconds)) if forward else list(seconds)
    total, splits, start = sum(times), [], 0.0
    for position, length in enumerate(times):
        left = len(times) - position
        # the shares of equal lengths are met exactly, but not in floating point
        share = start / total + 1e-9
        if test and (share < test or "test" not in splits) and left > len(wanted):
            split = "test"
        elif dev and (share < test + dev or "dev" not in splits) and left > 1:
            split = "dev"
        else:
            split = "train"
        splits.append(split)
        start += length
    return splits[::-1] if forward else splits


def by_song(songs: Mapping[str, Iterable[str]], seed: int, purpose: str) -> dict[str, str]:
    """Hold out one song of every singer for test, and one for dev where there are four or more.

    Args:
        songs: the songs of every singer; names unique over all singers.
        seed: of the draw.
        purpose: name of the corpus.

    Returns:
        `train`, `dev` or `test` for every song; singers with a single song stay in train.
    """
    found: dict[str, str] = {}
    for singer in sorted(songs):
        order = shuffled(songs[singer], seed, f"{purpose}/{singer}")
        found |= dict.fromkeys(order, "train")
        if len(order) >= 2:
            found[order[0]] = "test"
        if len(order) >= 4:
            found[order[1]] = "dev"
    return found


def by_sentence(
    sentences: Mapping[str, Iterable[str]],
    seed: int,
    purpose: str,
    *,
    test: float = DEV_SHARE,
    dev: float = DEV_SHARE,
) -> dict[str, str]:
    """Hold out sentences, the same ones for all speakers who read them.

    Args:
        sentences: what every speaker read.
        seed: of the draw.
        purpose: name of the corpus.
        test: share of every speaker's sentences for scoring, at least one; 0 for none.
        dev: share for validation, at least one; 0 for none.

    Returns:
        `train`, `dev` or `test` for every sentence.
    """
    # one order for all speakers, so those who read the same sentences hold the same ones out
    orders = [shuffled(own, seed, purpose) for own in sentences.values()]
    tested: set[str] = set()
    validated: set[str] = set()
    for order in orders:
        first = max(1, round(test * len(order))) if test else 0
        tested.update(order[:first])
        validated.update(order[first : first + max(1, round(dev * len(order)))] if dev else ())
    found = {sentence: "train" for order in orders for sentence in order}
    return found | dict.fromkeys(validated, "dev") | dict.fromkeys(tested, "test")
