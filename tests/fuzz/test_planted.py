"""A fuzz test that cannot fail shows nothing: each is run on a copy of the suite that has lost one of its precautions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = {  # by fuzz test: (file, what keeps the fault away, what is put in its place)
    "test_binaries.py::test_archives": (
        "datasets/_archives.py",
        "except Exception as error:  # what zlib",
        "except OSError as error:  # what zlib",
    ),
    "test_binaries.py::test_pickles_of_labels": (
        "datasets/_pickle.py",
        "return _ALLOWED[module, name]",
        "return getattr(__import__(module), name)",
    ),
    "test_binaries.py::test_arrays": (
        "datasets/_idx.py",
        "except (OSError, EOFError, zlib.error) as error:",
        "except OSError as error:",
    ),
    "test_binaries.py::test_pretrained_weights": (
        "benchmark/train/pretrained.py",
        "except Exception as error:  # zip, safetensors",
        "except OSError as error:  # zip, safetensors",
    ),
    "test_binaries.py::test_dlibs_weights": (
        "benchmark/train/dlib.py",
        'raise ValueError(f"its layer {kind} at byte',
        'raise KeyError(f"its layer {kind} at byte',
    ),
    "test_checkpoints.py::test_a_resumed_run_ends_with_the_same_bits": (
        "benchmark/sweep/execute.py",
        "if hashlib.sha256(content).digest() != digest:",
        "if not content:",
    ),
    "test_images.py::test_image_files": (
        "benchmark/contract/images.py",
        "except Exception as error:  # PIL",
        "except OSError as error:  # PIL",
    ),
    "test_images.py::test_folders_with_a_damaged_image_or_a_strange_name": (
        "benchmark/cli.py",
        "line = one_line(message)",
        "line = message",
    ),
    "test_images.py::test_tables_of_images": (
        "datasets/csv_list.py",
        'path = below(root, row["path"])',
        'path = root / row["path"]',
    ),
    "test_labels.py::test_artefacts": ("benchmark/noise/artefact.py", "    if not whole:", "    if False:"),
    "test_labels.py::test_no_flipped_byte_of_an_artefact_goes_unseen": (
        "benchmark/noise/artefact.py",
        "if noise.sha256 != sha256:",
        "if False:",
    ),
    "test_labels.py::test_lists_and_matrices": (
        "benchmark/noise/kinds.py",
        "except (ValueError, csv.Error) as error:",
        "except csv.Error as error:",
    ),
    "test_labels.py::test_lists_become_artefacts_that_say_the_same": (
        "benchmark/noise/lists.py",
        "for line in lines for word in line.split()])",
        "for line in lines for word in line.split()][::-1])",
    ),
    "test_results.py::test_tables": (
        "benchmark/store/files.py",
        "except ValidationError as error:",
        "except TypeError as error:",
    ),
    "test_results.py::test_reports": (
        "benchmark/store/run.py",
        "except Exception:  # zip, zlib and numpy",
        "except OSError:  # zip, zlib and numpy",
    ),
    "test_results.py::test_models": (
        "benchmark/store/run.py",
        "if hashlib.sha256(content).hexdigest() != found.weights_sha256:",
        "if False:",
    ),
    "test_sweeps.py::test_settings_that_are_not_what_they_should_be": (
        "benchmark/sweep/sweep.py",
        "except ValidationError as error:",
        "except KeyError as error:",
    ),
    "test_sweeps.py::test_files_with_damaged_bytes": (
        "benchmark/toml.py",
        "except (ValueError, RecursionError) as error:",
        "except RecursionError as error:",
    ),
    "test_sweeps.py::test_options_of_a_run": (
        "benchmark/commands/arguments.py",
        'if not re.fullmatch("[0-9]{1,4}", text) or int(text) < 1:',
        "if int(text) < 1:",
    ),
    "test_sweeps.py::test_the_words_of_every_other_command": (
        "benchmark/cli.py",
        "line = one_line(message)",
        "line = message",
    ),
}

AT_ONCE = """
from hypothesis import Phase, settings
settings.register_profile("at once", phases=[Phase.generate])  # nobody wants to read the smallest failure
settings.load_profile("at once")
"""


def fuzzed(copy: Path, marked: str, *names: str) -> subprocess.CompletedProcess[str]:
    """The suite copied, and fuzz tests run on the copy."""
    for part in ("benchmark", "methods", "datasets", "scripts", "tests", "docs"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "golden"), dirs_exist_ok=True)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    (copy / "tests" / "fuzz" / "conftest.py").write_text(AT_ONCE, encoding="utf-8")
    if names[0] in FAULTS:
        place, sound, faulty = FAULTS[names[0]]
        text = (copy / place).read_text(encoding="utf-8")
        assert text.count(sound) == 1, f"{place} has changed: plant another fault"
        (copy / place).write_text(text.replace(sound, faulty), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", marked, *(f"tests/fuzz/{name}" for name in names)]
    return subprocess.run(command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_it_catches_a_planted_fault(name: str, tmp_path: Path) -> None:
    done = fuzzed(tmp_path, "slow", name)
    assert done.returncode == 1, done.stdout[-3000:]
    assert "1 failed" in done.stdout, done.stdout[-3000:]


@pytest.mark.slow
def test_without_one_all_of_them_pass(tmp_path: Path) -> None:
    files = sorted({name.partition("::")[0] for name in FAULTS})
    done = fuzzed(tmp_path, "not slow", *files)
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_fuzz_test_has_a_fault_to_catch() -> None:
    files = (path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    tests = {f"{path.name}::{name}" for path in files for name in re.findall(r"^@cases.*\ndef (\w+)", path.read_text(), re.M)}
    assert tests == set(FAULTS)
