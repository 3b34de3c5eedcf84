package weir.peers.common;

import java.util.HashMap;
import java.util.Map;

/** The command line, see bench/peers/run. */
public record Options(String peer, String brokers, String topic, int partitions, String redis,
        String state, long warmEvents) {

    public static Options parse(String[] args) {
        if (args.length % 2 == 0) {
            throw new IllegalArgumentException("wants PEER and pairs of --option value");
        }
        Map<String, String> given = new HashMap<>(Map.of("--warm-events", "500000"));
        for (int i = 1; i < args.length; i += 2) {
            given.put(args[i], args[i + 1]);
        }
        return new Options(args[0], need(given, "--brokers"), need(given, "--topic"),
                Integer.parseInt(need(given, "--partitions")), need(given, "--redis"),
                need(given, "--state"), Long.parseLong(need(given, "--warm-events")));
    }

    public boolean rocksDb() {
        return peer.endsWith("-rocksdb");
    }

    private static String need(Map<String, String> given, String name) {
        String value = given.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }
}
