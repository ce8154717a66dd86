from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.errors import InputError, UnknownNameError
from spaces.languages import (
    GROUPS,
    TABLE,
    Property,
    group_of,
    groups_of,
    resolve_languages,
)
from spaces.tasks import load_catalogue

#: The languages of XTREME and XTREME-R.
BENCHMARKS = {
    "af", "ar", "az", "bg", "bn", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "gu",
    "he", "hi", "ht", "hu", "id", "it", "ja", "jv", "ka", "kk", "ko", "lt", "ml", "mr", "ms",
    "my", "nl", "pa", "pl", "pt", "qu", "ro", "ru", "sw", "ta", "te", "th", "tl", "tr", "uk",
    "ur", "vi", "wo", "yo", "zh",
}  # fmt: skip
MASAKHANER = {
    "am": "amh", "ha": "hau", "ig": "ibo", "rw": "kin", "lg": "lug",
    "luo": "luo", "pcm": "pcm", "sw": "swh", "wo": "wol", "yo": "yor",
}  # fmt: skip
AGGLUTINATIVE = {
    "Turkish", "Finnish", "Hungarian", "Estonian", "Basque", "Japanese", "Korean",
    "Tamil", "Telugu", "Kazakh", "Georgian", "Swahili", "Quechua",
}  # fmt: skip
MORPHOLOGY = {"agglutinative", "fusional", "introflexive", "isolating"}
CODES = st.sampled_from(sorted(TABLE))


def test_the_table_holds_every_language_of_the_benchmarks():
    assert set(TABLE) == {*BENCHMARKS, *MASAKHANER}
    assert {code: TABLE[code].iso3 for code in MASAKHANER} == MASAKHANER
    built_in = [task for task in load_catalogue().values() if task.group != "mini"]
    assert {code for task in built_in for code in task.languages} <= set(TABLE)


@pytest.mark.parametrize("code", TABLE)
def test_a_row_is_well_formed(code):
    language = TABLE[code]
    assert re.fullmatch("[a-z]{3}", language.iso3)
    assert re.fullmatch("[A-Z][a-z]{3}", language.script)
    assert language.joshi_class in (None, 0, 1, 2, 3, 4, 5)
    assert language.cc100_gib is None or 0 < language.cc100_gib <= 301
    assert language.morphology in {None, *MORPHOLOGY}
    assert (language.morphology is None) == (language.basis is None)


def test_codes_and_names_are_unique():
    for column in ("iso3", "name"):
        assert len({getattr(language, column) for language in TABLE.values()}) == len(TABLE)


def test_a_type_taken_from_a_genus_is_that_of_the_genus():
    sources = {"martinez2021", "arnett2025"}
    for code, language in TABLE.items():
        kin = [other for other in TABLE.values() if other.genus == language.genus]
        stated = {other.morphology for other in kin if other.basis in sources}
        if language.basis == "genus" and stated:
            assert stated == {language.morphology}, code


def test_figures_of_the_sources():
    # Table 6 of arXiv:1911.02116, and lang2tax.txt.
    assert (TABLE["en"].cc100_gib, TABLE["sw"].cc100_gib, TABLE["qu"].cc100_gib) == (
        300.8,
        1.6,
        None,
    )
    assert TABLE["zh"].cc100_gib == 46.9 + 16.6
    classes = {code: TABLE[code].joshi_class for code in ("pcm", "te", "wo", "ka", "hu", "ja")}
    assert classes == {"pcm": 0, "te": 1, "wo": 2, "ka": 3, "hu": 4, "ja": 5}


def test_the_groups():
    assert {TABLE[code].name for code in GROUPS["agglutinative"]} >= AGGLUTINATIVE
    assert GROUPS["uralic"] == ("et", "fi", "hu")
    assert GROUPS["dravidian"] == ("ml", "ta", "te")
    assert GROUPS["romance"] == ("es", "fr", "it", "pt", "ro")
    assert GROUPS["low_resource"] == tuple(
        code for code in TABLE if TABLE[code].joshi_class in (0, 1, 2)
    )
    levels = ("low_resource", "mid_resource", "high_resource")
    assert {code for level in levels for code in GROUPS[level]} == set(TABLE) - {"luo"}
    assert set(GROUPS) >= MORPHOLOGY
    assert not set(GROUPS) & set(TABLE)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in GROUPS)


def test_a_language_and_its_groups_agree():
    for code in TABLE:
        assert {name for name, codes in GROUPS.items() if code in codes} == set(groups_of(code))
        for what in get_args(Property):
            group = group_of(code, what)
            assert group is None or group in groups_of(code)
    assert groups_of("agg") == ()
    assert group_of("agg", "family") is None
    assert group_of("luo", "resources") is None
    assert group_of("ha", "morphology") is None


@pytest.mark.parametrize(
    ("names", "among", "expected"),
    [
        (["sw", "fi"], "en fi sw", "fi sw"),
        (["agglutinative"], "ar bn en fi id ko ru sw te", "fi ko sw te"),
        (["turkic", "dravidian"], "ta zh tr", "ta tr"),
        (["turkic", "zh"], "ta zh tr", "zh tr"),
        (["fusional", "-en"], "en de fi", "de"),
        (["-latn"], "en ru fi el", "ru el"),
        (["-en"], "en de fi", "de fi"),
        (["-sw"], "en de fi", "en de fi"),
        (["-turkic", "uralic"], "fi tr", "fi"),
        (["agg", "sib"], "en sib agg", "sib agg"),
        (["-agg"], "en sib agg", "en sib"),
        ([], "en de", ""),
    ],
)
def test_names_are_resolved_in_the_order_of_what_there_is(names, among, expected):
    assert resolve_languages(names, among.split(), "here") == tuple(expected.split())


REFUSED = {
    "aglutinative": "unknown language 'aglutinative'. Did you mean 'agglutinative'?",
    "-uralik": "unknown language 'uralik'. Did you mean 'uralic'?",
    "sw": "unknown language 'sw'",
    "-xx": "unknown language 'xx'",
    "turkic": "the group 'turkic' (az, kk, tr) has no language among en, fi, hu.",
    "uralic -hu -fi": "uralic, -hu, -fi leaves none of en, fi, hu.",
}


@pytest.mark.parametrize("names", REFUSED)
def test_what_stands_for_nothing_is_refused(names):
    kind = UnknownNameError if "unknown" in REFUSED[names] else InputError
    with pytest.raises(kind, match=re.escape(f"here: {REFUSED[names]}")):
        resolve_languages(names.split(), ["en", "fi", "hu"], "here")


@given(st.lists(CODES, unique=True), st.lists(st.sampled_from(sorted(GROUPS)), unique=True))
def test_groups_are_their_members(among, groups):
    wanted = {code for group in groups for code in GROUPS[group]}
    empty = [group for group in groups if not set(GROUPS[group]) & set(among)]
    if empty:
        with pytest.raises(InputError):
            resolve_languages(groups, among, "")
    else:
        expected = tuple(code for code in among if code in wanted)
        assert resolve_languages(groups, among, "") == expected


@given(st.lists(CODES, unique=True, min_size=1), st.data())
def test_codes_stand_for_themselves(among, data):
    names = data.draw(st.lists(st.sampled_from(among), unique=True))
    chosen = resolve_languages(names, among, "")
    assert set(chosen) == set(names)
    assert list(chosen) == sorted(chosen, key=among.index)
