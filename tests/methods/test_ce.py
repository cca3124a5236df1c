"""Cross-entropy, and the uncertainty that it lends to others."""

from __future__ import annotations

import torch
from stubs import batch, task
from torch.nn import functional as F

from benchmark.contract import NoOptions
from benchmark.methods._uncertainty import one_minus_largest
from benchmark.methods.ce import CrossEntropy


def test_the_loss_is_the_cross_entropy_of_the_pooled_features():
    ce = CrossEntropy(task((8, 3, 3), 5), NoOptions())
    images, labels = torch.randn(5, 8, 3, 3), torch.arange(5)
    wanted = F.cross_entropy(ce.classifier(images.mean(dim=(2, 3))), labels)
    torch.testing.assert_close(ce.training_step(batch(images, labels)), wanted)


def test_very_sure_predictions_keep_their_order():
    """Written as 1 - p, these would all be zero in float32."""
    logits = torch.tensor([[40.0, 0.0], [30.0, 0.0], [20.0, 0.0]])
    uncertainty = one_minus_largest(logits)
    assert (uncertainty.diff() > 0).all()
    torch.testing.assert_close(one_minus_largest(torch.zeros(1, 4)), torch.tensor([0.75]))


def test_the_noise_score_is_one_minus_the_probability_of_the_given_label():
    ce = CrossEntropy(task((8, 1, 1), 3), NoOptions()).eval()
    step = batch(torch.randn(3, 8, 1, 1), torch.tensor([0, 1, 2]))
    prediction = ce.predict(step.images)
    wanted = 1 - prediction.logits.softmax(dim=1)[[0, 1, 2], [0, 1, 2]]
    torch.testing.assert_close(ce.noise_score(prediction, step.training_set), wanted)
