"""Hyperparameter distributions of a study and the scope each one has.

A name is ``target.<setting>`` or ``stage.<setting>``. Target settings leave the prefix untouched,
so all their values share its checkpoints; stage settings are part of every stage's fingerprint.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.errors import InputError, near_matches

Scope = Literal["target", "stage"]
Value = float | int

#: Settings a distribution may be given for, and whether they are whole numbers.
TUNABLE = {
    "learning_rate": float,
    "weight_decay": float,
    "warmup_fraction": float,
    "dropout": float,
    "max_grad_norm": float,
    "batch_size": int,
}


class Distribution(BaseModel):
    """One hyperparameter's distribution; exactly one of the kinds is given.

    Attributes:
        uniform: Low and high, both included.
        log_uniform: Low and high, both above 0.
        int_uniform: Low and high, whole numbers.
        choice: The values, at least one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    uniform: tuple[float, float] | None = None
    log_uniform: tuple[float, float] | None = None
    int_uniform: tuple[int, int] | None = None
    choice: tuple[Value, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> Distribution:
        given = [kind for kind in type(self).model_fields if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of uniform, log_uniform, int_uniform, choice"
                + (f", not {' and '.join(given)}" if given else "")
            )
        for bounds in (self.uniform, self.log_uniform, self.int_uniform):
            if bounds is not None and not bounds[0] <= bounds[1]:
                raise ValueError(f"the low bound {bounds[0]} is above the high bound {bounds[1]}")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise ValueError("log_uniform needs bounds above 0")
        return self

    def extremes(self) -> tuple[Value, ...]:
        """Return the bounds, or every value of a choice."""
        given = self.uniform or self.log_uniform or self.int_uniform or self.choice
        return tuple(given or ())


def split_name(name: str) -> tuple[Scope, str]:
    """Split ``target.learning_rate`` into its scope and setting.

    Raises:
        InputError: No scope, or a setting that cannot be tuned.
    """
    scope, _, setting = name.partition(".")
    if scope not in ("target", "stage") or not setting:
        raise InputError(
            f"hyperparameters: {name!r} has no scope. Write target.{setting or scope} (leaves the "
            f"prefix untouched) or stage.{setting or scope} (part of every stage)."
        )
    if setting not in TUNABLE:
        raise InputError(
            f"hyperparameters: {setting!r} in {name!r} cannot be tuned. "
            f"{near_matches(setting, TUNABLE)}"
        )
    return scope, setting  # type: ignore[return-value]


def scoped(values: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the settings of one scope, without the prefix.

    >>> scoped({"target.learning_rate": 1e-5, "stage.dropout": 0.1}, "stage")
    {'dropout': 0.1}
    """
    prefix = f"{scope}."
    return {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
