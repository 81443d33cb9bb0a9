"""ONNX: the law as a graph in double precision, for any runtime; one input for each column that it needs."""

from __future__ import annotations

import re

from sr_accessor.errors import MissingDependencyError, OperatorError
from sr_accessor.exports.code import identifiers
from sr_accessor.exports.exporter import Exporter, Formula
from sr_accessor.expressions.definitions import expanded
from sr_accessor.expressions.operator import Operator
from sr_accessor.expressions.text import fold

__all__ = ["EXPORTER", "LANGUAGE", "write"]

LANGUAGE = "onnx"
#: Old enough for the runtimes in use: ONNX 1.12 (2022), which has every operator that printers here name.
OPSET, IR = 17, 8
#: (sign, arguments) -> ONNX operator.
_SIGNS = {("+", 2): "Add", ("-", 2): "Sub", ("*", 2): "Mul", ("/", 2): "Div", ("**", 2): "Pow", ("-", 1): "Neg"}
#: A printer is calls of ONNX operators, "Mul({0}, Mul({0}, {0}))": here a call's name, an argument, a number, an end.
_TOKEN = re.compile(r"\s*(?:(\w+)\(|\{(\d)\}|(-?\d+(?:\.\d+)?)|(\))|,)")


class _Graph:
    """Nodes and numbers of a graph while it is written; a value is its name there."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, list[str], str]] = []
        self.numbers: dict[float, str] = {}

    def number(self, value: float) -> str:
        return self.numbers.setdefault(value, f"number.{len(self.numbers)}")

    def node(self, kind: str, inputs: list[str]) -> str:
        name = f"value.{len(self.nodes)}"
        self.nodes.append((kind, inputs, name))
        return name

    def apply(self, operator: Operator, arguments: list[str]) -> str:
        if operator.arity == 0:
            return self.number(float(operator.torch()))
        if operator.infix is not None:
            return self.node(_SIGNS[operator.infix[0], operator.arity], arguments)
        template = operator.printers.get(LANGUAGE)
        if template is None:
            raise OperatorError(
                f"operator {operator.name!r} cannot be written in 'onnx': it has no printer for it. Declare "
                f"Operator({operator.name!r}, ..., printers={{'onnx': 'Exp(Neg({{0}}))'}}), or take a law without"
            )
        open_calls: list[tuple[str, list[str]]] = [("", [])]
        end = 0
        for token in _TOKEN.finditer(template):
            if token.start() != end:
                break
            end = token.end()
            called, argument, written, closed = token.groups()
            if called:
                open_calls.append((called, []))
            elif argument:
                open_calls[-1][1].append(arguments[int(argument)])
            elif written:
                open_calls[-1][1].append(self.number(float(written)))
            elif closed and len(open_calls) == 1:
                end = -1  # nothing is open
                break
            elif closed:
                kind, inputs = open_calls.pop()
                open_calls[-1][1].append(self.node(kind, inputs))
        if end != len(template) or len(open_calls) != 1 or len(open_calls[0][1]) != 1:
            raise OperatorError(
                f"operator {operator.name!r}: its printer for 'onnx' is {template!r}, which is not calls of ONNX "
                "operators such as 'Exp(Neg({0}))'"
            )
        return open_calls[0][1][0]


def write(formula: Formula) -> bytes:
    """A model with inputs (N,) called like the columns (as identifiers; `doc_string` has the labels) and one output.

    Raises
    ------
    MissingDependencyError : onnx is not installed.
    OperatorError : an operator has no printer for ONNX, and no definition in operators that have.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise MissingDependencyError("the export 'onnx' needs onnx: pip install 'sr-accessor[onnx]'") from None
    expression = formula.expression
    operators = expression.vocabulary.operators
    known = {o.name for o in operators if o.infix or o.arity == 0 or LANGUAGE in o.printers}
    expression = expanded(expression, [o.name for o in operators if o.name not in known])
    *names, target = identifiers([*(formula.names[d] for d in formula.used), formula.target])
    places = dict(zip(formula.used, names, strict=True))
    graph = _Graph()
    last = fold(expression, 0, lambda value, free, slot: graph.number(value), places.__getitem__, graph.apply)
    graph.nodes.append(("Identity", [last], target))  # also where the law is a column or a number
    shape = ["N"] if names else []
    made = helper.make_graph(
        [helper.make_node(kind, inputs, [name]) for kind, inputs, name in graph.nodes],
        "law",
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N"]) for name in names],
        [helper.make_tensor_value_info(target, TensorProto.DOUBLE, shape)],
        [helper.make_tensor(name, TensorProto.DOUBLE, [], [value]) for value, name in graph.numbers.items()],
        doc_string=f"{formula.target!r} of {', '.join(repr(formula.names[d]) for d in formula.used) or 'nothing'}",
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="sr_accessor")
    model.ir_version = IR
    checker.check_model(model)
    return model.SerializeToString(deterministic=True)


EXPORTER = Exporter("onnx", write, suffix=".onnx", operators=LANGUAGE)
