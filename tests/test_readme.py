"""What the README shows works: its Python runs, its commands exist, its tree is the tree."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from lexigram.cli import parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks("python")
    assert found
    for block in found:
        exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out


def test_commands_parse() -> None:
    lines = [line.split("  #")[0] for block in blocks("sh") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("lexigram ")]
    assert len(commands) > 5
    for command in commands:
        assert isinstance(parser().parse_args(command[1:]), argparse.Namespace)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", "\n".join(blocks("sh")), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def test_the_tree_is_there() -> None:
    """Paths of the annotated tree, read by their indentation."""
    tree = README.split("## The tree", 1)[1].split("\n\n", 2)[1]
    parents: list[tuple[int, Path]] = [(-1, ROOT)]
    checked = 0
    for line in tree.splitlines():
        entry = re.match(r"( +)(\S.*?)(?:  |$)", line)
        assert entry, line
        indent = len(entry[1])
        while parents[-1][0] >= indent:
            parents.pop()
        for name in entry[2].split():
            path = parents[-1][1] / name
            assert path.exists(), f"{path.relative_to(ROOT)} does not exist"
            checked += 1
        parents.append((indent, path))
    assert checked > 15
