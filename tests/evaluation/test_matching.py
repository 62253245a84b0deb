"""Names that people give to conversions, and those that cannot be told apart."""

import unicodedata

import pytest

from vctool.errors import DataError
from vctool.evaluation.matching import match

SOURCES = ["200001", "200002", "200003"]


@pytest.mark.parametrize(
    "pattern",
    ["{}", "{}.TM3", "{}_converted", "SF1-{}", "SF1_to_TM3_{}.wav_gen", "out/deep/{}", "{} (copy)"],
)
def test_usual_names_find_their_source(pattern: str) -> None:
    made = [pattern.format(name) for name in reversed(SOURCES)]
    expected = dict(zip(made, reversed(SOURCES), strict=True))
    assert match(made, SOURCES, "source") == expected
    # and the other way round: the sources carry more than the conversions do
    assert match(SOURCES, made, "source") == {source: name for name, source in expected.items()}


def test_speakers_on_both_sides_are_no_part_of_the_name() -> None:
    made = [f"TM3-{name}-gen" for name in SOURCES]
    sources = [f"SF1-{name}" for name in [*SOURCES, "200004"]]
    assert match(made, sources, "source") == dict(zip(made, sources, strict=False))


def test_the_longest_whole_name_wins() -> None:
    sources = ["take_1", "take_11", "take_1_b"]
    made = ["take_1_b_TM3", "take_11_TM3", "take_1_TM3"]
    assert match(made, sources, "source") == {
        "take_1_b_TM3": "take_1_b",
        "take_11_TM3": "take_11",  # not take_1: whole words count, not letters
        "take_1_TM3": "take_1",
    }


def test_folders_tell_apart_what_names_do_not() -> None:
    sources = ["ann/1", "ben/1"]
    assert match(["ben/1"], sources, "source") == {"ben/1": "ben/1"}
    with pytest.raises(DataError, match=r"'1': may belong to the source 'ann/1' or 'ben/1'"):
        match(["1"], sources, "source")


def test_what_has_no_partner_is_left_out() -> None:
    assert match(["200009", "200002_x"], SOURCES, "source") == {"200002_x": "200002"}
    assert match(["anything"], [], "source") == {}
    # other sentences of another speaker: nothing in common but the folder's habit
    assert match(["SF1-100001", "SF1-100002"], ["TM3-100082", "TM3-100083"], "reference") == {}
    assert match(["arctic_a0001", "arctic_a0002"], ["arctic_b0539", "arctic_b0538"], "x") == {}


def test_what_could_be_two_things_is_refused() -> None:
    with pytest.raises(DataError, match=r"'1_2': may belong to the source '1' or '2'"):
        match(["1_2"], ["1", "2"], "source")
    with pytest.raises(DataError, match=r"'200001\.TM3' and '200001_x': both belong to the source"):
        match(["200001.TM3", "200001_x"], SOURCES, "source")


NAMES = ["Café", "Zürich_Übung", "más"]


@pytest.mark.parametrize("pattern", ["{}", "{}_to_ben", "vc-{}", "out/deep/{}"])
@pytest.mark.parametrize(("own", "theirs"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_composed_and_decomposed_belong_together(pattern: str, own: str, theirs: str) -> None:
    made = [pattern.format(unicodedata.normalize(own, name)) for name in NAMES]
    sources = [unicodedata.normalize(theirs, name) for name in NAMES]
    assert match(made, sources, "source") == dict(zip(made, sources, strict=True))


def test_names_that_only_look_the_same_are_told_apart_as_they_are_stored() -> None:
    both = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")]
    assert match(both, both, "source") == dict(zip(both, both, strict=True))
    with pytest.raises(DataError, match=r"'Café_gen': may belong to the source"):
        match(["Café_gen"], both, "source")


@pytest.mark.parametrize("pattern", ["{}", "{}_ben", "ann-to-ben {}", "vc_{}_1.0_25"])
def test_names_that_differ_in_signs_alone_are_told_apart(pattern: str) -> None:
    sources = ["take-1", "take_1", "take 1", "take_11"]
    made = [pattern.format(name) for name in sources]
    assert match(made, sources, "source") == dict(zip(made, sources, strict=True))
    assert match(sources, made, "source") == dict(zip(sources, made, strict=True))
    with pytest.raises(
        DataError, match=r"'take\.1_x': may belong to the source 'take-1' or 'take_1"
    ):
        match(["take.1_x", "take-1_x"], sources, "source")


@pytest.mark.parametrize(
    "pattern",
    ["vc_{}_ben_1.0_25_0.7", "vc_v2_{}_25_1_25_0.7_0.7", "25_{}", "{}_25-steps", "{}"],
)
def test_a_systems_settings_are_no_source(pattern: str) -> None:
    sources = ["3", "25", "7", "1", "0"]
    made = [pattern.format(name) for name in sources]
    assert match(made, sources, "source") == dict(zip(made, sources, strict=True))
    assert match(made[:2], sources, "source") == dict(zip(made[:2], sources[:2], strict=True))


def test_what_all_names_share_may_still_be_the_whole_of_what_is_found() -> None:
    # one speaker's conversions by two systems: nothing but what all begin with is a source
    with pytest.raises(DataError, match="both belong to the source '200001'"):
        match(["200001_a", "200001_b"], SOURCES, "source")
    assert match(["s-1_x", "s-2_x"], ["s-1", "t-1", "s-2", "t-2"], "source") == {
        "s-1_x": "s-1",
        "s-2_x": "s-2",
    }
