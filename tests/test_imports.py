"""Who imports whom: packages stand on those below them, and no two modules lead back to each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# From the ground up. What stands in one line may not import its neighbours.
LAYERS = (
    ("version", "errors"),
    ("process",),
    ("files",),
    ("limits", "bundled"),
    ("sampling", "adapters"),
    ("scene",),
    ("views",),
    ("texture", "synthetic", "correspondence", "panorama"),
    ("models", "checks"),
    ("pipelines",),
    ("data",),
    ("training",),
    ("job",),
    ("report",),
    ("metrics", "batch"),
    ("app",),
    ("cli",),
    ("__main__", ""),
)


def modules() -> dict[str, Path]:
    """The package's modules by their dotted names below scenetex; packages by theirs."""
    found = {}
    for path in sorted((ROOT / "scenetex").rglob("*.py")):
        parts = path.relative_to(ROOT / "scenetex").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of the package that a module imports: anywhere in it, for type checkers too."""
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "scenetex":
                    yield alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [part for part in package[: len(package) - node.level + 1] if part]
            elif (node.module or "").split(".")[0] == "scenetex":
                base = []
            else:
                continue
            rest = (node.module or "").split(".") if node.level else node.module.split(".")[1:]
            base = ".".join([*base, *filter(None, rest)])
            for alias in node.names:
                inner = f"{base}.{alias.name}".strip(".")
                yield inner if inner in known else base


def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: set(imported(name, path, known)) - {name} for name, path in known.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected parts of more than one module (Tarjan 1972)."""
    order, low, stack, found = {}, {}, [], []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            at = stack.index(node)
            part = stack[at:]
            del stack[at:]
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return found


def test_no_two_modules_lead_back_to_each_other():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c"]]
    assert not circles(graph())


def test_packages_import_only_those_below_them():
    level = {package: i for i, row in enumerate(LAYERS) for package in row}
    upwards = []
    for name, others in graph().items():
        for other in others:
            here, there = name.split(".")[0], other.split(".")[0]
            if here != there and level[here] <= level[there]:
                upwards.append(f"{name} -> {other}")
    assert not upwards, "\n".join(sorted(upwards))


def test_no_name_of_a_file_occurs_twice():
    stems = [path.stem for path in modules().values() if path.stem != "__init__"]
    assert sorted(stem for stem in set(stems) if stems.count(stem) > 1) == []
