"""What MkDocs calls while it builds the documentation (see mkdocs.yml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

__all__ = ["on_page_content", "on_page_markdown"]

_LINK = re.compile(r"\[([^]]+)\]\((\.\./[^)#:\s]*)(#[\w-]+)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Keep only the words of links that lead out of the documentation, to files of the repository.

    In the repository they lead there; a built page has nothing there.
    """
    docs = Path(config["docs_dir"]).resolve()
    folder = docs / Path(page.file.src_uri).parent

    def kept(link: re.Match[str]) -> str:
        inside = (folder / link[2]).resolve().is_relative_to(docs)
        return link[0] if inside else link[1]

    return _LINK.sub(kept, markdown)


def on_page_content(html: str, *, page: Any, config: Any, files: Any) -> str:
    """Docstrings announce code with two colons: show one behind text, and none alone."""
    html = re.sub(r"<p>::</p>\s*", "", html)
    return re.sub(r"::</p>(?=\s*<(?:pre|div))", ":</p>", html)
