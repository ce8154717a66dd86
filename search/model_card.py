"""The model card of an exported model: what it is, how it was trained, how it scores.

Front matter as the Hugging Face hub reads it (https://huggingface.co/docs/hub/model-cards), then
Markdown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from analysis.wording import clean, number, spell
from search.export_command import Check, Choice
from search.trials import TrialRecord
from spaces.plan import TrialPlan
from spaces.study import Study
from spaces.tasks import Task

#: How to use a model in Python, by format; the folder is ``FOLDER``.
_USAGE = {
    "sequence_classification": """\
from transformers import pipeline

classify = pipeline("text-classification", model="FOLDER")
print(classify({"text": "First text.", "text_pair": "Second text."}, truncation=True))""",
    "token_classification": """\
from transformers import pipeline

# A word's label is its first subword's, as in training and evaluation.
tag = pipeline("token-classification", model="FOLDER", aggregation_strategy="first")
print(tag("A sentence to tag ."))""",
    "retrieval": """\
from transformers import pipeline

# One vector a subword; compare texts by the cosine of the POOLING.
embed = pipeline("feature-extraction", model="FOLDER")
print(len(embed("A sentence.")[0]))""",
    "question_answering": """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForQuestionAnswering.from_pretrained("FOLDER")
inputs = tokenizer("Who sees the house?", "Anna sees the house.", return_tensors="pt")
with torch.no_grad():
    output = model(**inputs)
start, end = output.start_logits.argmax(), output.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0][start : end + 1]))""",
    "multiple_choice": """\
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForMultipleChoice.from_pretrained("FOLDER")
context, choices = "Anna opens the door.", ["She goes in.", "She is a river."]
inputs = tokenizer([context] * 2, choices, return_tensors="pt", padding=True)
with torch.no_grad():
    scores = model(**{name: rows.unsqueeze(0) for name, rows in inputs.items()}).logits
print(choices[scores.argmax()])""",
}
_NO_PIPELINE = (
    "`transformers.pipeline` (version 5) has no task for this format, so the model is used "
    "through its class."
)


def card(
    study: Study,
    record: TrialRecord,
    choice: Choice,
    plan: TrialPlan,
    check: Check,
    *,
    task: Task,
    scores: Sequence[Mapping[str, Any]],
    data: Mapping[str, str],
    facts: Mapping[str, str],
    pipeline: str,
) -> str:
    """Write the model card: front matter as the Hugging Face hub reads it, and Markdown.

    Args:
        study: The study.
        record: The trial.
        choice: Why it was chosen.
        plan: How it was trained.
        check: How the exported model compares with the record.
        task: The target.
        scores: The exported model's, as rows of the ``scores`` table.
        data: Fingerprint of each training set by task.
        facts: Further names and values (versions, device).
        pipeline: The task of ``transformers.pipeline``; empty where there is none.
    """
    sequence = str(record.proposal.sequence)
    title = f"{task.name} after {spell(sequence)}" if sequence else f"{task.name}, fine-tuned alone"
    steps = [
        f"{i}. `{stage.sequence.rpartition('>')[2]}`: {_settings(stage.settings)}"
        for i, stage in enumerate(plan.stages, start=1)
    ]
    steps.append(f"{len(steps) + 1}. `{task.name}` (target): {_settings(plan.target_settings)}")
    usage = _USAGE[task.format].replace("POOLING", _pooling(task))
    origin = (
        f"Seed {record.proposal.seed}, for every stage. Found by the study {_code(study.name)}, "
        f"trial {record.number} (phase {record.proposal.phase}). {choice.reason}"
    )
    selection = (
        f"{check.sentence()} The objective is the mean over what the study selects on "
        f"(`select_on: {study.select_on}`), for one seed."
    )
    lines = [
        f"# {clean(title)}",
        "",
        _opening(study, task, sequence),
        "",
        "## Use",
        "",
        *([] if pipeline else [_NO_PIPELINE, ""]),
        "```python",
        usage,
        "```",
        "",
        f"Inputs of up to {task.max_length} subwords.",
        "",
        "## How it was trained",
        "",
        *steps,
        "",
        origin,
        "",
        "| training data | fingerprint |",
        "| --- | --- |",
        *(f"| {clean(name)} | `{identity[:16]}` |" for name, identity in data.items()),
        "",
        "## Scores",
        "",
        selection,
        *_expected(choice),
        "",
        "| language | split | metric | score | examples | selected on |",
        "| --- | --- | --- | ---: | ---: | --- |",
        *(
            f"| {row['language']} | {row['split']} | {row['metric']} | {row['value']:.2f} | "
            f"{row['num_examples']} | {'yes' if row['selected_on'] else 'no'} |"
            for row in scores
        ),
        "",
        "What was selected on flatters. Quote the rows that were not.",
        "",
        "## Made with",
        "",
        *(f"- {name}: {clean(value)}" for name, value in facts.items()),
    ]
    return (
        f"---\n{_front_matter(study, task, title, scores, pipeline)}---\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _opening(study: Study, task: Task, sequence: str) -> str:
    before = "trained on intermediate tasks and then " if sequence else ""
    return (
        f"{_code(study.model.name)}, {before}fine-tuned on "
        f"`{task.name}` ({clean(task.description).rstrip('.')}). Trained in "
        f"`{task.train_language}`, used in other languages: zero-shot transfer."
    )


def _expected(choice: Choice) -> list[str]:
    """Say what another seed would score, if several have."""
    if choice.num_seeds < 2:
        return []
    gain, low, high = choice.gain
    over = f"{number(choice.mean)} on average over {choice.num_seeds} seeds"
    if not math.isnan(gain):
        over += f", {number(gain, sign=True)} over no intermediate task"
    if not math.isnan(low):
        over += f" (95% interval {number(low, sign=True)} to {number(high, sign=True)})"
    return ["", f"The sequence scores {over}. Expect that of another seed, not this one's."]


def _code(text: str) -> str:
    return "`" + clean(text).replace("`", "'") + "`"


def _settings(settings: Any) -> str:
    return (
        f"{settings.steps} steps of {settings.batch_size} examples, learning rate "
        f"{settings.learning_rate:g} ({settings.schedule})"
    )


def _pooling(task: Task) -> str:
    layer = task.options.get("layer")
    states = "states" if layer is None else f"states of layer {layer} (output_hidden_states)"
    if task.options.get("pooling", "mean") == "first":
        return f"first token's {states}"
    return f"mean of the {states}"


def _front_matter(
    study: Study, task: Task, title: str, scores: Sequence[Mapping[str, Any]], pipeline: str
) -> str:
    """Return YAML as the hub reads it: languages, base model, task and results."""
    headline = [row for row in scores if row["headline"]]
    content: dict[str, Any] = {
        "library_name": "transformers",
        "language": sorted({task.train_language, *(str(row["language"]) for row in scores)}),
        "tags": ["taskorder", "intermediate-task-training", "zero-shot-transfer"],
    }
    if pipeline:
        content["pipeline_tag"] = pipeline
    name = study.model.name
    if name.count("/") == 1 and not Path(name).exists():
        content["base_model"] = name
    content["model-index"] = [
        {
            "name": clean(title),
            "results": [
                {
                    "task": {"type": pipeline or task.format.replace("_", "-")},
                    "dataset": {
                        "type": task.name,
                        "name": task.name,
                        "config": row["language"],
                        "split": row["split"],
                    },
                    "metrics": [{"type": row["metric"], "value": round(float(row["value"]), 4)}],
                }
                for row in headline
            ],
        }
    ]
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
