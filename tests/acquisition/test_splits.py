import pytest
from hypothesis import given
from hypothesis import strategies as st

from vctool.acquisition import splits

RANK = {"train": 0, "dev": 1, "test": 2}


@given(st.lists(st.floats(0.5, 40), min_size=1, max_size=60), st.integers(0, 5))
def test_blocks_are_contiguous_with_dev_between_and_every_split_where_three_fit(
    seconds: list[float], seed: int
) -> None:
    found = splits.by_block(seconds, seed, "x")
    ranks = [RANK[name] for name in found]
    if len(seconds) >= 3:
        assert set(found) == {"train", "dev", "test"}
        assert ranks in (sorted(ranks), sorted(ranks, reverse=True))
    else:
        assert found == ["train", "test"][: len(seconds)]


def test_blocks_hold_their_shares_of_the_time() -> None:
    found = splits.by_block([1.0] * 100, 0, "x")
    assert (found.count("test"), found.count("dev")) == (20, 10)
    assert splits.by_block([1.0] * 10, 0, "x", test=0).count("dev") == 1
    assert "test" not in splits.by_block([1.0] * 10, 0, "x", test=0)


def test_the_seed_decides_and_nothing_else_does() -> None:
    names = [f"s{number}" for number in range(20)]
    assert splits.shuffled(names, 0, "x") == splits.shuffled(reversed(names), 0, "x")
    assert splits.shuffled(names, 0, "x") != splits.shuffled(names, 1, "x")
    assert splits.shuffled(names, 0, "x") != splits.shuffled(names, 0, "y")
    # a name more leaves the order of the others
    more = splits.shuffled([*names, "new"], 0, "x")
    assert [name for name in more if name != "new"] == splits.shuffled(names, 0, "x")
    ends = {splits.by_block([1.0] * 10, seed, "x")[0] for seed in range(8)}
    assert ends == {"train", "test"}


@pytest.mark.parametrize("count", [8, 19, 100])
def test_groups_are_held_out_whole_from_every_stratum(count: int) -> None:
    strata = {f"s{number}": "FM"[number % 4 == 0] for number in range(count)}
    found = splits.by_group(strata, 0, "x")
    test = [name for name in found if found[name] == "test"]
    assert len(test) == max(2, round(0.1 * count))
    assert {strata[name] for name in test} == {"F", "M"}
    assert list(found.values()).count("dev") == max(1, len(test) // 2)
    assert set(found) == set(strata)


def test_one_song_a_singer_is_held_out_and_another_for_dev_where_there_are_four() -> None:
    songs = {"a": ["a1", "a2", "a3", "a4"], "b": ["b1", "b2"], "c": ["c1"]}
    found = splits.by_song(songs, 0, "x")
    counts = {singer: sorted(found[song] for song in own) for singer, own in songs.items()}
    assert counts == {
        "a": ["dev", "test", "train", "train"],
        "b": ["test", "train"],
        "c": ["train"],
    }


def test_sentences_are_held_out_for_whoever_reads_them() -> None:
    everything = [f"s{k}" for k in range(40)]
    read = {"ann": everything, "ben": everything[:20], "cy": [f"t{k}" for k in range(20)]}
    found = splits.by_sentence(read, 0, "c", test=0.1, dev=0.1)
    assert set(found) == {sentence for own in read.values() for sentence in own}
    for own in read.values():
        held = [found[sentence] for sentence in own]
        assert held.count("test") >= 2 and held.count("dev") >= 1
        assert held.count("train") >= len(own) * 0.6
    same = list(splits.by_sentence({"ann": everything, "ben": everything}, 0, "c").values())
    assert (same.count("test"), same.count("dev")) == (4, 4)
    without = splits.by_sentence(read, 0, "c", test=0)
    assert set(without.values()) == {"train", "dev"}
    assert found != splits.by_sentence(read, 1, "c", test=0.1, dev=0.1)


def test_groups_alternate_between_traits_as_long_as_both_last() -> None:
    strata = {f"f{k}": "F" for k in range(2)} | {f"m{k}": "M" for k in range(5)}
    order = splits.alternating(strata, 0, "c")
    assert sorted(order) == sorted(strata)
    assert {name[0] for name in order[:2]} == {name[0] for name in order[2:4]} == {"f", "m"}
    assert {name[0] for name in order[4:]} == {"m"}
