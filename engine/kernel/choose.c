/* One of the tokens that are allowed, drawn by temperature, top-k and top-p.
 *
 * Knows logits and token numbers; knows no network. It does what `draw` in engine/sampling.py does
 * and says, where the contract stands: both give the same token for the same number.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define MOST 4294967296.0 /* what the best candidate weighs; as in engine/sampling.py */

/* What is asked for, as one piece of memory: a call from Python costs by the argument. */
typedef struct {
    double temperature, top_p, number;
    int32_t top_k, again, count; /* `count` spans, at least one token in all */
    struct { int32_t first, end; } spans[]; /* from `first` to the one before `end` */
} Choice;

/* What is not a number is impossible, and infinity a number like any other. */
static double sane(double logit) {
    return isnan(logit) ? -INFINITY : isinf(logit) && logit > 0 ? 1e300 : logit;
}

static int falling(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static double sum_of(const double *weights, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += weights[i];
    return sum;
}

/* Logits to weights, in place: whole numbers, so that sums are exact. */
static void weigh(double *values, int count, double best, double temperature) {
    for (int i = 0; i < count; i++) {
        const double below = best == -INFINITY ? 0 : values[i] - best; /* nothing to go by */
        values[i] = rint(exp(below / temperature) * MOST);
    }
}

/* Whether top-p alone keeps a candidate: what is likelier does not reach it. */
static int stays(const double *weights, int count, double weight, int top_k, double top_p) {
    if (top_k) return 0;
    if (top_p >= 1) return 1;
    double likelier = 0;
    for (int i = 0; i < count; i++) likelier += weights[i] > weight ? weights[i] : 0;
    return likelier < top_p * sum_of(weights, count);
}

/* To nought with what top-k and top-p do not keep; equals stay or go together. */
static void keep(double *weights, int count, int top_k, double top_p) {
    double ranked[count], share = 0;
    for (int i = 0; i < count; i++) ranked[i] = weights[i];
    qsort(ranked, (size_t)count, sizeof *ranked, falling);
    const int most = top_k && top_k < count ? top_k : count;
    const double wanted = top_p * sum_of(ranked, most);
    int last = 0;
    while ((share += ranked[last]) < wanted && last < most - 1) last++;
    for (int i = 0; i < count; i++)
        if (weights[i] < ranked[top_p < 1 ? last : most - 1]) weights[i] = 0;
}

/* The token, or -1 where another number has to be drawn. */
int segue_choose(const float *logits, const Choice *choice) {
    int size = 0, best = 0, index = 0;
    for (int s = 0; s < choice->count; s++) size += choice->spans[s].end - choice->spans[s].first;
    double values[size], sum = 0;
    for (int s = 0, i = 0; s < choice->count; s++)
        for (int t = choice->spans[s].first; t < choice->spans[s].end; t++, i++) {
            values[i] = sane(logits[t]);
            if (values[i] > values[best]) best = i;
        }
    index = best;
    if (choice->temperature > 0) {
        const int top_k = choice->top_k;
        const double top_p = choice->top_p;
        weigh(values, size, values[best], choice->temperature);
        if (choice->again) keep(values, size, top_k, top_p);
        const double aim = choice->number * sum_of(values, size);
        for (index = 0; (sum += values[index]) <= aim; index++) {}
        if (!choice->again && !stays(values, size, values[index], top_k, top_p)) return -1;
    }
    for (int s = 0;; s++) {
        const int here = choice->spans[s].end - choice->spans[s].first;
        if (index < here) return choice->spans[s].first + index;
        index -= here;
    }
}
