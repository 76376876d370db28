"""A small bilingual world: English–Korean sentence pairs with gold annotation, generated without end."""

from core.corpus.pair import Antecedent, Direction, Pair, Sense, Side, Word
from core.corpus.splits import DATA_VERSION, SPLITS, held_out, pairs

__all__ = [
    "DATA_VERSION",
    "SPLITS",
    "Antecedent",
    "Direction",
    "Pair",
    "Sense",
    "Side",
    "Word",
    "held_out",
    "pairs",
]
