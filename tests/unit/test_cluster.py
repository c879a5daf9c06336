"""The cluster as a whole: what is registered, in which order, and what a changed setting changes."""

import gc
import json
import re

import pulumi
import pytest

from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.program import (
    CONTAINER,
    IMAGE,
    NETWORK,
    PREFIX,
    RANDOM_ID,
    VOLUME,
    FakeEngine,
    FakeWatcher,
    Recorded,
    Run,
)


def inputs_of(recorded: Recorded) -> dict[tuple[str, str], str]:
    return {
        (resource.kind, resource.name): json.dumps(dict(resource.raw), sort_keys=True)
        for resource in recorded.resources
    }


def changed(before: Recorded, after: Recorded) -> set[str]:
    """Return the names of the resources that differ or are in one of the two only."""
    one, two = inputs_of(before), inputs_of(after)
    differ = {(kind, name) for kind, name in one.keys() | two.keys() if one.get((kind, name)) != two.get((kind, name))}
    # The stack itself is registered in the first run only.
    return {name for kind, name in differ if kind != "pulumi:pulumi:Stack"}


def networks(recorded: Recorded, container: str) -> dict[str, list[str]]:
    attached = recorded.container(container).inputs["networksAdvanced"]
    # By id, or a recreated network would stay without its containers.
    return {entry["name"].removesuffix("-id"): entry["aliases"] for entry in attached if entry["name"].endswith("-id")}


def test_every_part_has_a_container_named_for_its_stack(built: Run) -> None:
    recorded = built(cores=2, replicas=2)
    names = {item.inputs["name"].removeprefix(f"{PREFIX}-") for item in recorded.containers}
    assert names == {"lb", "core-1", "core-2", "cache", "primary", "replica-1", "replica-2", "dump"}
    volumes = {item.inputs["name"].removeprefix(f"{PREFIX}-") for item in recorded.of(VOLUME)}
    assert volumes == {"primary-data", "replica-1-data", "replica-2-data", "cache-data", "files", "dhis2-cluster-dumps"}
    registered = [(item.kind, item.name) for item in recorded.resources]
    assert len(set(registered)) == len(registered), "two resources of one name are one to the Pulumi engine"


def test_the_load_balancer_has_no_route_to_the_data_network(built: Run) -> None:
    recorded = built(cores=2)
    assert networks(recorded, "lb").keys() == {"edge", "app"}, "no route from the load balancer to the data"
    assert networks(recorded, "core-2") == {"app": ["core", "core-2"], "data": ["core-2"]}
    assert networks(recorded, "primary") == {"data": ["postgres-primary"]}
    assert networks(recorded, "replica-1") == {"data": ["postgres-replica-1"]}
    assert networks(recorded, "cache") == {"data": ["cache"]}
    assert networks(recorded, "dump") == {"edge": ["dump"]}, "it needs the web and no other part"
    internal = {item.name: item.inputs["internal"] for item in recorded.of(NETWORK)}
    assert internal == {"edge": False, "app": False, "data": True}


def test_scaling_changes_only_the_cores_added_or_removed(built: Run) -> None:
    one, three = built(cores=1), built(cores=3)
    assert changed(one, three) == {"core-2", "core-3"}, "users of the others would notice"


def test_memory_and_jvm_options_change_the_cores_only(built: Run) -> None:
    before, after = built(), built(javaOptions="-Dsome=thing", coreMemory=2048)
    assert changed(before, after) == {"core-1"}


def test_another_replica_changes_no_other_database(built: Run) -> None:
    assert changed(built(replicas=1), built(replicas=2)) == {"replica-2", "replica-2-data", "core-1"}, (
        "cores read their list of replicas at their start"
    )


def test_keep_data_changes_no_volume_and_replaces_no_core(built: Run) -> None:
    kept = built(keepData="true", backupSchedule="off")
    assert changed(built(), kept) == {"primary"}, "only the primary has to know"
    retained = {item.name for item in kept.of(VOLUME) if item.request.retainOnDelete}
    assert retained == {item.name for item in kept.of(VOLUME)}, "destroy leaves the data"


def test_destroy_removes_data_unless_it_is_kept(built: Run) -> None:
    left = {item.name for item in built().of(VOLUME) if item.request.retainOnDelete}
    assert left == {"dumps"}, "only the dump cache, which all stacks share"


def test_data_volumes_are_never_replaced_for_a_label(built: Run) -> None:
    assert all("labels" in item.request.ignoreChanges or item.name == "dumps" for item in built().of(VOLUME)), (
        "a replaced volume is empty"
    )


def test_another_dump_or_image_deletes_every_core_first(built: Run) -> None:
    recorded = built(cores=2, image="dhis2/core:2.43.1")
    trigger = recorded.one(RANDOM_ID, "core-replacement")
    assert trigger.request.deleteBeforeReplace, "an old core would write to a database that is being migrated"
    dump = recorded.container("primary").environment["DUMP_KEY"]
    assert trigger.inputs["keepers"] == {"image": "sha256:core-image", "dump": dump}
    for core in ("core-1", "core-2"):
        urns = recorded.container(core).request.replace_with
        assert [urn.rsplit("::", 1)[-1] for urn in urns] == ["core-replacement"]
    assert "core-replacement" in recorded.container("primary").needs, "no core writes to a database being replaced"


def test_sessions_of_another_dump_or_image_are_not_read(built: Run) -> None:
    cache = built().container("cache")
    assert "core-replacement-id" in cache.files["/opt/dhis2-cluster/valkey.conf"], "their users and classes may differ"
    depends = {urn.rsplit("::", 1)[-1] for urn in cache.request.propertyDependencies["uploads"].urns}
    assert "core-replacement" in depends, "the old cache is deleted with the old cores"


@pytest.mark.parametrize("dump", ["https://example.org/d.sql.gz", "none"])
def test_dump_and_images_are_there_before_an_existing_database_changes(built: Run, dump: str) -> None:
    recorded = built(dumpUrl=dump)
    images = {image.name for image in recorded.of(IMAGE)}
    assert len(images) == 4
    needs = recorded.one(RANDOM_ID, "core-replacement").needs
    assert images <= needs, "a failed pull must cost no data"
    if dump != "none":
        assert "dump" in needs, "nor a 404"
        assert f"{PREFIX}-dump" in recorded.watcher.waited


def test_a_blank_database_fetches_nothing(built: Run) -> None:
    recorded = built(dumpUrl="none")
    assert "dump" not in {item.name for item in recorded.containers}
    assert recorded.container("primary").environment["DUMP_KEY"] == "none"
    assert len(recorded.container("primary").inputs["mounts"]) == 1


def test_a_preview_shows_the_dump_without_its_login(built: Run) -> None:
    recorded = built(dumpUrl="https://me:secret@example.org/d.sql.gz?token=secret")
    assert recorded.container("primary").labels["dhis2-cluster.dump"] == "https://example.org/d.sql.gz"
    assert "me:secret@" in str(recorded.container("dump").files), "the fetch needs the login"


def test_a_part_is_created_when_its_dependencies_are_ready(built: Run) -> None:
    recorded = built(cores=3, replicas=2)
    gated = {item.name: list(item.request.hooks.before_create) for item in recorded.containers}
    assert gated["core-1"] == ["core-1-gate"]
    assert gated["replica-1"] == ["replica-1-gate"]
    assert {"primary", "replica-1", "replica-2", "cache"} <= recorded.container("core-1").needs
    assert "core-1" in recorded.container("core-2").needs, "the first core migrates alone"
    assert recorded.container("core-2").needs == recorded.container("core-3").needs, "then all others at once"
    assert not recorded.container("lb").needs & {"core-1", "primary"}, "it serves the page that says DHIS2 is starting"


def test_up_ends_when_all_are_ready_and_dhis2_answers_through_the_load_balancer(built: Run) -> None:
    recorded = built(cores=2)
    assert {f"{PREFIX}-{part}" for part in ("lb", "core-1", "core-2", "cache", "primary", "replica-1")} <= set(
        recorded.watcher.waited
    )
    assert any("/api/ping" in " ".join(command) for command in recorded.watcher.commands)
    assert recorded.outputs["url"] == "http://127.0.0.1:8080"


def test_a_preview_waits_for_nothing(run: Run) -> None:
    recorded = run(preview=True, cores=2)
    assert recorded.watcher.waited == []
    assert recorded.watcher.commands == []
    assert {"core-1", "core-2"} <= {item.name for item in recorded.containers}, "it still shows all resources"


def test_no_other_core_is_replaced_before_the_first_serves(run: Run) -> None:
    def fail(target: WaitTarget) -> None:
        if target.container.endswith("core-1"):
            raise NotReady("core 1 exited with code 1\n  | fatal: no")

    recorded = Recorded(watcher=FakeWatcher(failing=fail))
    with pytest.raises(pulumi.RunError, match=re.compile("core 1 exited with code 1.*fatal: no", re.DOTALL)):
        run(into=recorded, cores=2)
    registered = {item.name for item in recorded.containers}
    assert "core-1" in registered and "core-2" not in registered, "the Pulumi engine would delete the old one first"


def test_core_1_of_the_242_line_leads_and_reads_from_the_primary(built: Run) -> None:
    recorded = built(version="2.42", cores=2)
    first, second = (recorded.container(name).files["/opt/dhis2/dhis.conf"] for name in ("core-1", "core-2"))
    assert "node.primary_leader" in first
    assert "read1." not in first, "the job that builds analytics tables would fail on a replica"
    assert "read1." in second
    assert "node.primary_leader" not in second


def test_all_cores_of_other_lines_are_alike(built: Run) -> None:
    recorded = built(version="2.43", cores=2)
    first, second = (recorded.container(name).files for name in ("core-1", "core-2"))
    assert first == second
    assert "read1." in first["/opt/dhis2/dhis.conf"]


def test_without_replicas_dhis2_knows_of_none(built: Run) -> None:
    conf = built(replicas=0).container("core-1").files["/opt/dhis2/dhis.conf"]
    assert not re.search(r"^read\d", conf, re.MULTILINE)
    assert not re.search(r"^analytics\.table\.unlogged", conf, re.MULTILINE), (
        "logged tables are slower, and no replica needs them"
    )


def test_the_users_own_keys_and_options_reach_the_cores(built: Run) -> None:
    core = built(dhisConf='{"monitoring.api.enabled": "on"}', javaOptions="-Xss2m").container("core-1")
    assert "monitoring.api.enabled" in core.files["/opt/dhis2/dhis.conf"]
    assert core.environment["JAVA_TOOL_OPTIONS"].endswith(" -Xss2m"), "the last of two options counts"


def test_a_limitation_of_a_release_is_warned_about_once(built: Run) -> None:
    assert len(built(version="2.42").warnings) == 1
    assert built(version="2.42", cores=2).warnings == []


def test_a_key_that_the_release_ignores_is_warned_about(built: Run) -> None:
    (warning,) = built(version="2.41.3", replicas=0, dhisConf='{"system.session.timeout": "600"}').warnings
    assert "ignores system.session.timeout of dhisConf" in warning and "600" not in warning


def test_warnings_of_preflight_are_shown(run: Run) -> None:
    assert run(cores=2, warnings=("Docker Engine runs rootless",)).warnings == ["Docker Engine runs rootless"]


def test_images_stay_on_the_docker_host(built: Run) -> None:
    images = built().of(IMAGE)
    assert {item.name for item in images} == {"load-balancer-image", "database-image", "core-image", "cache-image"}
    assert all(item.inputs["keepLocally"] for item in images), "the next up, perhaps without a network, needs them"


def test_outputs_have_url_login_and_numbers(built: Run) -> None:
    outputs = built(adminPassword="Correct-Horse-7", port=9000, cores=2).outputs
    assert outputs["url"] == "http://127.0.0.1:9000"
    assert (outputs["username"], outputs["adminPassword"]) == ("admin", "Correct-Horse-7")
    assert (outputs["cores"], outputs["replicas"]) == (2, 1)


def test_a_chosen_admin_password_reaches_only_the_primary_as_a_file(built: Run) -> None:
    recorded = built(adminPassword="Correct-Horse-7")
    holders = [item.name for item in recorded.of(CONTAINER) if "Correct-Horse-7" in str(item.inputs)]
    assert holders == ["primary"]
    assert recorded.container("primary").files["/opt/dhis2-cluster/secrets/admin-password"] == "Correct-Horse-7"


def test_a_database_kept_from_another_dump_is_warned_about(run: Run) -> None:
    kept = FakeWatcher(engine=FakeEngine(printed="dump_key=other\ndump_name=old=1.sql.gz\naccepted_key=this\n"))
    warnings = run(watcher=kept, keepData="true").warnings
    assert len(warnings) == 1
    assert "restored from old=1.sql.gz and kept" in warnings[0]
    assert "pulumi config set keepData false" in warnings[0]


def test_sessions_that_were_dropped_are_warned_about(run: Run) -> None:
    marker = "reason=the server exits with code 1 while it loads it\nat=2026-05-01 12:00:00 UTC\n"
    warnings = run(watcher=FakeWatcher(engine=FakeEngine(printed_by_cache=marker)), cores=2).warnings
    assert len(warnings) == 1
    assert "the cache could not load its AOF (the server exits with code 1 while it loads it)" in warnings[0]
    assert "started empty at 2026-05-01 12:00:00 UTC: users have to log in again" in warnings[0]
    assert f"docker logs {PREFIX}-cache" in warnings[0]


def test_what_a_part_depends_on_is_known_to_the_wait_for_it(run: Run) -> None:
    waits = dict[str, set[str]]()

    def record(target: WaitTarget) -> None:
        needed = {needed.container.removeprefix(f"{PREFIX}-") for needed in target.dependencies}
        waits.setdefault(target.container.removeprefix(f"{PREFIX}-"), set()).update(needed)

    run(watcher=FakeWatcher(failing=record), cores=2, replicas=1)
    backends = {"primary", "replica-1", "cache"}
    assert waits == {
        "dump": set(),
        "primary": set(),
        "cache": set(),
        "replica-1": {"primary"},
        "core-1": backends,
        "core-2": backends,
        "lb": {"core-1", "core-2", *backends},
    }


def test_warnings_of_the_primary_are_reported(run: Run) -> None:
    watcher = FakeWatcher(engine=FakeEngine(printed="restored_at=1\nwarning=a=b is old\nwarning=c is old\n"))
    assert run(watcher=watcher).warnings == [f"{PREFIX}-primary: a=b is old", f"{PREFIX}-primary: c is old"]


@pytest.mark.parametrize(("restored_at", "reported"), [("4102444800", True), ("1777636801", False)])
def test_a_start_from_a_copy_is_reported_by_the_up_that_caused_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, restored_at: str, reported: bool
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_, **__: texts.append(text))
    run(watcher=FakeWatcher(engine=FakeEngine(printed=f"restored_at={restored_at}\ncopied=yes\n")))
    assert any("started from the copy of an earlier restore" in text for text in texts) == reported


@pytest.mark.parametrize(
    ("restored_at", "done"),
    [
        (
            "1777636801",
            ["stop core-1", "stop core-2", "stop core-3", "start core-1", "start core-2", "start core-3"],
        ),
        ("1777636800", []),
        ("", []),
    ],
)
def test_cores_started_before_the_restore_are_restarted_the_first_alone(
    run: Run, restored_at: str, done: list[str]
) -> None:
    engine = FakeEngine(
        printed=f"restored_at={restored_at}\n" if restored_at else "", started_at="2026-05-01T12:00:00.5Z"
    )
    recorded = run(watcher=FakeWatcher(engine=engine), cores=3)
    changes = [action.removesuffix(" within 60 s") for action in engine.done if action != "verify-admin"]
    assert changes == done, "only one core migrates"
    assert len(recorded.warnings) == bool(done)


def test_the_restore_marker_is_read_once_in_an_up(built: Run) -> None:
    read = [command for command in built(cores=2).watcher.engine.executed if "restored" in str(command)]
    assert len(read) == 1, "each command in a container is a round trip, which every up waits for"


NGINX_CONF = "/opt/dhis2-cluster/nginx.conf"
HTTPS = {"baseUrl": "https://dhis2.example.org"}


@pytest.mark.parametrize("settings", [{}, HTTPS])
def test_no_proxy_is_trusted_that_is_not_named(built: Run, settings: dict[str, object]) -> None:
    conf = built(**settings).container("lb").files[NGINX_CONF]
    assert "set_real_ip_from" not in conf, "any client on a private network could forge its address"


def test_named_proxies_are_trusted(built: Run) -> None:
    conf = built(trustedProxies="10.0.0.5,host", **HTTPS).container("lb").files[NGINX_CONF]
    assert re.findall("set_real_ip_from (.*);", conf) == ["10.0.0.5/32", "@docker_host@"]


@pytest.mark.parametrize(
    ("settings", "count"),
    [({}, 0), (HTTPS, 1), (HTTPS | {"trustedProxies": "10.0.0.5"}, 0)],
    ids=["http", "unnamed", "named"],
)
def test_a_proxy_that_is_not_named_is_warned_about_once(built: Run, settings: dict[str, object], count: int) -> None:
    warnings = [text for text in built(**settings).warnings if "pulumi config set trustedProxies" in text]
    assert len(warnings) == count, "all users share the address that the login limit counts"


def test_only_the_load_balancer_is_replaced_for_a_trusted_proxy(built: Run) -> None:
    before, after = built(**HTTPS), built(trustedProxies="host", **HTTPS)
    changed = [item.name for item in after.containers if item.raw != before.container(item.name).raw]
    assert changed == ["lb"]


def test_the_garbage_collector_skips_what_was_imported(run: Run) -> None:
    run()
    assert gc.isenabled() and gc.get_freeze_count() > 0
