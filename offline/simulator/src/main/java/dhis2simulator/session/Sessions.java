package dhis2simulator.session;

import dhis2simulator.conf.DhisConf;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.ServletContext;
import jakarta.servlet.http.HttpSession;
import jakarta.servlet.http.HttpSessionEvent;
import jakarta.servlet.http.HttpSessionListener;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;
import org.springframework.data.redis.core.RedisTemplate;
import org.springframework.data.redis.serializer.JdkSerializationRedisSerializer;
import org.springframework.data.redis.serializer.RedisSerializer;
import org.springframework.session.data.redis.RedisIndexedSessionRepository;
import org.springframework.session.web.http.CookieHttpSessionIdResolver;
import org.springframework.session.web.http.DefaultCookieSerializer;
import org.springframework.session.web.http.SessionRepositoryFilter;

/** Where sessions live: in Redis, shared by all nodes, or in this process alone. */
public final class Sessions implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Sessions.class);
    private static final String COOKIE = "JSESSIONID";
    private static final int DEFAULT_TIMEOUT_SECONDS = 3_600;

    private final Set<HttpSession> local = ConcurrentHashMap.newKeySet();
    private RedisIndexedSessionRepository repository;
    private LettuceConnectionFactory factory;

    private Sessions() {}

    /** Sets sessions up. */
    public static Sessions install(ServletContext context, DhisConf conf, Redis redis) {
        int timeout = conf.number("system.session.timeout", DEFAULT_TIMEOUT_SECONDS);
        boolean secure = conf.isOn("server.https", false);
        var sessions = new Sessions();
        if (redis == null) {
            context.addListener(sessions.new Listener());
            context.setSessionTimeout((int) Math.max(1, TimeUnit.SECONDS.toMinutes(timeout)));
            context.getSessionCookieConfig().setHttpOnly(true);
            context.getSessionCookieConfig().setSecure(secure);
            context.getSessionCookieConfig().setAttribute("SameSite", "Lax");
            LOG.info("Sessions are kept in memory, on this node only");
            return sessions;
        }
        sessions.factory = redis.factory();
        var repository = new RedisIndexedSessionRepository(template(sessions.factory));
        sessions.repository = repository;
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
        return sessions;
    }

    /** Whether they are in Redis. */
    public boolean inRedis() {
        return repository != null;
    }

    /** Ends all sessions of a user, at every node where they are in Redis. */
    public void end(String username) {
        if (inRedis()) {
            repository.findByPrincipalName(username).keySet().forEach(repository::deleteById);
        } else {
            local.stream().filter(session -> username.equals(nameIn(session))).forEach(HttpSession::invalidate);
        }
    }

    /** The user of each session of this process by the session's id; empty where they are in Redis. */
    public Map<String, String> users() {
        return local.stream().filter(session -> nameIn(session) != null)
                .collect(Collectors.toMap(HttpSession::getId, Sessions::nameIn));
    }

    @Override
    public void close() {
        if (inRedis()) {
            repository.destroy();
            factory.destroy();
        }
    }

    private static String nameIn(HttpSession session) {
        return session.getAttribute(Login.ATTRIBUTE) instanceof Login login ? login.username() : null;
    }

    private final class Listener implements HttpSessionListener {
        @Override
        public void sessionCreated(HttpSessionEvent event) {
            local.add(event.getSession());
        }

        @Override
        public void sessionDestroyed(HttpSessionEvent event) {
            local.remove(event.getSession());
        }
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
