package weir.peers.common;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;

/**
 * JSON to an event by weir's own preset (include/weir/decode.h), token by token; nothing is allocated
 * for texts that are known. A record that holds several events is none here. One thread.
 */
public final class EventReader {
    private static final int RECORD_MAX = 64 << 10;
    private static final int DEPTH_MAX = 16;
    private static final String VISITOR = "\0"; // no id holds it: visitors are names of their own
    private final JsonFactory factory = JsonFactory.builder().streamReadConstraints(
            StreamReadConstraints.builder().maxNestingDepth(DEPTH_MAX).build()).build();
    private final Names names = new Names();
    private final Times times = new Times();
    private int seen; // the mapped keys of this record

    /** False for what weir does not count: not JSON, or something of it absent or wrong. */
    public boolean read(byte[] json, Event event) {
        event.clear();
        seen = 0;
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
        if (event.id == null && event.visitor != null) {
            event.id = VISITOR + event.visitor;
        }
        return event.type != null && event.timeMs != Long.MIN_VALUE && event.id != null;
    }

    private void readField(JsonParser parser, String name, Event event) throws IOException {
        JsonToken token = parser.nextToken();
        switch (name) {
            case "type" -> {
                if (is(parser, token, 0)) {
                    event.type = Type.of(known(parser, plain(token)));
                }
            }
            case "time" -> {
                if (is(parser, token, 1)) {
                    event.timeMs = time(parser, token);
                }
            }
            case "session" -> {
                if (is(parser, token, 2)) {
                    event.id = text(parser, plain(token));
                }
            }
            case "visitor" -> {
                mark(3);
                if (token != JsonToken.VALUE_NULL) {
                    plain(token);
                    event.visitor = event.id != null || isEmpty(parser, token) ? null
                            : text(parser, token);
                }
            }
            case "order_id" -> {
                if (is(parser, token, 4)) {
                    event.orderId = text(parser, plain(token));
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
                    event.userAgent = known(parser, token);
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
            event.values[dimension] = known(parser, token);
        }
    }

    /** A type or an id is a text or a whole number. */
    private static JsonToken plain(JsonToken token) throws IOException {
        if (token != JsonToken.VALUE_STRING && token != JsonToken.VALUE_NUMBER_INT) {
            throw new IOException("neither a text nor a whole number");
        }
        return token;
    }

    private static String text(JsonParser parser, JsonToken token) throws IOException {
        return token == JsonToken.VALUE_STRING ? parser.getText()
                : String.valueOf(parser.getNumberValue());
    }

    private String known(JsonParser parser, JsonToken token) throws IOException {
        if (token == JsonToken.VALUE_NUMBER_INT) {
            return text(parser, token); // -0 is 0
        }
        return names.of(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
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
