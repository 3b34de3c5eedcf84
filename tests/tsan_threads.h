/* tsan_threads: for test programs that start librdkafka under the thread sanitizer, which does not
 * know C11's threads and crashes in them: they become POSIX ones. Nothing in any other build. */
#ifndef TSAN_THREADS_H
#define TSAN_THREADS_H

#ifdef __SANITIZE_THREAD__
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct tsan_start {
    thrd_start_t function;
    void *argument;
};

static void *tsan_main(void *context) {
    struct tsan_start start = *(struct tsan_start *)context;
    free(context);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument) {
    struct tsan_start *start = malloc(sizeof *start);
    if (!start)
        return thrd_nomem;
    *start = (struct tsan_start){function, argument};
    if (pthread_create(thread, NULL, tsan_main, start) == 0)
        return thrd_success;
    free(start);
    return thrd_error;
}

int thrd_join(thrd_t thread, int *result) {
    void *value = NULL;
    if (pthread_join(thread, &value) != 0)
        return thrd_error;
    if (result)
        *result = (int)(intptr_t)value;
    return thrd_success;
}
#endif

#endif
