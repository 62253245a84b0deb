from vctool.features.settings import FeatureConfig


def test_settings_of_a_later_day_leave_older_dumps_where_they_are() -> None:
    """Hashes of before `win_length` and `mel_power`: a dump made then is found again."""
    assert FeatureConfig().hash8("mel") == "6c4f19fd"
    assert FeatureConfig(win_length=1024).hash8("mel") != "6c4f19fd"
    assert FeatureConfig(mel_power=1).hash8("accomp_mel") != "6c4f19fd"
    assert FeatureConfig(win_length=1024).hash8("world") == "6c6c94f9"
