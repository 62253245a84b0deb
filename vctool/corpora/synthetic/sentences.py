"""The slot grammar that every sentence of the synthetic corpus is drawn from.

A sentence fills six slots of six words each, `bring the red lamp near the kitchen tonight`, so that
a recogniser that only has to choose among the words of a slot is right once in six by chance.
"""

import numpy as np

GRAMMAR: tuple[tuple[str, ...], ...] = (
    ("bring", "take", "push", "move", "leave", "show"),
    ("the",),
    ("red", "blue", "green", "white", "brown", "yellow"),
    ("box", "ball", "lamp", "chair", "coat", "shoe"),
    ("near", "under", "behind", "by", "over", "below"),
    ("the",),
    ("door", "window", "table", "kitchen", "garden", "wall"),
    ("now", "today", "tonight", "again", "soon", "always"),
)
"""The words that may stand at each position; a position with one word is no slot."""


def draw(count: int, taken: set[str], rng: np.random.Generator) -> list[str]:
    """Draw distinct sentences in which every word of a slot is used equally often.

    Args:
        count: number of sentences.
        taken: sentences that may not be drawn; the new ones are added to it.
        rng: source of the draw.

    Returns:
        The sentences, in the order drawn.

    Raises:
        ValueError: the grammar has fewer than `count` sentences besides those taken.
    """
    total = int(np.prod([len(words) for words in GRAMMAR]))
    if len(taken) + count > total:
        raise ValueError(f"{count} sentences asked for, {total - len(taken)} are left of {total}")
    columns = [_balanced(words, count, rng) for words in GRAMMAR]
    drawn: list[str] = []
    for row in range(count):
        sentence = " ".join(column[row] for column in columns)
        while sentence in taken:
            # Swapping a word with a later row keeps the balance; the last row has none to swap
            # with, and one of its words is drawn afresh.
            position = int(rng.integers(len(columns)))
            column = columns[position]
            if row + 1 < count:
                other = int(rng.integers(row + 1, count))
                column[row], column[other] = column[other], column[row]
            else:
                column[row] = GRAMMAR[position][int(rng.integers(len(GRAMMAR[position])))]
            sentence = " ".join(column[row] for column in columns)
        taken.add(sentence)
        drawn.append(sentence)
    return drawn


def _balanced(words: tuple[str, ...], count: int, rng: np.random.Generator) -> list[str]:
    """Return `count` words in random order, each used equally often to within one."""
    order = [words[index] for index in rng.permutation(len(words))]
    column = [order[index % len(order)] for index in range(count)]
    return [column[index] for index in rng.permutation(count)]
