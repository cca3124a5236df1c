"""What is kept of the machine that a run was done on."""

from __future__ import annotations

import platform

import pytest

from benchmark.sweep.machine import environment


@pytest.mark.parametrize(("release", "kept"), [("6.18.44-lab-node-7", "6.18.44"), ("23.1.0", "23.1.0"), ("generic", "generic")])
def test_the_kernels_version_is_kept_without_what_its_builder_has_added(
    monkeypatch: pytest.MonkeyPatch, release: str, kept: str
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    monkeypatch.setattr(platform, "platform", lambda: f"Linux-{release}-x86_64-with-glibc2.36")
    assert environment("cpu", 1)["platform"] == f"Linux-{kept}-x86_64-with-glibc2.36"
