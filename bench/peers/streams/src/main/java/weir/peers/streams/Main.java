package weir.peers.streams;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import weir.peers.common.Options;
import weir.peers.common.Progress;
import weir.peers.common.Publisher;
import weir.peers.common.Report;
import weir.peers.common.Topic;

/** weir's work by Kafka Streams: from the topic's beginning to the end it has at the start. */
public final class Main {
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(60);

    private Main() {}

    public static void main(String[] args) throws Exception {
        try {
            System.out.println(run(Options.parse(args)));
            System.exit(0);
        } catch (Exception wrong) {
            if (!(wrong instanceof IllegalArgumentException)) {
                wrong.printStackTrace();
            }
            System.err.println("streams: " + wrong.getMessage());
            Runtime.getRuntime().halt(1); // whatever its threads still do
        }
    }

    private static String run(Options options) throws Exception {
        Publisher.check(options.redis());
        long records = Topic.records(options);
        String application = options.isNamed() ? options.peer() + "-" + options.name()
                : options.peer() + "-" + ProcessHandle.current().pid() + "-"
                        + System.currentTimeMillis();
        long[] begins = Topic.begins(options);
        long[] before = Topic.committed(options, application, begins);
        Progress progress = new Progress(options, records, before, options.partitions());
        Report report = new Report();
        Map<String, Object> settings = settings(options);
        Properties config = new Properties();
        config.putAll(settings);
        config.put("application.id", application);
        config.put("bootstrap.servers", options.brokers());
        config.put("state.dir", options.state());
        if (options.isNamed()) { // takes the place of the one that was killed at once
            config.put("main.consumer.group.instance.id", options.name());
        }
        KafkaStreams streams = new KafkaStreams(topology(options, progress, begins, report), config);
        streams.setUncaughtExceptionHandler(Main::fail);
        try {
            streams.start();
            Progress.Cost cost = progress.await();
            report.awaitTallies(options.partitions());
            return report.json(options, cost, records, progress.commits.get(), settings);
        } finally {
            streams.close(CLOSE_TIMEOUT);
            deleteTopics(options, application);
        }
    }

    private static Topology topology(Options options, Progress progress, long[] begins,
            Report report) {
        Topology topology = new Topology();
        topology.addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(),
                options.topic());
        topology.addProcessor("shop", () -> new ShopProcessor(options, progress, begins, report),
                "events");
        topology.addStateStore(new LoggedStoreBuilder<>(ShopProcessor.TALLY,
                () -> new TallyStore(ShopProcessor.TALLY, progress.commits)), "shop");
        if (options.rocksDb()) {
            topology.addStateStore(StoredSessions.builder(ShopProcessor.SESSIONS), "shop");
        } else {
            topology.addStateStore(new LoggedStoreBuilder<>(ShopProcessor.SESSIONS,
                    () -> new HeapSessions(ShopProcessor.SESSIONS)), "shop");
        }
        return topology;
    }

    private static Map<String, Object> settings(Options options) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("num.stream.threads", options.threads());
        settings.put("processing.guarantee", options.guarantee());
        settings.put("replication.factor", 1);
        settings.put("commit.interval.ms", options.commitMs());
        settings.put("main.consumer.auto.offset.reset", "earliest");
        settings.put("main.consumer.fetch.min.bytes", 64 << 10);
        settings.put("main.consumer.fetch.max.bytes", 4 << 20);
        if (options.guarantee().startsWith("exactly")) {
            settings.put("producer.transaction.timeout.ms", 2 * options.commitMs() + 60_000);
        }
        settings.put("producer.compression.type", "lz4");
        settings.put("producer.linger.ms", 100);
        settings.put("producer.batch.size", 512 << 10);
        settings.put("producer.buffer.memory", 128 << 20);
        if (options.rocksDb()) {
            settings.put("statestore.cache.max.bytes", 512 << 20);
            settings.put("rocksdb.config.setter", RocksOptions.class.getName());
        }
        Options.override(settings);
        return settings;
    }

    private static void deleteTopics(Options options, String application) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", options.brokers()))) {
            admin.deleteTopics(admin.listTopics().names().get().stream()
                    .filter(name -> name.startsWith(application)).toList()).all().get();
        }
    }

    private static StreamThreadExceptionResponse fail(Throwable cause) {
        cause.printStackTrace();
        System.err.println("streams: it cannot go on, see above");
        Runtime.getRuntime().halt(1);
        return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    }
}
