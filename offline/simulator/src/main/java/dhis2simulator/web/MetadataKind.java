package dhis2simulator.web;

import dhis2simulator.database.Sql;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** A kind of metadata that can be imported: where it is stored, and what an object of it must have. */
enum MetadataKind {
    USER_ROLES("userRoles", "org.hisp.dhis.user.UserRole", "userRole", "userrole", List.of("name")),
    ORGANISATION_UNITS("organisationUnits", "org.hisp.dhis.organisationunit.OrganisationUnit", "organisationUnit",
            "organisationunit", List.of("name", "shortName", "openingDate")),
    DATA_ELEMENTS("dataElements", "org.hisp.dhis.dataelement.DataElement", "dataElement", "dataelement",
            List.of("name", "shortName", "valueType", "aggregationType", "domainType"));

    private final String plural;
    private final String klass;
    private final String region;
    private final String table;
    private final List<String> required;

    MetadataKind(String plural, String klass, String region, String table, List<String> required) {
        this.plural = plural;
        this.klass = klass;
        this.region = region;
        this.table = table;
        this.required = required;
    }

    String plural() {
        return plural;
    }

    String klass() {
        return klass;
    }

    String region() {
        return region;
    }

    /** Why an object is not imported, with DHIS2's code. */
    record Problem(String code, String message, String property, List<String> arguments) {
        static Problem exists(String uid, JsonNode content) {
            return found("E5000", "Found matching object for given reference, but import mode is CREATE."
                    + " Identifier was UID, and object was `", uid, content);
        }

        static Problem missing(String uid, JsonNode content) {
            return found("E5001", "No matching object for reference. Identifier was UID, and object was `", uid,
                    content);
        }

        private static Problem found(String code, String begin, String uid, JsonNode content) {
            String object = content.path("name").asString("") + " [" + uid + "]";
            return new Problem(code, begin + object + "`.", "id", List.of("UID", object));
        }

        Map<String, Object> report(String klass) {
            Map<String, Object> report = new LinkedHashMap<>();
            report.put("message", message);
            report.put("args", arguments);
            report.put("mainKlass", klass);
            report.put("errorCode", code);
            report.put("errorProperty", property);
            report.put("errorProperties", arguments);
            return report;
        }
    }

    boolean exists(Connection connection, String uid) throws SQLException {
        return !Sql.rows(connection, "select 1 from " + table + " where uid = ?", uid).isEmpty();
    }

    /** What DHIS2 would refuse in an object; null where nothing is wrong with it. */
    Problem problem(Connection connection, String uid, JsonNode content) throws SQLException {
        for (String property : required) {
            if (content.path(property).asString("").isBlank()) {
                return new Problem("E4000", "Missing required property `" + property + "`", property,
                        List.of(property));
            }
        }
        String name = content.path("name").asString("");
        boolean unique = this != ORGANISATION_UNITS;
        if (unique && !Sql.rows(connection, "select 1 from " + table + " where name = ? and uid <> ?", name, uid)
                .isEmpty()) {
            return new Problem("E5003", "Property `name` with value `" + name + "` on object " + name + " [" + uid
                    + "] already exists on another object", "name", List.of("name", name));
        }
        return null;
    }

    void write(Connection connection, String uid, JsonNode content, boolean update) throws SQLException {
        String name = content.path("name").asString("");
        String shortName = content.path("shortName").asString(name);
        if (update) {
            String columns = this == USER_ROLES ? "" : ", shortname = ?";
            Object[] values = this == USER_ROLES ? new Object[] {name, uid} : new Object[] {name, shortName, uid};
            Sql.update(connection, "update " + table + " set name = ?" + columns + ", lastupdated = now()"
                    + " where uid = ?", values);
            return;
        }
        switch (this) {
            case USER_ROLES -> Sql.update(connection, "insert into userrole (userroleid, uid, created, lastupdated,"
                    + " name) values (nextval('hibernate_sequence'), ?, now(), now(), ?)", uid, name);
            case ORGANISATION_UNITS -> writeUnit(connection, uid, content, name, shortName);
            case DATA_ELEMENTS -> Sql.update(connection, "insert into dataelement (dataelementid, uid, created,"
                    + " lastupdated, name, shortname, valuetype, domaintype, aggregationtype, categorycomboid,"
                    + " zeroissignificant) select nextval('hibernate_sequence'), ?, now(), now(), ?, ?, ?, ?, ?,"
                    + " categorycomboid, false from categorycombo where name = 'default'", uid, name, shortName,
                    content.path("valueType").asString(), content.path("domainType").asString(),
                    content.path("aggregationType").asString());
            default -> throw new IllegalStateException(name());
        }
    }

    private static void writeUnit(Connection connection, String uid, JsonNode content, String name, String shortName)
            throws SQLException {
        String parent = content.path("parent").path("id").asString("");
        List<Map<String, Object>> above = Sql.rows(connection, "select organisationunitid, path, hierarchylevel"
                + " from organisationunit where uid = ?", parent);
        Map<String, Object> unit = above.isEmpty() ? Map.of() : above.get(0);
        int level = unit.get("hierarchylevel") instanceof Number number ? number.intValue() + 1 : 1;
        Sql.update(connection, "insert into organisationunit (organisationunitid, uid, created, lastupdated, name,"
                + " shortname, parentid, path, hierarchylevel, openingdate) values (nextval('hibernate_sequence'), ?,"
                + " now(), now(), ?, left(?, 50), ?::bigint, ?, ?, left(?, 10)::date)", uid, name, shortName,
                unit.get("organisationunitid"), unit.getOrDefault("path", "") + "/" + uid, level,
                content.path("openingDate").asString());
    }
}
