"""The list of figures: all are drawn and written, or say why not; whatever names users give, and however many methods."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import vl_convert
from made_up import Options, finished_sweep, only_group
from simulated import BASE, Known, result, stored

from benchmark.report.figures import FIGURES, Drawing, Missing, figures, lines, ranks, theme
from benchmark.report.figures.export import FORMATS, as_script, files, rendered, write
from benchmark.report.figures.group import OVERLAID
from benchmark.report.figures.labels import Box, place_labels
from benchmark.store import Store

BEGIN = {"pdf": b"%PDF-", "svg": b"<svg ", "png": b"\x89PNG"}
NASTY = ["<script>alert(1)</script>", "50%_off", "表情 é", "a" * 200, "datum.x || '", 'quote"', "b\\", "[x].y", "{{z}}", "m9"]


def test_every_figure_is_written_in_every_format(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce", "rul"), seeds=(0, 1))
    said = list(write(store, figures(store), list(FORMATS)))
    written = sorted((tmp_path / "figures").iterdir())
    without = "accuracy-noise", "ranks"  # which want several noises, and six datasets
    expected = [f"{figure.name}.{kind}" for figure in FIGURES for kind in FORMATS if figure.name not in without]
    assert [file.name for file in written] == ["captions.md", *sorted(expected)]
    assert "seeds" in written.pop(0).read_text(encoding="utf-8")
    for file in written:
        assert file.read_bytes().startswith(BEGIN[file.suffix[1:]])
        assert file.stat().st_size > 1500
    assert [line.partition(":")[0] for line in said] == [figure.name for figure in FIGURES]
    assert "accuracy-noise: not applicable to marked, backbone small" in said[0]


@pytest.mark.parametrize("methods", [1, OVERLAID + 1])
def test_definitions_keep_to_the_schema_and_vega_lite_warns_of_nothing(tmp_path: Path, capfd, methods: int):
    store = finished_sweep(tmp_path, methods=("ce", *(f"m{k}" for k in range(1, methods))), rates=(0.1, 0.3))
    drawn = [figure for figure in figures(store) if isinstance(figure, Drawing)]
    assert {figure.figure.name for figure in drawn} == {figure.name for figure in FIGURES} - {"ranks"}  # wants six datasets
    for figure in drawn:
        figure.chart.to_dict()  # raises what drawing has left unchecked
        vl_convert.vegalite_to_vega(figure.spec(), show_warnings=True)
    assert "WARN" not in capfd.readouterr().err


DAMAGE = {
    "another shape": ("test_logits", lambda array: array[0], "has the shape (3,)"),
    "fewer": ("train_given", lambda array: array[:-1], "has the shape (44,)"),
    "none": ("test_uncertainty", lambda array: array[:0], "has the shape (0,)"),
    "words": ("train_reference", lambda array: array.astype(str), "is <U"),
    "fractions": ("test_reference", lambda array: array + 0.5, "is float64"),
    "whole numbers": ("train_noise_score", lambda array: array.astype(int), "is int64"),
    "a class that is none": ("test_reference", lambda array: array + 1, "go from 1 to 3"),
    "a class below": ("train_given", lambda array: array - 1, "go from -1 to 1"),
    "an image that is none": ("train_index", lambda array: array + 10_000, "go from 10000 to"),
    "a feature of none": ("index", lambda array: array + 10_000, "go from 10000 to"),
    "features of another": ("features", lambda array: array[:, 0], "has the shape (75,)"),
}


@pytest.mark.parametrize(("name", "change", "wanted"), DAMAGE.values(), ids=DAMAGE.keys())
def test_arrays_that_cannot_be_cost_the_figures_that_want_them(tmp_path: Path, name: str, change, wanted: str):
    store = finished_sweep(tmp_path)
    file = next(tmp_path.glob(f"runs/ce*/{'features' if name in ('features', 'index') else 'predictions'}.npz"))
    with np.load(file) as stored:
        arrays = dict(stored)
    np.savez(file, **{**arrays, name: change(arrays[name])})
    lost = [figure for figure in figures(store) if isinstance(figure, Missing) and figure.damaged]
    assert lost
    assert all(f"{file.parent.name}/{file.name} is damaged: " in figure.reason and wanted in figure.reason for figure in lost)


def test_several_noises_have_figures_of_their_own(tmp_path: Path):
    store = finished_sweep(tmp_path, rates=(0.3, 0.0, None))
    said = list(write(store, figures(store, ["clean-flipped", "accuracy-noise"]), ["svg"]))
    assert [line.partition(":")[0] for line in said] == [
        "accuracy-noise",
        "clean-flipped-symmetric-0",
        "clean-flipped-symmetric-30",
        "clean-flipped-human",
    ]
    assert said[1].endswith("no given label is wrong")
    files_there = {file.stem for file in (tmp_path / "figures").glob("*.svg")}
    assert files_there == {"accuracy-noise", "clean-flipped-symmetric-30", "clean-flipped-human"}


def test_captions_say_seeds_setting_and_noise(tmp_path: Path):
    drawn = {d.stem: d for d in figures(finished_sweep(tmp_path, seeds=(0, 1, 2)))}
    risk = drawn["risk-coverage"]
    assert isinstance(risk, Drawing)
    assert "3 seeds; band: one standard deviation to each side of the mean" in risk.caption
    assert risk.about.startswith("marked, backbone small, 3 epochs of recipe common in fp32; noise symmetric 30 % (realised ")
    assert risk.spec()["title"]["text"] == [risk.figure.title]
    one = next(figures(finished_sweep(tmp_path / "one"), ["risk-coverage"]))
    assert "one seed (no band can be given)" in one.caption
    assert isinstance(drawn["accuracy-noise"], Missing)


def test_different_numbers_of_seeds_are_told(tmp_path: Path):
    store = finished_sweep(tmp_path, seeds=(0, 1))
    store.run("scn-symmetric-0.3-1").fail("because", "")
    (store.run("scn-symmetric-0.3-1").path / "metrics.json").unlink()
    assert "1 to 2 seeds" in next(figures(store, ["cost"])).caption


def test_a_damaged_file_costs_only_the_figures_that_need_it(tmp_path: Path):
    store = finished_sweep(tmp_path)
    (store.run("ce-symmetric-0.3-0").path / "predictions.npz").write_bytes(b"PK nothing")
    drawn = {d.stem: d for d in figures(store, ["training", "reliability", "cost"])}
    assert isinstance(drawn["training"], Drawing)
    assert isinstance(drawn["reliability"], Missing)
    assert "predictions.npz is damaged" in drawn["reliability"].reason


def test_an_array_that_is_missing_is_named(tmp_path: Path):
    (missing,) = figures(finished_sweep(tmp_path, without=("train_uncertainty",)), ["clean-flipped"])
    assert "there is no train_uncertainty in it" in missing.reason


def test_of_nothing_finished_nothing_is_drawn(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce",))
    (store.run("ce-symmetric-0.3-0").path / "metrics.json").unlink()
    assert list(figures(store)) == []


@pytest.mark.parametrize("name", ["training", "cost", "confusion", "gallery-flipped"])
def test_names_of_users_are_text_wherever_they_stand(tmp_path: Path, name: str):
    (drawn,) = figures(finished_sweep(tmp_path, methods=NASTY), [name])
    (svg,) = files(drawn, ["svg"]).values()
    assert b"<script" not in svg
    assert b"b\\" in svg
    assert b"{{z}}" in svg
    spec = drawn.spec()
    assert not re.search("[<>&]", as_script(spec))
    assert json.loads(as_script(spec)) == spec


def test_a_few_nasty_names_share_a_panel(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=NASTY[:4])
    (drawn,) = figures(store, ["risk-coverage"])
    (svg,) = files(drawn, ["svg"]).values()
    assert b"&lt;script&gt;" in svg
    assert b"50%_off" in svg
    assert "表情 é".encode() in svg


def test_told_more_is_marked(tmp_path: Path):
    group = only_group(finished_sweep(tmp_path, methods=("ce", "ldl"), privilege={"ldl": ("votes",)}))
    assert list(group.by_method()) == ["ce", "ldl †"]


@pytest.mark.slow
def test_forty_methods_are_drawn_and_stay_small(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=NASTY + [f"method-{k}" for k in range(30)], seeds=(0, 1))
    total = 0
    for drawn in figures(store):
        if isinstance(drawn, Drawing):
            total += len(as_script(drawn.spec()))
            assert files(drawn, ["svg"])
    assert total < 2_500_000  # of one setting and noise


def test_a_method_keeps_its_colour_where_another_has_no_run(tmp_path: Path):
    store = finished_sweep(tmp_path, methods=("ce", "scn", "rul"))
    (store.run("scn-symmetric-0.3-0").path / "metrics.json").unlink()
    (drawn,) = figures(store, ["risk-coverage"])
    colour = drawn.spec()["layer"][0]["encoding"]["color"]
    assert colour["scale"]["domain"] == ["ce", "scn", "rul"]
    assert colour["legend"]["values"] == ["ce", "rul"]


def test_forty_methods_have_forty_marks():
    methods = [f"m{k}" for k in range(40)]
    shapes = theme.by_method(methods, methods)["shape"].to_dict()["scale"]["range"]
    colours = [theme.LIGHT_COLOURS[k % len(theme.LIGHT_COLOURS)] for k in range(40)]
    assert len(set(zip(shapes, colours, strict=True))) == 40


def test_the_two_themes_differ_in_colours_only_for_charts_that_name_none(tmp_path: Path):
    (drawn,) = figures(finished_sweep(tmp_path), ["cost"])
    light, dark = drawn.spec("light"), drawn.spec("dark")
    assert light.pop("config") != dark.pop("config")
    assert light == dark
    assert len(set(theme.DARK_COLOURS)) == len(set(theme.LIGHT_COLOURS)) == 10 > OVERLAID


def test_many_methods_have_a_panel_each_before_the_range_of_all():
    methods = [f"m{k}" for k in range(9)]
    rows = [
        {"method": m, "x": x, "y": 10.0 * k + x, "low": 10.0 * k, "high": 10.0 * k + 2}
        for k, m in enumerate(methods)
        for x in (0, 1)
    ]
    spec = lines.chart(rows, methods, lines.Scale("x", "x", "x"), lines.Scale("y", "y", "y")).to_dict()
    assert [panel["title"]["text"] for panel in spec["concat"]] == [[m] for m in methods]
    context = next(data for data in spec["datasets"].values() if "lowest" in data[0])
    assert list(context) == [
        {"x": 0, "lowest": 0, "highest": 80, "median": 40},
        {"x": 1, "lowest": 1, "highest": 81, "median": 41},
    ]


def test_the_critical_difference_diagram_has_every_rank_and_every_clique():
    names, average = ["b", "<a>", "c", "d"], [2.5, 1.25, 2.75, 3.5]
    spec = ranks.chart(names, average, [(1, 0), (0, 2), (3,)], 1.5).to_dict()
    rows = [row for data in spec["datasets"].values() for row in data]
    texts = [row["text"] for row in rows if "text" in row]
    assert texts == ["<a> 1.25", "b 2.50", "d 3.50", "c 2.75", "critical difference 1.50"]
    bars = [row for row in rows if "method" not in row and "text" not in row]
    assert [(bar["x"] < 1.25, bar["x2"] > 2.5, bar["x2"] < 2.75) for bar in bars] == [(True, True, True), (False, True, False)]
    for content in rendered({**spec, "config": theme.config("light")}, list(FORMATS)).values():
        assert len(content) > 1000


def test_a_long_name_is_broken_where_it_may_be():
    assert theme.broken("co-teaching-plus:oracle †", 18) == ["co-teaching-plus:", "oracle †"]
    assert theme.broken("short", 18) == ["short"]
    assert theme.broken("x" * 50, 10) == ["x" * 10, "x" * 9 + "…"]


def test_labels_cover_neither_marks_nor_each_other():
    points = [(50.0, 50.0), (54.0, 50.0), (58.0, 52.0), (190.0, 50.0)]
    boxes = place_labels(["first", "second", "third", "at the edge"], points, points, (200, 100))
    placed = [box for box in boxes if box]
    assert len(placed) >= 3
    assert boxes[3] is not None
    assert boxes[3].x + boxes[3].width <= 200
    marks = [Box(x - 4, y, 8, 8) for x, y in points]
    for k, box in enumerate(placed):
        assert not any(box.meets(other) for other in [*marks, *placed[:k]])


def test_a_label_without_room_is_left_out():
    assert place_labels(["far too long for this"], [(5.0, 5.0)], [], (10, 10)) == [None]


def test_drawing_needs_no_training_code_and_listing_no_altair():
    import subprocess
    import sys

    code = "import sys, benchmark.report.figures as f; assert 'altair' not in sys.modules\n"
    code += "from importlib import import_module\n"
    code += "for x in f.FIGURES: import_module('benchmark.report.figures.' + x.draw.split('.')[0])\n"
    code += "import benchmark.report.figures.export\n"
    code += (
        "bad = [m for m in sys.modules if m in ('torch', 'sklearn') or m.startswith(('benchmark.train', 'benchmark.sweep'))]\n"
    )
    code += "assert 'altair' in sys.modules and not bad, bad"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_classes_without_votes_are_drawn(tmp_path: Path):
    drawn = {
        d.stem: d for d in figures(finished_sweep(tmp_path, options=Options(votes=False)), ["votes", "gallery-uncertainty"])
    }
    assert isinstance(drawn["votes"], Missing)
    assert "votes" not in drawn["gallery-uncertainty"].caption


def test_ranks_are_drawn_over_six_datasets_and_not_of_fewer(tmp_path: Path):
    """Each method is the same number of points better than the one before it, on every dataset."""
    for datasets in (5, 6):
        runs = [
            result(method, accuracy=70 + d + 2 * m, rate=d / 100, dataset=replace(BASE.dataset, name=f"set{d}", subset=None))
            for d in range(datasets)
            for m, method in enumerate(("ce", "gce", "rul"))
        ]
        stored(tmp_path / str(datasets), runs, Known({run.key: np.ones(20, bool) for run in runs}))
    (missing,) = figures(Store(tmp_path / "5"), ["ranks"])
    assert isinstance(missing, Missing)
    assert "want at least 6 datasets, and there are 5" in missing.reason
    (drawing,) = figures(Store(tmp_path / "6"), ["ranks"])
    assert isinstance(drawing, Drawing)
    texts = [row["text"] for rows in drawing.spec()["datasets"].values() for row in rows if "text" in row]
    assert {"rul 1.00", "gce 2.00", "ce 3.00"} < set(texts)
    assert "over 6 datasets (set0, set1, set2, set3, set4, set5)" in drawing.caption
    assert "set0" not in drawing.about
