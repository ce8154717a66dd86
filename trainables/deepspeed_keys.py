"""Which keys of a user's own DeepSpeed JSON are the study's, which are refused, which are its own.

A stage is shared by what it learns, and its identity does not know the JSON. So the JSON may decide
how training is spread and how fast it is, never what is learned.
"""

from __future__ import annotations

#: What the study file has a setting for.
OWNED = (
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "optimizer",
    "scheduler",
    "bf16",
    "bfloat16",
    "fp16",
    "amp",
    "torch_autocast",
    "activation_checkpointing",
    "compile",
    "elasticity",
)
#: What would change the updates, or the model itself.
LEARNING = (
    "communication_data_type",
    "compression_training",
    "curriculum_learning",
    "data_efficiency",
    "data_types",
    "eigenvalue",
    "expert_parallel",
    "gradient_allreduce_op",
    "hybrid_engine",
    "managed_gradient_accumulation",
    "pipeline",
    "progressive_layer_drop",
    "quantize_training",
    "sequence_parallel_size",
    "sparse_attention",
    "sparse_gradients",
    "tensor_parallel",
    "weight_quantization",
)
#: The same in ``zero_optimization``.
ZERO_LEARNING = (
    "zenflow",
    "zero_quantized_gradients",
    "zero_quantized_nontrainable_weights",
    "zero_quantized_weights",
)
#: What the JSON decides.
FREE = (
    "aio",
    "checkpoint",
    "comet",
    "comms_config",
    "comms_logger",
    "csv_monitor",
    "dataloader_drop_last",
    "datastates",
    "disable_allgather",
    "disable_python_gc",
    "dump_state",
    "flops_profiler",
    "gradient_predivide_factor",
    "log_level",
    "memory_breakdown",
    "monitor_config",
    "prescale_gradients",
    "steps_per_print",
    "tensorboard",
    "timers",
    "use_node_local_storage",
    "wall_clock_breakdown",
    "wandb",
    "zero_allow_untested_optimizer",
    "zero_force_ds_cpu_optimizer",
    "zero_optimization",
)
