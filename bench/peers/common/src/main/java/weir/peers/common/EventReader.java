package weir.peers.common;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/** JSON to an event, token by token; nothing is allocated for texts that are known. One thread. */
public final class EventReader {
    private final JsonFactory factory = new JsonFactory();
    private final Names names = new Names();
    private final Times times = new Times();

    /** False when it is no event: not JSON, or without a type, a time or an id. */
    public boolean read(byte[] json, Event event) {
        event.clear();
        try (JsonParser parser = factory.createParser(json)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return false;
            }
            for (String name; (name = parser.nextFieldName()) != null; ) {
                readField(parser, name, event);
            }
        } catch (IOException | ArithmeticException wrong) {
            return false;
        }
        return event.type != null && event.timeMs != Long.MIN_VALUE && event.id != null;
    }

    private void readField(JsonParser parser, String name, Event event) throws IOException {
        JsonToken token = parser.nextToken();
        if (token.isStructStart()) {
            parser.skipChildren();
            return;
        }
        switch (name) {
            case "type" -> event.type = Type.of(known(parser));
            case "time" -> event.timeMs = times.parse(
                    parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
            case "session" -> event.id = parser.getText();
            case "order_id" -> event.orderId = parser.getText();
            case "value" -> event.valueMicros = Money.micros(parser.getDecimalValue());
            case "quantity" -> event.quantity = parser.getLongValue();
            case "user_agent" -> event.userAgent = known(parser);
            case "country" -> event.values[0] = known(parser);
            case "device" -> event.values[1] = known(parser);
            case "channel" -> event.values[2] = known(parser);
            case "category" -> event.values[3] = known(parser);
            default -> { }
        }
    }

    private String known(JsonParser parser) throws IOException {
        return names.of(parser.getTextCharacters(), parser.getTextOffset(), parser.getTextLength());
    }
}
