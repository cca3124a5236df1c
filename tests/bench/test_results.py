"""A file for each machine, precision and version; a row for each setting."""

from __future__ import annotations

import csv

import pytest
from refusal import refusal

from benchmark.bench.results import COLUMNS, file_name, merged, read_rows, row_of, table

MACHINE = {"device": "cpu", "processor": "Abacus (R) 9000 @ 3 Hz", "threads": 4, "torch": "2.9.0+cu130", "python": "3.11.7"}
WHAT = {
    **{"device": "cpu", "precision": "bf16", "method": "ce", "backbone": "small", "image_size": 48, "batch_size": 64},
    **{"recipe": "common", "beside": "ce", "released": False, "compiled": False},
}
FOUND = {"images_per_second": 1234.56789, "step_ms": 51.8, "overhead": 1.04, "overhead_low": 1.01, "overhead_high": 1.07}


def row(**changes):
    found = {**FOUND, "images_per_second": changes.pop("speed", 1234.56789)}
    return row_of({**WHAT, **changes}, found, MACHINE)


def test_a_row_has_every_column_and_none_for_what_was_not_measured():
    made = row()
    assert tuple(made) == COLUMNS
    assert made["images_per_second"] == 1234.57
    assert (made["speedup"], made["error"], made["hardware"]) == (None, None, MACHINE["processor"])


def test_on_a_gpu_it_is_the_hardware():
    machine = {**MACHINE, "device": "NVIDIA H100 80GB HBM3"}
    made = row_of({**WHAT, "device": "cuda"}, {}, machine)
    assert (made["device"], made["hardware"]) == ("cuda", "NVIDIA H100 80GB HBM3")
    assert file_name(made) == "nvidia-h100-80gb-hbm3-bf16-4threads-torch2.9.0-cu130.csv"


def test_the_name_says_hardware_precision_threads_and_version():
    assert file_name(row()) == "cpu-abacus-r-9000-3-hz-bf16-4threads-torch2.9.0-cu130.csv"


def test_rows_of_the_same_setting_are_replaced_in_their_places(tmp_path):
    file = tmp_path / "r.csv"
    assert read_rows(file) == []
    file.write_bytes(merged([], [row(), row(method="scn"), row(image_size=32)]))
    before = read_rows(file)
    file.write_bytes(merged(before, [row(method="scn", speed=9.0), row(method="dul")]))
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [(r["method"], r["image_size"], float(r["images_per_second"])) for r in rows] == [
        ("ce", "48", 1234.57),
        ("scn", "48", 9.0),
        ("ce", "32", 1234.57),
        ("dul", "48", 1234.57),
    ]
    assert rows[0]["speedup"] == ""


@pytest.mark.parametrize("what", [{"recipe": "fast-cifar"}, {"beside": "scn"}, {"released": True}, {"compiled": True}])
def test_what_was_measured_otherwise_has_a_row_of_its_own(tmp_path, what):
    file = tmp_path / "r.csv"
    file.write_bytes(merged([], [row()]))
    file.write_bytes(merged(read_rows(file), [row(**what)]))
    assert len(read_rows(file)) == 2


def test_a_file_of_something_else_is_not_overwritten(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("a,b\n1,2\n")
    refusal(lambda: read_rows(file), file, "columns")


def test_the_table_shows_ratios_with_their_spread_and_why_a_method_failed():
    failed = row_of({**WHAT, "method": "scn"}, {}, MACHINE, "RuntimeError: no")
    text = table([row(), failed])
    assert "| ce       |      1,235 |" in text
    assert "1.040 (1.010–1.070)" in text
    assert "released" not in text  # was not measured
    assert "scn on small failed: RuntimeError: no" in text
    assert "bf16, recipe common; Abacus (R) 9000 @ 3 Hz, 4 threads, torch 2.9.0+cu130" in text


@pytest.mark.parametrize("backbones", [("small",), ("small", "resnet18")])
def test_backbones_are_a_column_where_there_are_several(backbones):
    assert ("| backbone" in table([row(backbone=name) for name in backbones])) == (len(backbones) > 1)
