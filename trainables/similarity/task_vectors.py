"""Task vectors: what a stage has changed in the encoder's weights, as a point of weight space.

Source: Ilharco et al. 2022, arXiv:2212.04089, who compare tasks by the cosine of their vectors and
add vectors to a model to give it several tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.sketch import cosine, sketch
from trainables.similarity.subjects import Subject


def task_vector(bench: Bench, source: Subject, target: Subject) -> Outcome:
    """Return the cosine of two sources' task vectors, embeddings included."""
    vectors = []
    for subject in (source, target):
        found = bench.once("task vector", subject, lambda chosen: _sketched(bench, chosen))
        if found is None:
            return bench.missing_stage(source, target)
        vectors.append(found)
    return Outcome(cosine(*vectors), 0)


def composed(
    base: Mapping[str, Tensor], tuned: Iterable[Mapping[str, Tensor]], scale: float
) -> dict[str, Tensor]:
    """Return the base weights plus the scaled sum of what each tuned encoder changed.

    The order of the encoders does not matter to the sum: it is a guess at what a set of stages
    gives, whatever their order.

    Args:
        base: The base encoder's weights.
        tuned: Weights of the same names, held one at a time.
        scale: Factor on the sum.
    """
    total = {name: weight.clone() for name, weight in base.items()}
    for weights in tuned:
        for name, weight in base.items():
            total[name] += scale * (weights[name] - weight)
    return total


def base_weights(bench: Bench) -> dict[str, Tensor]:
    """Return the base encoder's weights on the CPU, by the names that stages have."""
    return {name: p.detach().cpu() for name, p in bench.base_encoder().named_parameters()}


def _sketched(bench: Bench, source: Subject) -> dict[str, Tensor] | None:
    (checkpoint,) = source.checkpoints
    weights = bench.stage_weights(checkpoint)
    if weights is None:
        return None
    base = base_weights(bench)
    return {name: sketch(weights[name] - weight, name) for name, weight in base.items()}
