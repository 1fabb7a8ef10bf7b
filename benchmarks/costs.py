"""What a command takes: `python costs.py SECONDS COMMAND…` prints it as JSON.

A process of its own, because Linux counts into a child's peak of memory what its parent held when
it was made: this parent holds little. It imports nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time


def main(limit: float, command: list[str]) -> None:
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        ended = 0
        while ended == 0:
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            if time.perf_counter() - began > limit:
                child.kill()
            time.sleep(0.005)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    cost = {
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024 / 1e6,
        "status": child.returncode,
        "said": lines[-1] if lines else "no message",
    }
    print(json.dumps(cost))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
