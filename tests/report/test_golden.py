"""Whole tables to the letter, in all four formats; the LaTeX also through LaTeX.

`python tests/report/test_golden.py`, with tests/ on PYTHONPATH, writes the golden files again.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from simulated import result, sweep

from benchmark.report.formats import FORMATS, render
from benchmark.report.tables import notes, tables

GOLDEN = Path(__file__).parent / "golden"


def everything():
    """A setting with differences that can be told and some that cannot, an oracle, a failure, and a ranking of its own."""
    rng = np.random.default_rng(5)
    runs, evidence = sweep(rng, truth=[0.6, 0.8, 0.79, 0.4], spread=[0.004] * 4, noises=2, seeds=3, images=2000)
    runs = [dataclasses.replace(run, privilege=("votes",)) if run.spec.method == "m3" else run for run in runs]
    runs += [result("a_b&c|d<e", 0, rate=0.1, accuracy=50.0), result("a_b&c|d<e", 1, status="failed", error="nan", rate=0.1)]
    for name, level in (("A", 2.0), ("B", 1.0), ("C", 0.0), ("D", 4.0), ("E", 3.0), ("F", -1.0)):
        for k, method in enumerate(("ce", "m1", "m2", "x")):
            dataset = dataclasses.replace(runs[0].spec.dataset, name=f"set{name}", subset=None, options={})
            run = result(method, accuracy=70 + level + 2 * k, rate=0.1, dataset=dataset, backbone="other")
            runs.append(dataclasses.replace(run, key=f"{name}{method}", dataset_sha256=name))
    return runs, evidence


def texts():
    runs, evidence = everything()
    made = tables(runs, evidence, "ce")
    return render([*made[:3], made[-1]], notes(runs, "THE COMMAND"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_report_to_the_letter(name):
    assert texts()[name] == (GOLDEN / f"table.{name}").read_text(encoding="utf-8")


def test_the_golden_report_shows_what_it_should():
    """A golden file is only as good as what is in it."""
    text = (GOLDEN / "table.md").read_text(encoding="utf-8")
    for wanted in (
        "**79.4",
        "Bold: no other method of the column is significantly better",
        "m3 †",
        "failed",
        "beside ce",
        "Average ranks",
        "Nemenyi",
        "< 0.001",
    ):
        assert wanted in text


PAPER = r"""\documentclass{article}
\usepackage[margin=1cm,paperwidth=60cm]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
\input{table}
\end{document}
"""


@pytest.mark.slow
def test_the_latex_compiles(tmp_path):
    compilers = {
        "latexmk": ["-pdf", "-interaction=nonstopmode", "-halt-on-error"],
        "tectonic": [],
        "pdflatex": ["-halt-on-error"],
    }
    found = next((name for name in compilers if shutil.which(name)), None)
    if found is None:
        pytest.skip(
            "there is no latexmk, tectonic or pdflatex here (Debian: apt-get install latexmk texlive-latex-recommended)"
        )
    (tmp_path / "paper.tex").write_text(PAPER, encoding="utf-8")
    (tmp_path / "table.tex").write_text(texts()["tex"], encoding="utf-8")
    command = [found, *compilers[found], "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


if __name__ == "__main__":
    for name, text in texts().items():
        if name in FORMATS:
            (GOLDEN / f"table.{name}").write_text(text, encoding="utf-8")
