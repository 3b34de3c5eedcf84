package weir.peers.common;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Adds up what the partitions or subtasks counted; the line that bench/run reads. Any thread. */
public final class Report {
    private final long[] total = new long[Counter.ALL.length];
    private final List<Map<String, long[]>> dimensions = new ArrayList<>();
    private final Map<Integer, Long> restored = new TreeMap<>();
    private int tallies;

    public Report() {
        for (int i = 0; i < Dimensions.COUNT; i++) {
            dimensions.add(new TreeMap<>());
        }
    }

    public synchronized void add(Tally tally) {
        Bucket bucket = tally.total();
        for (int i = 0; i < bucket.segments(); i++) {
            long[] row = bucket.get(i);
            if (row != null) {
                sum(rowOf(Segments.segment(i)), row);
            }
        }
        tallies++;
        notifyAll();
    }

    /** A partition or subtask begins with this tally, when it begins for the first time. */
    public synchronized void begin(int owner, Tally tally) {
        restored.putIfAbsent(owner, tally.events());
    }

    public synchronized void awaitTallies(int count) throws InterruptedException {
        while (tallies < count) {
            wait();
        }
    }

    private long[] rowOf(Segments.Segment segment) {
        if (segment.dimension() < 0) {
            return total;
        }
        return dimensions.get(segment.dimension())
                .computeIfAbsent(segment.value(), value -> new long[Counter.ALL.length]);
    }

    private static void sum(long[] to, long[] from) {
        for (int i = 0; i < to.length; i++) {
            to[i] += from[i];
        }
    }

    /** One line of JSON. */
    public synchronized String json(Options options, Progress.Cost cost, long records,
            long commits, Map<String, ?> settings) throws IOException {
        StringWriter out = new StringWriter();
        try (JsonGenerator json = new JsonFactory().createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("peer", options.peer());
            json.writeNumberField("events", records);
            json.writeNumberField("events_measured", cost.events());
            json.writeNumberField("cpu_s", cost.cpuS());
            json.writeNumberField("wall_s", cost.wallS());
            json.writeNumberField("rss_mb", peakMb());
            json.writeNumberField("commits", commits);
            json.writeNumberField("restored_events",
                    restored.values().stream().mapToLong(Long::longValue).sum());
            json.writeObjectFieldStart("settings");
            for (Map.Entry<String, ?> setting : new TreeMap<>(settings).entrySet()) {
                json.writeStringField(setting.getKey(), setting.getValue().toString());
            }
            json.writeEndObject();
            json.writeObjectFieldStart("totals");
            writeRow(json, total);
            writeDimensions(json);
            json.writeEndObject();
            json.writeEndObject();
        }
        return out.toString();
    }

    private void writeDimensions(JsonGenerator json) throws IOException {
        json.writeObjectFieldStart("dimensions");
        for (int i = 0; i < Dimensions.COUNT; i++) {
            json.writeObjectFieldStart(Dimensions.NAMES[i]);
            for (Map.Entry<String, long[]> value : dimensions.get(i).entrySet()) {
                json.writeObjectFieldStart(value.getKey());
                writeRow(json, value.getValue());
                json.writeEndObject();
            }
            json.writeEndObject();
        }
        json.writeEndObject();
    }

    private static void writeRow(JsonGenerator json, long[] row) throws IOException {
        for (Counter counter : Counter.ALL) {
            String text = counter.text(row[counter.ordinal()]);
            if (text.indexOf('.') < 0) {
                json.writeNumberField(counter.label, row[counter.ordinal()]);
            } else {
                json.writeStringField(counter.label, text);
            }
        }
    }

    /** The most memory that was resident. */
    private static long peakMb() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
                .findFirst().orElseThrow();
    }
}
