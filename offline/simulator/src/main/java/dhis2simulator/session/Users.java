package dhis2simulator.session;

import dhis2simulator.database.Sql;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.Base64;
import java.util.Map;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;

/** Checks user names and passwords against userinfo. */
public final class Users {
    private static final String BASIC = "Basic ";
    private final Sql primary;
    private final BCryptPasswordEncoder bcrypt = new BCryptPasswordEncoder();

    /** Users of a database. */
    public Users(Sql primary) {
        this.primary = primary;
    }

    /** The login of a user with the right password, else null. */
    public Login check(String username, String password) throws SQLException {
        if (username == null || password == null) {
            return null;
        }
        Map<String, Object> row = primary.first("select userinfoid, uid, password, disabled from userinfo"
                + " where username = ?", username);
        boolean right = row != null
                && !Boolean.TRUE.equals(row.get("disabled"))
                && row.get("password") != null
                && bcrypt.matches(password, (String) row.get("password"));
        return right ? new Login(((Number) row.get("userinfoid")).longValue(), (String) row.get("uid"), username) : null;
    }

    /** Gives a user another password. */
    public void change(String username, String password) throws SQLException {
        primary.update("update userinfo set password = ?, passwordlastupdated = now(), lastupdated = now()"
                + " where username = ?", bcrypt.encode(password), username);
    }

    /** The login of an Authorization header, null where it is absent, malformed or wrong. */
    public Login basic(String header) throws SQLException {
        if (header == null || !header.startsWith(BASIC)) {
            return null;
        }
        String[] parts;
        try {
            byte[] decoded = Base64.getDecoder().decode(header.substring(BASIC.length()).trim());
            parts = new String(decoded, StandardCharsets.UTF_8).split(":", 2);
        } catch (IllegalArgumentException error) {
            return null;
        }
        return parts.length == 2 ? check(parts[0], parts[1]) : null;
    }
}
