"""Pictures of a run: each a function from a run, or a frame, to a ``Picture``.

A picture draws itself with matplotlib (``static()``), with plotly (``interactive()``), or into a
file (``save("trie.pdf")``).
"""

from analysis.plots.forests import importance, order_effects, ranking
from analysis.plots.heatmaps import language_gains, precedence, transfer
from analysis.plots.history import incumbents, survival
from analysis.plots.picture import Picture
from analysis.plots.schedule import timeline, utilisation
from analysis.plots.trie import trie

__all__ = [
    "Picture",
    "importance",
    "incumbents",
    "language_gains",
    "order_effects",
    "precedence",
    "ranking",
    "survival",
    "timeline",
    "transfer",
    "trie",
    "utilisation",
]
