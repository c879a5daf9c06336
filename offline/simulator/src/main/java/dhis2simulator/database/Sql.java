package dhis2simulator.database;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/** Statements on one data source. Each takes a connection of its own from the pool. */
public record Sql(DataSource source) {

    /** A change of several statements that is kept whole or not at all. */
    @FunctionalInterface
    public interface Work<T> {
        /** Does the work on one connection, inside one transaction. */
        T on(Connection connection) throws SQLException;
    }

    /** The rows of a query, column names in lower case. */
    public List<Map<String, Object>> rows(String sql, Object... arguments) throws SQLException {
        try (Connection connection = source.getConnection()) {
            return rows(connection, sql, arguments);
        }
    }

    /** The first row, or null where there is none. */
    public Map<String, Object> first(String sql, Object... arguments) throws SQLException {
        List<Map<String, Object>> found = rows(sql, arguments);
        return found.isEmpty() ? null : found.get(0);
    }

    /** The first column of the first row, or null where there is none. */
    public Object value(String sql, Object... arguments) throws SQLException {
        Map<String, Object> row = first(sql, arguments);
        return row == null ? null : row.values().iterator().next();
    }

    /** How many rows an INSERT, UPDATE or DELETE changed. */
    public int update(String sql, Object... arguments) throws SQLException {
        try (Connection connection = source.getConnection()) {
            return update(connection, sql, arguments);
        }
    }

    /** Runs work in one transaction. */
    public <T> T together(Work<T> work) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            try {
                T result = work.on(connection);
                connection.commit();
                return result;
            } catch (SQLException | RuntimeException error) {
                connection.rollback();
                throw error;
            }
        }
    }

    /** The rows of a query on a connection. */
    public static List<Map<String, Object>> rows(Connection connection, String sql, Object... arguments)
            throws SQLException {
        try (PreparedStatement statement = prepared(connection, sql, arguments);
                ResultSet result = statement.executeQuery()) {
            ResultSetMetaData columns = result.getMetaData();
            List<Map<String, Object>> rows = new ArrayList<>();
            while (result.next()) {
                Map<String, Object> row = new LinkedHashMap<>();
                for (int index = 1; index <= columns.getColumnCount(); index++) {
                    row.put(columns.getColumnLabel(index), result.getObject(index));
                }
                rows.add(row);
            }
            return rows;
        }
    }

    /** How many rows a statement on a connection changed. */
    public static int update(Connection connection, String sql, Object... arguments) throws SQLException {
        try (PreparedStatement statement = prepared(connection, sql, arguments)) {
            return statement.executeUpdate();
        }
    }

    private static PreparedStatement prepared(Connection connection, String sql, Object... arguments)
            throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int index = 0; index < arguments.length; index++) {
            statement.setObject(index + 1, arguments[index]);
        }
        return statement;
    }
}
