"""The measures by name: what each compares, what it needs, what it costs, and its paper. No torch.

Every measure is a similarity: higher means more alike, or a better start for the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from spaces.errors import UnknownNameError

Kind = Literal["source_target", "source_source", "sequence_target"]
#: Training examples; base model or its tokenizer; language codes; the sets a target is selected on.
Reads = Literal["examples", "model", "languages", "evaluation"]

#: What a measure may compare, in the order of its output.
KINDS: tuple[Kind, ...] = ("source_target", "source_source", "sequence_target")
_HOME = "trainables.similarity"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure.

    Attributes:
        name: Its name in frames and on the command line.
        version: Raised by hand when the same inputs would give another value.
        compute: ``module:function`` of what computes it; see ``trainables.similarity.bench``.
        paper: Where it is from.
        description: One line for listings.
        cost: Passes through the encoder; N is ``num_examples``.
        kinds: What it compares.
        symmetric: Whether (a, b) and (b, a) have one value.
        reads: What decides the value, besides the two tasks' definitions.
        checkpoints: Whose stages it takes from the stage store.
        settings: Names of the ``SimilaritySettings`` that decide the value.
    """

    name: str
    version: int
    compute: str
    paper: str
    description: str
    cost: str
    kinds: tuple[Kind, ...] = ("source_target", "source_source")
    symmetric: bool = True
    reads: tuple[Reads, ...] = ("examples", "model")
    checkpoints: Literal["none", "source", "both"] = "none"
    settings: tuple[str, ...] = ("num_examples", "seed")


MEASURES: dict[str, Measure] = {
    "text_embedding": Measure(
        name="text_embedding",
        version=1,
        compute=f"{_HOME}.text_embedding:text_embedding",
        paper="TextEmb: Vu et al. 2020, arXiv:2005.00770",
        description="cosine of the tasks' mean encoder states",
        cost="N forward passes a task",
    ),
    "task2vec": Measure(
        name="task2vec",
        version=1,
        compute=f"{_HOME}.task2vec:task2vec",
        paper="Achille et al. 2019, arXiv:1902.03545; TaskEmb: Vu et al. 2020, arXiv:2005.00770",
        description="cosine of the encoder's Fisher information, matrix by matrix",
        cost="2 N forward and N backward passes a task, shared with gradient_alignment",
        settings=("num_examples", "head_epochs", "seed"),
    ),
    "gradient_alignment": Measure(
        name="gradient_alignment",
        version=1,
        compute=f"{_HOME}.gradient_alignment:gradient_alignment",
        paper="Yu et al. 2020, arXiv:2001.06782; Wang et al. 2021, arXiv:2010.05874",
        description="cosine of the tasks' mean gradients on the encoder",
        cost="2 N forward and N backward passes a task, shared with task2vec",
        settings=("num_examples", "head_epochs", "seed"),
    ),
    "logme": Measure(
        name="logme",
        version=1,
        compute=f"{_HOME}.logme:logme",
        paper="LogME: You et al. 2021, arXiv:2102.11005",
        description="evidence of the target's labels given the source-tuned encoder's states",
        cost="N forward passes a pair, shared with h_score",
        symmetric=False,
        checkpoints="source",
        settings=("num_examples", "max_tokens", "seed"),
    ),
    "h_score": Measure(
        name="h_score",
        version=1,
        compute=f"{_HOME}.h_score:h_score",
        paper="Bao et al. 2019, arXiv:2212.10082; shrunk as Ibrahim et al. 2021, arXiv:2110.06893",
        description="how far apart the target's labels are in the source-tuned encoder's states",
        cost="N forward passes a pair, shared with logme",
        symmetric=False,
        checkpoints="source",
        settings=("num_examples", "max_tokens", "seed"),
    ),
    "probing": Measure(
        name="probing",
        version=1,
        compute=f"{_HOME}.probing:probing",
        paper="few-step fine-tuning, after Vu et al. 2020, arXiv:2005.00770 (direct transfer)",
        description="score of the target after a few steps from the source-tuned encoder",
        cost="probe_steps training steps and an evaluation on probe_examples a set, a pair",
        kinds=("source_target",),
        symmetric=False,
        reads=("examples", "model", "evaluation"),
        checkpoints="source",
        settings=("probe_steps", "probe_examples", "seed"),
    ),
    "task_vector": Measure(
        name="task_vector",
        version=1,
        compute=f"{_HOME}.task_vectors:task_vector",
        paper="Ilharco et al. 2022, arXiv:2212.04089",
        description="cosine of what two stages changed in the encoder's weights",
        cost="no pass; reads each stage once",
        kinds=("source_source",),
        checkpoints="both",
        settings=(),
    ),
    "composed_probe": Measure(
        name="composed_probe",
        version=1,
        compute=f"{_HOME}.composition:composed_probe",
        paper="task arithmetic: Ilharco et al. 2022, arXiv:2212.04089",
        description="probing from the base plus the stages' changes, a guess at a sequence",
        cost="as probing, for each sequence and target",
        kinds=("sequence_target",),
        symmetric=False,
        reads=("examples", "model", "evaluation"),
        checkpoints="source",
        settings=("probe_steps", "probe_examples", "composition_scale", "seed"),
    ),
    "mean_probing": Measure(
        name="mean_probing",
        version=1,
        compute=f"{_HOME}.probing:mean_probing",
        paper="the plain alternative to composed_probe",
        description="mean score of the probes of a sequence's stages",
        cost="the probes of the stages, made once for all sequences",
        kinds=("sequence_target",),
        symmetric=False,
        reads=("examples", "model", "evaluation"),
        checkpoints="source",
        settings=("probe_steps", "probe_examples", "seed"),
    ),
    "vocabulary_overlap": Measure(
        name="vocabulary_overlap",
        version=1,
        compute=f"{_HOME}.overlap:vocabulary_overlap",
        paper="term distributions: Ruder and Plank 2017, arXiv:1707.05246",
        description="weighted Jaccard index of the words of the training texts",
        cost="no pass",
        reads=("examples",),
    ),
    "subword_overlap": Measure(
        name="subword_overlap",
        version=1,
        compute=f"{_HOME}.overlap:subword_overlap",
        paper="Pires et al. 2019, arXiv:1906.01502",
        description="weighted Jaccard index of the subwords of the training texts",
        cost="no pass",
    ),
    "typological_distance": Measure(
        name="typological_distance",
        version=1,
        compute=f"{_HOME}.typology:typological_similarity",
        paper="after Littell et al. 2017 (URIEL), aclanthology.org/E17-2002",
        description="agreement of the languages in family, genus, morphology and script",
        cost="no pass",
        reads=("languages",),
        settings=(),
    ),
}


def choose_measures(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return the measures of these names, all of them where none is named.

    Raises:
        UnknownNameError: There is no such measure.
    """
    for name in names:
        if name not in MEASURES:
            raise UnknownNameError("measure", name, MEASURES, "--measures")
    return tuple(m for name, m in MEASURES.items() if not names or name in names)
