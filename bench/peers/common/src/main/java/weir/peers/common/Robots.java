package weir.peers.common;

import java.util.List;
import java.util.Locale;

/** Which user agents are robots', by weir's words (src/core/bots.c). */
final class Robots {
    private static final List<String> WORDS = List.of(
            "bot", "crawl", "spider", "slurp", "headless", "phantomjs", "selenium", "puppeteer",
            "playwright", "curl/", "wget/", "python-", "java/", "go-http", "okhttp/", "scrapy",
            "httpclient", "lighthouse", "pingdom", "uptime", "monitor", "preview",
            "facebookexternalhit", "bingpreview", "archiver");

    private Robots() {}

    static boolean is(String userAgent) {
        String text = userAgent.toLowerCase(Locale.ROOT);
        return WORDS.stream().anyMatch(text::contains);
    }
}
