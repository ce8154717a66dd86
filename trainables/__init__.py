"""What a trial does: read data, train a stage on DeepSpeed workers, evaluate zero-shot.

Import the module you need (``trainables.loop``, ``trainables.store``...): this package's
``__init__`` stays empty so that a process which only reads records never loads torch.
"""
