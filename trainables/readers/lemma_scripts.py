"""Lemma scripts: how to edit a form into its lemma, as a label that many words share.

``walked``, ``talked`` and ``Asked`` have the same script, "lower case; cut two characters off the
end", so predicting it is tagging. A script keeps what form and lemma have in common, replaces what
stands before and after, and then sets the case:

    L0;0;2;0;       walked -> walk, Asked -> ask
    L0;0;3;0;y      flies -> fly
    U0,L1;0;0;0;    london -> London, LONDON -> London
    =be             is -> be (nothing in common: the lemma itself)

The five parts are the runs of case, the numbers of characters cut off the start and the end, and
the length of what is put before, which is followed by that and by what is put behind.

Source: Straka 2018 (UDPipe 2.0, doi:10.18653/v1/K18-2020), section 3.4, whose lemma rules are edits
around the longest common substring and a casing script; the idea of edit scripts as classes is
Chrupala's (2006). Deviation: a prefix or suffix is replaced as a whole, not character by character.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

_SCRIPT = re.compile(r"([UL]-?[0-9]+(?:,[UL]-?[0-9]+)*);([0-9]+);([0-9]+);([0-9]+);(.*)", re.DOTALL)
LITERAL = "="


@lru_cache(maxsize=100_000)
def make_script(form: str, lemma: str) -> str:
    """Return the script that edits a form into a lemma; ``apply_script`` gives it back exactly.

    Args:
        form: The word as it is written.
        lemma: Its lemma.

    >>> make_script("flies", "fly"), make_script("LONDON", "London"), make_script("is", "be")
    ('L0;0;3;0;y', 'U0,L1;0;0;0;', '=be')
    """
    low_form, low_lemma = _lower(form), _lower(lemma)
    matcher = SequenceMatcher(None, low_form, low_lemma, autojunk=False)
    stem = matcher.find_longest_match()
    if stem.size == 0:
        return LITERAL + lemma
    prefix, suffix = low_lemma[: stem.b], low_lemma[stem.b + stem.size :]
    cut_end = len(form) - stem.a - stem.size
    return f"{_casing(lemma)};{stem.a};{cut_end};{len(prefix)};{prefix}{suffix}"


def apply_script(script: str, form: str) -> str:
    """Return the lemma that a script makes of a form.

    Any script can be applied to any form: what it would cut off a form that is too short is simply
    not there.

    Args:
        script: A script as ``make_script`` returns it.
        form: The word as it is written.

    Raises:
        ValueError: Not a script.

    >>> apply_script("L0;0;3;0;y", "Cries"), apply_script("=be", "was")
    ('cry', 'be')
    """
    if script.startswith(LITERAL):
        return script.removeprefix(LITERAL)
    parts = _SCRIPT.fullmatch(script)
    if parts is None:
        raise ValueError(f"not a lemma script: {script!r}")
    casing, affixes = parts[1], parts[5]
    cut_start, cut_end, prefix_length = int(parts[2]), int(parts[3]), int(parts[4])
    stem = _lower(form)[cut_start : max(len(form) - cut_end, cut_start)]
    return _set_case(affixes[:prefix_length] + stem + affixes[prefix_length:], casing)


def _casing(text: str) -> str:
    """Return the runs of case as ``U0,L1``; a start beyond the middle counts from the end.

    Characters without case belong to the run before them, so that ``U.S.`` is all upper case.
    """
    cased = [(i, _lower_character(c) != c) for i, c in enumerate(text) if _has_case(c)]
    runs = [(next(group)[0], is_upper) for is_upper, group in groupby(cased, key=lambda x: x[1])]
    if not runs:
        return "L0"
    runs[0] = (0, runs[0][1])
    half = len(text) / 2
    return ",".join(
        f"{'U' if is_upper else 'L'}{start if start <= half else start - len(text)}"
        for start, is_upper in runs
    )


def _set_case(text: str, casing: str) -> str:
    characters = list(text)
    for run in casing.split(","):
        start = int(run[1:])
        begin = start if start >= 0 else max(len(text) + start, 0)
        change = _upper_character if run[0] == "U" else _lower_character
        characters[begin:] = [change(c) for c in characters[begin:]]
    return "".join(characters)


# Only characters whose case can be changed and changed back count as having case: the German sharp
# s and the dotted I of Turkish, for example, do not survive the round trip and stay as they are.


def _lower_character(character: str) -> str:
    low = character.lower()
    return low if len(low) == 1 and low.upper() == character else character


def _upper_character(character: str) -> str:
    high = character.upper()
    return high if len(high) == 1 and _lower_character(high) == character else character


def _has_case(character: str) -> bool:
    return _lower_character(character) != character or _upper_character(character) != character


def _lower(text: str) -> str:
    return "".join(map(_lower_character, text))
