"""The pages describe the code: commands, settings, outputs, paths, names and messages in them exist."""

import re
from pathlib import Path

import pytest

from bench.__main__ import BENCHES
from cli.app import NAME, VERBS
from components.dhis2.release import DUMP_PATTERN, resolve_release
from components.memory import needed_mb
from components.naming import DUMP_CACHE_VOLUME
from components.settings.model import Settings, setting_fields
from offline.images.catalogue import CATALOGUE
from tests.support.program import NETWORK, PREFIX, VOLUME, Recorded, Run
from tests.unit.pages import PAGES, ROOT, anchors, commands, printed_texts, rows, section, spans, text_of
from tests.unit.test_settings import error_lines
from tools.__main__ import WORDS

DECISIONS = [page for page in PAGES if page.startswith("docs/adr/")]
GLOSSARY_LINES, README_LINES = 25, 210
DEV = "dhis2-cluster-dev"
# Brackets keep this file from matching its own patterns.
FORBIDDEN = {
    "a package registry's host": r"\b(pypi|pythonhosted|npmjs|repo1?\.maven|proxy\.golang|sum\.golang|deb\.debian)\.\w",
    "a path of one machine": r"(?<![\w.])/(home|root|work|Users|tmp|mnt)/",
    "a note to oneself": r"\b(TODO|FIXME|XXX|TBD)\b",
    "praise": r"(?i)\b(blazing|seamless|effortless|world-class|cutting-edge|powerful)\w*",
    "a private word": r"(?i)\b(m[e]nd|an[e]w|t[o]ld|hop[e]less|contr[a]diction|mist[a]ke|st[a]nd-in|wh[o]ever)",
}


@pytest.fixture
def dev(built: Run) -> Recorded:
    """The stack the pages write about: two cores, one replica, backups."""
    return built(cores=2, replicas=1, backupSchedule="0 2 * * *")


def test_all_pages_are_tested() -> None:
    topics = "architecture settings versions-and-upgrades data-and-backup operations offline troubleshooting"
    expected = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "offline/README.md"}
    assert set(PAGES) >= expected | {f"docs/{topic}.md" for topic in [*topics.split(), "compose-comparison"]}
    assert len(DECISIONS) >= 8


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES


def test_the_glossary_is_short() -> None:
    lines = section("CONTRIBUTING.md", "Glossary").strip().splitlines()
    assert 5 < len(lines) <= GLOSSARY_LINES


@pytest.mark.parametrize("page", [page for page in PAGES if re.fullmatch(r"docs/[\w-]+\.md|[A-Z]+\.md", page)])
def test_a_page_is_in_the_readme_s_index(page: str) -> None:
    assert page == "README.md" or f"]({page})" in section("README.md", "Documentation")


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_exists(page: str) -> None:
    used = set(re.findall(r"(?:^|[(|&] ?|   )make ([a-z0-9]+)", commands(text_of(page)), re.MULTILINE))
    assert not used - {*WORDS, "help"}, f"make has {WORDS}"


def test_every_make_command_is_documented() -> None:
    documented = set(re.findall(r"make ([a-z0-9]+)", section("CONTRIBUTING.md", "Development commands")))
    assert documented >= set(WORDS) - {"environment"}, "environment is what activate uses"


@pytest.mark.parametrize("page", PAGES)
def test_every_verb_of_the_command_exists(page: str) -> None:
    used = set(re.findall(rf"(?:^|[;|&] ?){NAME} ([a-z]\S*)", commands(text_of(page)), re.MULTILINE))
    assert not used - VERBS.keys(), f"{NAME} has {[*VERBS]}"


def test_every_verb_of_the_command_is_documented() -> None:
    table = rows(section("docs/operations.md", f"The command {NAME}"))
    assert [row[0].strip("`") for row in table if NAME in row[0]] == [f"{NAME} {verb}" for verb in VERBS]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_resolves(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {target} has no heading"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists_or_is_created_and_ignored(page: str) -> None:
    ignored = {line.strip("/") for line in text_of(".gitignore").splitlines()}
    top = {path.name for path in ROOT.iterdir()} - ignored
    for span in spans(text_of(page)):
        name = span.rstrip("/")
        if re.fullmatch(r"\.[a-z][\w-]*", name):
            assert name in ignored or (ROOT / name).exists(), f"{page}: {span} neither exists nor is it ignored"
        in_checkout = re.fullmatch(r"[\w.-]+(/[\w.-]+)+", name) and name.split("/")[0] in top
        if in_checkout or re.fullmatch(r"Pulumi(\.\w+)?\.yaml|[\w-]+\.md", name):
            assert (ROOT / name).exists(), f"{page}: {span}"


def test_a_command_in_a_page_or_message_names_a_setting() -> None:
    texts = {page: text_of(page) for page in PAGES}
    texts |= {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "components").rglob("*.py")}
    texts |= {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ROOT / "components").rglob("*.sh")}
    command = re.compile(r"pulumi config (?:set|rm|get)(?: --secret| --path)* [\"']?([A-Za-z]+)")
    used = {(name, key) for name, text in texts.items() for key in command.findall(text)}
    assert len(used) > 30, "the pattern no longer matches"
    assert not {(name, key) for name, key in used if key not in setting_fields()}, "the command fails"


@pytest.mark.parametrize("page", PAGES)
def test_a_command_sets_a_valid_value(page: str) -> None:
    used = set(re.findall(r"""pulumi config set ([A-Za-z]+) ("[^"\n]+"|'[^'\n]+'|[^\s`|]+)""", commands(text_of(page))))
    for key, value in used:
        # Not a value: what you fill in, and a file of yours.
        if "…" not in value and not value.startswith("../"):
            errors = [line for line in error_lines({key: value.strip("\"'")}) if line.startswith(f"  {key}: ")]
            assert not errors, f"{page}: other settings it needs may be missing here"


def test_the_pattern_of_values_matches() -> None:
    pairs = re.findall(
        r"""pulumi config set ([A-Za-z]+) ("[^"\n]+"|'[^'\n]+'|[^\s`|]+)""", "\n".join(map(text_of, PAGES))
    )
    assert len(set(pairs)) > 20


def test_the_settings_most_people_use_are_settings_with_their_default() -> None:
    table = [row for row in rows(section("README.md", "Settings")) if row[0].startswith("`")]
    assert len(table) == 8
    for key, default, _ in table:
        field = setting_fields()[key.strip("`")]
        if field.default is None:
            assert not default.startswith("`"), f"{key} has no default"
        else:
            assert default.strip("`").lower() == str(field.default).lower(), key


def test_every_stack_output_exists(dev: Recorded) -> None:
    used = set(re.findall(r"pulumi stack output ([A-Za-z]+)", "\n".join(map(text_of, PAGES))))
    assert "adminPassword" in used
    assert not used - dev.outputs.keys()


def test_every_container_volume_and_network_exists(dev: Recorded, built: Run) -> None:
    https = built(tls="acme", hostname="dhis2.example.org", acmeEmail="admin@example.org")
    resources = [item for run in (dev, https) for item in (*run.containers, *run.of(VOLUME), *run.of(NETWORK))]
    names = {str(resource.inputs["name"]).replace(PREFIX, DEV) for resource in resources}
    assert {f"{DEV}-core-1", f"{DEV}-files", f"{DEV}-app"} <= names
    used = set(re.findall(rf"\b{DEV}-[a-z0-9-]+|\bdhis2-cluster-dumps\b", "\n".join(map(text_of, PAGES))))
    assert used >= {f"{DEV}-primary", f"{DEV}-app", DUMP_CACHE_VOLUME}
    assert not used - names


def test_the_label_that_removes_a_stack_is_on_all_of_it(dev: Recorded) -> None:
    assert f"label=dhis2-cluster.stack={DEV})" in section("docs/troubleshooting.md", "Passphrase lost")
    for resource in [*dev.containers, *dev.of(VOLUME), *dev.of(NETWORK)]:
        shared = resource.inputs["name"] == DUMP_CACHE_VOLUME
        assert shared or resource.labels["dhis2-cluster.stack"] == PREFIX, resource.name


def test_the_picture_has_every_dns_alias(built: Run) -> None:
    dev = built(cores=2, replicas=1)
    picture = re.search(r"^```mermaid\n(.*?)^```", text_of("README.md"), re.MULTILINE | re.DOTALL)
    assert picture
    words = set(re.findall(r"[\w-]+", picture[1]))
    attachments = [attachment for container in dev.containers for attachment in container.inputs["networksAdvanced"]]
    aliases = {alias for attachment in attachments for alias in attachment["aliases"]}
    assert aliases >= {"lb", "core", "core-1", "cache", "postgres-primary", "postgres-replica-1"}
    assert not aliases - words


@pytest.mark.parametrize("page", ["README.md", "docs/versions-and-upgrades.md"])
def test_the_versions_resolve_to_the_images_and_dumps_of_the_table(page: str) -> None:
    table = [row for row in rows(section(page, "Choose a version")) if re.match("`(version|image) ", row[0])]
    assert len(table) >= 5, "the pattern no longer matches"
    for setting, image, dump in ([cell.strip("`") for cell in row] for row in table):
        key, value = setting.split()
        release = resolve_release("dev" if key == "image" else value, value if key == "image" else None)
        assert (release.image, release.dump_url) == (image, DUMP_PATTERN.format(dump)), setting


def test_the_memory_in_the_quick_start_is_what_preflight_asks_for() -> None:
    quick_start = " ".join(section("README.md", "Quick start").split())
    total, two_cores = Settings(), Settings.model_validate({"cores": 2})
    assert f"add up to {needed_mb(total)} MB" in quick_start
    assert f"core adds {needed_mb(two_cores) - needed_mb(total)} MB" in quick_start


def test_the_releases_of_the_simulator_are_listed() -> None:
    versions = next(recipe.versions for recipe in CATALOGUE if recipe.image == "dhis2-simulator")
    simulator = section("docs/offline.md", "The simulator")
    assert set(re.findall(r"2\.\d+\.\d+", simulator)) == set(versions)


@pytest.mark.parametrize("page", PAGES)
def test_every_benchmark_exists(page: str) -> None:
    assert not set(re.findall(r"python -m bench ([a-z]+)", text_of(page))) - BENCHES.keys()


def test_every_benchmark_is_documented() -> None:
    assert not BENCHES.keys() - set(re.findall(r"python -m bench ([a-z]+)", text_of("bench/README.md")))


def symptoms() -> list[str]:
    """The code spans in the first column of the troubleshooting tables, cut where a message has a value."""
    cells = [row[0] for row in rows(text_of("docs/troubleshooting.md"))]
    return sorted({part.strip() for cell in cells for span in spans(cell) for part in span.split("…") if part.strip()})


def test_the_troubleshooting_tables_quote_messages() -> None:
    assert len(symptoms()) > 30


@pytest.mark.parametrize("symptom", symptoms())
def test_a_message_in_troubleshooting_is_one_the_project_prints(symptom: str) -> None:
    is_printed = symptom in printed_texts()  # not in the assert: pytest would show all of them
    assert is_printed, "people search the page for what they see"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", FORBIDDEN)
def test_a_page_is_free_of(kind: str, page: str) -> None:
    match = re.search(FORBIDDEN[kind], text_of(page))
    assert not match, f"{page}: {match[0]!r} is {kind}"


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_has_its_context_alternatives_and_consequences(page: str) -> None:
    assert text_of(page).startswith(f"# {int(Path(page).name[:4])}. ")
    headings = re.findall(r"^## (.+)$", text_of(page), re.MULTILINE)
    assert headings == ["Context", "Decision", "Alternatives", "Consequences"]
    assert f"({page})" in section("CONTRIBUTING.md", "Decisions")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(Path(page).name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
