/* weir version: weir's own and its libraries', for bug reports. */
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "app/commands.h"
#include "weir/err.h"
#include "weir/kafka.h"
#include "weir/shown.h"

int weir_cmd_version(int argc, char **argv) {
    if (argc > 1) {
        fprintf(stderr, "usage: weir version\nIt takes nothing more, not %s.\n",
                weir_word_shown(argv[1]).text);
        return WEIR_ERR_USAGE;
    }
    printf("weir %s\n", WEIR_VERSION);
    printf("librdkafka %s\n", weir_kafka_library_version());
    printf("jansson %s\n", jansson_version_str());
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
#ifdef WEIR_LIBRARIES /* by the build: names and versions of those that cannot be asked */
    printf("built with %s\n", WEIR_LIBRARIES);
#endif
    return 0;
}
