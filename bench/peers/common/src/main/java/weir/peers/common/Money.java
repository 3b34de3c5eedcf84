package weir.peers.common;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** Exact sums of decimal amounts: whole micros. */
final class Money {
    static final int MICROS = 1_000_000;

    private Money() {}

    static long micros(BigDecimal amount) {
        return amount.movePointRight(6).setScale(0, RoundingMode.HALF_UP).longValueExact();
    }

    static String text(long amount, int unit) {
        BigDecimal exact = BigDecimal.valueOf(amount).divide(BigDecimal.valueOf(unit));
        return exact.setScale(Math.max(2, exact.scale()), RoundingMode.UNNECESSARY).toPlainString();
    }
}
