"""Hashes of this package's code: what a stage gave is taken for what it would give only while its code is the same.

What counts is the syntax of the modules that a stage leads to by their imports, wherever in a module these stand. Blank
lines, comments, docstrings and the width of lines decide on nothing.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# What opens files, says what is wrong, shows progress or waits for its turn: it decides on nobody's result, and a stage
# that leads to the stages of others does not become what they are.
_APART = ("errors", "files", "job", "limits", "process", "version")


@dataclass(frozen=True)
class _Module:
    """Hash of a module's own code, and the modules of the package that it imports."""

    digest: str
    imports: frozenset[str]


def source_hash(modules: tuple[str, ...], alone: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> str:
    """Hash, 32 hex digits, of code of the package.

    Args:
        modules: by their names in the package ("texture.unwrap"); with all that they import, and what that imports, but
            for `_APART`.
        alone: modules without what they import.
        files: others, such as scripts of pages ("report/page.js"), byte by byte.
    """
    out = hashlib.blake2b(digest_size=16)
    for name in sorted({*_reached(modules), *alone}):
        out.update(f"{name} {_module(name).digest}\n".encode())
    for name in sorted(files):
        out.update(f"{name} {hashlib.blake2b((PACKAGE / name).read_bytes()).hexdigest()}\n".encode())
    return out.hexdigest()


def _reached(modules: tuple[str, ...]) -> set[str]:
    found, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (other for other in _module(name).imports if other.split(".")[0] not in _APART)
    return found


@cache
def _module(name: str) -> _Module:
    path = _path(name)
    tree = ast.parse(path.read_bytes())
    imports = frozenset(_imports(tree, name, path.stem == "__init__")) - {name}
    _drop_docstrings(tree)
    return _Module(hashlib.blake2b(ast.dump(tree).encode(), digest_size=16).hexdigest(), imports)


def _path(name: str) -> Path:
    """Where a module's, or a package's, code lies."""
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(tree: ast.Module, name: str, is_package: bool) -> Iterator[str]:
    """Modules of the package that a module imports from, by relative imports, which are the only ones here."""
    around = name.split(".") if is_package else name.split(".")[:-1]
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = around[: len(around) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                if _path(inner).is_file():
                    yield inner
                elif base:  # a name in the package itself, such as its version, is no module of its
                    yield ".".join(base)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements, wherever; imports hide in no expression, which would take most of the time."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += found if isinstance(found := getattr(node, part, None), list) else ()


def _drop_docstrings(tree: ast.Module) -> None:
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # Those of attributes, too: a string that stands alone does nothing.
            node.body = [part for part in node.body if not _is_text(part)]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
