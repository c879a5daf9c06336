package dhis2simulator.web;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What an analytics request asks for: `dx:UID;UID`, `ou:UID`, `pe:202601;2026`, each as dimension or filter.
 *
 * <p>Values are summed over whatever is no dimension; an organisation unit includes those below it.
 */
record Dimensions(List<String> shown, Map<String, List<String>> chosen) {
    private static final int CONFLICT = 409;
    private static final String FROM_DATA_VALUES = "(select de.uid as dx, ou.uid as ou, ou.path,"
            + " to_char(pe.startdate, 'YYYYMM') as monthly, to_char(pe.startdate, 'YYYY') as yearly,"
            + " dv.value::double precision as value from datavalue dv join dataelement de using (dataelementid)"
            + " join organisationunit ou on ou.organisationunitid = dv.sourceid join period pe using (periodid)"
            + " where not dv.deleted and dv.value ~ '^-?[0-9]+([.][0-9]+)?$') as analytics";

    static Dimensions of(String[] dimensions, String[] filters) {
        List<String> shown = new ArrayList<>();
        Map<String, List<String>> chosen = new LinkedHashMap<>();
        for (String text : dimensions == null ? new String[0] : dimensions) {
            shown.add(add(chosen, text));
        }
        for (String text : filters == null ? new String[0] : filters) {
            add(chosen, text);
        }
        if (!chosen.containsKey("dx")) {
            throw new ApiError(CONFLICT, "At least one data element must be given: dimension=dx:UID", "E7104");
        }
        return new Dimensions(shown, chosen);
    }

    private static String add(Map<String, List<String>> chosen, String text) {
        String[] parts = text.split(":", 2);
        if (!List.of("dx", "ou", "pe").contains(parts[0]) || parts.length == 1 || parts[1].isBlank()) {
            throw new ApiError(CONFLICT, "The simulator knows dx, ou and pe with items, not '" + text + "'", "E7125");
        }
        chosen.put(parts[0], Arrays.asList(parts[1].split(";")));
        return parts[0];
    }

    List<Map<String, Object>> headers() {
        List<Map<String, Object>> headers = new ArrayList<>();
        for (String name : shown) {
            headers.add(Map.of("name", name, "valueType", "TEXT"));
        }
        headers.add(Map.of("name", "value", "valueType", "NUMBER"));
        return headers;
    }

    /** The query over analytics tables or, without them, over the data values themselves. */
    String query(boolean tables) {
        StringBuilder text = new StringBuilder("select ");
        shown.forEach(name -> text.append(column(name)).append(", "));
        text.append("sum(value) as value from ").append(tables ? "analytics" : FROM_DATA_VALUES);
        text.append(units()).append(" where true");
        chosen.forEach((name, items) -> {
            String places = String.join(", ", items.stream().map(item -> "?").toList());
            if (name.equals("dx")) {
                text.append(" and dx in (").append(places).append(")");
            } else if (name.equals("pe")) {
                text.append(" and (monthly in (").append(places).append(") or yearly in (").append(places).append("))");
            }
        });
        text.append(" having count(*) > 0");
        if (!shown.isEmpty()) {
            String columns = String.join(", ", shown.stream().map(Dimensions::column).toList());
            int having = text.indexOf(" having");
            text.insert(having, " group by " + columns);
            text.append(" order by ").append(columns);
        }
        return text.toString();
    }

    /** The values for the query's question marks, in their order. */
    Object[] arguments() {
        List<Object> values = new ArrayList<>(chosen.getOrDefault("ou", List.of()));
        chosen.forEach((name, items) -> {
            if (name.equals("dx") || name.equals("pe")) {
                values.addAll(items);
            }
            if (name.equals("pe")) {
                values.addAll(items);
            }
        });
        return values.toArray();
    }

    /** Asked-for units with everything below them. */
    private String units() {
        List<String> items = chosen.get("ou");
        if (items == null) {
            return "";
        }
        String places = String.join(", ", items.stream().map(item -> "(?)").toList());
        return " join (values " + places + ") as unit (id) on path like '%' || unit.id || '%'";
    }

    private static String column(String name) {
        return switch (name) {
            case "pe" -> "monthly";
            case "ou" -> "unit.id";
            default -> name;
        };
    }
}
