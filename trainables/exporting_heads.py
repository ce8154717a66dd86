"""Heads in the standard classes of transformers: which class, and under which names.

Every head here computes what the class of transformers computes; only the names of its layers
differ. Shape suffixes as in ``formats.base``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from spaces.errors import InputError
from trainables.formats.base import Head

#: Kinds of models whose classification head has our two layers as its own, and kinds where the
#: first of them is the encoder's pooler.
OWN_LAYERS = ("camembert", "roberta", "xlm-roberta", "xlm-roberta-xl")
POOLER = ("bert",)


@dataclass(frozen=True, slots=True)
class Standard:
    """What a format is in transformers.

    Attributes:
        auto: The class that loads it.
        pipeline: The task of ``transformers.pipeline``; empty where there is none.
    """

    auto: Any
    pipeline: str = ""


#: By format. The pipelines are those of transformers 5: it has none for questions or choices.
STANDARDS: Mapping[str, Standard] = {
    "sequence_classification": Standard(AutoModelForSequenceClassification, "text-classification"),
    "token_classification": Standard(AutoModelForTokenClassification, "token-classification"),
    "question_answering": Standard(AutoModelForQuestionAnswering),
    "multiple_choice": Standard(AutoModelForMultipleChoice),
    "retrieval": Standard(AutoModel, "feature-extraction"),
}


def check_exportable(form: str, model_type: str) -> None:
    """Check that transformers has a class for a format's head on a kind of model.

    Args:
        form: The target's format.
        model_type: The base model's, as its configuration has it.

    Raises:
        InputError: It has none that computes the same.
    """
    if form not in STANDARDS:
        raise InputError(
            f"export: targets of the format {form!r} cannot be exported. "
            f"Those that can: {', '.join(STANDARDS)}."
        )
    needs_layers = form in ("sequence_classification", "multiple_choice")
    if needs_layers and model_type not in OWN_LAYERS + POOLER:
        raise InputError(
            f"export: transformers has no {form.replace('_', ' ')} for models of the kind "
            f"{model_type!r} that computes what was trained. Kinds that have one: "
            f"{', '.join(sorted(OWN_LAYERS + POOLER))}."
        )


def standard_model(
    form: str,
    config: Any,
    encoder: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
    labels: tuple[str, ...] = (),
) -> Any:
    """Make the model of transformers that computes what was trained.

    Args:
        form: The target's format.
        config: The base model's configuration; changed: labels and architecture.
        encoder: Weights of the encoder, by the names that it has alone.
        head: Weights of the head, by the names that ours has.
        labels: Names of the classes in head order; empty where the format has none.

    Raises:
        InputError: As ``check_exportable``, or the class wants weights that were not trained.
    """
    check_exportable(form, config.model_type)
    if labels:
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: i for i, label in enumerate(labels)}
    if form == "sequence_classification":
        # Transformers would take a single class for a regression.
        config.problem_type = "single_label_classification"
    if form == "question_answering":
        config.num_labels = 2  # A start and an end.
    options = {"add_pooling_layer": False} if form == "retrieval" else {}
    model = STANDARDS[form].auto.from_config(config, **options)
    prefix = "" if form == "retrieval" else f"{model.base_model_prefix}."
    weights = {f"{prefix}{name}": tensor for name, tensor in encoder.items()}
    names = _layer_names(form, config.model_type, prefix)
    for name, tensor in head.items():
        layer, _, part = name.rpartition(".")
        if layer in names:
            weights[f"{names[layer]}.{part}"] = tensor
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if missing or unexpected:
        raise InputError(
            f"export: a {type(model).__name__} wants weights that were not trained here "
            f"({', '.join([*missing, *unexpected][:3])}). Models of the kind "
            f"{config.model_type!r} cannot be exported for this target."
        )
    return model.eval()


def _layer_names(form: str, model_type: str, prefix: str) -> dict[str, str]:
    """Return the class's names of our head's layers."""
    if form == "sequence_classification" and model_type in OWN_LAYERS:
        return {"dense": "classifier.dense", "out": "classifier.out_proj"}
    if form in ("sequence_classification", "multiple_choice"):
        return {"dense": f"{prefix}pooler.dense", "out": "classifier"}
    return {
        "token_classification": {"out": "classifier"},
        "question_answering": {"out": "qa_outputs"},
    }.get(form, {})


class StandardModel:
    """A model of transformers that is evaluated like a trained one.

    Has what ``evaluation.evaluate`` asks of an engine, so that an exported folder is scored by the
    very code that scored the trial.

    Args:
        model: The model.
        form: The target's format.
        head: Of retrieval, what pools the states; the others' is in the model.
    """

    def __init__(self, model: nn.Module, form: str, head: Head | None = None) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model: Any = model.to(self.device).eval()
        self._form = form
        self._head = None if head is None else head.to(self.device).eval()

    @torch.no_grad()
    def logits(self, *, task: str, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return what the format's own head would, in the format's shape.

        Args:
            task: The target; there is but one.
            input_ids: Token ids, `R x T`.
            attention_mask: 1 at tokens, 0 at padding, `R x T`.
        """
        if self._head is not None:
            layer = self._head.layer
            output = self._model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                output_hidden_states=layer is not None,
            )
            states_RTH = output.last_hidden_state if layer is None else output.hidden_states[layer]
            vectors_RH: Tensor = self._head(states_RTH, attention_mask)
            return vectors_RH
        if self._form == "multiple_choice":
            # Each row as a question of one choice: ours may differ in their number of choices.
            rows_R1T, mask_R1T = input_ids.unsqueeze(1), attention_mask.unsqueeze(1)
            scores_R1: Tensor = self._model(input_ids=rows_R1T, attention_mask=mask_R1T).logits
            return scores_R1
        output = self._model(input_ids=input_ids, attention_mask=attention_mask)
        if self._form == "question_answering":
            return torch.stack([output.start_logits, output.end_logits], dim=-1)
        logits: Tensor = output.logits
        return logits
