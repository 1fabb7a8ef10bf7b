"""Training: a `TrainConfig` says everything, `train` does it, in a folder that can be resumed."""

from lexigram.train.calibrate import steps_for
from lexigram.train.config import DataConfig, OptimConfig, ScheduleConfig, TrainConfig
from lexigram.train.loop import RunResult, train
from lexigram.train.metrics import Progress, StepReport
from lexigram.train.setup import with_vocabulary

__all__ = [
    "DataConfig",
    "OptimConfig",
    "Progress",
    "RunResult",
    "ScheduleConfig",
    "StepReport",
    "TrainConfig",
    "steps_for",
    "train",
    "with_vocabulary",
]
