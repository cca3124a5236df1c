"""How a sweep and its runs lie on disk; nothing else knows.

Every file is written beside its place and moved there whole, so that a reader never sees half of one. A run is finished
when its metrics.json is there: it is written last.
"""

from .folder import PlannedRun, Store
from .lock import Lock
from .run import RunFolder

__all__ = ["Lock", "PlannedRun", "RunFolder", "Store"]
