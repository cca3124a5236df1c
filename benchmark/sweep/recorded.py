"""What a finished run keeps of its model: the weights, and the record that it can be built from anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.torch import save

from ..contract.dataset import Card
from ..data import Prepared
from ..noise import Noise
from ..record import FORMAT, HEADLINE, ModelRecord, TrainedOn
from ..train.trainer import Trainer
from ..train.training_set import DeviceSet
from .plan import Job


def weights_of(trainer: Trainer) -> bytes:
    """All that training has changed, as safetensors."""
    state = {name: tensor.cpu().contiguous().clone() for name, tensor in trainer.method.state_dict().items()}
    content: bytes = save(state, metadata={"method": trainer.method.name})
    return content


def record_of(
    job: Job,
    data: Prepared,
    noise: Noise,
    training_set: DeviceSet,
    card: Card,
    machine: Mapping[str, Any],
    weights: bytes,
    metrics: Mapping[str, Any],
) -> ModelRecord:
    """What stands beside the weights."""
    return ModelRecord(
        format=FORMAT,
        key=job.key,
        code=job.code,
        protocol=job.protocol,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        spec=job.spec,
        classes=data.data.classes,
        image_shape=training_set.image_shape,
        side=training_set.side,
        mean=tuple(training_set.mean.tolist()),
        std=tuple(training_set.std.tolist()),
        num_samples=len(training_set),
        noise_realised=noise.realised,
        transition=noise.transition.astype(np.float32).tolist() if "transition" in job.privilege else None,
        data=TrainedOn(card.summary, card.citation, card.source, card.licence, job.dataset_sha256),
        metrics={name: metrics[name] for name in HEADLINE},
        environment=machine,
    )
