package weir.peers.flink;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import weir.peers.common.Event;
import weir.peers.common.Options;
import weir.peers.common.Progress;
import weir.peers.common.Publisher;
import weir.peers.common.Shop;
import weir.peers.common.Topic;

/** weir's work by Flink, in this process: from the topic's beginning to its end at the start. */
public final class Main {
    private static final String CONSUMER = "consumer."; // Kafka's own settings

    private Main() {}

    public static void main(String[] args) {
        try {
            System.out.println(run(Options.parse(args)));
            System.exit(0);
        } catch (Exception wrong) {
            fail(wrong);
        }
    }

    private static void fail(Exception wrong) {
        if (!(wrong instanceof IllegalArgumentException)) {
            wrong.printStackTrace();
        }
        System.err.println("flink: " + wrong.getMessage());
        Runtime.getRuntime().halt(1); // whatever its threads still do
    }

    private static String run(Options options) throws Exception {
        Publisher.check(options.redis());
        long records = Topic.records(options);
        Run.progress = new Progress(options, records, new long[0], 0);
        Map<String, String> settings = settings(options);
        Configuration configuration = Configuration.fromMap(settings);
        Optional<String> before = Checkpoints.newest(checkpoints(options));
        before.ifPresent(path -> configuration.setString("execution.state-recovery.path", path));
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(
                options.threads(), configuration);
        build(environment, options, settings);
        CompletableFuture<Progress.Cost> cost = CompletableFuture.supplyAsync(Main::measure);
        JobClient job = environment.executeAsync(options.peer());
        if (before.isPresent()) {
            cost.get(); // a bounded source of Kafka's does not end by itself once it was restored
            job.stopWithSavepoint(true, checkpoints(options).toUri().toString(),
                    SavepointFormatType.NATIVE).get();
        }
        job.getJobExecutionResult().get();
        Run.report.awaitTallies(options.threads());
        return Run.report.json(options, cost.get(), records, Run.progress.commits.get(), settings);
    }

    private static Path checkpoints(Options options) {
        return Path.of(options.state()).resolve("checkpoints");
    }

    private static Progress.Cost measure() {
        try {
            return Run.progress.await();
        } catch (InterruptedException | IllegalStateException wrong) {
            fail(wrong); // the job would wait for ever
            return null;
        }
    }

    private static void build(StreamExecutionEnvironment environment, Options options,
            Map<String, String> settings) {
        WatermarkStrategy<Event> watermarks = WatermarkStrategy
                .<Event>forBoundedOutOfOrderness(Duration.ofMillis(Shop.OUT_OF_ORDER_MS))
                .withTimestampAssigner((event, kafkaMs) -> event.timeMs);
        DataStream<Event> events = environment
                .fromSource(source(options, settings), watermarks, "events")
                .map(new OwnKeys());
        DataStreamUtils.reinterpretAsKeyedStream(events, event -> event.key, new KeyType())
                .process(new ShopFunction(options)).returns(Types.VOID).name("shop")
                .sinkTo(new DiscardingSink<>());
    }

    private static KafkaSource<Event> source(Options options, Map<String, String> settings) {
        Properties consumer = new Properties();
        settings.forEach((name, value) -> {
            if (name.startsWith(CONSUMER)) {
                consumer.put(name.substring(CONSUMER.length()), value);
            }
        });
        return KafkaSource.<Event>builder()
                .setBootstrapServers(options.brokers())
                .setTopics(options.topic())
                .setGroupId(options.peer() + "-" + ProcessHandle.current().pid())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setDeserializer(new EventSchema())
                .setProperties(consumer)
                .build();
    }

    private static Map<String, String> settings(Options options) {
        Path state = Path.of(options.state());
        Map<String, String> settings = new HashMap<>();
        settings.put("pipeline.object-reuse", "true");
        settings.put("execution.checkpointing.interval", options.commitMs() + "ms");
        settings.put("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.put("execution.checkpointing.storage", "filesystem");
        settings.put("execution.checkpointing.dir", checkpoints(options).toUri().toString());
        settings.put("execution.checkpointing.checkpoints-after-tasks-finish", "false");
        settings.put(CONSUMER + "partition.discovery.interval.ms", "-1");
        settings.put(CONSUMER + "max.poll.records", "4000");
        settings.put(CONSUMER + "fetch.min.bytes", "65536");
        settings.put(CONSUMER + "max.partition.fetch.bytes", "4194304");
        settings.put("restart-strategy.type", "none"); // a failure fails the bench
        settings.put("state.backend.type", "hashmap");
        if (options.rocksDb()) {
            settings.put("state.backend.type", "rocksdb");
            settings.put("execution.checkpointing.incremental", "true");
            settings.put("state.backend.rocksdb.localdir", state.resolve("rocksdb").toString());
            settings.put("state.backend.rocksdb.timer-service.factory", "HEAP");
            settings.put("state.backend.rocksdb.use-bloom-filter", "true");
            settings.put("taskmanager.memory.managed.size", "1g");
        }
        Options.override(settings);
        return settings;
    }
}
