"""The import table of docs/design.md, held by walking every import statement."""

from __future__ import annotations

import ast
from pathlib import Path

import lexigram

ROOT = Path(lexigram.__file__).parent
EVERYTHING = {"_core"} | {
    path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()
}

CORE = {"_core", "errors"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": {"errors"},
    "lm": set(),
    "reference": set(),
    "folders": set(),
    "downloads": {"errors"},
    "vocabularies": {"errors", "folders", "downloads"},
    "tokenizer": CORE | {"folders", "vocabularies", "outputs"},
    "interpolation": {"lm", "errors"},
    "arguments": {"lm", "errors"},
    "outputs": {"errors"},
    "ngram": CORE | {"lm", "interpolation", "arguments", "outputs"},
    "ngram_counts": CORE | {"lm", "ngram", "arguments", "outputs"},
    "ngram_curve": {"ngram", "errors"},
    "suffix": CORE | {"lm", "arguments", "outputs"},
    "figures": {"errors"},
    "data": CORE | {"folders", "downloads"},
    "model": {"config", "errors"},
    "objectives": {"errors"},
    "decode": {"lm", "tokenizer", "errors"},
    "evaluate": {"lm", "tokenizer", "decode", "errors"},
    "train": {"model", "objectives", "data", "config", "decode", "evaluate", "runs", "errors"},
    "runs": {"lm", "model", "tokenizer", "ngram", "suffix", "config", "errors"},
    "recipes": {"config", "model", "train", "errors"},
    "quickstart": EVERYTHING - {"cli"},
    "cli": EVERYTHING,
    "__init__": EVERYTHING,
    "__main__": {"cli"},
}

# The heavy libraries, and the rooms that may load them when they are imported.
HEAVY = {"torch", "gradio", "transformers", "matplotlib", "rich"}
MAY_LOAD = {
    "model": {"torch"},
    "objectives": {"torch"},
    "train": {"torch"},
    "runs": set(),
    "cli": {"rich"},
}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, *, top_level_only: bool) -> set[str]:
    """The dotted names that a file imports, relative imports resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    package = ["lexigram", *path.relative_to(ROOT).with_suffix("").parts[:-1]]
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.add(module)
            if module == "lexigram":
                found |= {f"lexigram.{alias.name}" for alias in node.names}
    return found


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def test_rooms_import_only_what_the_table_allows() -> None:
    facade = {"load", "Tokenizer", "NgramModel", "SuffixIndex", "LexigramError", "__version__"}
    wrong = []
    for path in sources():
        room = room_of(path)
        assert room in MAY_IMPORT, f"{room} is not in the import table"
        for name in imports(path, top_level_only=False):
            parts = name.split(".")
            if parts[0] != "lexigram" or len(parts) < 2 or parts[1] in facade:
                continue
            if parts[1] != room and parts[1] not in MAY_IMPORT[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_loaded_only_where_they_belong() -> None:
    wrong = []
    for path in sources():
        allowed = MAY_LOAD.get(room_of(path), set())
        for name in imports(path, top_level_only=True):
            library = name.split(".")[0]
            if library in HEAVY - allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {library}")
    assert not wrong, "\n".join(wrong)
