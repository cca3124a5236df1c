"""A whole output folder, to be spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from folders import Folder


@pytest.fixture
def folder(whole_folder: Path, tmp_path: Path) -> Folder:
    return Folder(Path(shutil.copytree(whole_folder, tmp_path / "out")))
