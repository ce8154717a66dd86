"""Composed task vectors: the cheapest guess at a longer sequence.

The encoder of a sequence is guessed as the base plus the scaled sum of what its stages changed when
each was trained alone, and probed like a source-tuned one. Only depth-1 stages are needed, and no
stage is trained. The sum does not know the order of the stages.

Source: Ilharco et al. 2022, arXiv:2212.04089, who tune the scale on held-out data. Deviation: it is
a setting, 1 by default: a plain sum. On the built-in suite that ranked sets of up to three stages
better than the mean of the changes did.
"""

from __future__ import annotations

from uuid import uuid4

from trainables.similarity.bench import Bench, Outcome
from trainables.similarity.probing import probe
from trainables.similarity.subjects import Subject
from trainables.similarity.task_vectors import base_weights, composed
from trainables.store import StageStore

#: In this process' memory: a composed encoder is no stage, and nobody else has a use for it.
COMPOSED_URL = "memory://taskorder/composed"


def composed_probe(bench: Bench, sequence: Subject, target: Subject) -> Outcome:
    """Return the target's score after a few steps from a composed encoder, 0 to 100."""
    if not bench.has_stages(sequence):
        return bench.missing_stage(sequence)
    tuned = (bench.stage_weights(checkpoint) or {} for checkpoint in sequence.checkpoints)
    weights = composed(base_weights(bench), tuned, bench.settings.composition_scale)
    store = StageStore(COMPOSED_URL)
    key = uuid4().hex
    store.put("stages", key, weights, {"sequence": sequence.name})
    try:
        return probe(bench, key, COMPOSED_URL, target)
    finally:
        store.drop("stages", key)
