"""What is kept of the machine that a run was done on."""

from __future__ import annotations

import platform

import pytest

from benchmark.sweep import machine
from benchmark.sweep.machine import environment, hardware

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


CPUINFO = {
    "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nmodel\t: 9\n": "AMD EPYC family 26 model 2",
    "processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd4f\n": "aarch64",
    None: "aarch64",
}


@pytest.mark.parametrize("cpuinfo", CPUINFO)
def test_processors_of_one_name_are_told_apart_by_their_model(monkeypatch, tmp_path, cpuinfo: str | None) -> None:
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr(machine, "CPUINFO", file)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert hardware(environment("cpu", 1)) == CPUINFO[cpuinfo]


def test_on_a_gpu_that_is_the_hardware() -> None:
    assert hardware({"device": "NVIDIA H100", "processor": "AMD EPYC", "model": "family 26 model 2"}) == "NVIDIA H100"
