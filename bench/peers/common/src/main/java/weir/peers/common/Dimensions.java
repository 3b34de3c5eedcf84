package weir.peers.common;

/** The fields of an event by whose values everything is counted apart. */
final class Dimensions {
    static final String[] NAMES = {"country", "device", "channel", "category"};
    static final int COUNT = NAMES.length;
    static final int VALUES_MAX = 1000;
    static final int VALUE_BYTES_MAX = 128;

    private Dimensions() {}
}
