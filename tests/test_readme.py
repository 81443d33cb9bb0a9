"""README: its file map is the files' own first lines, and its Python blocks run.

`python tests/test_readme.py --write` renews the map.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

from test_floors import floor_numbers, module_files

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAP = re.compile(r"(?<=<!-- map -->\n).*?(?=<!-- end of map -->)", re.DOTALL)


def first_line(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return text.splitlines()[0].rstrip(".;:") if text else ""


def file_map():
    """The files in the order of the floors, each with the first line of its docstring."""
    numbers, files = floor_numbers(), module_files()

    def floor(module):
        return numbers.get(module, numbers.get(f"{module.rpartition('.')[0]}.*", -1)), module

    lines, room = ["```text", "sr_accessor/"], ""
    for module in sorted((m for m, p in files.items() if p.name != "__init__.py" or m == "__init__"), key=floor):
        folder, _, name = module.rpartition(".")
        if folder and folder != room:
            said = first_line(files[folder]) if folder in files else ""
            lines.append(f"  {folder}/".ljust(28) + said if said else f"  {folder}/")
        room = folder
        lines.append(f"  {'  ' if folder else ''}{name}.py".ljust(28) + first_line(files[module]))
    return "\n".join([*lines, "```"]) + "\n"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_map_is_the_files_first_lines():
    (written,) = MAP.findall(README.read_text(encoding="utf-8"))
    assert written == file_map(), "run: python tests/test_readme.py --write"


def test_the_commands_are_there():
    install, tests, plugins = blocks("sh")
    assert all(block.count("\n") == 1 for block in (install, tests, plugins))  # which .ci/run takes from here
    assert "-c .ci/constraints.txt" in install and tests == "python -m pytest\n"
    for example in re.findall(r"python (\S+\.py)", install + plugins):
        assert (ROOT / example).is_file()


def test_the_python_blocks_run(tmp_path):
    script = tmp_path / "readme.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(blocks("python")), encoding="utf-8"
    )
    done = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("python tests/test_readme.py --write")
    README.write_text(MAP.sub(lambda _: file_map(), README.read_text(encoding="utf-8")), encoding="utf-8")
