/* A small LLaMA-style decoder with int8 weights, for one step at a time on one thread.
 *
 * Knows the networks of models/network.py and models/nested/network.py, and a cache of bfloat16
 * keys and values; knows no music, no files and no Python. Weights come in as float32 and are
 * packed once; after opening nothing is allocated. Whoever calls keeps the count of tokens: to rewind is to append at a
 * smaller `start`. Instruction sets are chosen when a decoder is opened.
 */
#include "kernel.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dots.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Rounded to nearest, ties to even. */
INLINE uint16_t bfloat(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

#define NAME(f) f##_plain
#define TARGET
#define DOTS dots_plain
#define LANES 4
#include "forward.h"

#if defined(__x86_64__)
#define NAME(f) f##_avx2
#define TARGET TARGET_AVX2
#define DOTS dots_avx2
#define LANES 8
#include "forward.h"

#define NAME(f) f##_vnni
#define TARGET TARGET_VNNI
#define DOTS dots_vnni
#define LANES 16
#include "forward.h"
#endif

#if defined(__aarch64__)
#define NAME(f) f##_neon
#define TARGET
#define DOTS dots_neon
#define LANES 4
#include "forward.h"

#if defined(TARGET_NEON_DOT)
#define NAME(f) f##_neon_dot
#define TARGET TARGET_NEON_DOT
#define DOTS dots_neon_dot
#define LANES 4
#include "forward.h"
#endif
#endif

typedef struct {
    const char *name;
    void (*forward)(Decoder *, int, int, int);
    void (*say)(Decoder *, const Stage *);
    int unsigned_weights;
} Path;

/* From the slowest, which runs anywhere, to the fastest. */
static const Path paths[] = {
    {"plain", forward_plain, say_plain, 0},
#if defined(__x86_64__)
    {"avx2", forward_avx2, say_avx2, 0},
    {"avx512-vnni", forward_vnni, say_vnni, 1},
#endif
#if defined(__aarch64__)
    {"neon", forward_neon, say_neon, 0},
#if defined(TARGET_NEON_DOT)
    {"neon-dot", forward_neon_dot, say_neon_dot, 0},
#endif
#endif
};
enum { PATHS = sizeof paths / sizeof *paths };

static int runs_here(int path) {
#if defined(__x86_64__)
    if (path == 1) return __builtin_cpu_supports("avx2");
    if (path == 2)
        return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#elif defined(__aarch64__) && defined(__linux__)
    if (path == 2) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
    return 1; /* on a Mac, every 64-bit ARM has the dot product */
}

/* The name of instruction set `path`, "" if it does not run here, NULL beyond the last. */
const char *segue_path(int path) {
    if (path < 0 || path >= PATHS) return NULL;
    return runs_here(path) ? paths[path].name : "";
}

/* One allocation for everything. With no base, an arena only counts what will be needed. */
typedef struct {
    char *base;
    size_t used;
} Arena;

static void *take(Arena *arena, size_t count, size_t size) {
    void *start = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + 63) / 64 * 64;
    return start;
}

static int padded(int n, int unit) { return (n + unit - 1) / unit * unit; }

static void take_matrix(Arena *arena, Matrix *matrix, int rows, int columns) {
    matrix->tiles = padded(rows, ROWS) / ROWS;
    matrix->groups = padded(columns, GROUP) / GROUP;
    matrix->blocks = take(arena, (size_t)matrix->tiles * matrix->groups, sizeof(Block));
}

static void take_quantised(Arena *arena, Quantised *q, int columns) {
    q->columns = columns;
    q->q = take(arena, BATCH * (size_t)columns, 1);
    q->scale = take(arena, BATCH * (size_t)columns / GROUP, sizeof(float));
    q->unbias = take(arena, BATCH * (size_t)columns / GROUP, sizeof(int32_t));
}

static void take_thought(Arena *arena, const Decoder *d, Thought *thought, int hidden) {
    take_matrix(arena, &thought->gate, hidden, d->width);
    take_matrix(arena, &thought->up, hidden, d->width);
    take_matrix(arena, &thought->down, d->width, hidden);
    thought->norm = take(arena, d->width, sizeof(float));
    thought->hidden = padded(hidden, GROUP);
}

static void take_readout(Arena *arena, const Decoder *d, Readout *readout) {
    take_matrix(arena, &readout->head, readout->choices, d->width);
    readout->norm = take(arena, d->width, sizeof(float));
}

static void take_layer(Arena *arena, const Decoder *d, Layer *layer) {
    const size_t cache = (size_t)d->context_padded * d->width;
    take_matrix(arena, &layer->qkv, 3 * d->width, d->width);
    take_matrix(arena, &layer->out, d->width, d->width);
    take_thought(arena, d, &layer->thought, d->ffn);
    layer->attention_norm = take(arena, d->width, sizeof(float));
    layer->keys = take(arena, cache, sizeof(uint16_t));
    layer->values = take(arena, cache, sizeof(uint16_t));
}

/* `choices`: of each stage. */
static void take_decoder(Arena *arena, Decoder *d, const int32_t *choices) {
    const size_t width = (size_t)d->width, half = (size_t)d->head_dim / 2, f = sizeof(float);
    const int hidden = padded(d->ffn > d->chain ? d->ffn : d->chain, GROUP);
    int most = d->token.choices;
    Layer unplaced, *layers = take(arena, d->layers, sizeof(Layer));
    for (int l = 0; l < d->layers; l++) take_layer(arena, d, layers ? layers + l : &unplaced);
    d->layer = layers;
    take_readout(arena, d, &d->token);
    Stage unsaid, *stages = take(arena, d->stages, sizeof(Stage));
    for (int s = 0; s < d->stages; s++) {
        Stage *stage = stages ? stages + s : &unsaid;
        take_thought(arena, d, &stage->thought, d->chain);
        stage->field.choices = choices[s];
        take_readout(arena, d, &stage->field);
        most = choices[s] > most ? choices[s] : most;
    }
    d->stage = stages;
    d->embedding = take(arena, d->vocabulary * width, f);
    d->cos = take(arena, (size_t)d->context * half, f);
    d->sin = take(arena, (size_t)d->context * half, f);
    d->rates = take(arena, half, f);
    d->time_cos = take(arena, BATCH * half, f);
    d->time_sin = take(arena, BATCH * half, f);
    d->x = take(arena, BATCH * width, f);
    d->qkv = take(arena, BATCH * 3 * width, f);
    d->heard = take(arena, BATCH * (size_t)d->width_padded, f);
    d->gate = take(arena, BATCH * (size_t)hidden, f);
    d->up = take(arena, BATCH * (size_t)hidden, f);
    d->normed = take(arena, d->width_padded, f);
    d->stream = take(arena, width, f);
    d->logits = take(arena, padded(most, ROWS), f);
    d->scores = take(arena, TOGETHER * (size_t)d->context_padded, f);
    take_quantised(arena, &d->narrow, d->width_padded);
    take_quantised(arena, &d->wide, hidden);
}

/* A matrix [rows][columns] into tiles; `offset` is what is added to every int8. */
static void pack(Matrix *matrix, const float *from, int rows, int columns, int offset) {
    for (int row = 0; row < matrix->tiles * ROWS; row++)
        for (int g = 0; g < matrix->groups; g++) {
            Block *block = matrix->blocks + (size_t)(row / ROWS) * matrix->groups + g;
            const int first = g * GROUP, end = row < rows ? columns - first : 0;
            const float *x = from + (size_t)row * columns + first;
            float largest = 0;
            for (int i = 0; i < GROUP && i < end; i++) largest = fmaxf(largest, fabsf(x[i]));
            block->scale[row % ROWS] = largest / 127.0f;
            for (int i = 0; i < GROUP; i++) {
                const float share = i < end && largest > 0 ? x[i] / largest : 0;
                block->w[i / 4][row % ROWS][i % 4] = (int8_t)(lrintf(share * 127.0f) + offset);
            }
        }
}

static void copy(float *to, const float *from, size_t count) {
    memcpy(to, from, count * sizeof(float));
}

/* Norm, gate and up, down. */
static void load_thought(Thought *thought, const float *const *weights, int width, int hidden,
                         int offset) {
    copy(thought->norm, weights[0], width);
    pack(&thought->gate, weights[1], hidden, width, offset);
    pack(&thought->up, weights[1] + (size_t)hidden * width, hidden, width, offset);
    pack(&thought->down, weights[2], width, hidden, offset);
}

static void load(Decoder *d, const float *const *weights, int offset) {
    const int width = d->width, half = d->head_dim / 2;
    copy(d->embedding, weights[0], (size_t)d->vocabulary * width);
    pack(&d->token.head, weights[0], d->token.choices, width, offset); /* tied */
    copy(d->token.norm, weights[1], width);
    copy(d->cos, weights[2], (size_t)d->context * half);
    copy(d->sin, weights[3], (size_t)d->context * half);
    weights += 4;
    if (d->timed_heads) copy(d->rates, *weights++, half);
    for (Layer *layer = d->layer; layer < d->layer + d->layers; layer++, weights += 6) {
        copy(layer->attention_norm, weights[0], width);
        pack(&layer->qkv, weights[1], 3 * width, width, offset);
        pack(&layer->out, weights[2], width, width, offset);
        load_thought(&layer->thought, weights + 3, width, d->ffn, offset);
    }
    for (Stage *stage = d->stage; stage < d->stage + d->stages; stage++, weights += 5) {
        load_thought(&stage->thought, weights, width, d->chain, offset);
        copy(stage->field.norm, weights[3], width);
        pack(&stage->field.head, weights[4], stage->field.choices, width, offset);
    }
}

/* Large pages, where the system gives them on request: a token touches every weight. */
static void *allocate(size_t bytes) {
    const size_t page = (size_t)2 << 20;
    void *base = aligned_alloc(page, (bytes + page - 1) / page * page);
    if (!base) return NULL;
#if defined(MADV_HUGEPAGE)
    madvise(base, bytes, MADV_HUGEPAGE);
#endif
    return memset(base, 0, bytes);
}

static Decoder *opened(Decoder d, const int32_t *choices, const float *const *weights, int path) {
    if (path < 0 || path >= PATHS || !runs_here(path)) return NULL;
    d.head_dim = d.width / d.heads;
    if (d.head_dim % ROWS || d.head_dim * d.heads != d.width) return NULL;
    d.width_padded = padded(d.width, GROUP);
    d.context_padded = padded(d.context, ROWS);
    d.forward = paths[path].forward;
    d.say = paths[path].say;
    Arena arena = {NULL, 0};
    take(&arena, 1, sizeof d);
    take_decoder(&arena, &d, choices);
    if (!(arena.base = allocate(arena.used))) return NULL;
    arena.used = 0;
    Decoder *decoder = take(&arena, 1, sizeof d);
    take_decoder(&arena, &d, choices);
    load(&d, weights, paths[path].unsigned_weights ? 128 : 0);
    *decoder = d;
    return decoder;
}

/* A network of tokens. `shape`: layers, width, heads, ffn, vocabulary, context. `weights`:
 * embedding, last norm, cosines and sines [context][head_dim / 2]; then for each layer attention
 * norm, qkv, out, ffn norm, gate and up, down. NULL for a path that does not run here, heads that
 * are no multiple of 16, or no memory. The weights are not needed afterwards. */
Decoder *segue_open(const int32_t *shape, const float *const *weights, int path) {
    Decoder d = {
        .layers = shape[0], .width = shape[1], .heads = shape[2], .ffn = shape[3],
        .vocabulary = shape[4], .context = shape[5], .entries = 1, .token.choices = shape[4],
    };
    return opened(d, NULL, weights, path);
}

/* A nested network. `shape`: the same, where the vocabulary is all that is ever added up; then
 * entries of a step, heads that turn with time, width of the chain, stages, and the choices of
 * each. `weights`: the same, with the rates of time before the first layer; then for each stage
 * norm, gate and up, down, norm and matrix of its choices. */
Decoder *segue_open_nested(const int32_t *shape, const float *const *weights, int path) {
    Decoder d = {
        .layers = shape[0], .width = shape[1], .heads = shape[2], .ffn = shape[3],
        .vocabulary = shape[4], .context = shape[5], .entries = shape[6],
        .timed_heads = shape[7], .chain = shape[8], .stages = shape[9],
    };
    return opened(d, shape + 10, weights, path);
}

/* Whether all of these entries are there. */
static int known(const Decoder *d, const int32_t *entries, int count) {
    for (int i = 0; i < count; i++)
        if (entries[i] < 0 || entries[i] >= d->vocabulary) return 0;
    return 1;
}

static void add(const Decoder *d, float *x, int32_t entry) {
    const float *from = d->embedding + (size_t)entry * d->width;
    for (int i = 0; i < d->width; i++) x[i] += from[i];
}

/* Step `t` of a batch into `x`, and its time into angles. */
static void enter(Decoder *d, int t, const int32_t *step) {
    const int half = d->head_dim / 2;
    float *x = d->x + (size_t)t * d->width;
    copy(x, d->embedding + (size_t)step[0] * d->width, d->width);
    for (int i = 1; i < d->entries; i++) add(d, x, step[i]);
    for (int i = 0; d->timed_heads && i < half; i++) {
        const float angle = (float)step[d->entries] * d->rates[i]; /* rounded, as in training */
        d->time_cos[t * half + i] = (float)cos(angle);
        d->time_sin[t * half + i] = (float)sin(angle);
    }
}

/* Take `count` steps, each its entries and, where heads turn with it, its time, at the positions
 * from `start`; `logits` after the last one. -1, with nothing changed, for an entry that there is
 * not or a position beyond the context. */
int segue_append(Decoder *d, const int32_t *steps, int count, int start, float *logits) {
    const int size = d->entries + (d->timed_heads > 0);
    if (count < 1 || start < 0 || count > d->context - start) return -1;
    for (int t = 0; t < count; t++)
        if (!known(d, steps + (size_t)t * size, d->entries)) return -1;
    for (int t = 0; t < count; t += BATCH) {
        const int now = count - t < BATCH ? count - t : BATCH;
        for (int i = 0; i < now; i++) enter(d, i, steps + (size_t)(t + i) * size);
        d->forward(d, now, start + t, t + now == count);
    }
    copy(logits, d->logits, d->stages ? d->stage->field.choices : d->token.choices);
    return 0;
}

/* `segue_append` for one token, without an array. */
int segue_next(Decoder *d, int32_t token, int start, float *logits) {
    return segue_append(d, &token, 1, start, logits);
}

/* Go on along the chain behind the last step: what was said, to the `logits` of stage 1, 2, ... */
int segue_say(Decoder *d, int stage, const int32_t *entries, int count, float *logits) {
    if (stage < 1 || stage >= d->stages || !known(d, entries, count)) return -1;
    for (int i = 0; i < count; i++) add(d, d->stream, entries[i]);
    d->say(d, d->stage + stage);
    copy(logits, d->logits, d->stage[stage].field.choices);
    return 0;
}

void segue_close(Decoder *d) { free(d); }
