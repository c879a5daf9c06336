"""The cluster as a whole: what is registered, in which order, and what a changed setting touches."""

import gc
import json
import re

import pulumi
import pytest

from components.engine.watch import Awaited, NotReady
from tests.unit.program import (
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


def everything(recorded: Recorded) -> dict[tuple[str, str], str]:
    return {(each.kind, each.name): json.dumps(dict(each.raw), sort_keys=True) for each in recorded.resources}


def changed(before: Recorded, after: Recorded) -> set[str]:
    """Names of the resources that differ or are in one of the two only, components left out."""
    one, two = everything(before), everything(after)
    return {name for kind, name in one.keys() | two.keys() if one.get((kind, name)) != two.get((kind, name))}


def networks(recorded: Recorded, container: str) -> dict[str, list[str]]:
    attached = recorded.container(container).inputs["networksAdvanced"]
    # By id, or a network made anew would stay without its containers.
    return {each["name"].removesuffix("-id"): each["aliases"] for each in attached if each["name"].endswith("-id")}


def test_every_part_is_there_with_names_of_its_stack(built: Run) -> None:
    recorded = built(cores=2, replicas=2)
    names = {each.inputs["name"].removeprefix(f"{PREFIX}-") for each in recorded.containers}
    assert names == {"lb", "core-1", "core-2", "cache", "primary", "replica-1", "replica-2", "dump"}
    volumes = {each.inputs["name"].removeprefix(f"{PREFIX}-") for each in recorded.of(VOLUME)}
    assert volumes == {"primary-data", "replica-1-data", "replica-2-data", "cache-data", "files", "dhis2-cluster-dumps"}
    registered = [(each.kind, each.name) for each in recorded.resources]
    assert len(set(registered)) == len(registered), "two resources of one name are one to the engine"


def test_only_cores_reach_the_data_network_from_the_load_balancers_side(built: Run) -> None:
    recorded = built(cores=2)
    assert networks(recorded, "lb").keys() == {"edge", "app"}, "no route from the load balancer to the data"
    assert networks(recorded, "core-2") == {"app": ["core", "core-2"], "data": ["core-2"]}
    assert networks(recorded, "primary") == {"data": ["postgres-primary"]}
    assert networks(recorded, "replica-1") == {"data": ["postgres-replica-1"]}
    assert networks(recorded, "cache") == {"data": ["cache"]}
    assert networks(recorded, "dump") == {"edge": ["dump"]}, "it needs the web and no other part"
    internal = {each.name: each.inputs["internal"] for each in recorded.of(NETWORK)}
    assert internal == {"edge": False, "app": False, "data": True}


def test_scaling_touches_nothing_but_the_cores_that_come_and_go(built: Run) -> None:
    one, three = built(cores=1), built(cores=3)
    assert changed(one, three) == {"core-2", "core-3"}, "users of the others would notice"


def test_memory_and_jvm_options_touch_the_cores_only(built: Run) -> None:
    before, after = built(), built(javaOptions="-Dsome=thing", coreMemory=2048)
    assert changed(before, after) == {"core-1"}


def test_a_replica_more_touches_no_other_database(built: Run) -> None:
    assert changed(built(replicas=1), built(replicas=2)) == {"replica-2", "replica-2-data", "core-1"}, (
        "cores read their list of replicas at their start"
    )


def test_keeping_data_changes_no_volume_and_no_generation(built: Run) -> None:
    kept = built(keepData="true")
    assert changed(built(), kept) == {"primary"}, "only the primary has to know"
    retained = {each.name for each in kept.of(VOLUME) if each.request.retainOnDelete}
    assert retained == {each.name for each in kept.of(VOLUME)}, "destroy leaves the data"


def test_data_goes_with_the_stack_unless_it_is_kept(built: Run) -> None:
    left = {each.name for each in built().of(VOLUME) if each.request.retainOnDelete}
    assert left == {"dumps"}, "only the cache of dumps, which is every stack's"


def test_data_volumes_are_never_made_anew_for_a_label(built: Run) -> None:
    assert all("labels" in each.request.ignoreChanges or each.name == "dumps" for each in built().of(VOLUME)), (
        "a volume made anew is empty"
    )


def test_another_dump_or_image_takes_every_core_away_first(built: Run) -> None:
    recorded = built(cores=2, image="dhis2/core:2.43.1")
    generation, seed = recorded.one(RANDOM_ID, "generation"), recorded.one(RANDOM_ID, "seed")
    assert generation.request.deleteBeforeReplace, "an old core would write to a database being migrated"
    assert seed.request.deleteBeforeReplace, "or to one being loaded"
    assert generation.inputs["keepers"] == {"image": "sha256:core-image", "database": "hex-seed"}
    for core in ("core-1", "core-2"):
        found = recorded.container(core)
        assert found.files["/opt/dhis2-cluster/generation"] == "hex-generation"
        depends = {urn.rsplit("::", 1)[-1] for urn in found.request.propertyDependencies["uploads"].urns}
        assert "generation" in depends, "as a label it would not be deleted first: the plugin keeps these as a set"
    cache = recorded.container("cache")
    assert "hex-generation" in str(cache.files), "sessions of other classes or users must not be read"
    assert recorded.container("primary").files["/opt/dhis2-cluster/generation"] == "hex-seed"


@pytest.mark.parametrize("dump", ["https://example.org/d.sql.gz", "none"])
def test_dump_and_images_are_here_before_an_older_database_is_touched(built: Run, dump: str) -> None:
    recorded = built(dumpUrl=dump)
    images = {each.name for each in recorded.of(IMAGE)}
    assert len(images) == 4
    assert images <= recorded.one(RANDOM_ID, "seed").needs, "nor must a pull that fails"
    if dump == "none":
        return
    assert "dump" in recorded.one(RANDOM_ID, "seed").needs, "a 404 must not cost the data that is there"
    assert f"{PREFIX}-dump" in recorded.watcher.waited


def test_a_blank_database_fetches_nothing(built: Run) -> None:
    recorded = built(dumpUrl="none")
    assert "dump" not in {each.name for each in recorded.containers}
    assert recorded.container("primary").environment["SEED_KEY"] == "none"
    assert len(recorded.container("primary").inputs["mounts"]) == 1


def test_a_preview_shows_which_dump_is_loaded_without_its_login(built: Run) -> None:
    recorded = built(dumpUrl="https://me:secret@example.org/d.sql.gz?token=secret")
    assert recorded.container("primary").labels["dhis2-cluster.dump"] == "https://example.org/d.sql.gz"
    assert "me:secret@" in str(recorded.container("dump").files), "the fetch needs the login"


def test_each_part_is_made_when_what_it_needs_is_ready(built: Run) -> None:
    recorded = built(cores=3, replicas=2)
    gated = {each.name: list(each.request.hooks.before_create) for each in recorded.containers}
    assert gated["core-1"] == ["core-1-gate"]
    assert gated["replica-1"] == ["replica-1-gate"]
    assert {"primary", "replica-1", "replica-2", "cache"} <= recorded.container("core-1").needs
    assert "core-1" in recorded.container("core-2").needs, "the first core migrates alone"
    assert recorded.container("core-2").needs == recorded.container("core-3").needs, "then all others at once"
    assert not recorded.container("lb").needs & {"core-1", "primary"}, "it shows that DHIS2 is starting"


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
    assert {"core-1", "core-2"} <= {each.name for each in recorded.containers}, "it still shows all there will be"


def test_no_core_is_taken_away_while_the_first_does_not_serve(run: Run) -> None:
    def fail(awaited: Awaited) -> None:
        if awaited.container.endswith("core-1"):
            raise NotReady("core 1 ended with exit code 1\n  | fatal: no")

    recorded = Recorded(watcher=FakeWatcher(failing=fail))
    with pytest.raises(pulumi.RunError, match=re.compile("core 1 ended with exit code 1.*fatal: no", re.DOTALL)):
        run(into=recorded, cores=2)
    registered = {each.name for each in recorded.containers}
    assert "core-1" in registered and "core-2" not in registered, "the engine would delete the old one to replace it"


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
    assert not re.search(r"^analytics\.table\.unlogged", conf, re.MULTILINE), "slower tables would serve nobody"


def test_the_persons_own_keys_and_options_reach_the_cores(built: Run) -> None:
    core = built(dhisConf='{"monitoring.api.enabled": "on"}', javaOptions="-Xss2m").container("core-1")
    assert "monitoring.api.enabled" in core.files["/opt/dhis2/dhis.conf"]
    assert core.environment["JAVA_TOOL_OPTIONS"].endswith(" -Xss2m"), "the last of two options counts"


def test_what_a_release_cannot_do_is_warned_about_once(built: Run) -> None:
    assert len(built(version="2.42").warnings) == 1
    assert built(version="2.42", cores=2).warnings == []


def test_images_stay_on_the_engine_when_nothing_uses_them(built: Run) -> None:
    images = built().of(IMAGE)
    assert {each.name for each in images} == {"load-balancer-image", "database-image", "core-image", "cache-image"}
    assert all(each.inputs["keepLocally"] for each in images), "the next up, perhaps without a network, needs them"


def test_outputs_tell_how_to_get_in_and_look(built: Run) -> None:
    outputs = built(adminPassword="Correct-Horse-7", port=9000, cores=2).outputs
    assert outputs["url"] == "http://127.0.0.1:9000"
    assert (outputs["username"], outputs["adminPassword"]) == ("admin", "Correct-Horse-7")
    assert outputs["logs"] == f"docker compose -p {PREFIX} logs -f"
    assert outputs["status"] == f"docker ps -a --filter label=dhis2-cluster.stack={PREFIX}", "Debian has no compose"
    assert (outputs["cores"], outputs["replicas"]) == (2, 1)


def test_a_chosen_password_reaches_the_primary_as_a_file_only(built: Run) -> None:
    recorded = built(adminPassword="Correct-Horse-7")
    holders = [each.name for each in recorded.of(CONTAINER) if "Correct-Horse-7" in str(each.inputs)]
    assert holders == ["primary"]
    assert recorded.container("primary").files["/opt/dhis2-cluster/secrets/admin-password"] == "Correct-Horse-7"


def test_a_database_kept_from_another_dump_is_warned_about(run: Run) -> None:
    kept = FakeWatcher(engine=FakeEngine(printed="seed_key=other\nseed_name=old=1.sql.gz\naccepted_key=this\n"))
    warnings = run(watcher=kept, keepData="true").warnings
    assert len(warnings) == 1
    assert "loaded from old=1.sql.gz and kept" in warnings[0]
    assert "pulumi config set keepData false" in warnings[0]


@pytest.mark.parametrize(
    ("loaded_at", "done"),
    [
        (
            "1777636801",
            ["stop core-1", "stop core-2", "stop core-3", "start core-1", "start core-2", "start core-3"],
        ),
        ("1777636800", []),
        ("", []),
    ],
)
def test_cores_that_ran_before_the_database_was_loaded_begin_again_in_order(
    run: Run, loaded_at: str, done: list[str]
) -> None:
    engine = FakeEngine(printed=f"loaded_at={loaded_at}\n" if loaded_at else "", started_at="2026-05-01T12:00:00.5Z")
    recorded = run(watcher=FakeWatcher(engine=engine), cores=3)
    assert [each.removesuffix(" within 60 s") for each in engine.done] == done, "none may meet what another migrates"
    assert len(recorded.warnings) == bool(done)


def test_a_proxy_in_front_is_trusted_only_where_users_come_by_https(built: Run) -> None:
    conf = "/opt/dhis2-cluster/nginx.conf"
    assert "set_real_ip_from" not in built().container("lb").files[conf], "anybody could give any address as theirs"
    behind = built(baseUrl="https://dhis2.example.org").container("lb").files[conf]
    assert "set_real_ip_from 172.16.0.0/12;" in behind, "DHIS2 would send people to http"


def test_the_end_does_not_look_through_what_was_imported(run: Run) -> None:
    run()
    assert gc.isenabled() and gc.get_freeze_count() > 0
