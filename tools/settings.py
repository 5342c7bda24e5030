"""Writes what is made from the definitions of settings: ``python -m tools.settings [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path

from faust.settings.reference import keywords_module, reference

ROOT = Path(__file__).parents[1]

#: File -> what makes it.
FILES = {
    ROOT / "docs/reference/settings.md": reference,
    ROOT / "faust/settings/keywords.py": keywords_module,
}


def stale() -> list[Path]:
    """Return the files that are not as the definitions say."""
    return [path for path, make in FILES.items() if not _is_fresh(path, make())]


def _is_fresh(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    """Write the files, or only say which are stale; return the exit status."""
    found = stale()
    for path in found:
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(FILES[path](), encoding="utf-8")
        print(path.relative_to(ROOT))
    return 1 if found and "--check" in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
