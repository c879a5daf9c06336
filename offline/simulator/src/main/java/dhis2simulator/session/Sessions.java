package dhis2simulator.session;

import dhis2simulator.conf.DhisConf;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.ServletContext;
import java.time.Duration;
import java.util.EnumSet;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.data.redis.core.RedisTemplate;
import org.springframework.data.redis.serializer.JdkSerializationRedisSerializer;
import org.springframework.data.redis.serializer.RedisSerializer;
import org.springframework.session.data.redis.RedisIndexedSessionRepository;
import org.springframework.session.web.http.CookieHttpSessionIdResolver;
import org.springframework.session.web.http.DefaultCookieSerializer;
import org.springframework.session.web.http.SessionRepositoryFilter;

/** Where sessions live: in Redis, shared by all nodes, or in this process alone. */
public final class Sessions {
    private static final Logger LOG = LoggerFactory.getLogger(Sessions.class);
    private static final String COOKIE = "JSESSIONID";
    private static final int DEFAULT_TIMEOUT_SECONDS = 3_600;

    private Sessions() {}

    /** Sets sessions up; returns what must be closed at the end, null where nothing must. */
    public static AutoCloseable install(ServletContext context, DhisConf conf, Redis redis) {
        int timeout = conf.number("system.session.timeout", DEFAULT_TIMEOUT_SECONDS);
        boolean secure = conf.isOn("server.https", false);
        if (redis == null) {
            context.setSessionTimeout((int) Math.max(1, TimeUnit.SECONDS.toMinutes(timeout)));
            context.getSessionCookieConfig().setHttpOnly(true);
            context.getSessionCookieConfig().setSecure(secure);
            context.getSessionCookieConfig().setAttribute("SameSite", "Lax");
            LOG.info("Sessions are kept in memory, on this node only");
            return null;
        }
        var factory = redis.factory();
        var repository = new RedisIndexedSessionRepository(template(factory));
        repository.setDefaultMaxInactiveInterval(Duration.ofSeconds(timeout));
        repository.afterPropertiesSet();
        var cookie = new DefaultCookieSerializer();
        cookie.setCookieName(COOKIE);
        cookie.setUseSecureCookie(secure);
        var ids = new CookieHttpSessionIdResolver();
        ids.setCookieSerializer(cookie);
        var filter = new SessionRepositoryFilter<>(repository);
        filter.setHttpSessionIdResolver(ids);
        context.addFilter("springSessionRepositoryFilter", filter)
                .addMappingForUrlPatterns(EnumSet.of(DispatcherType.REQUEST), false, "/*");
        LOG.info("Sessions are kept in Redis, for all nodes");
        return () -> {
            repository.destroy();
            factory.destroy();
        };
    }

    private static RedisTemplate<String, Object> template(
            org.springframework.data.redis.connection.RedisConnectionFactory factory) {
        RedisTemplate<String, Object> template = new RedisTemplate<>();
        template.setKeySerializer(RedisSerializer.string());
        template.setHashKeySerializer(RedisSerializer.string());
        template.setDefaultSerializer(new JdkSerializationRedisSerializer(Sessions.class.getClassLoader()));
        template.setConnectionFactory(factory);
        template.afterPropertiesSet();
        return template;
    }
}
