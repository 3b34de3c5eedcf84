package weir.peers.common;

import java.io.IOException;
import java.util.regex.Pattern;

/** Texts that are numbers, as JSON writes them. */
final class Numbers {
    private static final Pattern WHOLE = Pattern.compile("-?(0|[1-9][0-9]{0,18})");
    private static final Pattern REAL =
            Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");

    private Numbers() {}

    static boolean isWhole(String text) {
        return WHOLE.matcher(text).matches();
    }

    static double real(String text) throws IOException {
        if (!REAL.matcher(text).matches()) {
            throw new IOException("not a number: " + text);
        }
        return Double.parseDouble(text);
    }
}
