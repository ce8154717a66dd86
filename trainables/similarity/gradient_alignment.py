"""Gradient alignment: whether a step for the source is a step for the target.

The cosine of the mean gradients of the two tasks' losses on the weights of the shared encoder, at
the base model, each task with a head of its own.

Source: Yu et al. 2020, arXiv:2001.06782, and Wang et al. 2021, arXiv:2010.05874, who compare
gradients of tasks (and languages) by their cosine while they train together. Deviation: at the base
model alone, with heads fitted on frozen features; gradients of large weights are sketched
(``trainables.similarity.sketch``).
"""

from __future__ import annotations

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.gradients import NO_LABELS, gradient_statistics
from trainables.similarity.sketch import cosine
from trainables.similarity.subjects import Subject


def gradient_alignment(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the cosine of two subjects' mean gradients."""
    vectors = []
    for subject in (source, target):
        found = bench.once("gradients", subject, lambda s: gradient_statistics(bench, s))
        if found is None:
            return Outcome.missing(NO_LABELS.format(subject.name))
        vectors.append(found.mean)
    return Outcome(cosine(*vectors), bench.num_examples(source, target))
