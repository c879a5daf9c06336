package dhis2simulator;

import dhis2simulator.apps.Apps;
import dhis2simulator.cache.MetadataCache;
import dhis2simulator.cache.SystemSettings;
import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import dhis2simulator.database.Pools;
import dhis2simulator.files.FileStore;
import dhis2simulator.jobs.Leadership;
import dhis2simulator.session.Sessions;

/** Everything one running simulator consists of. `uuid` is new at each start, `id` is `node.id`. */
public record Node(
        Release release,
        DhisConf conf,
        FileStore files,
        Pools pools,
        MetadataCache cache,
        SystemSettings settings,
        Sessions sessions,
        Leadership leadership,
        Apps apps,
        String id,
        String uuid) {}
