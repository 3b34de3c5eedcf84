/*
 * view_print: the trees of view as tables for people; a sentence where there is nothing yet.
 *
 * Borrows the tree. Thread: one at a time. Shares as percentages, thousands with commas, UTC times.
 */
#ifndef WEIR_APP_VIEW_PRINT_H
#define WEIR_APP_VIEW_PRINT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

void weir_view_print_windows(const json_t *tree, int64_t now_ms, FILE *out);
void weir_view_print_segments(const json_t *tree, int64_t now_ms, FILE *out);
void weir_view_print_alerts(const json_t *tree, int64_t now_ms, FILE *out);
void weir_view_print_partitions(const json_t *tree, int64_t now_ms, FILE *out);

#endif
