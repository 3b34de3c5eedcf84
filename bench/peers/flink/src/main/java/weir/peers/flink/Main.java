package weir.peers.flink;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import weir.peers.common.Event;
import weir.peers.common.Options;
import weir.peers.common.Progress;
import weir.peers.common.Shop;
import weir.peers.common.Topic;

/** weir's work by Flink, in this process: from the topic's beginning to its end at the start. */
public final class Main {
    private static final int PARALLELISM = 2;

    private Main() {}

    public static void main(String[] args) {
        try {
            System.out.println(run(Options.parse(args)));
            System.exit(0);
        } catch (Exception wrong) {
            wrong.printStackTrace();
            System.err.println("flink: " + wrong);
            Runtime.getRuntime().halt(1); // whatever its threads still do
        }
    }

    private static String run(Options options) throws Exception {
        long records = Topic.records(options);
        Run.progress = new Progress(records, options.warmEvents());
        Map<String, String> settings = settings(options);
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(
                PARALLELISM, Configuration.fromMap(settings));
        build(environment, options);
        CompletableFuture<Progress.Cost> cost = CompletableFuture.supplyAsync(Main::measure);
        environment.execute(options.peer());
        Run.report.awaitTallies(PARALLELISM);
        return Run.report.json(options, cost.get(), records, Run.checkpoints.get(), settings);
    }

    private static Progress.Cost measure() {
        try {
            return Run.progress.await();
        } catch (InterruptedException stopped) {
            throw new IllegalStateException(stopped);
        }
    }

    private static void build(StreamExecutionEnvironment environment, Options options) {
        WatermarkStrategy<Event> watermarks = WatermarkStrategy
                .<Event>forBoundedOutOfOrderness(Duration.ofMillis(Shop.OUT_OF_ORDER_MS))
                .withTimestampAssigner((event, kafkaMs) -> event.timeMs);
        DataStream<Event> events = environment
                .fromSource(source(options), watermarks, "events")
                .map(new OwnKeys());
        DataStreamUtils.reinterpretAsKeyedStream(events, event -> event.id, Types.STRING)
                .process(new ShopFunction(options)).returns(Types.VOID).name("shop")
                .sinkTo(new DiscardingSink<>());
    }

    private static KafkaSource<Event> source(Options options) {
        Properties consumer = new Properties();
        consumer.put("partition.discovery.interval.ms", "-1");
        consumer.put("max.poll.records", "4000");
        consumer.put("fetch.min.bytes", "65536");
        consumer.put("max.partition.fetch.bytes", "4194304");
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
        settings.put("execution.checkpointing.interval", "10s");
        settings.put("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.put("execution.checkpointing.storage", "filesystem");
        settings.put("execution.checkpointing.dir", state.resolve("checkpoints").toUri().toString());
        settings.put("execution.checkpointing.checkpoints-after-tasks-finish", "false");
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
        return settings;
    }
}
