"""Reproduces every published table that has a sweep here: `reproduce NAME` for each, with what is given.

python scripts/paper_tables.py --scale small --data-root ~/data

What is finished is not run again, so that over finished folders this only writes their tables anew. Datasets that are not there
are named with what they want, and the others go on. The options are those of `python -m benchmark reproduce --help`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmark.sweep.named import names


def reproduced(words: Sequence[str], run: Callable[[Sequence[str]], int] = subprocess.call) -> int:
    """The exit status: 0 where every table could be reproduced whole, and else that of the last that could not."""
    statuses = {}
    for name in names():
        print(f"== {name}", flush=True)
        statuses[name] = run([sys.executable, "-m", "benchmark", "reproduce", name, *words])
        if statuses[name] == 130:  # a user's interrupt is meant for all of them
            return 130
    failed = {name: status for name, status in statuses.items() if status}
    print(
        f"{len(statuses) - len(failed)} of {len(statuses)} tables reproduced whole"
        + (f"; not: {', '.join(failed)}" * bool(failed))
    )
    return next(reversed(failed.values()), 0)


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv):
        sys.exit(print(__doc__))
    sys.exit(reproduced(sys.argv[1:]))
