package weir.peers.common;

import java.util.HashMap;
import java.util.Map;

/** The command line, see bench/peers/run. */
public record Options(String peer, String brokers, String topic, int partitions, String redis,
        String state, long warmEvents, int commitMs, String name, long killAfter,
        String guarantee, int threads) {

    private static final Map<String, String> DEFAULTS = Map.of(
            "--warm-events", "500000", "--commit-ms", "10000", "--name", "", "--kill-after", "0",
            "--guarantee", "exactly_once_v2", "--threads", "2");

    public static Options parse(String[] args) {
        if (args.length % 2 == 0) {
            throw new IllegalArgumentException("wants PEER and pairs of --option value");
        }
        Map<String, String> given = new HashMap<>(DEFAULTS);
        for (int i = 1; i < args.length; i += 2) {
            given.put(args[i], args[i + 1]);
        }
        Options options = new Options(args[0], take(given, "--brokers"), take(given, "--topic"),
                (int) number(given, "--partitions", 1, 10_000), take(given, "--redis"),
                take(given, "--state"), number(given, "--warm-events", 0, Long.MAX_VALUE),
                (int) number(given, "--commit-ms", 10, 3_600_000), take(given, "--name"),
                number(given, "--kill-after", 0, Long.MAX_VALUE), take(given, "--guarantee"),
                (int) number(given, "--threads", 1, 64));
        if (!given.isEmpty()) {
            throw new IllegalArgumentException("knows no " + given.keySet().iterator().next());
        }
        return options;
    }

    public boolean rocksDb() {
        return peer.endsWith("-rocksdb");
    }

    /** Whether it may go on where one that was killed left off. */
    public boolean isNamed() {
        return !name.isEmpty();
    }

    /** PEERS_SETTINGS, to try others: words like name=value, put over the peer's own settings. */
    public static void override(Map<String, ? super String> settings) {
        for (String word : System.getenv().getOrDefault("PEERS_SETTINGS", "").split("\\s+")) {
            int at = word.indexOf('=');
            if (at > 0) {
                settings.put(word.substring(0, at), word.substring(at + 1));
            }
        }
    }

    private static String take(Map<String, String> given, String name) {
        String value = given.remove(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    private static long number(Map<String, String> given, String name, long min, long max) {
        String text = take(given, name);
        try {
            long value = Long.parseLong(text);
            if (value >= min && value <= max) {
                return value;
            }
        } catch (NumberFormatException none) {
            // the same sentence
        }
        throw new IllegalArgumentException(
                name + " is " + text + "; it takes a whole number from " + min + " to " + max);
    }
}
