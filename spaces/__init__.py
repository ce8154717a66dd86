"""What a study may search: tasks, sequences, hyperparameters and the study file.

This package is the leaf of the project: it imports nothing of ours and nothing heavy
(no torch, no ray), so that ``taskorder check`` answers at once.
"""
