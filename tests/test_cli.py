"""The command line from outside: what a user types, what comes back, and what bad input ends in."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from modules import modules_after
from simulated import stored, sweep

ROOT = Path(__file__).parents[1]


def tiny(plugin: Path, out: Path, *words: object) -> list[object]:
    return [
        "run",
        "--plugin",
        plugin,
        "--dataset",
        "tiny",
        "--methods",
        "ce",
        "--noise",
        "20",
        "--epochs",
        "1",
        "--jobs",
        "1",
        "--out",
        out,
        *words,
    ]


def test_run_prints_the_table_on_standard_output_and_progress_on_standard_error(call, tiny_plugin, tmp_path):
    status, out, err = call(*tiny(tiny_plugin, tmp_path / "o"))
    assert status == 0
    assert out.startswith("**Test accuracy (%): tiny")
    assert "epoch 1/1" in err
    assert "epoch" not in out.splitlines()[2]
    for name in ("table.md", "table.csv", "table.tex", "table.html", "results.csv", "sweep.toml"):
        assert (tmp_path / "o" / name).is_file()


def test_json_stands_alone_on_standard_output(call, tiny_plugin, tmp_path):
    status, out, _ = call(*tiny(tiny_plugin, tmp_path / "o", "--json"))
    rows = json.loads(out)
    assert status == 0
    assert rows[0]["method"] == "ce"
    _, again, _ = call("table", tmp_path / "o", "--json")
    assert json.loads(again) == rows


def test_a_dry_run_lists_the_grid_and_writes_nothing(call, tiny_plugin, tmp_path):
    status, out, _ = call(*tiny(tiny_plugin, tmp_path / "o", "--seeds", "3", "--dry-run"))
    assert status == 0
    assert out.count("missing") == 3
    assert not (tmp_path / "o").exists()


def test_a_dry_run_lists_what_the_same_command_would_do(call, tiny_plugin, tmp_path):
    def actions(*more):
        rows = json.loads(call(*tiny(tiny_plugin, tmp_path / "o", "--seeds", "3", "--dry-run", "--json", *more))[1])
        return [(row["run"][-1], row["action"]) for row in rows]

    call(*tiny(tiny_plugin, tmp_path / "o", "--seeds", "1"))
    assert actions() == [("0", "keep"), ("1", "run"), ("2", "run")]
    assert actions("--force") == [("0", "run"), ("1", "run"), ("2", "run")]
    assert actions("--shard", "2/2") == [("1", "run")]


def test_what_would_be_overwritten_and_is_of_no_sweep_is_refused(call, tiny_plugin, tmp_path):
    mine = written(tmp_path, "results.csv", "mine")
    status, _, err = call(*tiny(tiny_plugin, tmp_path))
    assert (status, len(err.strip().splitlines())) == (2, 1)
    assert "results.csv would be overwritten, and is of no sweep" in err
    assert mine.read_text() == "mine"


def test_several_config_files_are_several_sweeps(call, tiny_plugin, tmp_path):
    for rate in (10, 20):
        settings = f'dataset = "tiny"\nmethods = ["ce"]\nnoise = [{rate}]\nplugins = ["{tiny_plugin}"]\n'
        written(tmp_path, f"{rate}.toml", settings)
    files = ("--config", tmp_path / "10.toml", "--config", tmp_path / "20.toml")
    _, out, _ = call("run", *files, "--out", tmp_path / "o", "--dry-run", "--json")
    assert [row["run"] for row in json.loads(out)] == ["ce, symmetric 10 %, seed 0", "ce, symmetric 20 %, seed 0"]


def test_a_command_may_take_a_part_of_a_files_sweep(call, tiny_plugin, tmp_path):
    """What belongs to the rest stays away: options of other methods, rates of another noise."""
    file = tmp_path / "s.toml"
    settings = f'dataset = "tiny"\nmethods = ["ce", "scn"]\nnoise = [20]\nplugins = ["{tiny_plugin}"]\n'
    file.write_text(settings + "[options.scn]\nbeta = 0.5\n[options.tiny]\ntrain = 48\n")
    words = ["run", "--config", file, "--out", tmp_path / "o", "--dry-run", "--json"]
    assert [row["run"] for row in json.loads(call(*words, "--methods", "ce")[1])] == ["ce, symmetric 20 %, seed 0"]
    assert json.loads(call(*words, "--methods", "scn")[1])[0]["run"] == "scn[beta=0.5], symmetric 20 %, seed 0"
    assert json.loads(call(*words, "--noise-kind", "human", "--methods", "ce")[1])[0]["run"] == "ce, human, seed 0"
    assert "scn[beta=0.5], symmetric 20 %, seed 0" in [row["run"] for row in json.loads(call(*words, "--methods", "all")[1])]
    assert json.loads(call(*words, "--dataset", "digits", "--methods", "ce")[1])[0]["run"] == "ce, symmetric 20 %, seed 0"


def test_a_dry_run_says_what_a_run_would(call, tiny_plugin, tmp_path):
    status, _, err = call(*tiny(tiny_plugin, tmp_path / "o", "--dry-run"))
    assert (status, err) == (0, "tiny says hello\n")


def test_sweeps_that_overlap_run_nothing_twice(call, tiny_plugin, tmp_path):
    common = f'[[sweep]]\ndataset = "tiny"\nepochs = 1\nplugins = ["{tiny_plugin}"]\nnoise = [20]\n'
    file = written(tmp_path, "s.toml", f'{common}methods = ["ce"]\n{common}methods = ["ce", "dul"]\n')
    words = ("run", "--config", file, "--out", tmp_path / "o", "--jobs", "1", "--threads", "1")
    call(*words)
    _, _, err = call(*words, "--force")
    assert [err.count(f"replacing {name}, symmetric 20 %, seed 0, which had ") for name in ("ce", "dul")] == [1, 1]


def test_the_exit_status_is_of_this_commands_runs(call, tiny_plugin, tmp_path):
    code = "from benchmark.methods import ce\nclass Boom(ce.CrossEntropy):\n    'Boom.'\n    name = 'boom'\n"
    boom = written(tmp_path, "boom.py", code + "    def training_step(self, batch): raise RuntimeError('boom')\n")
    words = ("run", "--dataset", "tiny", "--plugin", tiny_plugin, "--plugin", boom, "--epochs", "1", "--noise", "20")
    words = (*words, "--out", tmp_path / "o", "--jobs", "1", "--threads", "1")
    assert call(*words, "--methods", "ce,boom")[0] == 1
    assert call(*words, "--methods", "ce,boom")[0] == 1, "it has failed, and stays so"
    assert call(*words, "--methods", "ce")[0] == 0


def test_a_plugin_and_its_helper_are_found_from_any_folder(call, tiny_plugin, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep", "a_helper_of_mine.py", "NAME = 'mine'\n")
    code = "from benchmark.methods import ce\nimport a_helper_of_mine\nclass Mine(ce.CrossEntropy):\n    'Mine.'\n    name = "
    mine = written(tmp_path / "deep", "mine.py", code + "a_helper_of_mine.NAME\n")
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*tiny(tiny_plugin, tmp_path / "o", "--plugin", mine, "--methods", "mine"))
    assert status == 0, err
    assert "mine" in out


def test_methods_that_are_told_more_are_marked_in_the_list(call):
    _, out, _ = call("list", "methods")
    marked = {line.partition(" †")[0] for line in out.splitlines() if " †" in line}
    _, out, _ = call("list", "methods", "--json")
    assert marked == {row["name"] for row in json.loads(out) if row["privilege"]} != set()


def test_a_config_file_is_a_sweep_and_options_go_before_it(call, tiny_plugin, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(f'dataset = "tiny"\nmethods = ["ce"]\nnoise = [0]\nepochs = 1\nplugins = ["{tiny_plugin}"]\n')
    status, out, _ = call("run", "--config", file, "--noise", "10,20", "--out", tmp_path / "o", "--dry-run", "--json")
    assert status == 0
    assert [row["run"] for row in json.loads(out)] == ["ce, symmetric 10 %, seed 0", "ce, symmetric 20 %, seed 0"]


def test_options_of_a_file_and_of_the_command_line_are_merged(call, tiny_plugin, tmp_path):
    file = tmp_path / "s.toml"
    settings = f'dataset = "tiny"\nmethods = ["scn"]\nnoise = [20]\nplugins = ["{tiny_plugin}"]\n'
    file.write_text(settings + "[options.scn]\nbeta = 0.5\nmargin_2 = 0.3\n")
    words = ["run", "--config", file, "--set", "scn.margin_2=0.4", "--out", tmp_path / "o", "--dry-run", "--json"]
    _, out, _ = call(*words)
    assert json.loads(out)[0]["run"] == "scn[beta=0.5,margin_2=0.4], symmetric 20 %, seed 0"


def test_several_sweeps_of_a_file_are_all_checked_before_the_first_is_run(call, tiny_plugin, tmp_path):
    file = tmp_path / "s.toml"
    common = f'[[sweep]]\ndataset = "tiny"\nmethods = ["ce"]\nepochs = 1\nplugins = ["{tiny_plugin}"]\n'
    file.write_text(f'{common}noise = [20]\n{common}noise_kind = "human-worst"\n')
    status, _, err = call("run", "--config", file, "--out", tmp_path / "o")
    assert status == 2
    assert "human-worst" in err
    assert not (tmp_path / "o").exists()


def test_missing_runs_are_shown_with_the_command_that_fills_them(call, tiny_plugin, tmp_path):
    call(*tiny(tiny_plugin, tmp_path / "o", "--seeds", "2", "--shard", "1/2"))
    _, out, _ = call("table", tmp_path / "o")
    assert "(1 of 2)" in out
    command = out.rsplit("this command runs them: ", 1)[1].split()
    assert command[:4] == ["python", "-m", "benchmark", "run"]
    status, out, _ = call(*command[3:], "--jobs", "1")
    assert status == 0
    assert "are missing" not in out


@pytest.mark.parametrize("what", ["methods", "datasets", "noises", "backbones", "sweeps", "published"])
def test_lists_are_objects_with_name_summary_citation_and_source(call, what):
    status, out, _ = call("list", what, "--json")
    rows = json.loads(out)
    assert status == 0
    assert rows
    for row in rows:
        assert {"name", "summary", "citation", "source"} <= row.keys()
        assert row["summary"]


def test_a_broken_plugin_is_named_in_list_and_when_asked_for_and_harms_no_other(call, monkeypatch, tmp_path):
    from importlib.metadata import EntryPoint

    broken = EntryPoint("theirs", "there.is.no.such.module", "benchmark.methods")
    monkeypatch.setattr("benchmark.contract.registry.entry_points", lambda group: [broken] if group.endswith("methods") else [])
    status, out, err = call("list", "methods")
    assert status == 0
    assert "rul" in out
    assert "theirs: cannot be used: ModuleNotFoundError" in err
    status, _, err = call("run", "--methods", "theirs", "--out", tmp_path / "o")
    assert status == 2
    assert "the method 'theirs' cannot be used: ModuleNotFoundError" in err


BAD = {
    "an unknown method": (["--methods", "rull"], "no method is called 'rull'; did you mean 'rul'?"),
    "no method at all": (["--methods", ","], "--methods: got ','; wanted a list"),
    "an unknown dataset": (["--dataset", "cifar01"], "did you mean 'cifar10'?"),
    "an empty subset": (["--dataset", "tiny@0"], "wanted NAME or NAME@COUNT"),
    "a subset larger than the set": (["--dataset", "tiny@10k"], "wanted 3 to 96 training images"),
    "an unknown backbone": (["--backbone", "resnet19"], "did you mean 'resnet"),
    "a side beyond all measure": (["--backbone", "small@" + "9" * 5000], "wanted NAME or NAME@SIDE"),
    "an unknown recipe": (["--recipe", "comon"], "did you mean 'common'?"),
    "an unknown noise kind": (["--noise-kind", "symetric"], "did you mean 'symmetric'?"),
    "an unknown device": (["--device", "gpu"], "no device is called 'gpu'"),
    "a device that is not here": (["--device", "mps"], "this machine has none"),
    "an unknown precision": (["--precision", "fp16"], "did you mean 'bf16'?"),
    "an unknown flag": (["--method", "rul"], "--method"),
    "a rate over 100": (["--noise", "120"], "wanted percent, from 0 to 100"),
    "a negative rate": (["--noise", "-5"], "wanted percent, from 0 to 100"),
    "a rate in words": (["--noise", "abc"], "wanted rates in percent"),
    "a rate that is no number": (["--noise", "nan"], "wanted percent, from 0 to 100"),
    "a rate for human labels": (["--noise-kind", "human", "--noise", "10"], "brings its own rate"),
    "human labels that the set lacks": (["--noise-kind", "human-worst"], "of the kind 'human-worst'; it has human"),
    "a file kind without a file": (["--noise-kind", "file"], "go together"),
    "a noise file that is not there": (["--noise-kind", "file", "--noise-file", "nowhere.txt"], "there is no such file"),
    "seeds beyond all measure": (["--seeds", "1000000000"], "at most 10000"),
    "a seed beyond all measure": (["--seed", "99999999999999999999"], "wanted whole numbers"),
    "a seed that no stream takes": (["--seed", "4294967296"], "--seeds: got 4294967296"),
    "a rate as Python may write it": (["--noise", "1_0"], "wanted rates in percent"),
    "epochs as Python may write them": (["--epochs", "1_0"], "'1_0' is not a whole number"),
    "no threads": (["--threads", "0"], "--threads: got 0"),
    "no seeds": (["--seeds", "0"], "at least 1"),
    "seeds both ways": (["--seeds", "2", "--seed", "4"], "exclude each other"),
    "a seed in words": (["--seed", "one"], "wanted whole numbers"),
    "an option out of range": (["--methods", "scn", "--set", "scn.beta=5"], "scn.beta: got '5'"),
    "an option that is no number": (["--methods", "scn", "--set", "scn.margin_1=nan"], "scn.margin_1: got 'nan'"),
    "an output without a name": (["--out", ""], "got an empty name"),
    "an output of a blank": (["--out", " "], "got an empty name"),
    "an output that no file system takes": (["--out", "o" * 300], "File name too long"),
    "a plugin that no file system takes": (["--plugin", "p" * 300], "File name too long"),
    "weights that no file system takes": (["--pretrained", "w" * 300], "File name too long"),
    "a data root that no file system takes": (["--data-root", "d" * 300], "File name too long"),
    "labels that no file system takes": (["--noise-kind", "file", "--noise-file", "l" * 300], "File name too long"),
    "a batch beyond all measure": (["--batch-size", "10000000000"], "--batch-size: got"),
    "epochs in words": (["--epochs", "abc"], "'--epochs': 'abc' is not a whole number"),
    "threads beyond all measure": (["--threads", "100000000000000000000"], "threads"),
    "jobs beyond all measure": (["--jobs", "9" * 5000], "wanted a count of at least 1"),
    "a shard beyond all measure": (["--shard", "1/" + "9" * 5000], "wanted K/N"),
    "a subset beyond all measure": (["--dataset", "tiny@" + "9" * 5000], "wanted NAME or NAME@COUNT"),
    "a name of two lines": (["--methods", "ce\nrul"], "no method is called 'ce rul'"),
    "a name with an escape": (["--methods", "\x1b[31m"], "\\x1b"),
    "a name longer than a page": (["--methods", "ce", "x" * 50_000], "Got unexpected extra argument"),
    "a path of two lines": (["--out", "a\nb"], "wanted a path of printable characters"),
    "a path that is no text": (["--noise-kind", "file", "--noise-file", "l\udcff.txt"], "printable"),
    "no epochs": (["--epochs", "0"], "epochs"),
    "a batch of one": (["--batch-size", "1"], "--batch-size: got 1;"),
    "negative jobs": (["--jobs", "-3"], "wanted a count of at least 1, or auto"),
    "a shard out of range": (["--shard", "3/2"], "K from 1 to N"),
    "an option without a value": (["--set", "ce"], "wanted NAME.OPTION=VALUE"),
    "an unknown option": (["--methods", "scn", "--set", "scn.betta=0.5"], "did you mean 'beta'?"),
    "an option with an escape": (["--dataset", "csv", "--set", "csv.file=\x1b[2J"], "wanted no control characters"),
    "an option of the wrong type": (["--methods", "scn", "--set", "scn.beta=high"], "scn.beta"),
    "an option of an absent method": (["--set", "rul.dim=8"], "'rul' is not part of this sweep"),
    "a plugin that is not there": (["--plugin", "nowhere.py"], "there is no such file"),
    "a config that is not there": (["--config", "nowhere.toml"], "there is no such file"),
    "a data root that is not there": (["--data-root", "nowhere"], "there is no such folder"),
    "weights that are not there": (["--pretrained", "nowhere.pth"], "there is no such file"),
    "a folder for a plugin": (["--plugin", "."], "it is a folder; wanted a file"),
    "a folder for weights": (["--pretrained", "."], "it is a folder; wanted a file"),
    "a folder for labels": (["--noise-kind", "file", "--noise-file", "."], "it is a folder; wanted a file"),
    "a folder for a config": (["--config", "."], "it is a folder; wanted a file"),
    "too large a validation set": (["--validation", "80"], "validation"),
}  # fmt: skip


@pytest.mark.parametrize("given", BAD.values(), ids=BAD.keys())
def test_bad_input_ends_in_one_line_status_2_and_nothing_written(call, tiny_plugin, tmp_path, monkeypatch, given):
    words, wanted = given
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    base = [] if "--noise-kind" in words or "--noise" in words else ["--noise", "20"]
    defaults = {"--dataset": "tiny", "--methods": "ce"}
    rest = [word for option, value in defaults.items() if option not in words for word in (option, value)]
    folder = [] if "--out" in words else ["--out", tmp_path / "o"]
    status, out, err = call("run", "--plugin", tiny_plugin, *rest, *base, *words, *folder)
    assert status == 2
    assert wanted in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert len(err) < 3_000
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


def written(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TWIN = "from benchmark.methods import ce\nclass Mine(ce.CrossEntropy):\n    name = 'ce'"
MINE = "from benchmark.methods import ce\nclass Mine(ce.CrossEntropy):\n    name = 'mine'\n"
BAD_FILES = {
    "a short label file": ("--noise-file", "l.txt", "0\n1\n", "it has 2 labels, and the training set has 96"),
    "a label out of range": ("--noise-file", "l.txt", "0\n" * 95 + "3\n", "label 3 in place 96; wanted 0 to 2"),
    "labels in words": ("--noise-file", "l.txt", "happy\n" * 96, "wanted one whole number a line"),
    "a damaged artefact": ("--noise-file", "l.npz", b"PK\x03\x04nonsense", "not a noise artefact"),
    "unreadable weights": ("--pretrained", "w.pth", b"nonsense", "damaged"),
    "truncated safetensors": ("--pretrained", "w.safetensors", b"\x10\x00\x00", "cannot be read"),
    "a plugin that does not import": ("--plugin", "p.py", "import nowhere_at_all", "ModuleNotFoundError"),
    "a plugin without a plugin": ("--plugin", "p.py", "x = 1", "defines no Method and no Dataset"),
    "a plugin with a taken name": ("--plugin", "p.py", TWIN, "two methods have this name"),
    "a config that is not TOML": ("--config", "c.toml", "dataset = ", "it is not TOML"),
    "a config with an unknown key": ("--config", "c.toml", "methds = ['ce']", "did you mean 'methods'?"),
    "a config of too many digits": ("--config", "c.toml", "epochs = " + "9" * 5000, "it is not TOML"),
    "a config beyond 64 bits": ("--config", "c.toml", "epochs = 0x" + "f" * 5000, "more than 64 bits"),
    "a config with a number for names": ("--config", "c.toml", "noise_files = 3", "noise_files: got 3"),
    "a config with tables for paths": ("--config", "c.toml", "noise_files = [{a = 1}]", "noise_files: got {'a': 1}"),
    "a config of too many sweeps": ("--config", "c.toml", "[[sweep]]\n" * 1001, "it has 1,001 sweeps; wanted at most 1,000"),
    "a config that is a number": ("--config", "c.toml", "options = 3", "wanted tables of options"),
    "a config of numbers": ("--config", "c.toml", "[options]\nscn = 3", "wanted tables of options"),
    "a config deeper than all measure": ("--config", "c.toml", "a = " + "[" * 20000, "it is not TOML"),
    "a config with a number for a list": ("--config", "c.toml", "seeds = 3", "seeds: got 3; input should be a list"),
    "a config with yes for a count": ("--config", "c.toml", "epochs = true", "epochs: got True"),
    "a config with what is no setting": ("--config", "c.toml", "device = 'cpu'", "give --device on the command line"),
    "a plugin that leaves in its own way": (
        "--plugin", "p.py", "class Leave(BaseException): ...\nraise Leave('no')", "cannot be imported: Leave: no",
    ),
    "settings beside sweeps": ("--config", "c.toml", "epochs = 3\n[[sweep]]\n", "'epochs' stands beside [[sweep]]"),
    "two sweeps that conflict in one folder": (
        "--config", "c.toml", "[[sweep]]\nepochs = 1\n[[sweep]]\nepochs = 2\n", "holds a sweep with epochs 1",
    ),
    "a plugin with a privilege that is none": ("--plugin", "p.py", f"{MINE}    privilege = 5", "declares the privilege 5"),
    "a plugin with a paper that is none": ("--plugin", "p.py", f"{MINE}    paper = 'x'", "has no `paper` that is a Paper"),
    "an output that is a file": ("--out", "o2", "I am a file", "it is a file"),
    "an output below a file": ("--out", "o3/deeper", None, "is a file"),
}  # fmt: skip


@pytest.mark.parametrize("given", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_end_in_one_line_status_2_and_nothing_written(call, tiny_plugin, tmp_path, given):
    option, name, content, wanted = given
    path = tmp_path / name
    if content is None:
        path.parent.write_text("I am a file")
    else:
        written(tmp_path, name, content)
    before = sorted(tmp_path.rglob("*"))
    kind = ["--noise-kind", "file"] if option == "--noise-file" else ["--noise", "20"]
    out = [] if option == "--out" else ["--out", tmp_path / "o"]
    status, shown, err = call("run", "--plugin", tiny_plugin, "--dataset", "tiny", "--methods", "ce", *kind, *out, option, path)
    assert status == 2
    assert wanted in err
    assert len(err.strip().splitlines()) == 1
    assert shown == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_file_says_wrongly_does_not_matter_where_the_command_line_says_it(call, tiny_plugin, tmp_path):
    words = ("--plugin", tiny_plugin, "--dataset", "tiny", "--methods", "ce", "--out", tmp_path / "o", "--dry-run", "--json")
    for text in ("methods = 3", "methods = [[1]]", "dataset = 3"):
        status, out, _ = call("run", "--config", written(tmp_path, "c.toml", text), "--noise", "20", *words)
        assert (status, [row["run"] for row in json.loads(out)]) == (0, ["ce, symmetric 20 %, seed 0"])


@pytest.mark.parametrize("words", [("--noise-kind", "human-../../../x"), ("--dataset", "../../x"), ("--dataset", "/x")])
def test_no_name_leads_out_of_the_usual_folder(call, tiny_plugin, tmp_path, monkeypatch, words):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    asked: list[Path] = []
    monkeypatch.setattr("benchmark.store.folder.need_writable", lambda _, folder: asked.append(folder.absolute()))
    rest = () if "--dataset" in words else ("--dataset", "tiny")
    status, _, err = call("run", "--plugin", tiny_plugin, "--methods", "ce", *rest, *words)
    assert (status, len(err.splitlines())) == (2, 1)
    assert [folder.parent for folder in asked] == [tmp_path / "here" / "results"]


def test_links_that_lead_nowhere_are_named_in_one_line(call, tiny_plugin, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nothing").symlink_to(tmp_path / "not there")
    before = sorted(tmp_path.rglob("*"))
    for words in (("--out", tmp_path / "loop"), ("--out", tmp_path / "nothing"), ("--pretrained", tmp_path / "loop")):
        folder = () if words[0] == "--out" else ("--out", tmp_path / "o")
        status, _, err = call("run", "--plugin", tiny_plugin, "--dataset", "tiny", "--noise", "20", *folder, *words)
        assert (status, len(err.strip().splitlines())) == (2, 1), err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["noise", "runs", "sweep.toml", "grid.json"])
def test_what_is_in_the_way_is_named_before_anything_is_written(call, tiny_plugin, tmp_path, name):
    (tmp_path / "o").mkdir()
    path = tmp_path / "o" / name
    path.touch() if name in ("noise", "runs") else path.mkdir()
    status, _, err = call(*tiny(tiny_plugin, tmp_path / "o"))
    assert (status, len(err.strip().splitlines())) == (2, 1)
    assert f"{path} is in the way" in err
    assert list((tmp_path / "o").iterdir()) == [path]


def test_paths_in_a_file_of_settings_are_counted_from_where_it_lies(call, tiny_plugin, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "own.py").write_text(Path(tiny_plugin).read_text())
    (tmp_path / "deep" / "s.toml").write_text('dataset = "tiny"\nmethods = ["ce"]\nnoise = [20]\nplugins = ["own.py"]\n')
    monkeypatch.chdir(tmp_path)
    status, out, _ = call("run", "--config", "deep/s.toml", "--dry-run", "--json", "--out", tmp_path / "o")
    assert status == 0
    assert len(json.loads(out)) == 1


def test_table_refuses_what_is_no_sweep(call, tmp_path):
    for folder, wanted in ((tmp_path / "none", "there is no such folder"), (tmp_path, "there is no sweep in it")):
        status, _, err = call("table", folder)
        assert (status, len(err.strip().splitlines())) == (2, 1)
        assert wanted in err
    status, _, err = call("table", tmp_path, "--format", "pdf")
    assert status == 2
    assert "no table format is called 'pdf'" in err
    status, _, err = call("table", tmp_path, "--format", "")
    assert (status, len(err.strip().splitlines())) == (2, 1)


DAMAGE = {
    "grid.json": [b"[{", b"{}", b"[1]", b'[{"spec": {}}]', b"\xff\xfe"],
    "sweep.toml": [b"sweep = ", b"\xff\xfe", b"sweep = 3", b"[[sweep]]\nnoise = 'x'"],
    "metrics.json": [b"{", b"[]", b"{}", b"\xff"],
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, contents in DAMAGE.items() for content in contents])
def test_a_damaged_file_of_a_sweep_is_named_in_one_line(call, tiny_plugin, tmp_path, name, content):
    words = tiny(tiny_plugin, tmp_path / "o")
    call(*words)
    next((tmp_path / "o").rglob(name)).write_bytes(content)
    for command in [words] if name == "sweep.toml" else [words, ("table", tmp_path / "o")]:
        status, _, err = call(*command)
        last = err.strip().splitlines()[-1]
        assert status == 2
        assert last.startswith("error: ")
        assert name in last


def test_results_that_cannot_be_written_are_named_in_one_line(call, tiny_plugin, tmp_path):
    call(*tiny(tiny_plugin, tmp_path / "o"))
    (tmp_path / "o" / "table.md").unlink()
    (tmp_path / "o" / "table.md").mkdir()
    (tmp_path / "o" / "table.md" / "in the way").touch()
    status, _, err = call("table", tmp_path / "o")
    assert (status, len(err.strip().splitlines())) == (2, 1)
    assert "table.md cannot be written" in err


def test_help_does_not_wait_for_torch():
    assert "torch" not in modules_after("--help")


@pytest.fixture
def three_seeds(tmp_path):
    """A finished sweep of two methods with enough seeds for tests, and of a third that is told more."""
    runs, evidence = sweep(np.random.default_rng(0), truth=[0.6, 0.8, 0.9], spread=[0.005] * 3, images=1000)
    told_more = [dataclasses.replace(run, privilege=("votes",)) if run.spec.method == "m2" else run for run in runs]
    return stored(tmp_path / "o", told_more, evidence)


def test_a_table_of_three_seeds_compares_with_the_baseline_that_was_asked_for(call, three_seeds):
    status, out, _ = call("table", three_seeds)
    assert status == 0
    assert "mean ± standard deviation over 3 seeds" in out
    assert re.search(r"^\| m1 +\| +\*\*[0-9.]+ ± [0-9.]+\*\* \|", out, re.M)
    assert "Test accuracy beside ce" in (three_seeds / "table.md").read_text()
    assert "beside ce" not in out
    status, out, _ = call("table", three_seeds, "--baseline", "m1")
    assert status == 0
    assert "Test accuracy beside m1" in out
    assert "Test accuracy beside m1" in (three_seeds / "table.md").read_text()


def test_a_baseline_that_is_not_there_is_refused_with_the_nearest_name(call, three_seeds):
    call("table", three_seeds)
    before = (three_seeds / "table.md").read_text()
    status, out, err = call("table", three_seeds, "--baseline", "m11")
    assert (status, out) == (2, "")
    assert err.strip() == "error: no method of this sweep is called 'm11'; did you mean 'm1'?"
    assert (three_seeds / "table.md").read_text() == before


def test_a_baseline_that_is_told_more_is_refused(call, three_seeds):
    status, _, err = call("table", three_seeds, "--baseline", "m2")
    assert (status, len(err.strip().splitlines())) == (2, 1)
    assert "--baseline m2: it is told more than the given labels" in err


@pytest.mark.parametrize(
    "content", [b"PK nothing", b"", b"\x93NUMPY\x01\x00\x76\x00{'descr'", "plane", "words", "zip of version 97"]
)
def test_whatever_is_wrong_with_outcomes_costs_the_tests_alone(call, three_seeds, content):
    file = next(three_seeds.rglob("outcomes.npz"))
    if content == "zip of version 97":
        np.savez(file, a=np.zeros(1))
        content = file.read_bytes()
        place = content.index(b"PK\x01\x02") + 6
        content = content[:place] + b"\x61" + content[place + 1 :]
    if isinstance(content, str):
        buffer = io.BytesIO()
        np.save(buffer, np.zeros((3, 3), bool) if content == "plane" else np.array(["a", "b"]))
        content = buffer.getvalue()
    file.write_bytes(content)
    status, out, err = call("table", three_seeds)
    assert (status, err) == (0, "")
    assert out.count("Left out of every test") == 1


def test_lost_outcomes_cost_the_tests_that_want_them_and_are_named(call, three_seeds):
    whole = call("table", three_seeds)[1]
    lost, *others = three_seeds.rglob("outcomes.npz")
    lost.write_bytes(b"PK nothing")
    status, out, _ = call("table", three_seeds)
    assert status == 0
    assert re.findall(r"[0-9.]+ ± [0-9.]+", out) == re.findall(r"[0-9.]+ ± [0-9.]+", whole)  # the means need none of them
    assert f"Left out of every test: {lost} is damaged" in out
    for file in others:
        file.unlink()
    out = call("table", three_seeds)[1]
    assert out.count("Left out of every test") == 9
    assert "**6" not in out


def test_tables_never_import_the_training_code(three_seeds):
    modules = modules_after("table", str(three_seeds))
    assert "benchmark.score.statistics" in modules
    training = ("torch", "timm", "benchmark.train", "benchmark.sweep", "benchmark.methods", "benchmark.conformance")
    assert not [name for name in modules if name.startswith(training)]


BAD_PREDICTION = """
from benchmark.methods.ce import CrossEntropy
class Bad(CrossEntropy):
    "Bad."
    name = "bad"
    def predict(self, images):
        raise ValueError("no idea")
"""


def test_a_failed_run_gives_status_1_and_the_table_says_why(call, tiny_plugin, tmp_path):
    plugin = written(tmp_path, "p.py", BAD_PREDICTION)
    status, out, err = call(*tiny(tiny_plugin, tmp_path / "o", "--plugin", plugin, "--methods", "bad,ce"))
    assert status == 1
    assert "failed" in out
    assert "ValueError: no idea" in out
    assert "ValueError: no idea" in err
    with np.load(next((tmp_path / "o").glob("runs/*/predictions.npz"))) as content:
        assert np.isfinite(content["test_logits"]).all()


def test_a_method_that_cannot_train_gets_verdicts_and_no_traceback(call, tmp_path):
    file = tmp_path / "raises.py"
    file.write_text(
        "from benchmark.methods.ce import CrossEntropy\n"
        "class Raises(CrossEntropy):\n"
        '    "Raises."\n'
        '    name = "raises"\n'
        "    def loss(self, logits, labels):\n"
        '        raise ValueError("I will not")\n'
    )
    status, out, err = call("method", "check", file)
    assert status == 1
    assert "FAILED  learns" in out
    assert "ValueError: I will not" in out
    assert err == ""
