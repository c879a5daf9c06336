package dhis2simulator.web;

/** An answer that is not the one asked for. */
public final class ApiError extends RuntimeException {
    private final int status;
    private final String code;

    /** An error with an HTTP status. */
    public ApiError(int status, String message) {
        this(status, message, null);
    }

    /** An error with one of DHIS2's codes, e.g. E7144. */
    public ApiError(int status, String message, String code) {
        super(message);
        this.status = status;
        this.code = code;
    }

    /** The HTTP status. */
    public int status() {
        return status;
    }

    /** DHIS2's code, or null. */
    public String code() {
        return code;
    }
}
