"""Functions say what they take for a pipeline, and nobody writes what belongs to an object alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("scenetex", "tools") for path in (ROOT / folder).rglob("*.py"))
# Annotations that say nothing of what a pipeline has to have.
VAGUE = {"", "Any", "object", "type", "Callable"}


def outside_classes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node that is not within a class."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef):
            yield child
            yield from outside_classes(child)


def untyped_pipes(tree: ast.AST) -> Iterator[str]:
    """Functions outside of classes with a parameter for a pipeline that is not annotated with what it is."""
    for function in outside_classes(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        given = function.args
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            words = ast.unparse(argument.annotation).strip("'\"") if argument.annotation else ""
            parts = {part.strip().rpartition(".")[2] for part in words.split("|")}
            if argument.arg in ("pipe", "pipeline") and parts & VAGUE:
                yield f"{getattr(function, 'name', 'lambda')}({argument.arg}: {words})"


def private_writes(tree: ast.AST) -> Iterator[str]:
    """Assignments outside of classes to attributes that belong to an object alone."""
    for node in outside_classes(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) else ():
            if isinstance(target, ast.Attribute) and target.attr.startswith("_"):
                yield ast.unparse(target)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pipelines_are_typed_and_objects_left_alone(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert [*untyped_pipes(tree)] == [] and [*private_writes(tree)] == []


def test_what_the_rule_finds():
    source = """
def f(pipe): pass
def g(a, *, pipe: "Any"): pass
def h(pipe: object | None): pass
def i(pipe: Callable): pass
def j(pipe: MultiViewPipeline, vae): pass
def k(load: "Callable[[], MVDiffusionPipeline]"): return lambda pipe: pipe
class C:
    def l(self, pipe): self._steps = 1
pipe._steps += 1
pipe.steps = pipe._x = 1
"""
    tree = ast.parse(source)
    assert [found.partition("(")[0] for found in untyped_pipes(tree)] == ["f", "g", "h", "i", "lambda"]
    assert [*private_writes(tree)] == ["pipe._steps", "pipe._x"]
