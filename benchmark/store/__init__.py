"""How a sweep and its runs lie on disk; nothing else knows.

Every file is written beside its place and moved there whole, so that a reader never sees half of one. A run is finished
when its metrics.json is there: it is written last, after the manifest of all that the run consists of.
"""

from .folder import PlannedRun, Store
from .manifest import Inputs
from .run import NotStored, RunFolder

__all__ = ["Inputs", "NotStored", "PlannedRun", "RunFolder", "Store"]
