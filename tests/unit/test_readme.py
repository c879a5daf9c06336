"""README, CHANGELOG and decisions say what the code does: commands, settings, paths, names and messages exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from components.dhis2.release import DUMP_PATTERN, resolve_release
from components.preflight import needed_mb
from components.settings.model import Settings, setting_fields
from components.settings.parsing import parse_settings
from offline.images.catalogue import CATALOGUE
from tests.unit.program import Run
from tools.__main__ import WORDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADRS = sorted(f"docs/adr/{path.name}" for path in (ROOT / "docs/adr").glob("*.md"))
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs/settings.md", "bench/README.md", *ADRS)
SOURCES = ("components", "tools", "offline")
# Taken apart, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package registry's host": r"\b(pypi|pythonhosted|npmjs|repo1?\.maven|proxy\.golang|sum\.golang|deb\.debian)\.\w",
    "a path of somebody's machine": r"(?<![\w.])/(home|root|work|Users|tmp|mnt)/",
    "a note to oneself": r"\b(TODO|FIXME|XXX|TBD)\b",
    "praise": r"\b(blazing|seamless|effortless|world-class|cutting-edge|powerful)\w*",
}


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def section(title: str) -> str:
    """The part of the README below a heading."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def rows(part: str) -> list[list[str]]:
    """The cells of a part's tables, heads among them."""
    lines = [line for line in part.splitlines() if line.startswith("|") and set(line) - set("|- ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def spans(text: str) -> list[str]:
    """What is in backticks, blocks left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def messages() -> str:
    """All text the sources may print: literals of Python, joined where the parser joins them, and other files whole."""
    found = []
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*") if path.is_file()):
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [
                each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and type(each.value) is str
            ]
        elif path.suffix in (".sh", ".j2", ".html", ".json", ".java"):
            found.append(path.read_text(encoding="utf-8"))
    return "\n".join(found)


def slug(heading: str) -> str:
    """The anchor a heading has."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_word_exists(document: str) -> None:
    code = re.findall(r"^```sh\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)
    said = re.findall(r"(?:^|[`(|&] ?|   )make ([a-z0-9]+)", "\n".join([*code, text_of(document)]), re.MULTILINE)
    unknown = set(said) - {*WORDS, "help"}
    assert not unknown, f"make has no {unknown}; it has {WORDS}"


def test_every_make_word_is_told() -> None:
    told = set(re.findall(r"make ([a-z0-9]+)", section("Development")))
    assert told >= set(WORDS) - {"environment"}, "environment is what activate uses"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    text = text_of(document)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / document).parent / file if file else ROOT / document
        assert path.exists(), f"{document}: {target}"
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        assert not anchor or anchor in map(slug, headings), f"{document}: {target} has no such heading"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_named_exists_or_is_made_and_ignored(document: str) -> None:
    ignored = {line.strip("/") for line in text_of(".gitignore").splitlines()}
    top = {path.name for path in ROOT.iterdir()} - ignored
    for span in spans(text_of(document)):
        name = span.rstrip("/")
        if re.fullmatch(r"\.[a-z][\w-]*", name):
            assert name in ignored or (ROOT / name).exists(), f"{document}: {span} is neither there nor ignored"
        in_checkout = re.fullmatch(r"[\w.-]+(/[\w.-]+)+", name) and name.split("/")[0] in top
        if in_checkout or re.fullmatch(r"Pulumi(\.\w+)?\.yaml|[\w-]+\.md", name):
            assert (ROOT / name).exists(), f"{document}: {span}"


def test_every_setting_a_command_sets_exists() -> None:
    texts = {document: text_of(document) for document in DOCUMENTS}
    texts |= {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "components").rglob("*.py")}
    texts |= {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "components").rglob("*.sh")}
    command = re.compile(r"pulumi config (?:set|rm|get)(?: --secret| --path)* [\"']?([A-Za-z]+)")
    said = {(name, key) for name, text in texts.items() for key in command.findall(text)}
    assert len(said) > len(DOCUMENTS), "the pattern finds nothing any more"
    wrong = {(name, key) for name, key in said if key not in setting_fields()}
    assert not wrong, "who follows the message gets the next one"


def test_a_command_sets_a_value_the_setting_takes() -> None:
    said = set(re.findall(r"pulumi config set ([A-Za-z]+) ([^\s`|]+)", README))
    # A file of the reader's, and what the reader fills in.
    plain = {(key, value) for key, value in said if "…" not in value and not value.startswith("../")}
    assert len(plain) > 5, "the pattern finds nothing any more"
    for key, value in plain:
        parse_settings({key: value})  # raises with what is wrong


def test_the_picture_names_every_dns_alias(run: Run) -> None:
    picture = re.search(r"^```mermaid\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert picture
    words = set(re.findall(r"[\w-]+", picture[1]))
    networks = [each.inputs["networksAdvanced"] for each in run(cores=2, replicas=1).containers]
    aliases = {alias for attached in networks for network in attached for alias in network["aliases"]}
    assert aliases >= {"lb", "core", "core-1", "cache", "postgres-primary", "postgres-replica-1"}
    assert not aliases - words, "people look for it in the picture"


def test_the_versions_of_the_readme_are_those_of_the_program() -> None:
    table = [each for each in rows(section("Choose a version")) if len(each) == 3 and "config" not in each[2]]
    chosen = {tuple(cell.strip("`") for cell in row) for row in table if re.match("`(version|image) ", row[0])}
    assert len(chosen) >= 5, "the table is not found any more"
    for said, image, dump in chosen:
        key, value = said.split()
        release = resolve_release("dev" if key == "image" else value, value if key == "image" else None)
        assert (release.image, release.dump_url) == (image, DUMP_PATTERN.format(dump)), said


def test_the_memory_of_the_readme_is_what_is_asked_for() -> None:
    total, core = Settings(), Settings.model_validate({"cores": 2})
    assert f"add up to {needed_mb(total)} MB" in README
    assert f"core adds {needed_mb(core) - needed_mb(total)} MB" in README.replace("\n  ", " ")


def test_the_simulators_releases_are_told() -> None:
    versions = next(recipe.versions for recipe in CATALOGUE if recipe.image == "dhis2-simulator")
    assert all(version in section("Offline") for version in versions), "or one is looked for that is not there"


def test_every_message_in_troubleshooting_is_one_the_project_prints() -> None:
    symptoms = [span for row in rows(section("Troubleshooting")) for span in spans(row[0])]
    assert len(symptoms) > 10, "the table is not found any more"
    pieces = [piece.strip() for symptom in symptoms for piece in symptom.split("…") if piece.strip()]
    assert not [piece for piece in pieces if piece not in messages()], "people search the page for what they see"


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("what", FORBIDDEN)
def test_documents_are_free_of(what: str, document: str) -> None:
    found = re.search(FORBIDDEN[what], text_of(document), re.IGNORECASE if what == "praise" else 0)
    assert not found, f"{document}: {found[0]!r} is {what}"


def test_every_decision_is_numbered_and_says_why_and_what_follows() -> None:
    decisions = [document for document in DOCUMENTS if document.startswith("docs/adr/")]
    numbers = [int(Path(document).name[:4]) for document in decisions]
    assert numbers == list(range(1, len(numbers) + 1))
    for document in decisions:
        text = text_of(document)
        assert text.startswith(f"# {int(Path(document).name[:4])}. "), document
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], document
        assert document in README, f"{document} is found by nobody"
