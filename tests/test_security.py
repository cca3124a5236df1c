"""docs/security.md is true: no source reads what runs, limits are what the page says, and results name nobody."""

from __future__ import annotations

import ast
import getpass
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import npz, toml
from benchmark.contract import files, images
from benchmark.datasets import _archives, _download, _pickle
from benchmark.record import LARGEST_SIDE, MOST_SAMPLES
from benchmark.spec import MOST_SEEDS
from benchmark.sweep.inputs import MOST_LABELS
from benchmark.sweep.machine import environment
from benchmark.sweep.sweep import MOST_NAMES, MOST_RUNS, MOST_SWEEPS

ROOT = Path(__file__).parents[1]
SOURCES = sorted(file for place in ("benchmark", "methods", "datasets", "scripts") for file in (ROOT / place).rglob("*.py"))
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

FORBIDDEN = {
    *("dill", "cloudpickle", "shelve", "marshal", "yaml", "jsonpickle", "xml", "lxml", "telnetlib", "ftplib"),
    *("pandas.read_pickle", "joblib.load", "torch.jit.load", "torch.hub.load", "tempfile.mktemp", "pickle.load"),
    *("eval", "exec", "compile", "__import__", "input", "os.system", "os.popen"),
}
"""What no source imports or calls."""
SLOTS = "benchmark/sweep/slots.py"
"""Processes of a sweep talk over pipes of their own."""
ONLY = {
    "pickle": {"datasets/_pickle.py", "benchmark/train/pretrained.py", SLOTS},
    "pickle.Unpickler": {"datasets/_pickle.py"},
    "pickle.loads": {SLOTS},
    "exec_module": {"benchmark/contract/registry.py"},
    "subprocess": {"scripts/speed.py", "scripts/paper_tables.py", SLOTS},
    "urllib": {"datasets/_download.py"},
    "tarfile": {"datasets/_archives.py"},
}
"""What stands in these files alone."""
WITH = {
    "torch.load": ("weights_only", True),
    "load_state_dict_from_url": ("weights_only", True),
    "get_state_dict": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "read_array": ("allow_pickle", False),
    "extractall": ("filter", "data"),
    "Environment": ("autoescape", True),
}
"""Calls that are safe with this alone."""
PLAIN_ZIP = "datasets/_archives.py: extractall"
"""Of zip files, whose members have been checked, and which know no filter."""


def dotted(node: ast.expr, aliases: dict[str, str]) -> str:
    """`numpy.load` of `np.load`; of a call on something else, the attribute's name alone."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, aliases) if isinstance(node.value, ast.Name | ast.Attribute) else ""
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def faults(source: str, name: str) -> Iterator[str]:
    """What a source imports or calls that it should not, or not so."""
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            imported = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for what in imported:
            for part in {what, what.partition(".")[0]}:
                if part in FORBIDDEN or name not in ONLY.get(part, {name}):
                    yield f"{name}: import {part}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func, aliases)
        last = called.rpartition(".")[2]
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if called in FORBIDDEN or (name not in ONLY.get(called, {name})) or (name not in ONLY.get(last, {name})):
            yield f"{name}: {called}"
        for call, (option, value) in WITH.items():
            if called == call or ("." not in call and last == call):
                found = given.get(option)
                if not (isinstance(found, ast.Constant) and found.value == value):
                    yield f"{name}: {call}"
        if "shell" in given:
            yield f"{name}: shell="
        if called in ("PIL.Image.open", "Image.open") and "formats" not in given and name != "benchmark/bench/released.py":
            yield f"{name}: Image.open without formats"  # bench decodes what it has encoded itself


def test_no_source_reads_what_runs():
    found = [fault for file in SOURCES for fault in faults(file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix())]
    assert found == [PLAIN_ZIP]
    assert len(SOURCES) > 150


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import numpy as np\nnp.load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import numpy\nnumpy.lib.format.read_array(f)",
        "import torch\ntorch.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "from torch import load\nload(f)",
        "entry.get_state_dict(progress=True)",
        "import joblib\njoblib.load(f)",
        "import yaml",
        "from xml.etree import ElementTree",
        "eval(text)",
        "exec(text)",
        "import os\nos.system('ls')",
        "from os import system\nsystem('ls')",
        "import subprocess",
        "run(words, shell=True)",
        "archive.extractall(here)",
        "import jinja2\njinja2.Environment()",
        "from PIL import Image\nImage.open(f)",
        "spec.loader.exec_module(m)",
        "import pandas as pd\npd.read_pickle(f)",
    ],
)
def test_each_of_these_would_be_found(source: str):
    assert list(faults(source, "benchmark/x.py"))


def test_only_what_is_made_here_is_let_into_the_page_as_it_is():
    template = (ROOT / "benchmark" / "report" / "page" / "page.html.jinja").read_text(encoding="utf-8")
    safe = set(re.findall(r"{{ *([^}]*?) *\| *safe *}}", template))
    assert template.count("| safe") == len(safe)
    assert safe == {"style", "scripts[0]", "scripts[1]", "scripts[2]", "figure.script", "data"}
    assert "innerHTML" not in "".join(file.read_text(encoding="utf-8") for file in (ROOT / "benchmark").rglob("*.js"))


def test_the_page_names_the_limits_as_they_are():
    mib, gib = 2**20, 2**30
    for wanted in (
        f"{toml.LARGEST // mib} MiB, keys of {toml.DEEPEST} parts, integers of 64 bits, {MOST_SWEEPS:,} sweeps a file",
        f"{MOST_SEEDS:,} seeds, {MOST_NAMES:,} methods, rates or files, {MOST_RUNS:,} runs",
        f"2^{MOST_LABELS.bit_length() - 1} labels",
        f"{npz.LARGEST // mib} MiB unpacked, {npz.MOST} arrays",
        f"lists of datasets | UTF-8 text | {files.LARGEST_TEXT // mib} MiB",
        f"2^{images.MOST_PIXELS.bit_length() - 1} pixels; one at a time beyond 2^{images.MANY_PIXELS.bit_length() - 1}",
        f"{_archives.MOST:,} members, {_archives.LARGEST // gib} GiB",
        f"calls nothing | {_pickle.LARGEST // mib} MiB",
        f"At most {_download.LARGEST // gib} GiB of a file",
        f"sides of {LARGEST_SIDE:,} pixels, {MOST_SAMPLES:,} training images",
    ):
        assert wanted in PAGE, wanted
    for number in (MOST_LABELS, images.MOST_PIXELS, images.MANY_PIXELS):
        assert number & (number - 1) == 0
    for kind in images.FORMATS:
        assert kind.lower() in PAGE.lower()


def test_an_environment_names_no_machine_and_no_user():
    text = json.dumps(environment("cpu", 1)).lower()
    for name in (socket.gethostname(), getpass.getuser(), str(Path.home())):
        assert f'"{name.lower()}"' not in text
        assert len(name) < 5 or name.lower() not in text


def test_the_page_is_found():
    assert "docs/security.md" in (ROOT / "README.md").read_text(encoding="utf-8")
