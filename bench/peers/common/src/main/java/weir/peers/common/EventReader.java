package weir.peers.common;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * JSON to an event by weir's own preset (include/weir/decode.h), token by token; nothing is allocated
 * for texts that are known. A record that holds several events is none here. One thread.
 */
public final class EventReader {
    private static final int RECORD_MAX = 64 << 10;
    private static final int DEPTH_MAX = 16;
    private static final long SESSION = 1; // their ids are names of two kinds
    private static final long VISITOR = 2;
    private final JsonFactory factory = JsonFactory.builder().streamReadConstraints(
            StreamReadConstraints.builder().maxNestingDepth(DEPTH_MAX).build()).build();
    private final Texts<Type> types = new Texts<>(Type::of);
    private final Texts<Boolean> robots = new Texts<>(Robots::is);
    private final List<Texts<Integer>> values = new ArrayList<>();
    private final Times times = new Times();
    private long idOf; // whose id the event has, 0: none yet
    private int seen; // the mapped keys of this record

    public EventReader() {
        for (int i = 0; i < Dimensions.COUNT; i++) {
            int dimension = i;
            values.add(new Texts<>(value -> Segments.number(dimension, value)));
        }
    }

    /** False for what weir does not count: not JSON, or something of it absent or wrong. */
    public boolean read(byte[] json, Event event) {
        event.clear();
        seen = 0;
        idOf = 0;
        if (json.length > RECORD_MAX) {
            return false;
        }
        try (JsonParser parser = factory.createParser(json)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            for (String name; (name = parser.nextFieldName()) != null; ) {
                readField(parser, name, event);
            }
            if (parser.nextToken() != null) {
                return false;
            }
        } catch (IOException wrong) {
            return false;
        }
        return event.type != null && event.timeMs != Long.MIN_VALUE && idOf != 0;
    }

    private void readField(JsonParser parser, String name, Event event) throws IOException {
        JsonToken token = parser.nextToken();
        switch (name) {
            case "type" -> {
                if (is(parser, token, 0)) {
                    plain(token);
                    event.type = known(parser, types);
                }
            }
            case "time" -> {
                if (is(parser, token, 1)) {
                    event.timeMs = time(parser, token);
                }
            }
            case "session" -> {
                if (is(parser, token, 2)) {
                    id(parser, token, SESSION, event);
                }
            }
            case "visitor" -> {
                mark(3);
                if (idOf == SESSION) {
                    plainOrNull(token);
                } else if (token != JsonToken.VALUE_NULL && !isEmpty(parser, token)) {
                    id(parser, token, VISITOR, event);
                }
            }
            case "order_id" -> {
                if (is(parser, token, 4)) {
                    plain(token);
                    event.orderId = parser.getText();
                }
            }
            case "value" -> {
                if (is(parser, token, 5)) {
                    event.valueMicros = amount(parser, token, Money.VALUE_MAX);
                }
            }
            case "quantity" -> {
                if (is(parser, token, 6)) {
                    event.quantity = amount(parser, token, Money.QUANTITY_MAX) / Money.MICROS;
                }
            }
            case "user_agent" -> {
                if (is(parser, token, 7) && token == JsonToken.VALUE_STRING) {
                    event.robot = known(parser, robots);
                }
            }
            case "country" -> value(parser, token, 0, event);
            case "device" -> value(parser, token, 1, event);
            case "channel" -> value(parser, token, 2, event);
            case "category" -> value(parser, token, 3, event);
            default -> { }
        }
        if (token.isStructStart()) {
            parser.skipChildren();
        }
    }

    /** False for null and "", which are as good as absent. No mapped key comes twice. */
    private boolean is(JsonParser parser, JsonToken token, int key) throws IOException {
        mark(key);
        return token != JsonToken.VALUE_NULL && !isEmpty(parser, token);
    }

    private void mark(int key) throws IOException {
        int bit = 1 << key;
        if ((seen & bit) != 0) {
            throw new IOException("a key comes twice");
        }
        seen |= bit;
    }

    private static boolean isEmpty(JsonParser parser, JsonToken token) throws IOException {
        return token == JsonToken.VALUE_STRING && parser.getTextLength() == 0;
    }

    private void value(JsonParser parser, JsonToken token, int dimension, Event event)
            throws IOException {
        if (is(parser, token, 8 + dimension) && !token.isStructStart()) {
            event.segments = Segments.with(
                    event.segments, dimension, known(parser, values.get(dimension)));
        }
    }

    /** A type or an id is a text or a whole number. */
    private static void plain(JsonToken token) throws IOException {
        if (token != JsonToken.VALUE_STRING && token != JsonToken.VALUE_NUMBER_INT) {
            throw new IOException("neither a text nor a whole number");
        }
    }

    private static void plainOrNull(JsonToken token) throws IOException {
        if (token != JsonToken.VALUE_NULL) {
            plain(token);
        }
    }

    private void id(JsonParser parser, JsonToken token, long of, Event event) throws IOException {
        plain(token);
        idOf = of;
        Key.hash(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength(), of,
                event);
    }

    private static <T> T known(JsonParser parser, Texts<T> texts) throws IOException {
        return texts.of(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
    }

    private long time(JsonParser parser, JsonToken token) throws IOException {
        return switch (token) {
            case VALUE_STRING -> times.parse(
                    parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
            case VALUE_NUMBER_INT -> Times.ofWhole(parser.getLongValue());
            case VALUE_NUMBER_FLOAT -> Times.ofReal(parser.getDoubleValue());
            default -> throw new IOException("not a time");
        };
    }

    /** A number, or a text that is one. */
    private static long amount(JsonParser parser, JsonToken token, long max) throws IOException {
        if (token != JsonToken.VALUE_STRING && !token.isNumeric()) {
            throw new IOException("not a number");
        }
        return Money.micros(parser.getTextCharacters(), parser.getTextOffset(),
                parser.getTextLength(), max);
    }
}
