package dhis2simulator.web;

import jakarta.servlet.http.HttpServletRequest;

/**
 * Absolute links as DHIS2 2.41 to 2.43 builds them: scheme and port from X-Forwarded-Proto and X-Forwarded-Port, else
 * of the request; the name always from Host. X-Forwarded-Host is only known to later releases.
 */
final class Links {
    private static final int HTTP = 80;
    private static final int HTTPS = 443;

    private Links() {}

    static String base(HttpServletRequest request) {
        return base(request.getScheme(), request.getServerName(), request.getServerPort(),
                request.getHeader("X-Forwarded-Proto"), request.getHeader("X-Forwarded-Port"));
    }

    static String base(String scheme, String name, int port, String forwardedScheme, String forwardedPort) {
        boolean known = "http".equalsIgnoreCase(forwardedScheme) || "https".equalsIgnoreCase(forwardedScheme);
        int shown = port;
        if (forwardedPort != null && forwardedPort.matches("\\d{1,5}")) {
            shown = Integer.parseInt(forwardedPort);
        }
        String host = (known ? forwardedScheme : scheme) + "://" + name;
        return shown == HTTP || shown == HTTPS ? host : host + ":" + shown;
    }
}
