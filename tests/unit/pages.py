"""What the tests of the documentation read: the pages, their parts, and the texts the sources can print."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

from tests.unit.syntax_tree import syntax_tree

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "bench/**/*.md", "offline/**/*.md")
    for path in ROOT.glob(pattern)
    if "target" not in path.parts  # Maven's
)
SOURCES = ("components", "cli", "tools", "offline")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """The part of a page below a heading, with the headings below that one."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*)", text_of(page), re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section {title}"
    return re.split(rf"^#{{1,{len(match[1])}}} ", match[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(part: str) -> list[list[str]]:
    """The cells of a part's tables, heads among them."""
    lines = [line for line in part.splitlines() if line.startswith("|") and set(line) - set("|- ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def blocks(text: str) -> str:
    """The content of code blocks with shell commands."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """The code spans of a text; one may continue on the next line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_blocks(text))]


def commands(text: str) -> str:
    """Everything in a page that may be a command: code blocks and code spans."""
    return "\n".join([blocks(text), *spans(text)])


@cache
def printed_texts() -> str:
    """All text the sources can print: literals of Python, joined where the parser joins them, and other files whole."""
    texts = []
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.is_file()):
        if path.suffix == ".py":
            tree = syntax_tree(path)
            texts += [
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str
            ]
        elif path.suffix in (".sh", ".j2", ".html", ".json", ".java"):
            texts.append(path.read_text(encoding="utf-8"))
    return "\n".join(texts)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: a repeated heading gets a number."""
    seen: Counter[str] = Counter()
    slugs = set()
    for heading in re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE):
        slug = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        slugs.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return slugs
