"""Everything that README and docs show is run, or, where it cannot be, read by a parser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_blocks import blocks_of, prose_of
from docs_parsing import PARSERS
from docs_running import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Made from the code, by programs that have tests of their own; commands are shown without output.
GENERATED = [DOCS / "reference" / "commands.md", DOCS / "guide-coverage.md"]
WRITTEN = [ROOT / "README.md", *sorted(set(DOCS.rglob("*.md")) - set(GENERATED))]
RUN = ("python", "pycon", "console")
LINK = re.compile(r"\[[^]]+\]\(([^)#:\s]*)(?:#([\w-]+))?\)")
INDENTED = re.compile(r"(?:^|\n)\n {4}(?![-*\d ]|\*\*)\S")


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize(
    "document",
    [each for each in WRITTEN if any(b.language in RUN for b in blocks_of(each))],
    ids=name_of,
)
def test_what_a_page_shows_happens(document: Path, tmp_path: Path) -> None:
    Page(document, tmp_path).run()


@pytest.mark.parametrize("document", WRITTEN, ids=name_of)
def test_every_block_of_a_page_is_run_or_parsed(document: Path) -> None:
    for block in blocks_of(document):
        if block.language in PARSERS:
            PARSERS[block.language](block.code)
        elif block.language == "text":
            before = block.follows.language if block.follows else ""
            assert before in RUN, f"{block.place}: output of nothing"
        else:
            assert block.language in RUN, f"{block.place}: nobody runs {block.language!r}"


@pytest.mark.parametrize("document", WRITTEN, ids=name_of)
def test_no_code_of_a_page_hides_behind_indentation(document: Path) -> None:
    text = prose_of(document)
    text = re.sub(r"^(!!!|\d+\.|-) .*(\n( .*)?)*?(?=\n\S|\Z)", "", text, flags=re.M)
    assert not INDENTED.search(text)


@pytest.mark.parametrize(
    "document", sorted({*WRITTEN, *GENERATED, *ROOT.glob("*.md")}), ids=name_of
)
def test_every_link_of_a_page_leads_somewhere(document: Path) -> None:
    if not document.exists():
        pytest.skip(f"{name_of(document)} is made by another program")
    for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {path}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{document.name}: {path}#{anchor}"


def anchors_of(document: Path) -> set[str]:
    """The anchors of a page: its headings', and those that it names."""
    text = prose_of(document)
    found = set(re.findall(r"\{ ?#([\w-]+) ?\}|<a id=\"([\w-]+)\">", text))
    anchors = {one or other for one, other in found}
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        words = re.sub(r"[^\w\s-]", "", re.sub(r"\{.*\}", "", heading)).strip().lower()
        anchors.add(re.sub(r"[-\s]+", "-", words))
    return anchors


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for document in DOCS.rglob("*.md"):
        assert str(document.relative_to(DOCS)) in menu


def test_the_front_page_links_every_page() -> None:
    front = DOCS / "index.md"
    linked = {path for path, _anchor in LINK.findall(front.read_text(encoding="utf-8"))}
    for document in {*DOCS.rglob("*.md")} - {front}:
        assert str(document.relative_to(DOCS)) in linked
