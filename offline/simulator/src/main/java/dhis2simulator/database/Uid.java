package dhis2simulator.database;

import java.security.SecureRandom;

/** DHIS2's identifiers: a letter and ten letters or digits. */
public final class Uid {
    private static final String LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    private static final String ALPHANUMERIC = LETTERS + "0123456789";
    private static final int LENGTH = 11;
    private static final SecureRandom RANDOM = new SecureRandom();

    private Uid() {}

    /** A new one. */
    public static String fresh() {
        StringBuilder uid = new StringBuilder().append(one(LETTERS));
        while (uid.length() < LENGTH) {
            uid.append(one(ALPHANUMERIC));
        }
        return uid.toString();
    }

    private static char one(String alphabet) {
        return alphabet.charAt(RANDOM.nextInt(alphabet.length()));
    }
}
