"""A sweep's settings: checked, and spread out into runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmark.contract import BadInput
from benchmark.sweep.plan import named, plan
from benchmark.sweep.sweep import checked_sweep


def test_weights_are_fine_tuned_unless_another_recipe_is_named():
    assert checked_sweep({"pretrained": "weights.safetensors"}).recipe == "fine-tune"
    assert checked_sweep({"pretrained": "weights.safetensors", "recipe": "common"}).recipe == "common"
    common, tuned = checked_sweep({}).full_recipe(), checked_sweep({"recipe": "fine-tune"}).full_recipe()
    assert tuned == replace(common, name="fine-tune", lr=common.lr / 20)


def test_the_defaults_are_the_designs():
    sweep = checked_sweep({})
    assert (sweep.dataset, sweep.methods, sweep.rates) == ("faces", ("ce", "scn", "dul", "rul"), (10, 20, 30))
    assert (sweep.noise_kind, sweep.seeds, sweep.recipe, sweep.validation) == ("symmetric", (0,), "common", 0)


def test_a_sweep_says_its_rates_where_its_kind_takes_any(monkeypatch):
    usual = checked_sweep({})
    assert usual.noise == (10, 20, 30)
    assert checked_sweep({"noise": (20, 20, -0.0)}).noise == (20, 0)
    assert checked_sweep({"noise_kind": "human"}).noise == ()
    monkeypatch.setattr("benchmark.sweep.sweep._default", lambda: {**usual.model_dump(), "noise": [50]})
    assert checked_sweep({}).rates == (50,)
    assert checked_sweep(usual.model_dump()).rates == (10, 20, 30)


def test_the_grid_goes_by_noise_then_method_then_seed_without_repeats():
    sweep = checked_sweep({"methods": ("rul", "ce", "rul"), "noise": (20, 0), "seeds": (4, 7)})
    runs = [(spec.noise_rate, spec.method, spec.seed) for spec, _ in sweep.runs()]
    assert runs == [(r, m, s) for r in (0.2, 0.0) for m in ("rul", "ce") for s in (4, 7)]


def test_each_noise_file_is_a_noise_of_its_own():
    sweep = checked_sweep({"noise_kind": "file", "noise_files": ("a/x.txt", "b/y.npz"), "methods": ("ce",)})
    assert [(spec.noise_kind, str(file)) for spec, file in sweep.runs()] == [("file:x", "a/x.txt"), ("file:y", "b/y.npz")]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"epochz": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"noise": ("a",)}, "noise: got 'a'"),
        ({"noise": (101,)}, "from 0 to 100"),
        ({"validation": 51}, "validation: got 51"),
        ({"methods": ()}, "methods: got"),
        ({"noise_kind": "human", "noise": (10,)}, "takes none"),
        ({"noise_files": ("a",)}, "go together"),
        ({"seeds": list(range(10_001))}, "at most 10000 items"),
        ({"noise": [1.5] * 1_001}, "at most 1000 items"),
        ({"methods": ["ce"] * 1_001}, "at most 1000 items"),
        ({"seeds": list(range(10_000)), "noise": list(range(11)), "methods": ["ce"]}, "a sweep of 110,000 runs"),
        ({"dataset": ["x" * 10_000]}, "dataset: got"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, wanted):
    with pytest.raises(BadInput, match=wanted) as error:
        checked_sweep(given)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def planned(tiny_plugin, **given):
    from benchmark.sweep.plan import plan

    tiny = {"dataset": "tiny", "precision": "fp32", "plugins": (str(tiny_plugin),)}
    return plan(checked_sweep({**tiny, **given}), torch.device("cpu"), 1)


def test_all_methods_of_a_seed_meet_the_same_labels(tiny_plugin):
    plan = planned(tiny_plugin, methods=("ce", "rul"), noise=(20, 30), seeds=(0, 1))
    met = {(job.spec.noise_rate, job.spec.seed): set() for job in plan.jobs}
    for job in plan.jobs:
        met[job.spec.noise_rate, job.spec.seed].add(job.noise_sha256)
    assert [len(names) for names in met.values()] == [1] * 4
    assert len(plan.noises) == 4
    assert len({job.key for job in plan.jobs}) == 8


def test_human_labels_are_the_same_for_every_seed(tiny_plugin):
    plan = planned(tiny_plugin, methods=("ce",), noise_kind="human", seeds=(0, 1))
    assert len(plan.noises) == 1
    assert len({job.key for job in plan.jobs}) == 2


def test_options_of_what_is_not_in_the_sweep_are_refused(tiny_plugin):
    with pytest.raises(BadInput, match="'rul' is not part of this sweep"):
        planned(tiny_plugin, methods=("ce",), options={"rul": {"dim": 8}})
    with pytest.raises(BadInput, match="no option of tiny is called 'trian'; did you mean 'train'"):
        planned(tiny_plugin, methods=("ce",), options={"tiny": {"trian": 8}})


def label_files(tmp_path):
    files = [tmp_path / folder / "labels.txt" for folder in "ab"]
    for k, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(f"{k}\n" * 96)
    return [str(file) for file in files]


def test_two_label_files_of_one_name_are_two_noises_or_refused(tiny_plugin, tmp_path):
    try:
        plan = planned(tiny_plugin, methods=("ce",), noise_kind="file", noise_files=label_files(tmp_path))
    except BadInput:
        return
    assert len({job.noise_sha256 for job in plan.jobs}) == 2


def test_a_file_given_twice_is_run_once(tiny_plugin, tmp_path):
    files = label_files(tmp_path)
    assert len(planned(tiny_plugin, methods=("ce",), noise_kind="file", noise_files=files[:1] * 2).jobs) == 1


def test_a_sweep_interrupted_before_its_grid_was_written_goes_on(tiny_plugin, tmp_path):
    from benchmark.store import Store
    from benchmark.sweep.run import _write_plan

    store, plan = Store(tmp_path), planned(tiny_plugin, methods=("ce",))
    _write_plan(store, plan)
    (tmp_path / "grid.json").unlink()
    _write_plan(store, plan)
    assert len(store.plan()) == 3


def test_a_grid_of_many_runs_works_out_once_what_they_share(tiny_plugin, tmp_path, monkeypatch):
    from benchmark.spec import RunSpec
    from benchmark.store import Store
    from benchmark.sweep import plan as planning
    from benchmark.sweep.run import _write_plan

    looked_at, compared = [], []
    options, same = planning.changed_options, RunSpec.__eq__
    monkeypatch.setattr(planning, "changed_options", lambda config: looked_at.append(config) or options(config))
    monkeypatch.setattr(RunSpec, "__eq__", lambda one, other: compared.append(one) or same(one, other))
    many = planned(tiny_plugin, methods=("ce", "scn"), noise=(10, 20), seeds=tuple(range(20)))
    for _ in range(2):
        _write_plan(Store(tmp_path), many)
    assert len(looked_at) == 2  # a method's options
    assert 0 < len(compared) <= len(many.jobs) == len(Store(tmp_path).plan()) == 80  # each run with its own line of the grid


def test_all_is_every_method_that_the_dataset_has_what_it_needs_for(tiny_plugin, tmp_path):
    told = tmp_path / "told.py"
    told.write_text(
        "from benchmark.methods.ce import CrossEntropy\n"
        "class Told(CrossEntropy):\n    'Learns from votes.'\n    name = 'told'\n    privilege = ('votes',)\n"
    )
    bare = tmp_path / "bare.py"
    text = tiny_plugin.read_text().replace(chr(34) + "tiny" + chr(34), chr(34) + "bare" + chr(34))
    bare.write_text(text.replace("labels, votes)", "labels)"))
    common = {"methods": ("all",), "noise": (20,), "plugins": (str(tiny_plugin), str(bare), str(told))}
    everything = named(checked_sweep({"dataset": "tiny", **common}))[0].methods
    assert {"ce", "rul", "told"} <= set(everything)
    assert set(everything) - set(named(checked_sweep({"dataset": "bare", **common}))[0].methods) >= {"told"}
    with pytest.raises(BadInput, match="'told' needs votes"):
        plan(checked_sweep({"dataset": "bare", **common, "methods": ("told",)}), torch.device("cpu"), 1)


def test_all_methods_may_be_more_runs_than_a_plan_holds(tiny_plugin):
    """`all` is one name until the methods have been looked for."""
    sweep = {"dataset": "tiny", "methods": ("all",), "seeds": range(10_000), "noise": (20,), "plugins": (str(tiny_plugin),)}
    with pytest.raises(BadInput, match=r"a sweep of [0-9]{3},000 runs \([0-9]+ methods x 1 noises x 10,000 seeds\)"):
        named(checked_sweep(sweep))


def test_labels_that_would_fill_the_memory_are_refused(tiny_plugin, monkeypatch):
    monkeypatch.setattr("benchmark.sweep.inputs.MOST_LABELS", 96 * 5)
    assert len(planned(tiny_plugin, methods=("ce", "scn"), noise=(20,), seeds=range(5)).noises) == 5
    assert planned(tiny_plugin, methods=("ce",), noise_kind="human", seeds=range(6))
    with pytest.raises(BadInput, match=r"6 noises of 96 labels each would fill the memory; .* 5 noises at most"):
        planned(tiny_plugin, methods=("ce",), noise=(20, 30), seeds=range(3))
