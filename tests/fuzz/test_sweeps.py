"""Sweeps from files and command lines: whatever they say, they are planned or refused in one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hostile import NASTY, Answer, Sandbox, cases, damaged, hold, misspelt, numbers, spoilt, texts
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from benchmark.noise import Header, frozen

NOISE = frozen(
    Header(kind="symmetric", rate=0.2, seed=0, dataset="tiny", dataset_sha256="0" * 64, classes=("a", "b", "c")),
    np.arange(96) % 3,
    np.arange(1, 97) % 3,
)
SWEEP: dict[str, Any] = {
    "dataset": "tiny",
    "methods": ["ce", "scn"],
    "noise": [10, 20.5],
    "noise_kind": "symmetric",
    "imbalance": 2.0,
    "seeds": [0, 3],
    "recipe": "common",
    "epochs": 2,
    "batch_size": 16,
    "balanced": True,
    "backbone": "small",
    "validation": 10.0,
    "precision": "fp32",
    "threads": 1,
    "data_root": ".",
    "noise_files": [],
    "plugins": [],
    "options": {"scn": {"beta": 0.5}, "tiny": {"train": 48, "test": 24}},
}
DISPENSABLE = (
    *("precision", "threads", "validation", "balanced", "imbalance", "batch_size", "epochs", "data_root", "options"),
    *("noise_files", "plugins"),
)
RAW = (
    *("9" * 5_000, "0x" + "f" * 5_000, "-" + "9" * 30, "1e400", "-inf", "nan", "1979-05-27T07:32:00Z", "07:32:00", "true"),
    *("[" * 5_000, "{a = 1}", "{" + ".".join("a" * 5_000) + " = 1}", '"\\u0000"', "[1, [2, 'x']]", "[]", "{}", "''", "'a'"),
)
"""Values as TOML writes them, such as nobody means."""


@st.composite
def sweeps(draw: DrawFn) -> Any:
    """A sweep, or several, of which most is left as it is."""
    kept = {name: value for name, value in SWEEP.items() if name not in DISPENSABLE or draw(st.booleans())}
    if draw(st.integers(0, 3)) == 0:
        return {"sweep": [draw(spoilt(kept)), kept][: draw(st.integers(1, 2))]}
    return draw(spoilt(kept))


def planned(sandbox: Sandbox, *words: object) -> Answer:
    answer = sandbox.call("run", *words, "--out", sandbox.out, "--dry-run")
    assert not sandbox.out.exists()
    return answer


def far(answer: Answer) -> str:
    """How far a file came."""
    if answer.status == 0:
        return "deep: planned"
    return "refused as a file" if "--config" in answer.err else "deep: a setting was refused"


@cases(24, 400)
def test_settings_that_are_not_what_they_should_be(tmp_path: Path, tiny_plugin: Path, examples: int):
    def case(given: Any, also: tuple[str, ...]) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            try:
                text = tomli_w.dumps(given if isinstance(given, dict) else {"sweep": given})
            except (TypeError, ValueError, AttributeError):  # what TOML cannot say
                text = repr(given)
            return far(planned(sandbox, "--config", sandbox.file("s.toml", text), "--plugin", tiny_plugin, *also))

    also = st.sampled_from(
        (
            (),
            (),
            ("--methods", "ce"),
            ("--methods", "scn"),
            ("--dataset", "tiny"),
            ("--noise-kind", "human"),
            ("--set", "tiny.test=9"),
        )
    )
    hold(case, examples, deep=0.3, given=sweeps(), also=also)


@st.composite
def raw(draw: DrawFn) -> str:
    """A sweep with one value of another kind."""
    lines = tomli_w.dumps({name: value for name, value in SWEEP.items() if not isinstance(value, list)}).splitlines()
    place = draw(st.sampled_from([k for k, line in enumerate(lines) if " = " in line]))
    lines[place] = f"{lines[place].partition(' = ')[0]} = {draw(st.sampled_from(RAW))}"
    return "\n".join(lines)


@cases(20, 400)
def test_files_with_damaged_bytes(tmp_path: Path, tiny_plugin: Path, examples: int):
    def case(content: bytes | str) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            return far(planned(sandbox, "--config", sandbox.file("s.toml", content), "--plugin", tiny_plugin))

    text = tomli_w.dumps(SWEEP)
    hold(case, examples, deep=0.3, content=misspelt(text) | misspelt(text, most=1) | damaged(text.encode(), most=1) | raw())


OPTIONS: dict[str, Any] = {
    "--dataset": ("tiny", "tiny@60", "faces@99999999", "open-set:tiny", "TINY"),
    "--methods": ("ce", "ce,scn", "all", "ce,,ce", "scn:oracle"),
    "--noise": ("20", "10,20", "0", "-0", "100.0001", "1e2", "20,"),
    "--noise-kind": ("symmetric", "human", "human-x", "asymmetric", "votes", "open-set:tiny", "open-set-exact:", "file"),
    "--noise-file": ("in/l.txt", "in/l.npz", "nowhere,in/l.txt"),
    "--seeds": ("2", "0", "10001", "10000"),
    "--seed": ("0", "4,7", "-1", "4294967296"),
    "--imbalance": ("5", "1", "0.5", "100001"),
    "--recipe": ("common", "paper", "cifar", "Common"),
    "--epochs": ("1", "0", "1000001", "+1"),
    "--batch-size": ("16", "1", "1000000"),
    "--backbone": ("small", "smal", "cifar-resnet18"),
    "--pretrained": ("imagenet", "dlib-face", "in/w.pth", "in"),
    "--validation": ("10", "50", "51", "0.1"),
    "--data-root": ("in", "nowhere"),
    "--device": ("cpu", "gpu"),
    "--precision": ("fp32", "fp16"),
    "--jobs": ("1", "auto", "0"),
    "--runs-per-device": ("1", "auto", "10000"),
    "--threads": ("1", "0", "1025"),
    "--shard": ("1/1", "2/3", "0/1", "1/999999999"),
    "--set": ("tiny.train=48", "scn.beta=0.5", "scn.beta=", "tiny.train=0", "tiny.train=1e9", "tiny..train=1", "=", "ce.x=1"),
    "--config": ("in/s.toml", "in"),
    "--plugin": ("in/s.toml", "in/l.txt"),
    **dict.fromkeys(("--balanced", "--force", "--retry-failed", "--quiet", "--json")),
}
"""What `run` takes, with values that are right, mostly the first ones, and values that are nearly so."""


@st.composite
def command_lines(draw: DrawFn) -> list[str]:
    """Options of a run; most have their first value, and some have any."""
    words: list[str] = []
    for option in draw(st.lists(st.sampled_from(sorted(OPTIONS)), max_size=4, unique=True)):
        words.append(option)
        if (likely := OPTIONS[option]) is not None:
            of = draw(
                st.sampled_from((st.just(likely[0]), st.just(likely[0]), st.sampled_from(likely), texts | numbers.map(str)))
            )
            words.append(draw(of))
    return words


@cases(24, 400)
def test_options_of_a_run(tmp_path: Path, tiny_plugin: Path, examples: int):
    def case(given: list[str]) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            sandbox.file("in/l.txt", "0\n1\n2\n" * 32)
            sandbox.file("in/l.npz", b"PK")
            sandbox.file("in/w.pth", b"PK")
            sandbox.file("in/s.toml", "epochs = 1\nmethods = ['ce']\n")
            usual = {"--dataset": "tiny", "--methods": "ce", "--noise-kind": "symmetric"}
            rest = [word for option, value in usual.items() if option not in given for word in (option, value)]
            answer = planned(sandbox, "--plugin", tiny_plugin, *rest, *given)
            return "deep: planned" if answer.status == 0 else "refused"

    hold(case, examples, deep=0.1, given=command_lines())


OTHERS = (
    ("list", "methods|datasets|noises|backbones|sweeps|published"),
    ("list", "published", "--paper|--dataset|--method", "RUL|rafdb|scn"),
    ("table", "in|nowhere", "--format|--baseline|--against", "md|csv,tex|ce|published"),
    ("report", "in|nowhere", "--figures|--formats|--baseline", "cost|none|svg|ce"),
    ("data", "show|check|prepare", "tiny|faces|folder|csv", "--data-root|--set|--out", "in|tiny.train=9|to/out/x.png"),
    (
        "noise",
        "make",
        "--dataset",
        "tiny",
        "--noise",
        "20|x",
        "--noise-kind|--seed",
        "symmetric|3",
        "--out",
        "to/out/n.npz|n.txt",
    ),
    ("noise", "show", "in/l.npz|in/l.txt|in"),
    ("noise", "import|export", "in/l.txt|in/l.npz", "--dataset", "tiny", "--out", "to/out/n.npz|to/out/n.txt"),
    ("predict", "in|nowhere", "in|in/l.txt", "--device|--out|--plugin", "cpu|to/out/p.csv|in/l.txt"),
    ("export", "in|nowhere", "--out", "to/out"),
    ("reproduce", "clean|elr|cleen", "--scale|--methods|--dataset|--seeds", "small|ce|cifar10|2", "--dry-run"),
    ("method", "check", "in/l.txt|nowhere.py|cee"),
    ("bench", "--methods|--backbone|--image-size|--batch-size|--seconds", "cee|smal|0|1|-1|x"),
)
"""The other commands, word by word with what may stand there, first what is mostly right."""


@st.composite
def commands(draw: DrawFn) -> list[str]:
    """A command; most of its words are the first ones, and one may be any."""
    alternatives = [word.split("|") for word in draw(st.sampled_from(OTHERS))]
    words = [draw(st.sampled_from(some)) if draw(st.integers(0, 2)) == 0 else some[0] for some in alternatives]
    if draw(st.integers(0, 2)) == 0 and len(words) > 2:
        words[draw(st.integers(2, len(words) - 1))] = draw(st.sampled_from(NASTY) | st.text(max_size=8))
    return words


@cases(16, 400)
def test_the_words_of_every_other_command(tmp_path: Path, tiny_plugin: Path, monkeypatch: pytest.MonkeyPatch, examples: int):
    monkeypatch.delenv("BENCHMARK_DATA", raising=False)

    def case(words: list[str]) -> str:
        with Sandbox.below(tmp_path) as sandbox:
            sandbox.out.mkdir()
            sandbox.file("in/l.txt", "0\n1\n2\n" * 32)
            sandbox.file("in/l.npz", NOISE.to_bytes())
            plugin = ("--plugin", tiny_plugin) if words[0] in ("data", "noise") and words[1] != "show" else ()
            answer = sandbox.call(*words, *plugin)
            return "deep: done" if answer.status == 0 else "refused"

    hold(case, examples, deep=0.05, words=commands())
