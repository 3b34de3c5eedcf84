/*
 * traffic_random: random numbers and the two functions of calculus they need.
 *
 * Our own exp and log, from + - * / and exact scaling only, since a library's may differ in the
 * last bit from machine to machine and the traffic must not. Good to about 1e-13. Pure, any thread.
 */
#ifndef WEIR_TRAFFIC_RANDOM_H
#define WEIR_TRAFFIC_RANDOM_H

#include <stdint.h>

#define WEIR_TRAFFIC_GOLDEN 0x9e3779b97f4a7c15ULL

/* The finalizer of SplitMix64: a good hash of 64 bits. */
static inline uint64_t weir_traffic_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static inline uint64_t weir_traffic_bits(uint64_t *state) {
    *state += WEIR_TRAFFIC_GOLDEN;
    return weir_traffic_mix(*state);
}

/* In (0, 1): never an end of it, so that a logarithm is always finite. */
static inline double weir_traffic_unit(uint64_t bits) {
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

static inline double weir_traffic_random(uint64_t *state) {
    return weir_traffic_unit(weir_traffic_bits(state));
}

double weir_traffic_exp(double x); /* |x| <= 700 */
double weir_traffic_log(double x); /* x > 0, normal */

/* The normal distribution's quantile, by Acklam's approximation (relative error 1.2e-9). */
double weir_traffic_normal(double probability);

/* A log-normal value with the given median and sigma of its logarithm, none above
 * exp(WEIR_TRAFFIC_CUT * sigma) medians: the distribution ends there, nothing is clamped. */
#define WEIR_TRAFFIC_CUT 4.0
double weir_traffic_lognormal(uint64_t *state, double median, double sigma);

#endif
