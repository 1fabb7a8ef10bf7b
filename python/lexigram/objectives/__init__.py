"""Training objectives: functions of logits and targets, one file each, formula and source first."""

from lexigram.objectives.cross_entropy import cross_entropy

__all__ = ["cross_entropy"]
