package dhis2simulator.session;

import java.io.Serializable;

/** Who is logged in; kept in the session. `id` is userinfo's key. */
public record Login(long id, String uid, String username) implements Serializable {
    /** The session attribute. */
    public static final String ATTRIBUTE = "dhis2simulator.login";
}
