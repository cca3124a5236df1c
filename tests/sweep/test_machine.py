"""What is kept of the machine that a run was done on."""

from __future__ import annotations

import platform

import pytest

from benchmark.sweep.machine import environment

RELEASES = {
    "6.18.44-lab-node-7": "Linux-6.18.44-x86_64-with-glibc2.36",
    "6.1.0 (lab/7)": "Linux-6.1.0-x86_64-with-glibc2.36",
    "6.18.44.lab": "Linux-6.18.44-x86_64-with-glibc2.36",
    "lab": "Linux-x86_64-with-glibc2.36",
}


@pytest.mark.parametrize("release", RELEASES)
def test_the_kernels_version_is_kept_without_what_its_builder_has_added(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    told = {"system": "Linux", "release": release, "machine": "x86_64", "libc_ver": ("glibc", "2.36")}
    for name, value in told.items():
        monkeypatch.setattr(platform, name, lambda value=value: value)
    assert environment("cpu", 1)["platform"] == RELEASES[release]
