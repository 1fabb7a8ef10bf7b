#!/usr/bin/env bash
# Builds one fuzz target with coverage and runs it: ./run.sh TARGET SECONDS [CORPUS].
set -euo pipefail
target=$1 seconds=$2
cd "$(dirname "$0")"
corpus=$(realpath -m "${3:-corpus/$target}")
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS="$flags" cargo build --release --target "$host" --bin "$target"
mkdir -p "$corpus" artifacts
export SEEDS=$corpus
if [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi # the files of each run stay off the disk
exec nice -n 15 "${CARGO_TARGET_DIR:-target}/$host/release/$target" "$corpus" \
  -artifact_prefix=artifacts/ -max_total_time="$seconds" -max_len=6000 -timeout=20
