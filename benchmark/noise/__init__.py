"""Label noise: (kind, rate, seed) turns reference labels into given ones, frozen as an artefact that labs can exchange."""

from .artefact import OUTSIDE, Header, Noise, Outside, frozen, judged_by, read_artefact
from .kinds import (
    ASYMMETRIC,
    CONFUSION,
    EXACT,
    FILE,
    HUMAN,
    OPEN_SET,
    Facts,
    brings_file,
    file_kind,
    is_drawn,
    listed,
    make,
    source_of,
    takes_rate,
)
from .lists import Names, list_text

__all__ = [
    "ASYMMETRIC", "CONFUSION", "EXACT", "FILE", "HUMAN", "OPEN_SET", "OUTSIDE", "Facts", "Header", "Names", "Noise", "Outside",
    "brings_file", "file_kind", "frozen", "is_drawn", "judged_by", "list_text", "listed", "make", "read_artefact",
    "source_of", "takes_rate",
]  # fmt: skip
