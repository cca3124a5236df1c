"""Modules: those that a command has imported when it ends, in an interpreter of its own, and scripts as such."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

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


def script(name: str) -> ModuleType:
    """A file of scripts/, loaded but not run."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
