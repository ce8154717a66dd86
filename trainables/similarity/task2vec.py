"""Task2Vec: a task is the diagonal of the empirical Fisher information of the shared encoder.

The entries of a weight matrix are averaged over the inputs of each output unit (the paper's
averaging over a filter); two tasks are compared by the cosine of each matrix' entries, and the mean
over matrices is taken, so that no layer weighs more because its gradients are larger.

Source: Achille et al. 2019, arXiv:1902.03545; Vu et al. 2020, arXiv:2005.00770, section 4.2
(TaskEmb), for text encoders and the comparison layer by layer. Deviations: the head is fitted on
frozen features for a few passes, where Task2Vec fits it to the end and TaskEmb fine-tunes the whole
model; labels are the data's own (the empirical Fisher); the paper's robust estimate of the Fisher
by variational inference is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from torch import Tensor
from torch.nn import functional

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.gradients import NO_LABELS, gradient_statistics
from trainables.similarity.subjects import Subject


def task2vec(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the similarity of two subjects' Fisher embeddings, from 0 to 1."""
    vectors = []
    for subject in (source, target):
        found = bench.once("gradients", subject, lambda s: gradient_statistics(bench, s))
        if found is None:
            return Outcome.missing(NO_LABELS.format(subject.name))
        vectors.append(found.fisher)
    return Outcome(mean_cosine(*vectors), bench.num_examples(source, target))


def mean_cosine(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """Return the mean of the cosines of like-named parts; parts that are zero count 0.

    NaN if there is no part.
    """
    found = [float(functional.cosine_similarity(first[k], second[k], dim=0)) for k in first]
    return fmean(found) if found else float("nan")
