"""Run folders: what a training run leaves behind, and how to open it again.

    RUN/config.json         the resolved config
    RUN/environment.json    versions, device, command, git commit, date
    RUN/tokenizer.json      the tokenizer of the data
    RUN/metrics.jsonl       one JSON object a line
    RUN/checkpoints/step-00000500/{model.safetensors, optimizer.safetensors, state.json}

Nothing is ever unpickled.

Runs stand in `LEXIGRAM_RUNS`, or in `runs` under the working directory.
"""

from __future__ import annotations

from lexigram.runs.checkpoints import (
    STATE_FORMAT,
    STATE_VERSION,
    checkpoint_state,
    checkpoints,
    newest_checkpoint,
    seal,
)
from lexigram.runs.environment import describe_environment
from lexigram.runs.files import read_json, sha256, write_json
from lexigram.runs.folder import (
    RunSummary,
    create_run_dir,
    list_runs,
    new_run_dir,
    newest_run,
    read_config,
    read_metrics,
    runs_root,
    summarize,
)
from lexigram.runs.opening import Loaded, load, load_model, load_tokenizer, read_tokenizer

__all__ = [
    "STATE_FORMAT",
    "STATE_VERSION",
    "Loaded",
    "RunSummary",
    "checkpoint_state",
    "checkpoints",
    "create_run_dir",
    "describe_environment",
    "list_runs",
    "load",
    "load_model",
    "load_tokenizer",
    "new_run_dir",
    "newest_checkpoint",
    "newest_run",
    "read_config",
    "read_json",
    "read_metrics",
    "read_tokenizer",
    "runs_root",
    "seal",
    "sha256",
    "summarize",
    "write_json",
]
