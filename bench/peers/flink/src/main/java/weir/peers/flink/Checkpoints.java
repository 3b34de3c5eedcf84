package weir.peers.flink;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Optional;
import java.util.stream.Stream;

/** What a job that was killed left on the disk. */
final class Checkpoints {
    private static final int DEPTH = 3; // <folder>/<job>/chk-<number>/_metadata

    private Checkpoints() {}

    /** Only a whole one has its _metadata. */
    static Optional<String> newest(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.walk(folder, DEPTH)) {
            return files.filter(path -> path.endsWith("_metadata"))
                    .max(Comparator.comparingLong(path -> path.toFile().lastModified()))
                    .map(path -> path.getParent().toUri().toString());
        }
    }
}
