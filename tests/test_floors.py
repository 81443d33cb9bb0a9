"""The floor plan: every import points down, there is no cycle, and every file says in one line what it is."""

import ast
from itertools import count
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sr_accessor"

#: The house from the ground up: rooms in order, and in each its files in order. A file may import only what
#: stands before it. A room of "" holds the files beside the rooms. "*" stands for all other files of the room;
#: these may import each other as long as there is no cycle. A NEW FILE is a new word in its place here.
FLOORS = [
    ("", "version errors stopping forked writing device constraints options units tables observations summary"),
    (
        "expressions",
        "printers operator elementary vocabulary batch build program evaluate paired jacobian linear rewrite",
    ),
    ("expressions", "description phases text parse definitions products symbolic simplify latex dimensions"),
    ("noise", "model *"),
    ("exports", "exporter code *"),
    ("", "testing"),
    ("plugins", "hookspecs scaffold builtin contributions catalogue manager"),
    ("display", "text plots svg figure html notebook progress *"),
    ("prior", "*"),
    ("transformer", "config tokenizer attention embedder encoder decoder model checkpoint store"),
    ("refinement", "solution levenberg_marquardt likelihood exchange pieces bfgs refine"),
    ("decoding", "scaling grammar sampling beam draft maps"),
    ("training", "*"),
    (
        "search",
        "columns surfaces front rules units features unit_forms library views targets inner pursuit power_screens "
        "reductions separation kernels ridges rows screens ratio_screens moves selection constants constraints guesses "
        "template given all_rows state polishing proposals loop rounds",
    ),
    ("uncertainty", "*"),
    ("files", "envelope values pause record"),
    ("", "lazy scatter datasets known_law adjusted equation live result handle refining regression chunked"),
    ("groups", "split refine common forms document result search known"),
    ("frontends", "functions pandas_accessor xarray_accessor register *"),
    ("", "__init__ sklearn"),
    ("evaluation", "*"),  # a user of the whole house
    ("", "__main__"),
]


def floor_numbers():
    """Module name below sr_accessor ("noise.model", "noise.*") -> its floor."""
    floor, numbers = count(), {}
    for room, files in FLOORS:
        for file in files.split():
            name = f"{room}.{file}" if room else file
            assert name not in numbers, f"FLOORS names {name} twice"
            numbers[name] = next(floor)
    return numbers


def module_files():
    """Module name below sr_accessor -> path; a room's __init__ goes by the room's name."""
    files = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        files[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return files


def imported(source, module, is_room, known):
    """Modules of the house that a file imports, at its top or inside functions, by statement or by import_module."""
    package = ["sr_accessor", *module.split(".")]
    package = package if is_room else package[:-1]
    if module == "__init__":
        package = ["sr_accessor"]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
                names.add(node.args[0].value)
    found = set()
    for name in names:
        head, *rest = name.split(".")
        if head != "sr_accessor":
            continue
        if rest and ".".join(rest) not in known:
            rest.pop()  # a name inside a module, not a module
        found.add(".".join(rest) or "__init__")
    return found - {module}


def house():
    """Module -> (floor, modules it imports). A room's __init__ stands at the top of its room."""
    numbers, files = floor_numbers(), module_files()
    plan, unplaced = {}, []
    for module, path in files.items():
        is_room = path.name == "__init__.py" and module != "__init__"
        room = module if is_room else module.rpartition(".")[0]
        inside = [n for name, n in numbers.items() if name.rpartition(".")[0] == room]
        floor = max(inside, default=None) if is_room else numbers.get(module, numbers.get(f"{room}.*"))
        if floor is None:
            unplaced.append(
                f"{path.relative_to(PACKAGE.parent)}: add {module.rpartition('.')[2]!r} to a line of room {room!r}"
            )
        plan[module] = (floor, imported(path.read_text(encoding="utf-8"), module, is_room, files))
    assert not unplaced, "not in FLOORS of tests/test_floors.py:\n  " + "\n  ".join(unplaced)
    missing = [f"{module} imports {other}" for module, (_, imports) in plan.items() for other in imports - plan.keys()]
    assert not missing, "no such file:\n  " + "\n  ".join(missing)
    return plan


def test_imports_point_down():
    plan, numbers = house(), floor_numbers()
    upward = []
    for module, (floor, imports) in plan.items():
        for other in sorted(imports):
            beside = plan[other][0] == floor and f"{module.rpartition('.')[0]}.*" in numbers
            if plan[other][0] >= floor and not beside and not module.startswith(f"{other}."):
                upward.append(f"{module} imports {other}, which stands above it")
    assert not upward, "move one of the two, or pass a value or a function in:\n  " + "\n  ".join(upward)


def test_there_is_no_cycle():
    plan = house()
    done = set()

    def walk(module, path):
        assert module not in path, f"import cycle: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for other in sorted(plan[module][1]):
                walk(other, (*path, module))
            done.add(module)

    for module in plan:
        walk(module, ())


WITH_TEXT = {module: path for module, path in module_files().items() if path.stat().st_size}  # not the empty __init__


@pytest.mark.parametrize("path", WITH_TEXT.values(), ids=WITH_TEXT.keys())
def test_the_first_line_says_what_the_file_is(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, "no docstring; its first line becomes README's map"
    first, *rest = text.splitlines()
    assert 10 <= len(first) <= 120 and first[-1] in ".;:" and not (rest and rest[0]), f"not one line: {first!r}"


def test_the_reader_of_imports_reads_all_kinds():
    source = """
import torch
import sr_accessor.errors
from sr_accessor.noise import model
from sr_accessor.noise.model import NoiseModel
from . import vocabulary
from ..units import parse
def f():
    from sr_accessor import fit
    importlib.import_module("sr_accessor.search.loop")
"""
    known = {"errors", "noise", "noise.model", "expressions", "expressions.vocabulary", "units", "search.loop"}
    assert imported(source, "expressions.batch", False, known) == {
        *("errors", "noise.model", "expressions.vocabulary", "units", "__init__", "search.loop")
    }
