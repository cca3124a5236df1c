"""Tables: what stands in a cell, what never is averaged, and four formats of one model."""

from __future__ import annotations

import csv
import dataclasses
import html
import re

import pytest
from simulated import BASE, Known, result

from benchmark.report.formats import render
from benchmark.report.results import COLUMNS
from benchmark.report.tables import notes
from benchmark.report.tables import tables as made
from benchmark.report.write import csv_text

COSTS = ("1", "10.0")


def tables(results, evidence=None, baseline="ce"):
    return made(results, evidence or Known({}), baseline)


def headline(*results):
    return tables(results)[0]


def test_a_cell_is_mean_and_sample_deviation_over_seeds():
    table = headline(result(accuracy=80.0), result(seed=1, accuracy=82.0))
    assert table.rows == (("scn", "81.00 ± 1.41", *COSTS),)
    assert "mean ± standard deviation over 2 seeds, last epoch" in table.caption


def test_cells_of_different_counts_say_so():
    table = headline(result(accuracy=80.0), result(seed=1, accuracy=82.0), result("ce", seed=5))
    assert table.rows == (("scn", "81.00 ± 1.41 (n = 2)", *COSTS), ("ce", "80.00 (n = 1)", *COSTS))
    assert "over as many seeds as n says" in table.caption
    apart = headline(result(), result(seed=1, rate=0.3))
    assert "one seed" in apart.caption


def test_one_seed_has_no_spread():
    table = headline(result())
    assert table.rows == (("scn", "80.00", *COSTS),)
    assert "no spread" in table.caption


def test_what_failed_or_is_missing_says_so():
    failed = result("ce", status="failed", error="the loss was nan")
    table = headline(failed, result("rul", status="missing"), result(), result(seed=1, status="failed"))
    assert table.rows == (("ce", "failed", "", ""), ("rul", "missing", "", ""), ("scn", "80.00 (1 of 2)", *COSTS))
    assert [row[1:] for row in tables([failed])[1].rows] == [("ce", "failed")]


def test_every_format_says_why_a_run_failed_where_its_traceback_lies_and_how_to_run_it_again():
    results = [result("ce", status="failed", error="the loss was nan"), result()]
    for text in render(tables(results), notes(results, "python -m benchmark run --out x")).values():
        assert "ce, symmetric 20 % (realised 20.00 %), seed 0: the loss was nan (runs/ce0/failure.json)" in html.unescape(text)
        assert "again: python -m benchmark run --out x --retry-failed" in text


def test_every_format_names_the_runs_whose_batches_were_done_in_parts():
    tight, roomy = result("ce"), result()
    tight.metrics["parts"], roomy.metrics["parts"] = 4.0, 1.0
    for text in render(tables([tight, roomy]), notes([tight, roomy], "THE COMMAND")).values():
        assert "So of ce, symmetric 20 % (realised 20.00 %), seed 0 (4 parts, runs/ce0/history.csv)" in text
    assert notes([roomy, result("ce")], "THE COMMAND") == [], "nor is anything said of runs from before there were parts"


def test_every_format_names_the_runs_that_went_on_on_another_machine():
    moved, stayed = result("ce"), result()
    moved.metrics["machines"], stayed.metrics["machines"] = 2.0, 1.0
    for text in render(tables([moved, stayed]), notes([moved, stayed], "THE COMMAND")).values():
        assert "bits: ce, symmetric 20 % (realised 20.00 %), seed 0 (runs/ce0/environment.json)" in text
    assert notes([stayed, result("ce")], "THE COMMAND") == []


def test_a_setting_says_how_much_of_the_backbone_its_weights_filled():
    assert "from w.pth (60 of the backbone's 62 tensors)" in headline(result(pretrained="w.pth")).title


def test_noises_stand_in_rising_order_with_the_rate_that_their_labels_have_whatever_ran_first():
    later = [result("ce", rate=0.3), result("ce", rate=0.1)]
    table = headline(
        result(rate=0.2, realised=0.18), *later, result("ce", rate=0.2, realised=0.18), result("ce", 1, realised=0.22)
    )
    assert [title.partition(" (")[0] for title in table.columns[1:4]] == ["10 %", "20 %", "30 %"]
    assert "20 % (realised 20.00 %)" in table.columns


def test_nothing_is_averaged_over_more_than_the_seed():
    different = [
        result(),
        result(backbone="resnet18"),
        result(recipe=dataclasses.replace(BASE.recipe, epochs=3)),
        result(recipe=dataclasses.replace(BASE.recipe, batch_size=32)),
        result(pretrained="w.pth"),
        result(dataset=dataclasses.replace(BASE.dataset, subset=None)),
        result(options={"beta": 0.5}),
        result(rate=0.3),
        result(noise_kind="symmetric-inclusive"),
        result(validation=0.1),
    ]
    headlines = [table for table in tables(different) if table.title.startswith("Test accuracy")]
    cells = [cell for table in headlines for row in table.rows for cell in row[1:-2]]
    assert [cell for cell in cells if cell] == ["80.00"] * len(different)


def test_the_mean_over_classes_stands_beside_accuracy_where_classes_are_imbalanced():
    titles = [table.title for table in tables([result(imbalance=4.0)])]
    assert titles[1].startswith("Mean of the classes' test accuracies")
    assert len(tables([result(imbalance=1.0)])) == 2


def test_a_method_that_is_told_more_is_marked_wherever_it_stands_and_the_note_says_what_it_knows():
    results = [result(), result("ldl", privilege=("votes",))]
    both = tables(results)
    assert [row[0] for row in both[0].rows] == ["scn", "ldl †"]
    assert [row[1] for row in both[-1].rows] == ["scn", "ldl †"]
    assert "ldl † is told more than the given labels (how humans voted on each training image)" in render(both, [])["md"]


def test_headers_give_the_realised_rate():
    assert headline(result(), result(rate=0.3)).columns == (
        "method",
        "20 % (realised 20.00 %)",
        "30 % (realised 30.00 %)",
        "networks",
        "seconds",
    )


AWKWARD = result("a|b_50%&<i>", error=None)


def test_all_formats_of_one_table():
    results = [AWKWARD, result(status="missing", seed=1)]
    texts = render(tables(results), notes(results, "THE COMMAND"))
    assert "| a\\|b_50%&\\<i>" in texts["md"]
    assert "1 of 2 runs are missing; this command runs them: THE COMMAND" in texts["md"]
    assert "a\\_50" not in texts["tex"]
    assert "b\\_50\\%\\&" in texts["tex"]
    assert "\\toprule" in texts["tex"]
    assert "&lt;i&gt;" in texts["html"]
    assert "<i>" not in texts["html"]
    assert "a|b_50%&<i>,80.00,1,10.0" in texts["csv"]


def test_the_columns_of_results_csv_are_in_their_order():
    wanted = """dataset, noise_kind, noise_rate, noise_realised, method, backbone, epochs, seed, status,
    acc_last, acc_last5, acc_val, acc_best, macro_acc, nll, ece, brier, aurc, error_auroc, msp_auroc, noise_auroc, noise_ap,
    noise_unc_auroc, wrong_label_fit, vote_spearman, train_seconds, images_per_second, peak_memory_mb,
    key, recipe, pretrained, options, error"""
    assert list(COLUMNS) == [name.strip() for name in wanted.split(",")]
    row = result().row()
    assert list(row) == list(COLUMNS)
    assert (row["noise_rate"], row["acc_val"], row["dataset"]) == (20.0, None, "ferplus[classes=8]@10k")


GOLDEN = [result("ce", accuracy=79.0), result("ce", seed=1, status="missing"), result("a|b", status="failed", error="nan")]
SETTING = "ferplus[classes=8]@10k, backbone small, 12 epochs of recipe common in fp32"


NOTES = (
    "Failed: a|b, symmetric 20 % (realised 20.00 %), seed 0: nan (runs/a|b0/failure.json)",
    "This command runs what has failed again: THE COMMAND --retry-failed",
    "1 of 3 runs are missing; this command runs them: THE COMMAND",
)


def test_the_headline_in_all_formats_to_the_letter():
    texts = render([headline(*GOLDEN)], notes(GOLDEN, "THE COMMAND"))
    caption = "Noise symmetric, one seed (no spread can be given), last epoch."
    assert texts["md"] == (
        f"**Test accuracy (%): {SETTING}**\n\n"
        "| method   |   20 % (realised 20.00 %) |   networks |   seconds |\n"
        "|:---------|--------------------------:|-----------:|----------:|\n"
        "| ce       |            79.00 (1 of 2) |          1 |      10.0 |\n"
        "| a\\|b     |                    failed |            |           |\n\n"
        f"{caption}\n\n" + "\n".join(f"{note}\n" for note in NOTES)
    )
    assert texts["csv"] == (
        f'"# Test accuracy (%): {SETTING}. {caption}"\n'
        "method,20 % (realised 20.00 %),networks,seconds\nce,79.00 (1 of 2),1,10.0\na|b,failed,,\n"
        f'\n"# {NOTES[0]}"\n\n# {NOTES[1]}\n\n# {NOTES[2]}\n'
    )
    assert texts["tex"] == (
        "% Wants \\usepackage{booktabs,graphicx} in the preamble.\n\\begin{table}\n\\centering\n"
        f"\\caption{{Test accuracy (\\%): {SETTING}. {caption}}}\n"
        "\\medskip\n\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{lrrr}\n\\toprule\n"
        " method   &   20 \\% (realised 20.00 \\%) &   networks &   seconds \\\\\n\\midrule\n"
        " ce       &            79.00 (1 of 2) &          1 &      10.0 \\\\\n"
        " a|b      &                    failed &            &           \\\\\n"
        "\\bottomrule\n\\end{tabular}}\n\\end{table}\n" + "".join(f"\n% {note}\n" for note in NOTES)
    )
    html = " ".join(texts["html"].split()).replace("> ", ">").replace(" <", "<")
    assert html.startswith('<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Results</title>')
    right = '<t{0} style="text-align: right;">{1}</t{0}>'.format
    assert f"<h2>Test accuracy (%): {SETTING}</h2>" in html
    assert f"<tr><th>method</th>{right('h', '20 % (realised 20.00 %)')}{right('h', 'networks')}" in html
    assert f"<tr><td>ce</td>{right('d', '79.00 (1 of 2)')}{right('d', '1')}{right('d', '10.0')}</tr>" in html
    assert f"<tr><td>a|b</td>{right('d', 'failed')}" in html
    assert "".join(f"<p>{text}</p>" for text in (caption, *NOTES)) in html


NASTY = "<script>\n50%_off\x1b[31m\ue000 $x$ \\input{a}|`"


def test_no_name_and_no_reason_is_more_than_text_in_any_format():
    """Neither in the tables nor in what stands beneath them, where LaTeX has comments that end with a line."""
    results = [result(NASTY), result(status="failed", seed=1, error=f"{NASTY}\n\\input{{b}}\r\\input{{c}}")]
    texts = render(tables(results), notes(results, "THE COMMAND"))
    assert "<script>" not in texts["html"]
    assert re.search(r"(?<!\\)<script>", texts["md"]) is None
    for text in texts.values():
        assert not {"\x1b", "\ue000", "\r"} & set(text)
    assert not [line for line in texts["tex"].split("\n") if line.lstrip().startswith("\\input")]
    table = texts["md"].partition("\n\n")[2].partition("\n\n")[0].split("\n")
    assert {line.replace("\\|", "").count("|") for line in table} == {5}
    rows = list(csv.reader(texts["csv"].splitlines()))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@"))]


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "@x", "+x", "-x"])
def test_no_name_or_reason_is_a_formula_in_a_spreadsheet(text):
    runs = [result(text), result(status="failed", error=text), result(noise_kind=text, rate=None, realised=0.2)]
    cells = [cell for row in csv.reader(csv_text([run.row() for run in runs]).splitlines()) for cell in row]
    assert cells.count(f"'{text}") == 3
    assert text not in cells


def test_a_file_of_any_name_makes_a_sound_markdown_table():
    odd = result(noise_kind="file:a|b", rate=None)
    odd = dataclasses.replace(odd, realised=0.2)
    lines = render([headline(odd)], [])["md"].splitlines()
    bars = [line.replace("\\|", "").count("|") for line in lines if line.startswith("|")]
    assert bars == [5, 5, 5]
