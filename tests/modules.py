"""What a command of the suite has imported when it ends, in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = """
import json, sys
from benchmark import cli
sys.argv = ["benchmark", *sys.argv[1:]]
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + json.dumps(list(sys.modules)))
"""


def modules_after(*words: str) -> set[str]:
    """All modules; the command has to succeed, and to say something."""
    done = subprocess.run([sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *said, last = done.stdout.splitlines()
    assert any(said)
    return set(json.loads(last))
