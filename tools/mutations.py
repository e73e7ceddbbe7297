"""Small changes to Python code, each of which should make a test fail."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
}  # fmt: skip
_SILENT = ("_log.",)
"""What is logged is not what is promised."""


@dataclass(frozen=True)
class Mutation:
    """One change.

    Args:
        function: The qualified name of the function that it is in.
        line: The first line of what is changed.
        last: Its last line.
        what: The line's code, and what becomes of it.
        node: Which node is changed, counted in the order of `ast.walk`.
        number: Which of the node's changes.
    """

    function: str
    line: int
    last: int
    what: str
    node: int
    number: int

    def apply(self, source: str) -> ast.Module:
        """The changed module."""
        tree = ast.parse(source)
        node = _nth(tree, self.node)
        _, _, change = list(_changes(node))[self.number]
        change()
        changed: ast.Module = _Lone().visit(tree)
        return ast.fix_missing_locations(changed)


class _Lone(ast.NodeTransformer):
    """Of a conjunction or disjunction of one nothing stays but that one: Python knows none."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        self.generic_visit(node)
        return node if len(node.values) > 1 else node.values[0]


def mutations(source: str, functions: Collection[str] = ()) -> Iterator[Mutation]:
    """Every change to the functions of a module.

    Args:
        source: The module's source.
        functions: Only functions with these names, or methods with them; all if empty.
    """
    tree = ast.parse(source)
    places = _functions(tree)
    seen: dict[tuple[str, str], int] = {}
    for index, node in enumerate(ast.walk(tree)):
        function = places.get(id(node))
        if function is None or (functions and function.rpartition(".")[2] not in functions):
            continue
        for number, (place, what, _) in enumerate(_changes(node)):
            count = seen[function, what] = seen.get((function, what), 0) + 1
            yield Mutation(function, place.lineno, place.end_lineno or place.lineno, what if count == 1 else f"{what} #{count}", index, number)


def _nth(tree: ast.AST, number: int) -> ast.AST:
    for index, node in enumerate(ast.walk(tree)):
        if index == number:
            return node
    raise IndexError(number)


def _functions(tree: ast.Module) -> dict[int, str]:
    """The qualified name of the function around each node of a function's body."""
    found: dict[int, str] = {}

    def visit(node: ast.AST, name: str, *, inside: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{name}.{node.name}" if name else node.name
            inside = inside or isinstance(node, ast.FunctionDef)
            for statement in node.body:  # not what decorates it, its arguments and what these are
                visit(statement, name, inside=inside)
            if inside:
                found[id(node)] = name
            return
        if isinstance(node, ast.Assert | ast.AnnAssign) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                visit(node.value, name, inside=inside)
            return
        if inside:
            found[id(node)] = name
        for child in ast.iter_child_nodes(node):
            visit(child, name, inside=inside)

    visit(tree, "", inside=False)
    return found


_Change = tuple[ast.expr | ast.stmt, str, Callable[[], None]]


def _changes(node: ast.AST) -> Iterator[_Change]:
    """What can be changed about one node: where, in words, and by which call."""
    match node:
        case ast.Compare(ops=[op, *_]) if type(op) in _COMPARISONS:
            yield _set(node, node, "ops", [_COMPARISONS[type(op)](), *node.ops[1:]])
        case ast.BoolOp(op=op):
            yield _set(node, node, "op", ast.Or() if isinstance(op, ast.And) else ast.And())
            for at in range(len(node.values)):
                yield _set(node, node, "values", [value for place, value in enumerate(node.values) if place != at] or node.values)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _OPERATORS:
            yield _set(node, node, "op", _OPERATORS[type(op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield _set(node, node, "operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.Constant(value=bool(value)):
            yield _set(node, node, "value", not value)
        case ast.Constant(value=int(value)) | ast.Constant(value=float(value)):
            yield _set(node, node, "value", value + 1)
        case _:
            pass
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield _set(node, node.test, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.comprehension):
        for at in range(len(node.ifs)):
            yield _set(node, node.ifs[at], "ifs", [each for place, each in enumerate(node.ifs) if place != at])
    for name in ("body", "orelse", "finalbody"):
        statements = getattr(node, name, None)
        if isinstance(statements, list):
            for at, statement in enumerate(statements):
                if _removable(statement):
                    yield _drop(node, name, at)


def _removable(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant) and not ast.unparse(statement).startswith(_SILENT)
    if isinstance(statement, ast.Assign):
        return all(not isinstance(target, ast.Name) for target in statement.targets)  # a name that is not bound is an error at once
    return isinstance(statement, ast.AugAssign | ast.Continue | ast.Break | ast.Delete | ast.Return | ast.Raise)


def _set(node: ast.AST, place: ast.expr | ast.stmt, field: str, value: object) -> _Change:
    changed = copy.copy(node)
    setattr(changed, field, value)
    return place, f"{_text(node)} -> {_text(changed)}", lambda: setattr(node, field, value)


def _drop(node: ast.AST, field: str, at: int) -> _Change:
    statements = getattr(node, field)
    dropped = statements[at]

    def change() -> None:
        statements[at] = ast.copy_location(ast.Pass(), dropped)

    return dropped, f"{_text(dropped)} -> pass", change


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.If | ast.While):
        return f"{'if' if isinstance(node, ast.If) else 'while'} {ast.unparse(node.test)}"
    if isinstance(node, ast.comprehension):
        return " ".join(["for", ast.unparse(node.target), *(f"if {ast.unparse(each)}" for each in node.ifs)])
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
