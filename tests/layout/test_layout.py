"""The architecture: who may import whom, where each library is at home, how long a file may be."""

import ast
import sys
from collections import Counter
from pathlib import Path

from layout_graph import Import, cycles, imports, modules, within
from layout_rules import (
    ALWAYS_LAZY,
    CONTRACTS,
    HOMES,
    LAYERS,
    LAZY_HOMES,
    MAX_LINES,
    MAY_IMPORT,
    NOT_IN_DECISIONS,
)


def layer_of(name: str) -> str | None:
    """The layer of the longest entry that ``name`` lies under (the root's is for itself only)."""
    best = max(
        (
            (len(entry), layer)
            for layer, entries in LAYERS.items()
            for entry in entries
            if (name == entry if entry == "faust" else within(name, entry))
        ),
        default=None,
    )
    return best[1] if best else None


def may_import(layer: str) -> set[str]:
    names = list(LAYERS)
    return {layer, *MAY_IMPORT.get(layer, names[names.index(layer) + 1 :])}


def ours() -> list[Import]:
    return [found for found in imports() if found.top == "faust"]


def foreign() -> list[Import]:
    return [found for found in imports() if found.top != "faust" and found.top != "__future__"]


def listed(found: list[Import]) -> str:
    return "\n" + "\n".join(map(str, found))


def test_every_module_belongs_to_a_layer() -> None:
    homeless = [name for name in modules() if layer_of(name) is None]
    assert not homeless, f"give them a layer in layout_rules.py: {homeless}"


def test_imports_point_down() -> None:
    wrong = []
    for found in ours():
        layer, imported = layer_of(found.module), layer_of(found.imported)
        if layer and layer != "face" and imported not in may_import(layer):
            wrong.append(found)
    assert not wrong, listed(wrong)


def test_the_port_names_contracts_only() -> None:
    wrong = [
        found
        for found in ours()
        if layer_of(found.module) == "port"
        and layer_of(found.imported) == "edges"
        and found.imported not in CONTRACTS
    ]
    assert not wrong, listed(wrong)


def test_nothing_inside_imports_what_is_for_users() -> None:
    wrong = [
        found
        for found in ours()
        if layer_of(found.module) != "face" and layer_of(found.imported) == "face"
    ]
    assert not wrong, listed(wrong)


def test_there_are_no_import_cycles_typing_included() -> None:
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in ours():
        if not found.lazy:
            graph[found.module].add(found.imported)
    assert not cycles(graph)


def test_each_third_party_library_has_one_home() -> None:
    wrong = []
    for found in foreign():
        library = found.top
        if library in sys.stdlib_module_names and library not in HOMES:
            continue
        homes = HOMES.get(library, ()) + (LAZY_HOMES.get(library, ()) if found.lazy else ())
        everywhere = "" in homes and layer_of(found.module) != "decisions"
        if not everywhere and not any(within(found.module, home) for home in homes if home):
            wrong.append(found)
    assert not wrong, listed(wrong)


def test_heavy_libraries_are_imported_when_they_are_used() -> None:
    wrong = [found for found in foreign() if found.top in ALWAYS_LAZY and not found.lazy]
    assert not wrong, listed(wrong)


def test_decisions_neither_wait_nor_look_at_a_clock_nor_log() -> None:
    wrong = [
        found
        for found in foreign()
        if layer_of(found.module) == "decisions" and found.top in NOT_IN_DECISIONS
    ]
    assert not wrong, listed(wrong)
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    awaits = [
        f"{module.name}:{node.lineno}"
        for module in modules().values()
        if layer_of(module.name) == "decisions"
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
    ]
    assert not awaits


def test_no_file_is_too_long() -> None:
    sizes = {name: module.text.count("\n") for name, module in modules().items()}
    assert not {name: size for name, size in sizes.items() if size > MAX_LINES}


def test_no_two_test_files_have_one_name() -> None:
    """Their folders are no packages: pytest could not tell them apart."""
    files = Counter(path.name for path in Path(__file__).parents[1].rglob("*.py"))
    assert [name for name, n in files.items() if n > 1 and name != "conftest.py"] == []


def test_every_module_says_what_it_is() -> None:
    silent = [name for name, module in modules().items() if not ast.get_docstring(module.tree)]
    assert not silent


# -- the checks themselves -----------------------------------------------------


def test_the_reader_sees_typing_only_and_lazy_imports() -> None:
    rocksdict = [found for found in imports() if found.top == "rocksdict"]
    assert [(found.module, found.lazy) for found in rocksdict] == [("faust.stores.library", True)]
    typing_only = {(found.module, found.imported, found.lazy) for found in imports()}
    assert ("faust.exceptions", "faust._values", False) in typing_only


def test_cycles_are_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": {"a"}}) == [
        ["b", "c"],
        ["d"],
    ]


def test_the_table_is_well_formed() -> None:
    entries = [entry for layer in LAYERS.values() for entry in layer]
    assert len(entries) == len(set(entries))
    names = list(LAYERS)
    for layer, below in MAY_IMPORT.items():
        assert all(names.index(other) > names.index(layer) for other in below)
    assert layer_of("faust._machines.assignment") == "decisions"
    assert layer_of("faust") == "face"
    assert layer_of("faust.unheard_of") is None
