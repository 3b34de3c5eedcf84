package weir.peers.common;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Which user agents are robots', by weir's words (src/core/bots.c). One thread. */
final class Robots {
    private static final int VERDICTS_MAX = 10_000;
    private static final List<String> WORDS = List.of(
            "bot", "crawl", "spider", "slurp", "headless", "phantomjs", "selenium", "puppeteer",
            "playwright", "curl/", "wget/", "python-", "java/", "go-http", "okhttp/", "scrapy",
            "httpclient", "lighthouse", "pingdom", "uptime", "monitor", "preview",
            "facebookexternalhit", "bingpreview", "archiver");
    private final Map<String, Boolean> verdicts = new HashMap<>();

    boolean is(String userAgent) {
        if (userAgent == null) {
            return false;
        }
        Boolean verdict = verdicts.get(userAgent);
        return verdict != null ? verdict : judge(userAgent);
    }

    private boolean judge(String userAgent) {
        String text = userAgent.toLowerCase(Locale.ROOT);
        boolean robot = WORDS.stream().anyMatch(text::contains);
        if (verdicts.size() >= VERDICTS_MAX) {
            verdicts.clear();
        }
        verdicts.put(userAgent, robot);
        return robot;
    }
}
