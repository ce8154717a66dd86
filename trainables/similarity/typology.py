"""How alike the languages are that a source trains in and a target is evaluated in.

The similarity of two languages is the share of properties they agree in, of those known of both:
family, genus, morphological type and script, from ``spaces/languages.yaml``. It is averaged over
all pairs of a source's and a target's languages.

Source: Littell et al. 2017 (URIEL and lang2vec, aclanthology.org/E17-2002) measure the distance of
languages by vectors of typological features, which Lin et al. 2019 (arXiv:1905.12688) use to choose
languages for transfer. Deviation: four properties of a table whose sources are named, each of the
same weight, where URIEL has hundreds of features with many gaps.
"""

from __future__ import annotations

import math
from itertools import product
from typing import get_args

from spaces.languages import Property, group_of
from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.subjects import Subject

#: The level of resources is no property of a language's structure.
PROPERTIES: tuple[Property, ...] = tuple(p for p in get_args(Property) if p != "resources")


def language_similarity(first: str, second: str) -> float:
    """Return the share of known properties that two languages agree in; NaN if none is known.

    >>> language_similarity("de", "en"), language_similarity("fi", "et")
    (1.0, 1.0)
    >>> language_similarity("hi", "en")  # Indo-European and fusional; Indic, Devanagari
    0.5
    """
    groups = [(group_of(first, p), group_of(second, p)) for p in PROPERTIES]
    known = [a == b for a, b in groups if a is not None and b is not None]
    return sum(known) / len(known) if known else float("nan")


def typological_similarity(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the mean similarity of two subjects' languages; those of no known group are left out.

    A source in one language is as similar to a target as every other source in that language.
    """
    found = [language_similarity(a, b) for a, b in product(source.languages, target.languages)]
    known = [value for value in found if not math.isnan(value)]
    if not known:
        unknown = ", ".join(target.languages)
        return Outcome.missing(f"the language table has none of {unknown}")
    return Outcome(sum(known) / len(known), 0)
