"""The harness: resumed at every epoch it ends in the same bits, whatever a method does with its hooks."""

from __future__ import annotations

import io
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.contract import Method, NoOptions, Paper, Prediction
from benchmark.spec import recipe
from benchmark.train.memory import OutOfMemory
from benchmark.train.trainer import Diverged, Trainer
from benchmark.train.training_set import Augmentation, DeviceSet

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (81, 12, 12, 1), dtype=np.uint8)  # 81: batches of 32 leave 17, of 16 leave 1
LABELS = RNG.integers(0, 4, 81)


def trainer(
    method: type[Method], epochs: int = 3, batch_size: int = 32, labels: np.ndarray = LABELS, balanced: bool = False
) -> Trainer:
    torch.set_num_threads(1)
    statistics = {"mean": np.float32([0.5]), "std": np.float32([0.25]), "device": torch.device("cpu")}
    images = DeviceSet(IMAGES, labels, None, augmentation=Augmentation(0.5, 1), **statistics)
    how = {
        "recipe": recipe("common", epochs, batch_size, balanced=balanced),
        "backbone": "small",
        "precision": "fp32",
        "seed": 0,
    }
    return Trainer(method, NoOptions(), images, None, num_classes=4, **how)


class Plain(Method):
    """A weighted cross-entropy, to be varied."""

    paper = Paper("", "", "", "")

    def __init__(self, task, config):
        super().__init__(task, config)
        self.backbone = task.make_backbone()
        self.classifier = nn.Linear(self.backbone.num_features, task.num_classes)
        self.register_buffer("weights", torch.ones(task.num_samples))

    def logits(self, images):
        return self.classifier(self.backbone.pooled(images))

    def training_step(self, batch):
        losses = F.cross_entropy(self.logits(batch.images), batch.labels, reduction="none")
        return (self.weights[batch.index] * losses).mean()

    def predict(self, images):
        logits = self.logits(images)
        return Prediction(logits, 1 - logits.softmax(dim=1).amax(dim=1))


class LaterBackbone(Plain):
    """Makes a fresh network at each stage."""

    def stages(self, epochs):
        return [1, 1, 1]

    def begin_stage(self, stage, training_set):
        self.backbone.load_state_dict(self.task.make_backbone().state_dict())


class Views(Plain):
    """Looks at augmented views before each stage and in its noise score."""

    def stages(self, epochs):
        return [1, 2]

    def look(self, training_set):
        return torch.cat([self.logits(b.images).softmax(dim=1)[:, 0] for b in training_set.batches(augmented=True)])

    def begin_stage(self, stage, training_set):
        self.weights.copy_(self.look(training_set))

    def noise_score(self, prediction, training_set):
        return self.look(training_set)


class Draws(Plain):
    """Draws from every global stream."""

    def begin_epoch(self, epoch, training_set):
        self.weights.copy_(torch.rand(len(training_set)) + torch.from_numpy(np.random.rand(len(training_set))))
        return torch.randperm(len(training_set))[:40]


class HeadFirst(Plain):
    """Trains the classifier alone, then everything."""

    def stages(self, epochs):
        return [1, 2]

    def param_groups(self, lr):
        return [{"params": list((self.classifier if self.stage == 0 else self).parameters())}]


class OwnRates(Plain):
    """Per-sample weights with a rate of their own."""

    def __init__(self, task, config):
        super().__init__(task, config)
        self.shares = nn.Parameter(torch.ones(task.num_samples))

    def training_step(self, batch):
        losses = F.cross_entropy(self.logits(batch.images), batch.labels, reduction="none")
        return (self.shares[batch.index].sigmoid() * losses).mean()

    def param_groups(self, lr):
        own = {"params": [self.shares], "lr": 10.0, "schedule": "constant", "optimizer": "adam", "weight_decay": 0.0}
        return [{"params": [*self.backbone.parameters(), *self.classifier.parameters()]}, own]


class LateHead(Plain):
    """A head that joins in the second epoch, and looks at how far training has come."""

    def __init__(self, task, config):
        super().__init__(task, config)
        self.late = nn.Linear(self.backbone.num_features, task.num_classes)

    def training_step(self, batch):
        loss = super().training_step(batch)
        if self.epoch:
            loss = loss + self.progress * F.cross_entropy(self.late(self.backbone.pooled(batch.images)), batch.labels)
        return loss


class Clocked(Plain):
    """Looks at how far training has come in every hook, and in its predictions."""

    def begin_epoch(self, epoch, training_set):
        self.weights.add_(self.progress)

    def end_epoch(self, epoch, training_set):
        self.weights.mul_(1 + self.progress)

    def predict(self, images):
        found = super().predict(images)
        return Prediction(found.logits * (1 + self.progress), found.uncertainty)

    def noise_score(self, prediction, training_set):
        return self.weights + self.progress


def results(done: Trainer) -> list[np.ndarray]:
    predicted = done.predict(done.training_set, "training")
    return [predicted.logits, predicted.uncertainty, done.noise_score(predicted)]


@pytest.mark.parametrize("method", [Plain, LaterBackbone, Views, Draws, HeadFirst, OwnRates, LateHead, Clocked])
def test_a_resumed_run_ends_in_the_same_bits(method):
    straight, checkpoints = trainer(method), []
    while straight.finished < straight.epochs:
        straight.train_epoch()
        buffer = io.BytesIO()
        torch.save(straight.state_dict(), buffer)
        checkpoints.append(buffer.getvalue())
    wanted = results(straight)
    for content in checkpoints:
        resumed = trainer(method)
        resumed.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
        while resumed.finished < resumed.epochs:
            resumed.train_epoch()
        assert all(np.array_equal(a, b) for a, b in zip(results(resumed), wanted, strict=True))


def test_hooks_find_the_method_in_eval_mode_and_steps_in_training_mode():
    seen = []

    class Modes(Plain):
        def begin_epoch(self, epoch, training_set):
            seen.append(("begin", self.training, torch.is_grad_enabled()))

        def training_step(self, batch):
            seen.append(("step", self.training, torch.is_grad_enabled()))
            return super().training_step(batch)

        def end_epoch(self, epoch, training_set):
            seen.append(("end", self.training, torch.is_grad_enabled()))

    trainer(Modes).train_epoch()
    assert dict.fromkeys(seen) == dict.fromkeys([("begin", False, False), ("step", True, True), ("end", False, False)])


def test_every_sample_is_seen_once_an_epoch_and_no_batch_has_one_image():
    sizes, seen = [], []

    class Counts(Plain):
        def training_step(self, batch):
            sizes.append(len(batch.index))
            seen.extend(batch.index.tolist())
            return super().training_step(batch)

    trainer(Counts, batch_size=16).train_epoch()
    assert sizes == [16, 16, 16, 16, 17]
    assert sorted(seen) == list(range(81))


def test_the_order_changes_from_epoch_to_epoch_and_not_with_the_method():
    orders = []

    class Notes(Plain):
        def training_step(self, batch):
            orders.append(batch.index.tolist())
            return super().training_step(batch)

    class NotesAndDraws(Notes):
        def training_step(self, batch):
            torch.rand(7)
            return super().training_step(batch)

    for method in (Notes, NotesAndDraws):
        run = trainer(method, batch_size=81)
        run.train_epoch()
        run.train_epoch()
    assert orders[0] == orders[2] != orders[1] == orders[3]


def test_a_balanced_epoch_draws_every_given_label_as_often_and_from_what_the_method_chose():
    seen = []

    class Notes(Plain):
        def begin_epoch(self, epoch, training_set):
            return torch.arange(60)

        def training_step(self, batch):
            seen.append(batch.index)
            return super().training_step(batch)

    labels = np.repeat([0, 1, 2, 3], [51, 10, 10, 10])
    run = trainer(Notes, epochs=30, batch_size=81, labels=labels, balanced=True)
    while run.finished < 30:
        run.train_epoch()
    drawn = torch.cat(seen)
    assert len(drawn) == 30 * 60
    assert drawn.max() < 60
    shares = np.bincount(labels[drawn.numpy()], minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [0.5, 0.5, 0, 0], atol=0.05)  # of the first 60, 51 are of class 0 and 9 of class 1
    assert not torch.equal(seen[0], seen[1])


def test_backbones_are_the_same_for_every_method_and_differ_within_one():
    class Two(Plain):
        def __init__(self, task, config):
            torch.rand(3)
            super().__init__(task, config)
            self.second = task.make_backbone()

    two, one = trainer(Two).method, trainer(Plain).method
    first = [p.sum().item() for p in one.backbone.parameters()]
    assert [p.sum().item() for p in two.backbone.parameters()] == first
    assert [p.sum().item() for p in two.second.parameters()] != first


def test_what_a_method_logs_is_the_mean_over_the_epoch():
    class Logs(Plain):
        def training_step(self, batch):
            self.log("size", torch.tensor(float(len(batch.index))))
            return super().training_step(batch)

    row = trainer(Logs, batch_size=41).train_epoch()
    assert row["size"] == pytest.approx(40.5)
    assert row["samples"] == 81


def test_the_historys_own_columns_cannot_be_logged():
    class Logs(Plain):
        def training_step(self, batch):
            self.log("loss", batch.labels.float())
            return super().training_step(batch)

    with pytest.raises(ValueError, match="a column 'loss' of its own"):
        trainer(Logs).train_epoch()


def test_a_loss_that_is_no_number_ends_the_run_before_anything_is_made_of_it():
    class Lost(Plain):
        def training_step(self, batch):
            return super().training_step(batch) * float("inf")

        def end_epoch(self, epoch, training_set):
            raise AssertionError("of no numbers")

    with pytest.raises(Diverged, match="in epoch 1 of 3"):
        trainer(Lost).train_epoch()


def test_state_that_no_checkpoint_could_hold_is_refused_at_once():
    class Extra(Plain):
        def get_extra_state(self):
            return {"t": 1}

        def set_extra_state(self, state):
            pass

    class Empty(Plain):
        def stages(self, epochs):
            return [0, 3]

    with pytest.raises(ValueError, match="is no tensor"):
        trainer(Extra)
    with pytest.raises(ValueError, match="at least one epoch"):
        trainer(Empty)


class Free(Plain):
    """A network without batch norms, and a loss that is a mean over samples; there is memory for so many at once."""

    mean_over_samples = True
    fit = 81

    def __init__(self, task, config):
        Method.__init__(self, task, config)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(144, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))

    def logits(self, images):
        return self.net(images)

    def training_step(self, batch):
        if len(batch.index) > self.fit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return F.cross_entropy(self.logits(batch.images), batch.labels)


class Dropping(Free):
    """The same, with draws of its own."""

    mean_over_samples = True

    def logits(self, images):
        return self.net(F.dropout(images, 0.2, self.training))


def tight(fit: int, kind: type[Free] = Free, batch_size: int = 32) -> Trainer:
    run = trainer(kind, batch_size=batch_size)
    run.method.fit = fit
    return run


@pytest.mark.parametrize("parts", [2, 4, 32])
def test_training_in_parts_is_the_same_training_to_rounding(parts):
    """Batches of 32 and a last one of 17, on the same views in the same order, with Adam and its schedule."""
    whole, divided = tight(32), tight(32 // parts + 1)
    divided.parts = parts
    rows = [[run.train_epoch() for _ in range(3)] for run in (whole, divided)]
    for mine, theirs in zip(*rows, strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-5)
        assert (mine["parts"], theirs["parts"]) == (1, parts)
    for mine, theirs in zip(whole.method.parameters(), divided.method.parameters(), strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", [Free, Dropping])
def test_a_training_that_is_resumed_in_parts_ends_in_the_same_bits(method):
    straight = trainer(method)
    straight.train_epoch()
    straight.parts = 4
    straight.train_epoch()
    buffer = io.BytesIO()
    torch.save(straight.state_dict(), buffer)
    straight.train_epoch()
    resumed = trainer(method)
    resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    assert resumed.train_epoch()["parts"] == 4
    assert all(np.array_equal(a, b) for a, b in zip(results(resumed), results(straight), strict=True))


def test_a_step_that_does_not_fit_says_into_how_many_parts_to_divide_it():
    run = tight(6)
    for parts in (2, 4, 8):
        with pytest.raises(OutOfMemory, match="out of device memory in a training step of 32 images") as caught:
            run.train_epoch()
        assert caught.value.parts == parts
        run = tight(6)
        run.parts = parts
    assert run.train_epoch()["parts"] == 8, "parts of 4 images fit"


def test_single_images_are_the_smallest_parts():
    run = tight(0)
    for parts, wanted in ((17, 34), (32, 0), (34, 0)):
        run.parts = parts
        with pytest.raises(OutOfMemory) as caught:
            run.train_epoch()
        assert caught.value.parts == wanted
    assert "of 32 images, even one at a time; a smaller --backbone" in str(caught.value)


def test_what_would_be_another_computation_in_parts_is_not_done_in_parts():
    class Undeclared(Free):
        pass

    class Normed(Free):
        mean_over_samples = True

        def __init__(self, task, config):
            super().__init__(task, config)
            self.net[2] = nn.BatchNorm1d(16)

    for kind, why in ((Undeclared, "does not declare its loss to be a mean over samples"), (Normed, "'net.2' normalises over")):
        with pytest.raises(OutOfMemory, match=f"cannot be done in parts: .*{why}.*; a smaller --batch-size, ") as caught:
            tight(6, kind).train_epoch()
        assert caught.value.parts == 0


def test_what_a_failed_step_has_filled_the_memory_with_is_free_at_once_and_where_it_failed_is_known():
    held = []

    class Filling(Free):
        mean_over_samples = True

        def training_step(self, batch):
            activations = self.net(batch.images)
            held.append(weakref.ref(activations))
            return activations.sum() + self.more(batch)

        def more(self, batch):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory) as caught:
        trainer(Filling).train_epoch()
    assert held[0]() is None, "the error still holds the step's frames"
    assert "in more" in caught.value.__notes__[0]


def test_only_a_want_of_memory_is_taken_for_one():
    class Wrong(Free):
        mean_over_samples = True

        def training_step(self, batch):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer(Wrong).train_epoch()
