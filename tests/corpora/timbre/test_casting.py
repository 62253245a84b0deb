"""Who plays which stretch."""

from collections import Counter

from vctool.corpora.timbre.casting import Stretch, cast

SEEN = [f"p{number}" for number in range(5)]
UNHEARD = {"unheard_programs": ["q0", "q1"], "unheard_font": ["other"]}
STRETCHES = [
    Stretch(f"{split}_{tune}_{place}_{voices}", f"{split}_{tune}", split, voices)
    for split, tunes in (("train", 5), ("dev", 2), ("test", 3))
    for tune in range(tunes)
    for place in range(2)
    for voices in ("mono", "poly")
]
TUNES = {one.name: one.tune for one in STRETCHES}


def test_training_is_dealt_evenly_and_in_variants() -> None:
    made = cast(STRETCHES, SEEN, UNHEARD, 0, "x", variants=lambda name, turn: f"{name}.{turn % 2}")
    takes = made.takes["train"]
    by_stretch: dict[str, set[str]] = {}
    for one in takes:
        by_stretch.setdefault(one.stretch.name, set()).add(one.instrument.split(".")[0])
    assert set(by_stretch) == {one.name for one in STRETCHES if one.split == "train"}
    assert {len(own) for own in by_stretch.values()} == {2}
    uses = Counter(one.instrument for one in takes)
    assert len(uses) == 2 * len(SEEN) and max(uses.values()) - min(uses.values()) <= 2
    assert not made.triplets["train"]


def test_a_style_is_of_another_tune_and_its_player_is_of_the_group() -> None:
    made = cast(STRETCHES, SEEN, UNHEARD, 0, "x")
    known = {take.id: take for split in made.takes.values() for take in split}
    assert {one.group for one in made.triplets["dev"]} == {"seen"}
    test = made.triplets["test"]
    counts = Counter((one.group, one.voices) for one in test)
    assert set(counts.values()) == {6} and len(counts) == 6
    for one in [*test, *made.triplets["dev"]]:
        content, style, target = (known[name] for name in (one.content, one.style, one.target))
        assert content.stretch == target.stretch and content.instrument != target.instrument
        assert style.instrument == target.instrument
        assert TUNES[style.stretch.name] != TUNES[target.stretch.name]
        assert {content.stretch.voices, style.stretch.voices} == {one.voices}
        assert content.instrument in SEEN
        assert target.instrument in (SEEN if one.group == "seen" else UNHEARD[one.group])
    assert cast(STRETCHES, SEEN, UNHEARD, 0, "x") == made
    assert cast(STRETCHES, SEEN, UNHEARD, 1, "x").triplets != made.triplets


def test_a_single_stretch_has_nothing_to_take_a_style_of() -> None:
    few = [one for one in STRETCHES if one.split == "train" or one.name == "test_0_0_mono"]
    assert not cast(few, SEEN, UNHEARD, 0, "x").triplets["test"]
