package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.session.Users;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.ServletContext;
import java.util.EnumSet;

/** Puts filter and servlet in place, with all routes. */
public final class WebSetup {
    private static final int MOST_UPLOAD_BYTES = 10_000_000;

    private WebSetup() {}

    /** Installs them; after the session filter, as each request needs its session first. */
    public static void install(ServletContext context, Node node) {
        Users users = new Users(node.pools().primary());
        Router router = new Router();
        context.addFilter("guard", new Guard(node.release().toString(), users))
                .addMappingForUrlPatterns(EnumSet.of(DispatcherType.REQUEST), true, "/*");
        new Pages(node).routes(router);
        new LoginApi(node, users).routes(router);
        new SystemApi(node).routes(router);
        new AccountApi(node, users).routes(router);
        new SettingsApi(node).routes(router);
        new MetadataApi(node).routes(router);
        new UnitsApi(node).routes(router);
        new DataStoreApi(node).routes(router);
        new DataValuesApi(node).routes(router);
        new AnalyticsApi(node).routes(router);
        new FilesApi(node).routes(router);
        new AppsApi(node).routes(router);
        new JobsApi(node).routes(router);
        new LoadApi(node).routes(router);
        var servlet = context.addServlet("dispatcher", new Dispatcher(router));
        int most = node.conf().number("max.file_upload_size", MOST_UPLOAD_BYTES);
        servlet.setMultipartConfig(new MultipartConfigElement(null, most, -1, 0));
        servlet.addMapping("/");
    }
}
